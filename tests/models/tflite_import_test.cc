#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "models/model.h"
#include "ops/quantization.h"
#include "ops/workload_key.h"
#include "shared_folder.h"
#include "tflite_writer.h"

namespace kiln {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using Type = ElementType;

StatusOr<Network> Import(const std::vector<std::uint8_t>& file) {
  const ScratchFolder folder;
  return ImportTflite(folder.Write("model.tflite", file));
}

std::string ErrorOf(const std::vector<std::uint8_t>& file) {
  const StatusOr<Network> network = Import(file);
  EXPECT_EQ(network.status().code(), StatusCode::kInvalidArgument);
  return Message(network.status());
}

// A file with one operator of three inputs. Tests change a part of it.
struct OneOperator {
  std::int32_t builtin = TfliteWriter::kConv2d;
  Type x_type = Type::kInt8, w_type = Type::kInt8, y_type = Type::kInt8;
  std::vector<std::int32_t> x_shape = {1, 4, 4, 2}, w_shape = {3, 1, 1, 2}, y_shape = {1, 4, 4, 3};
  WrittenScale x = Scale(0.5F, 1), w = Scale(0.25F, 0), y = Scale(0.75F, -2);
  WrittenScale b;
  std::vector<std::int32_t> bias = {10, 20, 30};
  bool constant_weights = true;
  TfliteOptions options;

  std::vector<std::uint8_t> File() const { return Writer().File(); }
  TfliteWriter Writer() const {
    TfliteWriter writer;
    const auto input = writer.Tensor("x", x_type, x_shape, x);
    std::size_t weights = w_type == Type::kFloat32 ? 4 : 1;
    for (const std::int32_t size : w_shape) weights *= static_cast<std::size_t>(size);
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i < weights; ++i) bytes.push_back(static_cast<std::uint8_t>(i + 1));
    const auto kernel = constant_weights ? writer.Constant("w", w_type, w_shape, bytes, w)
                                         : writer.Tensor("w", w_type, w_shape, w);
    const auto biases =
        writer.ConstantInts("bias", {static_cast<std::int32_t>(bias.size())}, bias, b);
    const auto output = writer.Tensor("y;extra", y_type, y_shape, y);
    writer.Operator(builtin, {input, kernel, biases}, {output}, options);
    writer.SetInput(input);
    return writer;
  }
};

TEST(TfliteImportTest, ImportsAndCountsTheOperatorsOfASmallModel) {
  const StatusOr<Network> network = Import(SmallModel());
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->name, "model");
  ASSERT_EQ(network->layers.size(), 4U);
  EXPECT_EQ(network->layers[0].name, "conv/Relu6");
  const char* const shapes[] = {"conv2d/i8/n1h9w8c3/o4/k3x3/s2x2/p1,0,1,1/d1x1/g1/pc/wz0/act=lo/",
                                "depthwise/i8/n1h5w4c4/m2/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/",
                                "conv2d/i8/n1h5w4c8/o8/k1x1/s1x1/p0,0,0,0/d1x1/g1/pt/wz0/act=none/",
                                "dense/i8/n1c8/o5/pt/wz0/act=none/"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_THAT(Key(network->layers[i].workload), ::testing::StartsWith(shapes[i]));
    EXPECT_TRUE(ParseWorkload(Key(network->layers[i].workload)).ok());
  }
  EXPECT_THAT(network->skipped, ElementsAre(Pair("ADD", 1), Pair("MEAN", 1), Pair("SOFTMAX", 1),
                                            Pair("CONV_2D (FLOAT32)", 1)));
}

TEST(TfliteImportTest, ReadsTheValuesOfAConvolution) {
  OneOperator op;
  op.w = {{0.25F, 0.5F, 0.125F}, {0, 0, 0}, 0};
  op.options.activation = FusedActivation::kRelu6;
  const StatusOr<Network> network = Import(op.File());
  ASSERT_TRUE(network.ok()) << network.status();
  const Layer& layer = network->layers.at(0);
  EXPECT_EQ(layer.name, "y");
  EXPECT_EQ(layer.output_tensor, 3);
  ASSERT_TRUE(layer.values.has_value());
  EXPECT_THAT(layer.values->w, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(layer.values->bias, ElementsAre(10, 20, 30));
  EXPECT_EQ(layer.values->x_zp, 1);
  EXPECT_EQ(layer.values->y_zp, -2);
  EXPECT_EQ(layer.values->act_min, -2);
  EXPECT_EQ(layer.values->act_max, 6);  // -2 + 6 / 0.75
  for (std::size_t i = 0; i < 3; ++i) {
    const FixedPoint factor = QuantizeMultiplier(0.5 * double{op.w.scale[i]} / 0.75);
    EXPECT_EQ(layer.values->multiplier[i], factor.multiplier);
    EXPECT_EQ(layer.values->shift[i], factor.shift);
  }
  EXPECT_TRUE(layer.workload.per_channel);
  EXPECT_EQ(layer.workload.act, Activation::kLoHi);
}

// 0.1F * 0.3F differs in float and in double, which decides the last bits of the multiplier.
TEST(TfliteImportTest, FormsFactorsInFloatOrDoubleAsTheKernelsDo) {
  const double in_double = double{0.1F} * double{0.3F} / double{0.7F};
  const double in_float = static_cast<double>(0.1F * 0.3F) / double{0.7F};
  ASSERT_NE(QuantizeMultiplier(in_double), QuantizeMultiplier(in_float));
  const auto multiplier = [](const OneOperator& op) {
    const StatusOr<Network> network = Import(op.File());
    EXPECT_TRUE(network.ok()) << network.status();
    return network->layers.at(0).values->multiplier.at(0);
  };
  OneOperator conv;
  conv.x = Scale(0.1F, 0);
  conv.w = Scale(0.3F, 0);
  conv.y = Scale(0.7F, 0);
  EXPECT_EQ(multiplier(conv), QuantizeMultiplier(in_double).multiplier);
  OneOperator legacy = conv;
  legacy.x_type = legacy.w_type = legacy.y_type = Type::kUint8;
  EXPECT_EQ(multiplier(legacy), QuantizeMultiplier(in_float).multiplier);
  OneOperator dense = conv;
  dense.builtin = TfliteWriter::kFullyConnected;
  dense.w_shape = {3, 2};
  EXPECT_EQ(multiplier(dense), QuantizeMultiplier(in_float).multiplier);
  dense.w = {{0.3F, 0.2F, 0.1F}, {0, 0, 0}, 0};
  EXPECT_EQ(multiplier(dense), QuantizeMultiplier(in_double).multiplier);
}

TEST(TfliteImportTest, LegacyUint8HasAWeightZeroPoint) {
  OneOperator op;
  op.x_type = op.w_type = op.y_type = Type::kUint8;
  op.y = Scale(0.75F, 0);
  op.w = Scale(0.25F, 120);
  op.options.activation = FusedActivation::kRelu;
  StatusOr<Network> network = Import(op.File());
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->layers[0].workload.type, DataType::kU8);
  EXPECT_TRUE(network->layers[0].workload.weight_zero_point);
  EXPECT_EQ(network->layers[0].values->w_zp, 120);
  // A ReLU above the lowest value changes nothing; one above zero is a bound.
  EXPECT_EQ(network->layers[0].values->act_min, 0);
}

TEST(TfliteImportTest, FullyConnectedTakesItsInputAsRows) {
  OneOperator op;
  op.builtin = TfliteWriter::kFullyConnected;
  op.x_shape = {2, 1, 3, 4};
  op.w_shape = {3, 8};
  op.y_shape = {3, 3};
  const StatusOr<Network> network = Import(op.File());
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->layers[0].workload.n, 3);
  EXPECT_EQ(network->layers[0].workload.c, 8);
  EXPECT_EQ(network->layers[0].workload.o, 3);
}

TEST(TfliteImportTest, AGroupPerChannelIsADepthwise) {
  OneOperator op;
  op.w_shape = {4, 1, 2, 1};
  op.y_shape = {1, 4, 4, 4};
  op.bias = {1, 2, 3, 4};
  const StatusOr<Network> network = Import(op.File());
  ASSERT_TRUE(network.ok()) << network.status();
  const Layer& layer = network->layers[0];
  EXPECT_EQ(layer.workload.op, OpKind::kDepthwise);
  EXPECT_EQ(layer.workload.multiplier, 2);
  EXPECT_THAT(layer.values->w, ElementsAre(1, 3, 5, 7, 2, 4, 6, 8));  // from o,kw to kw,o
}

// What the only operator of a file is counted under.
std::string SkippedAs(const std::vector<std::uint8_t>& file) {
  const StatusOr<Network> network = Import(file);
  EXPECT_TRUE(network.ok()) << network.status();
  if (!network.ok() || network->skipped.empty()) return "not skipped";
  EXPECT_TRUE(network->layers.empty());
  EXPECT_EQ(network->skipped.size(), 1U);
  return network->skipped[0].first;
}
std::string SkippedAs(const OneOperator& op) { return SkippedAs(op.File()); }

TEST(TfliteImportTest, SkipsAndCountsWhatItDoesNotTune) {
  OneOperator hybrid;
  hybrid.x_type = hybrid.y_type = Type::kFloat32;
  EXPECT_EQ(SkippedAs(hybrid), "CONV_2D (FLOAT32 * INT8 -> FLOAT32)");
  OneOperator wide;
  wide.x_type = wide.y_type = Type::kOther;
  EXPECT_EQ(SkippedAs(wide), "CONV_2D (INT16 * INT8 -> INT16)");
  OneOperator computed;
  computed.constant_weights = false;
  EXPECT_EQ(SkippedAs(computed), "CONV_2D (computed weights)");
  OneOperator tanh;
  tanh.options.activation = FusedActivation::kOther;
  EXPECT_EQ(SkippedAs(tanh), "CONV_2D (unusual fused activation)");
  OneOperator shuffled;
  shuffled.builtin = TfliteWriter::kFullyConnected;
  shuffled.w_shape = {3, 2};
  shuffled.options.shuffled_weights = true;
  EXPECT_EQ(SkippedAs(shuffled), "FULLY_CONNECTED (shuffled weights)");
  OneOperator overflow;
  overflow.bias = {0, 2147483647, 0};
  EXPECT_THAT(SkippedAs(overflow), HasSubstr("accumulator of output channel 1"));
}

TEST(TfliteImportTest, NamesEveryBuiltinOperatorOfTheSchema) {
  const auto name = [](std::int32_t builtin) {
    OneOperator other;
    other.builtin = builtin;
    return SkippedAs(other);
  };
  EXPECT_EQ(name(TfliteWriter::kGelu), "GELU");
  EXPECT_EQ(name(142), "VAR_HANDLE");
  EXPECT_EQ(name(143), "READ_VARIABLE");
  EXPECT_EQ(name(144), "ASSIGN_VARIABLE");
  EXPECT_EQ(name(206), "STABLEHLO_COMPOSITE");
  EXPECT_EQ(name(209), "STABLEHLO_CASE");  // the last one that was known when this was written
  EXPECT_EQ(name(1000), "BUILTIN 1000");
  for (std::int32_t builtin = 10; builtin <= 209; ++builtin) {
    EXPECT_THAT(name(builtin), Not(HasSubstr("BUILTIN"))) << builtin;
  }
}

// What is wrong with one operator refuses neither the file nor its other operators.
TEST(TfliteImportTest, SkipsOperatorsThatCannotBe) {
  const auto with = [](auto change) {
    OneOperator changed;
    change(changed);
    return SkippedAs(changed);
  };
  EXPECT_EQ(with([](auto& o) {
              o.y_shape = {1, 4, 3, 3};
            }),
            "CONV_2D (the shape of its output is [1, 4, 3, 3], must be [1, 4, 4, 3])");
  EXPECT_THAT(with([](auto& o) { o.x_shape = {4, 4, 2}; }), HasSubstr("its input is [4, 4, 2]"));
  EXPECT_THAT(with([](auto& o) { o.x_shape = {1, 0, 4, 2}; }), HasSubstr("sizes above 0"));
  EXPECT_THAT(with([](auto& o) { o.x_shape = {1, -2, 4, 2}; }), HasSubstr("a size of -2"));
  EXPECT_THAT(with([](auto& o) { o.w_shape = {3, 1, 1, 4}; }), HasSubstr("has 2 channels"));
  EXPECT_THAT(with([](auto& o) { o.options.stride_h = 0; }), HasSubstr("strides"));
  EXPECT_THAT(with([](auto& o) { o.bias = {1, 2}; }), HasSubstr("2 biases for 3 channels"));
  EXPECT_THAT(with([](auto& o) { o.x = {}; }), HasSubstr("\"x\" has 0 scales"));
  EXPECT_THAT(with([](auto& o) { o.x = Scale(-1, 0); }), HasSubstr("has scale -1"));
  EXPECT_THAT(with([](auto& o) { o.y = Scale(1, 128); }), HasSubstr("zero point 128"));
  EXPECT_EQ(with([](auto& o) { o.w = Scale(1, 1); }), "CONV_2D (int8 weights with a zero point)");
  EXPECT_THAT(with([](auto& o) { o.w = {{1, 1, -1}, {0, 0, 0}, 0}; }), HasSubstr("scale -1"));
  EXPECT_THAT(with([](auto& o) { o.w = {{1, 1, NAN}, {0, 0, 0}, 0}; }), HasSubstr("scale nan"));
  EXPECT_EQ(with([](auto& o) {
              o.w = {{1, 1}, {0, 0}, 3};
            }),
            "CONV_2D (weights with 2 scales along axis 3, must be 3 along axis 0)");
  EXPECT_THAT(with([](auto& o) { o.w = {{1, 1, 1, 1}, {0, 0, 0, 0}, 0}; }), HasSubstr("4 scales"));
  EXPECT_THAT(with([](auto& o) {
                o.w = {{1, 1, 1}, {0, 0}, 0};
              }),
              HasSubstr("3 scales and 2 zero points"));
  EXPECT_THAT(with([](auto& o) { o.w = {{1, 1, 1}, {0, 0, 0}, -1}; }), HasSubstr("axis -1"));
}

TEST(TfliteImportTest, AnOperatorThatIsSkippedLeavesTheOthers) {
  TfliteWriter writer = OneOperator().Writer();
  const auto w = writer.Constant("w2", Type::kInt8, {2, 3}, {1, 2, 3, 4, 5, 6}, Scale(0.5F, -7));
  const auto y = writer.Tensor("y2", Type::kInt8, {16, 2}, Scale(0.5F, 1));
  writer.Operator(TfliteWriter::kFullyConnected, {3, w, -1}, {y});
  const StatusOr<Network> network = Import(writer.File());
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->layers.size(), 1U);
  EXPECT_THAT(network->skipped,
              ElementsAre(Pair("FULLY_CONNECTED (int8 weights with a zero point)", 1)));
}

// Nothing reads the quantization of a bias: person_detect of TFLite Micro has the axis of the
// weights there.
TEST(TfliteImportTest, TheScalesOfABiasMayLieOnAnyAxis) {
  OneOperator op;
  op.b = {{1, 2, 3}, {0, 0, 0}, 3};
  const StatusOr<Network> network = Import(op.File());
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->layers.size(), 1U);
}

TEST(TfliteImportTest, AWeightScaleOfZeroMakesItsChannelTheZeroPoint) {
  OneOperator op;
  op.w = {{0.25F, 0, 0.25F}, {0, 0, 0}, 0};
  const StatusOr<Network> network = Import(op.File());
  ASSERT_TRUE(network.ok()) << network.status();
  ASSERT_EQ(network->layers.size(), 1U);
  EXPECT_EQ(network->layers[0].values->multiplier[1], 0);
  EXPECT_EQ(network->layers[0].values->shift[1], 0);
  EXPECT_NE(network->layers[0].values->multiplier[2], 0);
  op.w = Scale(0, 0);
  EXPECT_EQ(Import(op.File())->layers.size(), 1U);
}

TEST(TfliteImportTest, ReadsValuesBehindTheFlatBuffer) {
  TfliteWriter writer = OneOperator().Writer();
  const StatusOr<Network> inside = Import(writer.File());
  writer.StoreBehind();
  const StatusOr<Network> behind = Import(writer.File());
  ASSERT_TRUE(inside.ok() && behind.ok()) << behind.status();
  ASSERT_EQ(behind->layers.size(), 1U);
  EXPECT_EQ(behind->layers[0].values, inside->layers[0].values);
  EXPECT_EQ(behind->layers[0].workload, inside->layers[0].workload);
}

TEST(TfliteImportTest, ValuesOutsideOfTheFileAreDamage) {
  for (const std::uint64_t error :
       {std::uint64_t{1}, std::uint64_t{1} << 32, std::uint64_t{1} << 63}) {
    TfliteWriter writer = OneOperator().Writer();
    writer.StoreBehind(error);
    EXPECT_THAT(ErrorOf(writer.File()),
                AllOf(HasSubstr("damaged"), HasSubstr("are not in the file")))
        << error;
  }
}

TEST(TfliteImportTest, SkipsWhatOnlyARunKnows) {
  const auto with_signature = [](std::int32_t tensor, const std::vector<std::int32_t>& signature) {
    TfliteWriter writer = OneOperator().Writer();
    writer.SetShapeSignature(tensor, signature);
    return SkippedAs(writer.File());
  };
  constexpr char kSkipped[] = "CONV_2D (shape known at run time only)";
  EXPECT_EQ(with_signature(0, {1, -1, -1, 2}), kSkipped);
  EXPECT_EQ(with_signature(3, {1, 4, -1, 3}), kSkipped);
  EXPECT_EQ(with_signature(0, {-1, 4, 4, 2}), "not skipped");  // a batch of 1
  OneOperator op;
  op.x_shape = {1, -1, -1, 2};  // as old converters wrote it
  EXPECT_EQ(SkippedAs(op), kSkipped);
  op.x_shape = {};
  EXPECT_EQ(SkippedAs(op), kSkipped);
  OneOperator dense;
  dense.builtin = TfliteWriter::kFullyConnected;
  dense.w_shape = {3, 2};
  dense.x_shape = dense.y_shape = {};
  EXPECT_EQ(SkippedAs(dense), "FULLY_CONNECTED (shape known at run time only)");
}

TEST(TfliteImportTest, SkipsWhatHasItsValuesInAnotherFile) {
  TfliteWriter writer = OneOperator().Writer();
  writer.SetExternalBuffer(1);
  EXPECT_EQ(SkippedAs(writer.File()), "CONV_2D (values in another file)");
}

TEST(TfliteImportTest, SkipsTheReadersAndWritersOfATensorWithTwoValues) {
  TfliteWriter writer = OneOperator().Writer();
  writer.Operator(TfliteWriter::kReshape, {0}, {3});
  const StatusOr<Network> network = Import(writer.File());
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_THAT(network->skipped,
              ElementsAre(Pair("CONV_2D (a tensor with two values)", 1), Pair("RESHAPE", 1)));
}

TEST(TfliteImportTest, RefusesForeignFiles) {
  EXPECT_THAT(ErrorOf({}),
              AllOf(HasSubstr("model.tflite: not a TensorFlow Lite model"), HasSubstr(".tflite")));
  EXPECT_THAT(ErrorOf(std::vector<std::uint8_t>(4096, 0x50)), HasSubstr("not a TensorFlow Lite"));
  TfliteWriter writer;
  writer.SetVersion(4);
  EXPECT_THAT(ErrorOf(writer.File()), HasSubstr("schema version 4; Kiln reads version 3"));
  EXPECT_EQ(ImportTflite("/no/such/model.tflite").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ImportTflite("/").status().code(), StatusCode::kInvalidArgument);
}

// --- real models ---

std::vector<std::string> Fields(const std::string& line) {
  std::vector<std::string> fields;
  std::stringstream stream(line);
  for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
  return fields;
}

// Shape, padding and types of a workload, with the zero points and the kind of its activation.
std::string Signature(Workload workload, const std::string& zero_points, bool clamped) {
  workload.act = Activation::kNone;
  workload.rq = RequantizeForm::kGen;
  workload.weight_zero_point = false;
  return Key(workload) + " zero points " + zero_points + (clamped ? " relu" : " linear");
}

std::map<std::string, int> TableSignatures(const std::string& path) {
  std::map<std::string, int> signatures;
  const StatusOr<Network> network = ReadLayersCsv(path);
  EXPECT_TRUE(network.ok()) << network.status();
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> header = Fields(line);
  const auto column = [&](const std::vector<std::string>& fields, const std::string& name) {
    return fields.at(std::find(header.begin(), header.end(), name) - header.begin());
  };
  std::size_t layer = 0;
  while (std::getline(file, line)) {
    const std::vector<std::string> fields = Fields(line);
    const int count = std::stoi(column(fields, "count"));
    const std::string zero_points =
        column(fields, "in_zp") + "," + column(fields, "w_zp") + "," + column(fields, "out_zp");
    signatures[Signature(network->layers.at(layer).workload, zero_points,
                         column(fields, "fused_activation") != "none")] += count;
    layer += static_cast<std::size_t>(count);
  }
  return signatures;
}

std::map<std::string, int> ModelSignatures(const std::string& path) {
  std::map<std::string, int> signatures;
  const StatusOr<Network> network = ImportTflite(path);
  EXPECT_TRUE(network.ok()) << network.status();
  for (const Layer& layer : network->layers) {
    const OpValues& v = *layer.values;
    const std::string zero_points =
        std::to_string(v.x_zp) + "," + std::to_string(v.w_zp) + "," + std::to_string(v.y_zp);
    // An activation that the output's range already says is in the table but not in the class.
    const bool lowest = v.act_min == v.y_zp && v.y_zp == layer.workload.qmin();
    const bool clamped = layer.workload.act != Activation::kNone || lowest;
    ++signatures[Signature(layer.workload, zero_points, clamped)];
  }
  return signatures;
}

TEST(TfliteImportTest, EveryRealModelHasTheLayersOfItsTable) {
  KILN_SKIP_WITHOUT_SHARED();
  ASSERT_EQ(SharedModels().size(), 7U);
  for (const std::string& model : SharedModels()) {
    EXPECT_EQ(ModelSignatures(SharedPath("models/" + model + ".tflite")->string()),
              TableSignatures(DataPath("workloads/" + model + ".csv").string()))
        << model;
  }
}

TEST(TfliteImportTest, WorkloadsOfRealModelsAreCanonical) {
  KILN_SKIP_WITHOUT_SHARED();
  for (const std::string& model : SharedModels()) {
    const StatusOr<Network> network =
        ImportTflite(SharedPath("models/" + model + ".tflite")->string());
    ASSERT_TRUE(network.ok()) << network.status();
    for (const Layer& layer : network->layers) {
      const StatusOr<Workload> parsed = ParseWorkload(Key(layer.workload));
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(*parsed, layer.workload);
    }
  }
}

}  // namespace
}  // namespace kiln
