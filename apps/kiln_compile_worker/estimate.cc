// From counted blocks to cycles:
//   1. every instruction gets the counts of all blocks that it is in;
//   2. instructions that lie one behind the other and were executed equally often are a run; it
//   ends
//      where control leaves or jumps back, and begins where it jumps back to, so that a loop's body
//      is a run of its own;
//   3. the hottest runs are simulated; what they leave counts as their average.

#include "apps/kiln_compile_worker/estimate.h"

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/kiln_compile_worker/processor.h"

namespace kiln {
namespace {

// Of the executed instructions; more would take longer and change the sum by less than a percent.
constexpr double kSimulatedShare = 0.995;

struct CountedInstruction {
  CodeInstruction instruction;
  double count = 0;
};

// Instructions that are executed one after the other, equally often.
struct Run {
  std::vector<const CodeInstruction*> instructions;
  double count = 0;
  double executed() const { return count * static_cast<double>(instructions.size()); }
};

// The bytes of the object that lie at an offset once it is loaded, up to the end of its segment;
// empty if none do.
std::string_view LoadedBytes(std::string_view elf, std::uint64_t offset) {
  Elf64_Ehdr header;
  if (elf.size() < sizeof header) return {};
  std::memcpy(&header, elf.data(), sizeof header);
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    const std::uint64_t at = header.e_phoff + i * sizeof segment;
    if (at > elf.size() || elf.size() - at < sizeof segment) return {};
    std::memcpy(&segment, elf.data() + at, sizeof segment);
    if (segment.p_type != PT_LOAD || offset < segment.p_vaddr) continue;
    const std::uint64_t inside = offset - segment.p_vaddr;
    if (inside >= segment.p_filesz || segment.p_offset > elf.size() ||
        segment.p_filesz > elf.size() - segment.p_offset) {
      continue;
    }
    return elf.substr(segment.p_offset + inside, segment.p_filesz - inside);
  }
  return {};
}

// Of one job.
class Code {
 public:
  Code(const EstimateJob& job, Processor& processor) : job_(job), processor_(processor) {}

  // False: some bytes are no instructions of this processor; error() says which.
  bool Read() {
    for (const CountedBlock& block : job_.blocks) {
      std::uint64_t offset = block.offset;
      const std::uint64_t end = block.offset + block.bytes;
      while (offset < end) {
        const std::uint32_t bytes = Count(offset, static_cast<double>(block.count));
        if (bytes == 0) return false;
        offset += bytes;
      }
    }
    return true;
  }
  const std::string& error() const { return error_; }

  std::vector<Run> Runs() const {
    std::set<std::uint64_t> loop_heads;
    for (const auto& [offset, counted] : instructions_) {
      const auto target = processor_.FlowOf(counted.instruction).target;
      if (target && *target <= offset) loop_heads.insert(*target);
    }
    std::vector<Run> runs;
    const CountedInstruction* last = nullptr;
    for (const auto& [offset, counted] : instructions_) {
      if (last == nullptr || !Continues(*last, counted) || loop_heads.contains(offset)) {
        runs.push_back({{}, counted.count});
      }
      runs.back().instructions.push_back(&counted.instruction);
      last = &counted;
    }
    return runs;
  }

  std::string BytesOf(const Run& run) const {
    const CodeInstruction& last = *run.instructions.back();
    const std::uint64_t begin = run.instructions.front()->offset;
    return std::string(LoadedBytes(job_.object, begin).substr(0, last.offset + last.bytes - begin));
  }

 private:
  // Counts the instruction there and returns how long it is.
  std::uint32_t Count(std::uint64_t offset, double count) {
    const auto known = instructions_.find(offset);
    if (known != instructions_.end()) {
      known->second.count += count;
      return known->second.instruction.bytes;
    }
    std::optional<CodeInstruction> decoded =
        processor_.Decode(LoadedBytes(job_.object, offset), offset);
    if (!decoded) {
      error_ = job_.cpu + " has no instruction like the one at offset " + std::to_string(offset);
      return 0;
    }
    const std::uint32_t bytes = decoded->bytes;
    instructions_.emplace(offset, CountedInstruction{*std::move(decoded), count});
    return bytes;
  }

  bool Continues(const CountedInstruction& last, const CountedInstruction& next) const {
    const CodeInstruction& instruction = last.instruction;
    if (next.instruction.offset != instruction.offset + instruction.bytes) return false;
    if (next.count != last.count) return false;
    const ControlFlow flow = processor_.FlowOf(instruction);
    return !flow.leaves && !(flow.target && *flow.target <= instruction.offset);
  }

  const EstimateJob& job_;
  Processor& processor_;
  std::map<std::uint64_t, CountedInstruction> instructions_;  // by offset
  std::string error_;
};

EstimateReply Sum(const Code& code, Processor& processor) {
  std::vector<Run> runs = code.Runs();
  std::ranges::stable_sort(runs, std::ranges::greater(), &Run::executed);
  EstimateReply reply;
  for (const Run& run : runs) reply.instructions += run.executed();
  double cycles = 0, simulated = 0;
  for (const Run& run : runs) {
    if (simulated >= kSimulatedShare * reply.instructions) break;
    const auto each = processor.CyclesOfLoop(code.BytesOf(run), run.instructions);
    if (!each) continue;
    cycles += *each * run.count;
    simulated += run.executed();
  }
  if (simulated <= 0) {
    reply.outcome = EstimateReply::Outcome::kRejected;
    reply.message = "no instruction of it can be simulated";
    return reply;
  }
  reply.outcome = EstimateReply::Outcome::kEstimated;
  reply.cycles = cycles * reply.instructions / simulated;
  reply.simulated_share = simulated / reply.instructions;
  return reply;
}

}  // namespace

CycleEstimator::CycleEstimator() = default;
CycleEstimator::~CycleEstimator() = default;

EstimateReply CycleEstimator::Estimate(const EstimateJob& job) {
  EstimateReply reply;
  Processor* processor = Find(job.arch, job.cpu, reply.message);
  if (processor == nullptr) return reply;
  Code code(job, *processor);
  if (code.Read()) return Sum(code, *processor);
  reply.outcome = EstimateReply::Outcome::kRejected;
  reply.message = code.error();
  return reply;
}

Processor* CycleEstimator::Find(const std::string& arch, const std::string& cpu,
                                std::string& error) {
  const std::string name = arch + ' ' + cpu;
  const auto known = processors_.find(name);
  if (known != processors_.end()) return known->second.get();
  std::unique_ptr<Processor> processor = Processor::Create(arch, cpu, error);
  if (!processor) return nullptr;
  return processors_.emplace(name, std::move(processor)).first->second.get();
}

}  // namespace kiln
