#include "kernel_host/fresh_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "kernel_host/abi_op.h"
#include "ops/op_data.h"
#include "ops/reference.h"
#include "tests/ops/random_workload.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::Optional;

// One output at a time gives what all together give.
TEST(OutputAtTest, AgreesWithTheReference) {
  constexpr std::uint64_t kSeed = 11;
  Rng rng(kSeed);
  for (int round = 0; round < 300; ++round) {
    const std::optional<Workload> drawn = DrawWorkload(rng);
    if (!drawn) continue;
    const Workload& workload = *drawn;
    const OpCase op_case =
        MakeCase(workload, round % 2 ? DataSet::kUniform : DataSet::kEdges, rng.Next());
    const std::vector<std::uint8_t> y = RunReference(workload, op_case.values, op_case.x);
    const kiln_op op = AbiOp(op_case.values);
    for (int check = 0; check < 20; ++check) {
      const auto index = static_cast<std::int64_t>(rng.Below(y.size()));
      ASSERT_EQ(OutputAt(workload, op, op_case.x.data(), index), y[static_cast<std::size_t>(index)])
          << Key(workload) << ", output " << index << ", seed " << kSeed;
    }
  }
}

// A dense layer and what it does to the inputs of `fresh`, all right.
class FreshInputsTest : public testing::Test {
 protected:
  void Run(std::uint32_t calls) {
    fresh_.Draw(calls, rng_);
    ASSERT_NE(memory(), MAP_FAILED);
    for (std::uint32_t call = 0; call < calls; ++call) {
      const auto y = RunReference(workload_, case_.values, {x(call), layout_.x_bytes});
      std::memcpy(y_of(call), y.data(), y.size());
    }
  }
  std::optional<std::string> Objection(std::uint32_t calls) {
    return fresh_.Objection(calls, workload_, AbiOp(case_.values), rng_);
  }
  std::uint8_t* x(std::uint32_t call) { return bytes() + call * layout_.x_stride(); }
  std::uint8_t* y_of(std::uint32_t call) {
    return bytes() + layout_.y_offset() + call * layout_.y_stride();
  }
  ~FreshInputsTest() override { munmap(memory_, layout_.file_bytes()); }

  static Workload Dense() {
    Workload workload;
    workload.op = OpKind::kDense;
    workload.c = 24;
    workload.o = 40;
    return workload;
  }

  const Workload workload_ = Dense();
  const OpCase case_ = MakeCase(workload_, DataSet::kUniform, 3);
  const FreshLayout layout_ = FreshLayout::For(workload_);
  const FreshInputs fresh_ = FreshInputs::Make(layout_);
  Rng rng_{4};

 private:
  void* memory() {
    if (!memory_) {
      memory_ =
          mmap(nullptr, layout_.file_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fresh_.fd(), 0);
    }
    return memory_;
  }
  std::uint8_t* bytes() { return static_cast<std::uint8_t*>(memory()); }
  void* memory_ = nullptr;
};

TEST_F(FreshInputsTest, RightOutputsAreAccepted) {
  for (int round = 0; round < 50; ++round) {
    Run(layout_.calls);
    ASSERT_EQ(Objection(layout_.calls), std::nullopt);
  }
}

TEST_F(FreshInputsTest, OneCallOfManyThatDidNothingIsFoundOut) {
  Run(layout_.calls);
  std::memset(y_of(layout_.calls - 1), 0, layout_.y_bytes);
  // A check or more for each call; an output may be zero by chance.
  int found = 0;
  for (int round = 0; round < 50; ++round) found += Objection(layout_.calls).has_value();
  EXPECT_GT(found, 25);
}

TEST_F(FreshInputsTest, OutputsLeftOutAreFoundOut) {
  Run(1);
  for (std::uint64_t i = 0; i < layout_.y_bytes / 4; ++i) y_of(0)[i] ^= 0x55;
  EXPECT_THAT(Objection(1), Optional(HasSubstr(" instead of ")));
}

TEST_F(FreshInputsTest, InputsAreNeverTheSame) {
  fresh_.Draw(2, rng_);
  Run(2);
  const std::vector<std::uint8_t> first(x(0), x(0) + layout_.x_bytes);
  EXPECT_NE(std::memcmp(x(0), x(1), layout_.x_bytes), 0);
  Run(2);
  EXPECT_NE(std::memcmp(x(0), first.data(), layout_.x_bytes), 0);
}

}  // namespace
}  // namespace kiln
