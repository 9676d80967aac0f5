#include "apps/kiln_compile_worker/processor.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/MC/MCAsmInfo.h>
#include <llvm/MC/MCContext.h>
#include <llvm/MC/MCDisassembler/MCDisassembler.h>
#include <llvm/MC/MCInst.h>
#include <llvm/MC/MCInstrAnalysis.h>
#include <llvm/MC/MCInstrInfo.h>
#include <llvm/MC/MCRegisterInfo.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/MCTargetOptions.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/MCA/Context.h>
#include <llvm/MCA/CustomBehaviour.h>
#include <llvm/MCA/HWEventListener.h>
#include <llvm/MCA/InstrBuilder.h>
#include <llvm/MCA/Pipeline.h>
#include <llvm/MCA/SourceMgr.h>
#include <llvm/TargetParser/Triple.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace kiln {
namespace {

// A reorder buffer holds up to some 500 instructions: after so many a loop has found its pace.
constexpr std::size_t kWarmUp = 600;
constexpr std::size_t kMostIterations = 64;
constexpr unsigned kCallLatency = 100;  // llvm-mca's default

// Knows when the iterations of a loop have ended: the cycle in which the last instruction of each
// retired.
class IterationClock final : public llvm::mca::HWEventListener {
 public:
  explicit IterationClock(std::size_t instructions) : instructions_(instructions) {}

  void onCycleBegin() override { ++cycle_; }
  void onEvent(const llvm::mca::HWInstructionEvent& event) override {
    if (event.Type != llvm::mca::HWInstructionEvent::Retired) return;
    const std::size_t index = event.IR.getSourceIndex();
    if (index % instructions_ + 1 == instructions_) ends_.push_back(cycle_);
  }
  const std::vector<std::uint64_t>& ends() const { return ends_; }

 private:
  using llvm::mca::HWEventListener::onEvent;
  const std::size_t instructions_;
  std::uint64_t cycle_ = 0;
  std::vector<std::uint64_t> ends_;
};

}  // namespace

struct Processor::Tables {
  llvm::Triple triple;
  std::unique_ptr<const llvm::MCRegisterInfo> registers;
  std::unique_ptr<const llvm::MCAsmInfo> assembly;
  std::unique_ptr<const llvm::MCInstrInfo> instructions;
  std::unique_ptr<const llvm::MCSubtargetInfo> subtarget;
  std::unique_ptr<const llvm::MCInstrAnalysis> analysis;
  std::unique_ptr<llvm::MCContext> context;
  std::unique_ptr<const llvm::MCDisassembler> disassembler;
  std::unique_ptr<const llvm::mca::InstrumentManager> instruments;
};

Processor::Processor(std::unique_ptr<Tables> tables) : tables_(std::move(tables)) {}
Processor::~Processor() = default;

std::unique_ptr<Processor> Processor::Create(const std::string& arch, const std::string& cpu,
                                             std::string& error) {
  auto tables = std::make_unique<Tables>();
  tables->triple = llvm::Triple(arch + "-unknown-linux-gnu");
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(tables->triple.str(), error);
  if (target == nullptr) return nullptr;
  const std::string& triple = tables->triple.str();
  const llvm::MCTargetOptions options;
  tables->registers.reset(target->createMCRegInfo(triple));
  tables->assembly.reset(target->createMCAsmInfo(*tables->registers, triple, options));
  tables->instructions.reset(target->createMCInstrInfo());
  // LLVM warns of an unknown processor and goes on with another; it must be asked first.
  const std::unique_ptr<const llvm::MCSubtargetInfo> any(
      target->createMCSubtargetInfo(triple, "", ""));
  if (!any->isCPUStringValid(cpu)) {
    error = "LLVM knows no " + arch + " processor '" + cpu + "'";
    return nullptr;
  }
  tables->subtarget.reset(target->createMCSubtargetInfo(triple, cpu, ""));
  if (!tables->subtarget->getSchedModel().hasInstrSchedModel()) {
    error = "LLVM has no scheduling model of '" + cpu + "'";
    return nullptr;
  }
  tables->analysis.reset(target->createMCInstrAnalysis(tables->instructions.get()));
  tables->context = std::make_unique<llvm::MCContext>(
      tables->triple, tables->assembly.get(), tables->registers.get(), tables->subtarget.get());
  tables->disassembler.reset(target->createMCDisassembler(*tables->subtarget, *tables->context));
  tables->instruments =
      std::make_unique<llvm::mca::InstrumentManager>(*tables->subtarget, *tables->instructions);
  return std::unique_ptr<Processor>(new Processor(std::move(tables)));
}

std::optional<CodeInstruction> Processor::Decode(std::string_view code,
                                                 std::uint64_t offset) const {
  const auto inst = std::make_shared<llvm::MCInst>();
  std::uint64_t size = 0;
  const llvm::ArrayRef<std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(code.data()),
                                           code.size());
  if (tables_->disassembler->getInstruction(*inst, size, bytes, offset, llvm::nulls()) !=
      llvm::MCDisassembler::Success) {
    return std::nullopt;
  }
  return CodeInstruction{offset, static_cast<std::uint32_t>(size), inst};
}

ControlFlow Processor::FlowOf(const CodeInstruction& instruction) const {
  const llvm::MCInstrDesc& desc = tables_->instructions->get(instruction.inst->getOpcode());
  ControlFlow flow;
  flow.leaves = desc.isReturn() || desc.isUnconditionalBranch() || desc.isIndirectBranch();
  std::uint64_t target = 0;
  if (desc.isBranch() && tables_->analysis->evaluateBranch(*instruction.inst, instruction.offset,
                                                           instruction.bytes, target)) {
    flow.target = target;
  }
  return flow;
}

std::optional<double> Processor::CyclesOfLoop(
    const std::string& bytes, const std::vector<const CodeInstruction*>& instructions) {
  const auto known = known_.find(bytes);
  if (known != known_.end()) return known->second;
  return known_.emplace(bytes, Simulate(instructions)).first->second;
}

std::optional<double> Processor::Simulate(
    const std::vector<const CodeInstruction*>& instructions) const {
  llvm::mca::InstrBuilder builder(*tables_->subtarget, *tables_->instructions, *tables_->registers,
                                  tables_->analysis.get(), *tables_->instruments, kCallLatency);
  std::vector<std::unique_ptr<llvm::mca::Instruction>> loop;
  for (const CodeInstruction* instruction : instructions) {
    auto built = builder.createInstruction(*instruction->inst, {});
    if (built) {
      loop.push_back(std::move(*built));
    } else {  // the model lacks it: rare ones, that are no part of inner loops
      llvm::consumeError(built.takeError());
    }
  }
  if (loop.empty()) return std::nullopt;

  const std::size_t half = std::clamp<std::size_t>(kWarmUp / loop.size(), 2, kMostIterations);
  llvm::mca::CircularSourceMgr source(loop, static_cast<unsigned>(2 * half));
  llvm::mca::CustomBehaviour behaviour(*tables_->subtarget, source, *tables_->instructions);
  llvm::mca::Context context(*tables_->registers, *tables_->subtarget);
  const llvm::mca::PipelineOptions options(0, 0, 0, 0, 0, 0, /*NoAlias=*/true);
  const auto pipeline = context.createDefaultPipeline(options, source, behaviour);
  IterationClock clock(loop.size());
  pipeline->addEventListener(&clock);
  auto cycles = pipeline->run();
  if (!cycles) {
    llvm::consumeError(cycles.takeError());
    return std::nullopt;
  }
  if (clock.ends().size() != 2 * half) return std::nullopt;
  return static_cast<double>(clock.ends().back() - clock.ends()[half - 1]) /
         static_cast<double>(half);
}

}  // namespace kiln
