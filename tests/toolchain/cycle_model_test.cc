// LLVM's models in the real kiln-compile-worker, on code written by hand.

#include "toolchain/cycle_model.h"

#include <elf.h>
#include <gmock/gmock.h>

#include <cstring>

#include "base/paths.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kCodeOffset = 0x1000;
constexpr std::uint64_t kIterations = 1000;

// An object of which nothing but the code is looked at.
std::string ObjectWith(const std::vector<std::uint32_t>& code) {
  Elf64_Ehdr header{};
  header.e_phoff = sizeof header;
  header.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_type = PT_LOAD;
  segment.p_offset = sizeof header + sizeof segment;
  segment.p_vaddr = kCodeOffset;
  segment.p_filesz = segment.p_memsz = code.size() * sizeof code[0];
  std::string object(segment.p_offset + segment.p_filesz, '\0');
  std::memcpy(object.data(), &header, sizeof header);
  std::memcpy(object.data() + sizeof header, &segment, sizeof segment);
  std::memcpy(object.data() + segment.p_offset, code.data(), segment.p_filesz);
  return object;
}

// fmla v<sum>.4s, v1.4s, v2.4s
constexpr std::uint32_t MultiplyAccumulate(std::uint32_t sum) { return 0x4E22CC20 + sum; }
constexpr std::uint32_t kDecrement = 0xF1000400;  // subs x0, x0, #1
// b.ne, so many instructions back
constexpr std::uint32_t LoopBack(std::uint32_t instructions) {
  return 0x54000001 | ((0x80000 - instructions) & 0x7FFFF) << 5;
}

// A loop of multiply-accumulates into these registers.
std::vector<std::uint32_t> Loop(const std::vector<std::uint32_t>& sums) {
  std::vector<std::uint32_t> code;
  code.reserve(sums.size() + 2);
  for (const std::uint32_t sum : sums) code.push_back(MultiplyAccumulate(sum));
  code.push_back(kDecrement);
  code.push_back(LoopBack(static_cast<std::uint32_t>(code.size())));
  return code;
}

class CycleModelTest : public testing::Test {
 protected:
  static EstimateJob JobFor(const std::vector<std::uint32_t>& code,
                            const std::string& cpu = "cortex-a72") {
    return {.object = ObjectWith(code),
            .arch = "aarch64",
            .cpu = cpu,
            .blocks = {{kCodeOffset, static_cast<std::uint32_t>(4 * code.size()), kIterations}}};
  }
  CycleEstimate EstimateOf(const EstimateJob& job) {
    const auto estimate = model_->Estimate(job);
    EXPECT_TRUE(estimate.ok()) << estimate.status();
    if (!estimate.ok()) return {};
    if (const auto* failure = std::get_if<EstimateFailure>(&*estimate)) {
      ADD_FAILURE() << failure->message;
      return {};
    }
    return std::get<CycleEstimate>(*estimate);
  }
  double CyclesPerIteration(const std::vector<std::uint32_t>& code,
                            const std::string& cpu = "cortex-a72") {
    return EstimateOf(JobFor(code, cpu)).cycles / kIterations;
  }

  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  const std::unique_ptr<CycleModel> model_ =
      NewCycleModel(*reactor_, {.program = *FindHelper("kiln-compile-worker"), .workers = 1});
};

TEST_F(CycleModelTest, IndependentSumsTakeWhatThePipesTake) {
  // Two pipes for vectors: eight of them cannot take less than four cycles.
  const double cycles = CyclesPerIteration(Loop({0, 3, 4, 5, 6, 7, 16, 17}));
  EXPECT_GE(cycles, 4);
  EXPECT_LE(cycles, 9);
}

TEST_F(CycleModelTest, ALongerChainOfDependencesTakesLonger) {
  const double independent = CyclesPerIteration(Loop({0, 3, 4, 5, 6, 7, 16, 17}));
  const double two_chains = CyclesPerIteration(Loop({0, 3, 0, 3, 0, 3, 0, 3}));
  const double one_chain = CyclesPerIteration(Loop({0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_GT(two_chains, 1.2 * independent);
  EXPECT_GT(one_chain, 1.5 * two_chains);
}

TEST_F(CycleModelTest, ProcessorsDiffer) {
  const auto code = Loop({0, 3, 4, 5, 6, 7, 16, 17});
  // Four pipes against two, which issue in order.
  EXPECT_LT(CyclesPerIteration(code, "neoverse-v1"), CyclesPerIteration(code, "cortex-a55"));
  EXPECT_GT(CyclesPerIteration(code, "neoverse-n1"), 0);
}

TEST_F(CycleModelTest, BlocksAreWeighedByTheirCountsAndMayOverlap) {
  EstimateJob whole = JobFor(Loop({0, 3, 4, 5}));
  const double cycles = EstimateOf(whole).cycles;
  EXPECT_EQ(EstimateOf(whole).instructions, 6.0 * kIterations);
  EstimateJob twice = whole;
  twice.blocks.push_back(twice.blocks.front());
  EXPECT_DOUBLE_EQ(EstimateOf(twice).cycles, 2 * cycles);
  // As an emulator splits it: the first pass through the loop and the others.
  EstimateJob split = whole;
  split.blocks[0].count = 1;
  split.blocks.push_back(split.blocks[0]);
  split.blocks[1].count = kIterations - 1;
  EXPECT_DOUBLE_EQ(EstimateOf(split).cycles, cycles);
}

TEST_F(CycleModelTest, CodeThatTheProcessorDoesNotKnowIsTheCodesFault) {
  constexpr std::uint32_t kDot = 0x4E829420;  // sdot v0.4s, v1.16b, v2.16b
  EXPECT_GT(CyclesPerIteration({kDot}, "neoverse-n1"), 0);
  const auto estimate = model_->Estimate(JobFor({kDot}));
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  ASSERT_TRUE(std::holds_alternative<EstimateFailure>(*estimate));
  EXPECT_THAT(std::get<EstimateFailure>(*estimate).message, HasSubstr("cortex-a72"));
}

TEST_F(CycleModelTest, BytesOutsideOfTheObjectAreTheJobsFault) {
  EstimateJob job = JobFor(Loop({0}));
  job.blocks[0].offset = 1 << 20;
  const auto estimate = model_->Estimate(job);
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  EXPECT_TRUE(std::holds_alternative<EstimateFailure>(*estimate));
}

TEST_F(CycleModelTest, AProcessorWithoutAModelIsAnError) {
  EXPECT_THAT(Message(model_->Estimate(JobFor(Loop({0}), "cortex-b12")).status()),
              HasSubstr("cortex-b12"));
}

}  // namespace
}  // namespace kiln
