// Random .tflite files through the real importer and the real executor, each layer held byte for byte
// to its definition, which is written apart (tflite_definition.h), and its workload and values to
// what kernels rely on. KILN_RANDOM_MODELS: how many files, instead of 100; KILN_RANDOM_SEED: the
// first one's seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "described_file.h"
#include "models/graph.h"
#include "ops/requantize_form.h"
#include "ops/workload_key.h"
#include "random_model.h"
#include "shared_folder.h"
#include "tflite_definition.h"

namespace kiln {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* set = std::getenv(name);
  return set == nullptr ? otherwise : std::strtoull(set, nullptr, 10);
}

// What came of some files.
struct Tally {
  int layers = 0, values = 0;
  int skipped = 0;                       // of the operators: they may overflow
  std::map<std::string, int> workloads;  // "conv2d i8 pc", how many layers
  std::vector<std::string> faults;       // differences, and what is wrong with a layer
};

// Why a layer's workload is not the class that its values are in; empty if it is.
std::string FaultOfClasses(const Layer& layer) {
  const Workload& w = layer.workload;
  const OpValues& values = *layer.values;
  const StatusOr<Workload> parsed = ParseWorkload(Key(w));
  if (!parsed.ok() || *parsed != w) return "its key is not canonical";
  if (const std::string misfit = Misfit(w, values); !misfit.empty()) return misfit;
  if (w.act == Activation::kLo && (values.act_min < values.y_zp || values.act_max != w.qmax())) {
    return "act=lo is not what its values say";
  }
  if (w.act == Activation::kNone && (values.act_min != w.qmin() || values.act_max != w.qmax())) {
    return "act=none is not what its values say";
  }
  if (w.weight_zero_point != (w.type == DataType::kU8 && values.w_zp != 128)) return "wz";
  const bool has_least = std::find(values.w.begin(), values.w.end(), 0x80) != values.w.end();
  if (w.full_range_weights != (w.type == DataType::kI8 && has_least)) return "wz0full";
  for (std::int32_t channel = 0; channel < w.o; ++channel) {
    if (!IsValid(w.rq, ChannelOf(w, values, channel))) {
      return "channel " + std::to_string(channel) + " is not of its form";
    }
  }
  return "";
}

// Runs the file of a model and adds what differs from its definition.
void Compare(const DescribedModel& model, const Bytes& file, const Bytes& input,
             DefinedRounding rounding, Tally& tally) {
  const ScratchFolder folder;
  const StatusOr<std::unique_ptr<GraphExecutor>> loaded =
      LoadGraph(folder.Write(model.name + ".tflite", file));
  if (!loaded.ok()) {
    tally.faults.push_back(Message(loaded.status()));
    return;
  }
  GraphExecutor& graph = **loaded;
  ASSERT_EQ(graph.ops().size(), model.operators.size());
  ASSERT_TRUE(graph.SetInput(input).ok());
  const DescribedTensor* x = &model.x;
  Bytes in = input;
  for (std::size_t i = 0; i < graph.ops().size(); ++i) {
    const DescribedOperator& op = model.operators[i];
    const Bytes wanted = ComputeByDefinition(op, *x, model.is_signed, in, rounding);
    const std::string name = model.name + ", operator " + std::to_string(i);
    if (graph.ops()[i].layer) {
      const Layer& layer = graph.network().layers[*graph.ops()[i].layer];
      const StatusOr<std::span<const std::uint8_t>> y = graph.Run(i);
      ++tally.layers;
      tally.values += static_cast<int>(wanted.size());
      ++tally.workloads[std::string(Name(layer.workload.op)) + " " +
                        std::string(Name(layer.workload.type))];
      if (const std::string fault = FaultOfClasses(layer); !fault.empty()) {
        tally.faults.push_back(name + ", " + Key(layer.workload) + ": " + fault);
      }
      if (!y.ok()) {
        tally.faults.push_back(name + ": " + Message(y.status()));
      } else if (Bytes(y->begin(), y->end()) != wanted) {
        tally.faults.push_back(name + ", " + Key(layer.workload) + ": other bytes");
      }
    } else {
      ++tally.skipped;
    }
    ASSERT_TRUE(graph.SetOutput(i, 0, wanted).ok()) << name;
    in = wanted;
    x = &op.y;
  }
  // The one thing that a valid operator may be skipped for.
  for (const auto& [reason, count] : graph.network().skipped) {
    EXPECT_THAT(reason, ::testing::HasSubstr("which does not fit 32 bits")) << model.name;
  }
}

TEST(RandomTfliteTest, EveryLayerIsItsDefinition) {
  const std::uint64_t files = FromEnvironment("KILN_RANDOM_MODELS", 100);
  const std::uint64_t first = FromEnvironment("KILN_RANDOM_SEED", 1);
  Tally tally;
  for (std::uint64_t seed = first; seed < first + files; ++seed) {
    const DescribedModel model = RandomModel(seed);
    Compare(model, FileOf(model), RandomInput(model, seed), DefinedRounding::kTwice, tally);
  }
  for (const std::string& fault : tally.faults) ADD_FAILURE() << fault;
  std::printf("%llu files: %d layers, %d output values, %zu differences; %d operators skipped\n",
              static_cast<unsigned long long>(files), tally.layers, tally.values,
              tally.faults.size(), tally.skipped);
  for (const auto& [kind, count] : tally.workloads) {
    std::printf("  %s: %d layers\n", kind.c_str(), count);
  }
  EXPECT_LT(tally.skipped * 10, tally.layers);
  EXPECT_EQ(tally.workloads.size(), 6U);  // conv2d, depthwise, dense; int8, uint8
}

// What of a model's numbers is odd.
std::set<std::string> OdditiesOf(const DescribedModel& model) {
  std::set<std::string> odd;
  if (model.values_behind) odd.insert("values behind the FlatBuffer");
  std::vector<std::int32_t> x = model.x.shape;
  for (const DescribedOperator& op : model.operators) {
    const bool window = op.kind != DescribedOperator::Kind::kFullyConnected;
    const bool least = std::find(op.w.bytes.begin(), op.w.bytes.end(), 0x80) != op.w.bytes.end();
    if (model.is_signed && least) odd.insert("weights of -128");
    if (std::count(op.w.scale.begin(), op.w.scale.end(), 0.0F) > 0) odd.insert("scale 0");
    if (!op.has_bias) odd.insert("no bias");
    if (op.bias_scales.axis == 3) odd.insert("a bias with the axis of its weights");
    if (op.y.zero_point[0] == (model.is_signed ? -128 : 0)) odd.insert("the least zero point");
    if (op.y.zero_point[0] == (model.is_signed ? 127 : 255)) odd.insert("the largest zero point");
    if (window) {
      const bool one = op.y.shape[1] == 1 && x[1] > op.w.shape[1] && op.stride_h > 1;
      if (one && !op.same_padding) odd.insert("one output with room for more");
      if (op.stride_h > op.w.shape[1]) odd.insert("a stride over the kernel");
      if (op.dilation_h > 1 && op.w.shape[1] > 1) odd.insert("dilation");
      if (op.w.shape[1] != op.w.shape[2]) odd.insert("a kernel with two sizes");
      const bool conv = op.kind == DescribedOperator::Kind::kConv2d;
      if (conv && op.w.shape[3] < x[3]) odd.insert("groups");
      if (!conv && op.w.shape[3] > x[3]) odd.insert("a channel multiplier");
    } else if (op.y.shape.size() == 4) {
      odd.insert("rows that keep their shape");
    }
    x = op.y.shape;
  }
  return odd;
}

TEST(RandomTfliteTest, AHundredModelsHoldEveryOddity) {
  std::set<std::string> odd;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) odd.merge(OdditiesOf(RandomModel(seed)));
  EXPECT_EQ(odd.size(), 14U) << ::testing::PrintToString(odd);
}

// Windows with one output, whose stride moves nothing: the last layers of small networks.
TEST(RandomTfliteTest, OneOutputStaysOne) {
  struct OneOutput {
    DescribedOperator::Kind kind;
    std::int32_t image, kernel, stride;
    bool same;
  };
  using Kind = DescribedOperator::Kind;
  Tally tally;
  for (const OneOutput& one : {
           OneOutput{Kind::kConv2d, 2, 1, 2, true},   // 1x1, stride 2 on 2x2
           OneOutput{Kind::kConv2d, 4, 3, 2, false},  // 3x3, stride 2 VALID on 4x4
           OneOutput{Kind::kDepthwiseConv2d, 4, 3, 2, false},
           OneOutput{Kind::kConv2d, 3, 3, 7, true},
           OneOutput{Kind::kDepthwiseConv2d, 5, 2, 5, false},
       }) {
    const bool depthwise = one.kind == Kind::kDepthwiseConv2d;
    DescribedModel model{
        .name = "one", .x = {{1, one.image, one.image, 4}, {0.5F}, {3}, 0, {}}, .operators = {}};
    DescribedOperator op;
    op.kind = one.kind;
    op.same_padding = one.same;
    op.stride_h = op.stride_w = one.stride;
    op.w = {{depthwise ? 1 : 6, one.kernel, one.kernel, 4}, {0.25F}, {0}, 0, {}};
    for (std::int64_t i = 0; i < ElementsOf(op.w.shape); ++i) {
      op.w.bytes.push_back(static_cast<std::uint8_t>(37 * i));
    }
    op.y = {{1, 1, 1, depthwise ? 4 : 6}, {20}, {-1}, 0, {}};
    ASSERT_EQ(op.y.shape, OutputShapeByDefinition(op, model.x.shape));
    model.operators.push_back(op);
    Compare(model, FileOf(model), RandomInput(model, 0), DefinedRounding::kTwice, tally);
  }
  EXPECT_THAT(tally.faults, ::testing::IsEmpty());
  EXPECT_EQ(tally.layers, 5);
}

// --- that the comparison sees what it is for ---

// One convolution whose output has the same shape with strides of 2 and 3.
DescribedModel Strided() {
  DescribedModel model{.name = "strided", .x = {{1, 4, 4, 1}, {1}, {0}, 0, {}}, .operators = {}};
  DescribedOperator op;
  op.w = {{1, 1, 1, 1}, {1}, {0}, 0, {1}};
  op.y = {{1, 2, 2, 1}, {2}, {0}, 0, {}};
  op.stride_h = op.stride_w = 2;
  model.operators.push_back(op);
  return model;
}

Bytes Counting() {
  Bytes input(16);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<std::uint8_t>(4 * i + 1);
  return input;
}

TEST(RandomTfliteTest, AnotherStrideOrZeroPointIsSeen) {
  const Bytes file = FileOf(Strided());
  const auto faults = [&](auto change) {
    DescribedModel changed = Strided();
    change(changed.operators[0]);
    Tally tally;
    Compare(changed, file, Counting(), DefinedRounding::kTwice, tally);
    return tally.faults.size();
  };
  EXPECT_EQ(faults([](DescribedOperator&) {}), 0U);
  EXPECT_EQ(faults([](DescribedOperator& op) { op.stride_h = 3; }), 1U);
  EXPECT_EQ(faults([](DescribedOperator& op) { op.stride_w = 3; }), 1U);
  EXPECT_EQ(faults([](DescribedOperator& op) { op.y.zero_point = {1}; }), 1U);
  EXPECT_EQ(faults([](DescribedOperator& op) { op.y.scale = {2.1F}; }), 1U);
}

TEST(RandomTfliteTest, AnotherRoundingIsSeen) {
  Tally tally;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const DescribedModel model = RandomModel(seed);
    Compare(model, FileOf(model), RandomInput(model, seed), DefinedRounding::kOnce, tally);
  }
  EXPECT_GT(tally.faults.size(), 3U);
  EXPECT_THAT(tally.faults, ::testing::Each(::testing::HasSubstr("other bytes")));
}

}  // namespace
}  // namespace kiln
