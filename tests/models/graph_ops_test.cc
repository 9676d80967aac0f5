// The reference kernels of operators that Kiln does not tune, on values small enough to compute by
// hand; golden_test holds them to whole real models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "models/graph.h"
#include "shared_folder.h"
#include "tflite_writer.h"

namespace kiln {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Type = ElementType;
using Shape = std::vector<std::int32_t>;

std::unique_ptr<GraphExecutor> Load(const TfliteWriter& writer) {
  const ScratchFolder folder;
  StatusOr<std::unique_ptr<GraphExecutor>> graph =
      LoadGraph(folder.Write("graph.tflite", writer.File()));
  EXPECT_TRUE(graph.ok()) << graph.status();
  return graph.ok() ? *std::move(graph) : nullptr;
}

template <typename T>
std::vector<std::uint8_t> BytesOf(const std::vector<T>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// The output of operator 0 for an input, both of element types In and Out.
template <typename Out, typename In>
std::vector<Out> Output(const TfliteWriter& writer, const std::vector<In>& input) {
  const std::unique_ptr<GraphExecutor> graph = Load(writer);
  EXPECT_TRUE(graph->SetInput(BytesOf(input)).ok());
  const StatusOr<std::span<const std::uint8_t>> bytes = graph->Run(0);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  std::vector<Out> output(bytes->size() / sizeof(Out));
  std::memcpy(output.data(), bytes->data(), bytes->size());
  return output;
}

using Int8 = std::vector<std::int8_t>;
using Uint8 = std::vector<std::uint8_t>;

// A writer with an input, a constant second input, if any, and an output of operator 0.
struct OneInput {
  TfliteWriter writer;
  OneInput(std::int32_t builtin, Type type, const Shape& x, const WrittenScale& x_scale,
           const Shape& y, const WrittenScale& y_scale, TfliteOptions options = {},
           const std::vector<std::int32_t>& second = {}, const Shape& second_shape = {}) {
    std::vector<std::int32_t> inputs = {writer.Tensor("x", type, x, x_scale)};
    if (!second.empty()) inputs.push_back(writer.ConstantInts("second", second_shape, second));
    writer.Operator(builtin, inputs, {writer.Tensor("y", type, y, y_scale)}, options);
    writer.SetInput(0);
  }
};

TEST(GraphAddTest, BringsBothInputsToOneScale) {
  TfliteWriter w;
  const auto x = w.Tensor("x", Type::kInt8, {1, 4}, Scale(1, 0));
  const auto c =
      w.Constant("c", Type::kInt8, {1, 4}, BytesOf(Int8{3, -7, 125, 12}), Scale(0.5F, 2));
  const auto y = w.Tensor("y", Type::kInt8, {1, 4}, Scale(2, 1));
  w.Operator(TfliteWriter::kAdd, {x, c}, {y});
  w.SetInput(x);
  // (4 + 0.5) / 2 + 1, (-4 - 4.5) / 2 + 1, (127 + 61.5) / 2 + 1, (-8 + 5) / 2 + 1: half away
  EXPECT_THAT(Output<std::int8_t>(w, Int8{4, -4, 127, -8}), ElementsAre(3, -3, 95, -1));
}

TEST(GraphAddTest, ClampsToTheFusedActivation) {
  TfliteWriter w;
  const auto x = w.Tensor("x", Type::kUint8, {3}, Scale(1, 100));
  const auto y = w.Tensor("y", Type::kUint8, {3}, Scale(1, 50));
  w.Operator(TfliteWriter::kAdd, {x, x}, {y}, {.activation = FusedActivation::kRelu6});
  w.SetInput(x);
  EXPECT_THAT(Output<std::uint8_t>(w, Uint8{99, 102, 104}), ElementsAre(50, 54, 56));
}

TEST(GraphPoolTest, AveragesTheTapsInsideAndRoundsHalvesAway) {
  const OneInput pool(TfliteWriter::kAveragePool2d, Type::kInt8, {1, 3, 2, 1}, Scale(1, 5),
                      {1, 2, 1, 1}, Scale(1, 5),
                      {.stride_h = 2, .stride_w = 2, .filter_h = 2, .filter_w = 2});
  // (1 - 2 - 3 - 2) / 4 = -1.5; the last row alone: (3 + 4) / 2 = 3.5
  EXPECT_THAT(Output<std::int8_t>(pool.writer, Int8{1, -2, -3, -2, 3, 4}), ElementsAre(-2, 4));
}

TEST(GraphPoolTest, TakesTheLargestPerChannel) {
  const OneInput pool(
      TfliteWriter::kMaxPool2d, Type::kUint8, {1, 2, 2, 2}, Scale(1, 10), {1, 1, 1, 2},
      Scale(1, 10),
      {.same_padding = false, .filter_h = 2, .filter_w = 2, .activation = FusedActivation::kRelu6});
  EXPECT_THAT(Output<std::uint8_t>(pool.writer, Uint8{1, 12, 2, 200, 3, 0, 4, 0}),
              ElementsAre(10, 16));
}

TEST(GraphMeanTest, AveragesOverItsAxes) {
  const OneInput rows(TfliteWriter::kMean, Type::kInt8, {2, 2, 2}, Scale(0.5F, 1), {2, 2},
                      Scale(0.5F, 0), {}, {1}, {1});
  EXPECT_THAT(Output<std::int8_t>(rows.writer, Int8{1, 2, 3, 6, -9, 11, -19, 21}),
              ElementsAre(1, 3, -15, 15));
  const OneInput all(TfliteWriter::kMean, Type::kInt8, {1, 2, 2, 1}, Scale(1, 0), {1, 1},
                     Scale(0.5F, -3), {}, {-3, -2}, {2});
  EXPECT_THAT(Output<std::int8_t>(all.writer, Int8{1, 2, 3, 6}), ElementsAre(3));
}

TEST(GraphShapeTest, PadsWithTheZeroPoint) {
  const OneInput pad(TfliteWriter::kPad, Type::kInt8, {1, 2, 2}, Scale(1, -7), {1, 4, 3},
                     Scale(1, -7), {}, {0, 0, 1, 1, 0, 1}, {3, 2});
  EXPECT_THAT(Output<std::int8_t>(pad.writer, Int8{1, 2, 3, 4}),
              ElementsAre(-7, -7, -7, 1, 2, -7, 3, 4, -7, -7, -7, -7));
}

TEST(GraphShapeTest, ReshapesWithoutAChange) {
  const OneInput reshape(TfliteWriter::kReshape, Type::kUint8, {2, 3}, Scale(1, 0), {3, 2},
                         Scale(1, 0), {}, {3, 2}, {2});
  EXPECT_THAT(Output<std::uint8_t>(reshape.writer, Uint8{1, 2, 3, 4, 5, 6}),
              ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(GraphShapeTest, ConcatenatesAlongAnAxis) {
  for (const std::int32_t axis : {1, -1}) {
    TfliteWriter w;
    const auto x = w.Tensor("x", Type::kInt8, {2, 2}, Scale(1, 0));
    const auto c = w.Constant("c", Type::kInt8, {2, 1}, {8, 9}, Scale(1, 0));
    const auto y = w.Tensor("y", Type::kInt8, {2, 5}, Scale(1, 0));
    w.Operator(TfliteWriter::kConcatenation, {x, c, x}, {y}, {.axis = axis});
    w.SetInput(x);
    EXPECT_THAT(Output<std::int8_t>(w, Int8{1, 2, 3, 4}),
                ElementsAre(1, 2, 8, 1, 2, 3, 4, 9, 3, 4));
  }
}

TEST(GraphQuantizeTest, QuantizesFloats) {
  TfliteWriter w;
  const auto x = w.Tensor("x", Type::kFloat32, {6});
  w.Operator(TfliteWriter::kQuantize, {x}, {w.Tensor("y", Type::kInt8, {6}, Scale(0.5F, 3))});
  w.SetInput(x);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(Output<std::int8_t>(w, std::vector<float>{0.25F, -0.25F, 1, 1e30F, -1e30F, nan}),
              ElementsAre(4, 2, 5, 127, -128, -128));
}

TEST(GraphQuantizeTest, RequantizesBetweenTypes) {
  TfliteWriter w;
  const auto x = w.Tensor("x", Type::kUint8, {3}, Scale(0.3F, 128));
  w.Operator(TfliteWriter::kQuantize, {x}, {w.Tensor("y", Type::kInt8, {3}, Scale(0.3F, 0))});
  w.SetInput(x);
  EXPECT_THAT(Output<std::int8_t>(w, Uint8{0, 128, 255}), ElementsAre(-128, 0, 127));
}

TEST(GraphQuantizeTest, Dequantizes) {
  TfliteWriter w;
  const auto x = w.Tensor("x", Type::kInt8, {3}, Scale(0.25F, -1));
  w.Operator(TfliteWriter::kDequantize, {x}, {w.Tensor("y", Type::kFloat32, {3})});
  w.SetInput(x);
  EXPECT_THAT(Output<float>(w, Int8{-128, -1, 127}), ElementsAre(-31.75F, 0, 32));
}

TEST(GraphSoftmaxTest, IsWithinOneStepOfTheRealFunction) {
  const OneInput softmax(TfliteWriter::kSoftmax, Type::kInt8, {2, 4}, Scale(0.1F, 0), {2, 4},
                         Scale(1.0F / 256, -128), {.beta = 0.5F});
  const Int8 x = {0, 20, -30, 127, 5, 5, 5, 5};
  const Int8 y = Output<std::int8_t>(softmax.writer, x);
  for (std::size_t row = 0; row < 2; ++row) {
    double sum = 0;
    for (std::size_t i = 0; i < 4; ++i) sum += std::exp(0.05 * x[row * 4 + i]);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(y[row * 4 + i], std::exp(0.05 * x[row * 4 + i]) / sum * 256 - 128, 1);
    }
  }
  EXPECT_THAT(std::vector(y.begin() + 4, y.end()), ElementsAre(-64, -64, -64, -64));
}

TEST(GraphSoftmaxTest, SaturatesWhereOneValueStandsOut) {
  const OneInput softmax(TfliteWriter::kSoftmax, Type::kUint8, {3}, Scale(10, 0), {3},
                         Scale(1.0F / 256, 0));
  EXPECT_THAT(Output<std::uint8_t>(softmax.writer, Uint8{0, 255, 1}), ElementsAre(0, 255, 0));
}

TEST(GraphExecutorTest, NamesWhatItCannotComputeAndGoesOnFromAGivenOutput) {
  TfliteWriter w;
  const auto x = w.Tensor("x", Type::kInt8, {2}, Scale(1, 0));
  const auto y = w.Tensor("y", Type::kInt8, {2}, Scale(1, 0));
  const auto z = w.Tensor("z", Type::kInt8, {2, 1}, Scale(1, 0));
  w.Operator(TfliteWriter::kGelu, {x}, {y});
  w.Operator(TfliteWriter::kReshape, {y}, {z});
  w.SetInput(x);
  const std::unique_ptr<GraphExecutor> graph = Load(w);
  EXPECT_THAT(graph->ops()[0].unsupported, HasSubstr("no reference kernel"));
  EXPECT_EQ(graph->ops()[1].unsupported, "");
  ASSERT_TRUE(graph->SetInput(Uint8{1, 2}).ok());
  EXPECT_EQ(graph->Run(0).status().code(), StatusCode::kUnimplemented);
  EXPECT_THAT(Message(graph->Run(0).status()), HasSubstr("operator 0 (GELU)"));
  EXPECT_EQ(graph->Run(1).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(graph->InputOf(1).status()),
              AllOf(HasSubstr("operator 1 (RESHAPE)"), HasSubstr("\"y\"")));
  ASSERT_TRUE(graph->SetOutput(0, 0, Uint8{3, 4}).ok());
  EXPECT_THAT(*graph->InputOf(1), ElementsAre(3, 4));
  EXPECT_THAT(*graph->Run(1), ElementsAre(3, 4));
}

TEST(GraphExecutorTest, SaysWhyAnOperatorIsOutOfReach) {
  const auto why = [](const OneInput& op) { return Load(op.writer)->ops()[0].unsupported; };
  const WrittenScale one = Scale(1, 0), two = Scale(2, 0);
  EXPECT_EQ(why({TfliteWriter::kMaxPool2d, Type::kInt8, {1, 2, 2, 1}, one, {1, 2, 2, 1}, two}),
            "input and output of different scales");
  EXPECT_EQ(why({TfliteWriter::kMaxPool2d, Type::kInt8, {1, 2, 2, 1}, one, {1, 1, 1, 1}, one}),
            "an output whose shape does not fit its window");
  EXPECT_EQ(why({TfliteWriter::kMean, Type::kUint8, {4}, one, {1}, one, {}, {0}, {1}}),
            "UINT8 -> UINT8");
  EXPECT_EQ(why({TfliteWriter::kMean, Type::kInt8, {4}, one, {1}, one, {}, {1}, {1}}), "axis 1");
  EXPECT_EQ(why({TfliteWriter::kSoftmax, Type::kInt8, {4}, one, {4}, one}),
            "an output scale other than 1/256");
  EXPECT_EQ(why({TfliteWriter::kPad, Type::kInt8, {2}, one, {3}, one, {}, {1, 1}, {1, 2}}),
            "paddings that do not fit its output");
  EXPECT_EQ(why({TfliteWriter::kReshape, Type::kInt8, {2}, one, {3}, one}),
            "types or shapes that do not fit");
}

// The bytes of a type that Kiln does not know are not counted, so nothing may copy them.
TEST(GraphExecutorTest, DoesNotTouchValuesOfUnknownSize) {
  TfliteWriter w;
  const auto x = w.Constant("x", Type::kOther, {2}, Uint8(1000, 1), Scale(1, 0));
  w.Operator(TfliteWriter::kReshape, {x}, {w.Tensor("y", Type::kOther, {2, 1}, Scale(1, 0))});
  const auto z = w.Tensor("z", Type::kInt8, {1, 2, 2, 1}, Scale(1, 0));
  w.SetShapeSignature(z, {1, -1, -1, 1});
  w.Operator(TfliteWriter::kReshape, {z}, {w.Tensor("v", Type::kInt8, {4}, Scale(1, 0))});
  const std::unique_ptr<GraphExecutor> graph = Load(w);
  EXPECT_EQ(graph->ops()[0].unsupported, "its input 0 is INT16");
  EXPECT_EQ(graph->ops()[0].outputs[0].bytes, 0);
  EXPECT_EQ(graph->ops()[1].unsupported, "its input 0: shape known at run time only");
}

TEST(GraphExecutorTest, RefusesValuesOfAnotherSize) {
  const OneInput reshape(TfliteWriter::kReshape, Type::kInt8, {2}, Scale(1, 0), {2, 1},
                         Scale(1, 0));
  const std::unique_ptr<GraphExecutor> graph = Load(reshape.writer);
  EXPECT_THAT(Message(graph->SetInput(Uint8{1, 2, 3})), HasSubstr("cannot hold 3 bytes"));
  EXPECT_EQ(graph->SetOutput(0, 0, Uint8{1}).code(), StatusCode::kInvalidArgument);
}

TEST(GraphExecutorTest, RefusesActivationsBeyondItsMemory) {
  const OneInput reshape(TfliteWriter::kReshape, Type::kInt8, {1 << 15, 1 << 15}, Scale(1, 0),
                         {1 << 15, 1 << 15}, Scale(1, 0));
  const ScratchFolder folder;
  const std::string path = folder.Write("large.tflite", reshape.writer.File());
  EXPECT_THAT(Message(LoadGraph(path).status()),
              AllOf(HasSubstr("large.tflite"), HasSubstr("activations")));
  EXPECT_TRUE(ImportTflite(path).ok());  // which needs no activations
}

}  // namespace
}  // namespace kiln
