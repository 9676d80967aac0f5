#include "models/golden.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "models/graph.h"
#include "shared_folder.h"
#include "tflite_definition.h"
#include "tflite_writer.h"
#include "tiny_models.h"

namespace kiln {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

std::span<const std::uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string Hex(std::uint32_t crc) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", crc);
  return text;
}

TEST(Crc32Test, IsThatOfZlib) {
  EXPECT_EQ(Crc32(Bytes("123456789")), 0xcbf43926U);
  EXPECT_EQ(Crc32({}), 0U);
}

// A golden folder for SmallModel(), whose outputs are those of the executor itself: for what the
// reader does, not for the arithmetic.
class SmallGolden {
 public:
  SmallGolden() : model(folder.Write("small.tflite", SmallModel())) {
    const std::vector<std::uint8_t> input(9 * 8 * 3, 7);
    const std::unique_ptr<GraphExecutor> graph = *LoadGraph(model);
    EXPECT_TRUE(graph->SetInput(input).ok());
    std::vector<std::uint8_t> intermediates, output;
    for (std::size_t i = 0; i < 7; ++i) {
      const std::span<const std::uint8_t> y = *graph->Run(i);
      output.assign(y.begin(), y.end());
      manifest["op_outputs"].push_back({{"op", graph->ops()[i].op},
                                        {"tensor_index", graph->ops()[i].outputs[0].tensor},
                                        {"nbytes", y.size()},
                                        {"offset", intermediates.size()}});
      crcs.push_back(Hex(Crc32(y)));
      intermediates.insert(intermediates.end(), y.begin(), y.end());
    }
    folder.Write("in.bin", input);
    folder.Write("out.bin", output);
    folder.Write("all.bin", intermediates);
    manifest["model"] = "small.tflite";
    manifest["format"] = 1;
    manifest["cases"] = {{{"input", "in.bin"},
                          {"input_crc32", Hex(Crc32(input))},
                          {"output", "out.bin"},
                          {"output_crc32", Hex(Crc32(output))},
                          {"op_crc32", crcs},
                          {"alt_other", {{"op_crc32", crcs}}},
                          {"intermediates", "all.bin (in order)"}}};
  }
  // The folder, with the manifest as it is now.
  std::string Directory() const {
    const std::string path = folder.Write("manifest.json", manifest.dump());
    return path.substr(0, path.rfind('/'));
  }
  // The error that a change to the manifest causes.
  template <typename Change>
  std::string ErrorWith(Change change) const {
    SmallGolden changed;
    change(changed.manifest);
    return Message(ReadGolden(changed.Directory()).status());
  }

  ScratchFolder folder;
  std::string model;
  std::vector<std::string> crcs;
  Json manifest;
};

TEST(GoldenTest, ReadsWhatWasRecorded) {
  const SmallGolden small;
  const StatusOr<Golden> golden = ReadGolden(small.Directory());
  ASSERT_TRUE(golden.ok()) << golden.status();
  EXPECT_EQ(golden->model, "small.tflite");
  ASSERT_EQ(golden->ops.size(), 7U);
  ASSERT_EQ(golden->cases.size(), 1U);
  const GoldenCase& recorded = golden->cases[0];
  EXPECT_EQ(recorded.input.size(), 216U);
  EXPECT_EQ(recorded.output.size(), 5U);
  ASSERT_EQ(recorded.variants.size(), 1U);
  EXPECT_EQ(recorded.variants[0].name, "other");
  for (std::size_t i = 0; i < golden->ops.size(); ++i) {
    const StatusOr<std::vector<std::uint8_t>> y = ReadIntermediate(*golden, recorded, i);
    ASSERT_TRUE(y.ok()) << y.status();
    EXPECT_EQ(Crc32(*y), recorded.op_crc32[i]);
  }
}

TEST(GoldenTest, MatchesTheOperatorsOfItsModelOnly) {
  const SmallGolden small;
  StatusOr<Golden> golden = ReadGolden(small.Directory());
  ASSERT_TRUE(golden.ok()) << golden.status();
  const StatusOr<std::unique_ptr<GraphExecutor>> graph = LoadGraph(small.model);
  const StatusOr<std::vector<GoldenMatch>> matches = MatchGolden(*golden, **graph);
  ASSERT_TRUE(matches.ok()) << matches.status();
  ASSERT_EQ(matches->size(), 7U);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ((*matches)[i], (GoldenMatch{i, 0}));
  golden->ops[2].bytes += 1;
  EXPECT_THAT(Message(MatchGolden(*golden, **graph).status()),
              AllOf(HasSubstr("not of this model"), HasSubstr("op 2")));
}

// As detection networks end: an operator with several outputs, each recorded as an entry.
TEST(GoldenTest, MatchesEveryOutputOfAnOperator) {
  TfliteWriter w;
  w.SetInput(w.Tensor("x", ElementType::kInt8, {2, 3}, Scale(1, 0)));
  const auto a = w.Tensor("a", ElementType::kInt8, {3}, Scale(1, 0));
  const auto b = w.Tensor("b", ElementType::kInt8, {3}, Scale(1, 0));
  const auto c = w.Tensor("c", ElementType::kInt8, {3, 1}, Scale(1, 0));
  w.Operator(TfliteWriter::kUnpack, {0}, {a, b});
  w.Operator(TfliteWriter::kReshape, {b}, {c});
  const ScratchFolder folder;
  const auto graph = LoadGraph(folder.Write("unpack.tflite", w.File()));
  ASSERT_TRUE(graph.ok()) << graph.status();
  Golden golden{.model = "unpack", .ops = {}, .cases = {}};
  for (const std::int32_t tensor : {a, b}) golden.ops.push_back({"UNPACK", tensor, 3, 0});
  golden.ops.push_back({"RESHAPE", c, 3, 0});
  const StatusOr<std::vector<GoldenMatch>> matches = MatchGolden(golden, **graph);
  ASSERT_TRUE(matches.ok()) << matches.status();
  EXPECT_THAT(*matches,
              ::testing::ElementsAre(GoldenMatch{0, 0}, GoldenMatch{0, 1}, GoldenMatch{1, 0}));
  // What is recorded of the second output reaches the operator behind it.
  EXPECT_FALSE((*graph)->Run(0).ok());
  ASSERT_TRUE((*graph)->SetOutput(0, 1, std::vector<std::uint8_t>{7, 8, 9}).ok());
  EXPECT_THAT(*(*graph)->Run(1), ::testing::ElementsAre(7, 8, 9));
  golden.ops[1].tensor = 0;
  EXPECT_FALSE(MatchGolden(golden, **graph).ok());
}

TEST(GoldenTest, RefusesFilesThatDoNotBelongTogether) {
  const SmallGolden small;
  EXPECT_THAT(small.ErrorWith([](Json& m) { m["format"] = 2; }),
              AllOf(HasSubstr("manifest.json"), HasSubstr("format 2")));
  EXPECT_THAT(small.ErrorWith([](Json& m) { m = "text"; }), HasSubstr("not a golden manifest"));
  EXPECT_THAT(small.ErrorWith([](Json& m) { m["op_outputs"][3].erase("nbytes"); }),
              HasSubstr("not a golden manifest"));
  EXPECT_THAT(small.ErrorWith([](Json& m) { m["cases"][0]["op_crc32"].push_back("00000000"); }),
              HasSubstr("8 checksums for 7 operators"));
  EXPECT_THAT(small.ErrorWith([](Json& m) { m["cases"][0]["op_crc32"][1] = "xy"; }),
              HasSubstr("CRC-32"));
  EXPECT_THAT(small.ErrorWith([](Json& m) { m["cases"][0]["output"] = "in.bin"; }),
              HasSubstr("checksum is not the manifest's"));
  EXPECT_THAT(small.ErrorWith([](Json& m) { m["cases"][0]["input"] = "none.bin"; }),
              HasSubstr("no such file"));
  EXPECT_THAT(small.ErrorWith([](Json& m) { m["cases"].clear(); }), HasSubstr("no cases"));
  const std::string directory = small.Directory();
  small.folder.Write("manifest.json", std::string("{"));
  EXPECT_THAT(Message(ReadGolden(directory).status()), HasSubstr("not a golden manifest"));
  EXPECT_EQ(ReadGolden("/no/such/folder").status().code(), StatusCode::kNotFound);
}

TEST(GoldenTest, SaysThatIntermediatesAreMissingOrShort) {
  const SmallGolden small;
  StatusOr<Golden> golden = ReadGolden(small.Directory());
  ASSERT_TRUE(golden.ok());
  small.folder.Write("all.bin", std::string("short"));
  EXPECT_THAT(Message(ReadIntermediate(*golden, golden->cases[0], 6).status()),
              HasSubstr("too short"));
  golden->cases[0].intermediates.clear();
  EXPECT_EQ(ReadIntermediate(*golden, golden->cases[0], 0).status().code(), StatusCode::kNotFound);
}

// Runs every operator of a model from its input alone and compares each output's checksum.
void ExpectGolden(const GoldenCase& expected, const Golden& golden, GraphExecutor& graph) {
  const StatusOr<std::vector<GoldenMatch>> matches = MatchGolden(golden, graph);
  ASSERT_TRUE(matches.ok()) << matches.status();
  EXPECT_EQ(matches->size(), graph.ops().size());
  ASSERT_TRUE(graph.SetInput(expected.input).ok());
  for (std::size_t i = 0; i < golden.ops.size(); ++i) {
    const StatusOr<std::span<const std::uint8_t>> y = graph.Run((*matches)[i].op);
    ASSERT_TRUE(y.ok()) << y.status();
    ASSERT_EQ(Hex(Crc32(*y)), Hex(expected.op_crc32[i]))
        << golden.model << ", " << expected.name << ": op " << i << " " << golden.ops[i].op;
  }
  const std::span<const std::uint8_t> last = *graph.Run(matches->back().op);
  EXPECT_EQ(std::vector<std::uint8_t>(last.begin(), last.end()), expected.output);
}

// The small networks in tests/data, on every clone.
TEST(GoldenTest, EveryOperatorOfEveryTinyModelIsBitExact) {
  int outputs = 0;
  for (const DescribedModel& model : TinyModels()) {
    const StatusOr<Golden> golden = ReadGolden(DataPath("models/" + model.name + ".golden"));
    ASSERT_TRUE(golden.ok()) << golden.status();
    StatusOr<std::unique_ptr<GraphExecutor>> graph =
        LoadGraph(DataPath("models/" + model.name + ".tflite"));
    ASSERT_TRUE(graph.ok()) << graph.status();
    EXPECT_EQ((*graph)->network().layers.size(), 5U);
    ASSERT_EQ(golden->cases.size(), 2U);
    for (const GoldenCase& expected : golden->cases) {
      ExpectGolden(expected, *golden, **graph);
      outputs += static_cast<int>(golden->ops.size());
    }
  }
  EXPECT_EQ(outputs, 30);
}

// What is committed is what `tiny_models` would write now.
TEST(GoldenTest, TinyModelsAreWhatTheirDefinitionGives) {
  for (const DescribedModel& model : TinyModels()) {
    const StatusOr<Golden> golden = ReadGolden(DataPath("models/" + model.name + ".golden"));
    ASSERT_TRUE(golden.ok()) << golden.status();
    for (std::size_t i = 0; i < golden->cases.size(); ++i) {
      const GoldenCase& recorded = golden->cases[i];
      EXPECT_EQ(recorded.input, TinyInput(model, i));
      const auto outputs = ComputeByDefinition(model, recorded.input);
      ASSERT_EQ(outputs.size(), golden->ops.size());
      for (std::size_t k = 0; k < outputs.size(); ++k) {
        EXPECT_EQ(Hex(Crc32(outputs[k])), Hex(recorded.op_crc32[k])) << model.name << " " << k;
      }
    }
  }
}

TEST(GoldenTest, EveryOperatorOfEveryRealModelIsBitExact) {
  KILN_SKIP_WITHOUT_SHARED();
  int outputs = 0;
  for (const std::string& model : SharedModels()) {
    const StatusOr<Golden> golden = ReadGolden(SharedPath("golden/" + model)->string());
    ASSERT_TRUE(golden.ok()) << golden.status();
    StatusOr<std::unique_ptr<GraphExecutor>> graph =
        LoadGraph(SharedPath("models/" + model + ".tflite")->string());
    ASSERT_TRUE(graph.ok()) << graph.status();
    ASSERT_EQ(golden->cases.size(), 2U);
    for (const GoldenCase& expected : golden->cases) {
      ExpectGolden(expected, *golden, **graph);
      outputs += static_cast<int>(golden->ops.size());
    }
  }
  EXPECT_EQ(outputs, 500);
}

}  // namespace
}  // namespace kiln
