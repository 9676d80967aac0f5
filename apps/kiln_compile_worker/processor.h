#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace llvm {
class MCInst;
}

namespace kiln {

// An instruction where it lies in an object.
struct CodeInstruction {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  std::shared_ptr<const llvm::MCInst> inst;  // as LLVM decodes it
};

// How an instruction passes control on.
struct ControlFlow {
  bool leaves = false;                  // never to the instruction behind it
  std::optional<std::uint64_t> target;  // of a direct branch
};

// This is one processor as LLVM schedules for it: decodes and simulates. Not thread-safe.
class Processor {
 public:
  // nullptr with `error`: LLVM does not know the processor, or has no scheduling model of it.
  static std::unique_ptr<Processor> Create(const std::string& arch, const std::string& cpu,
                                           std::string& error);
  ~Processor();

  // The first instruction of `code`; nullopt: this processor has none of these bytes.
  std::optional<CodeInstruction> Decode(std::string_view code, std::uint64_t offset) const;
  ControlFlow FlowOf(const CodeInstruction& instruction) const;

  // Cycles for one iteration of a loop of these instructions in steady state: loads hit the first
  // cache, no load waits for a store, branches are foreseen. `bytes` are the instructions' code:
  // the answer for the same bytes is remembered. nullopt: not one instruction can be simulated.
  std::optional<double> CyclesOfLoop(const std::string& bytes,
                                     const std::vector<const CodeInstruction*>& instructions);

 private:
  struct Tables;  // of LLVM
  explicit Processor(std::unique_ptr<Tables> tables);
  std::optional<double> Simulate(const std::vector<const CodeInstruction*>& instructions) const;

  const std::unique_ptr<Tables> tables_;
  std::unordered_map<std::string, std::optional<double>> known_;
};

}  // namespace kiln
