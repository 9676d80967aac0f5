#include "models/golden.h"

#include <zlib.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/read_file.h"

namespace kiln {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kLargestManifest = 64 << 20;
constexpr std::uint64_t kLargestData = std::uint64_t{1} << 30;

template <typename... Parts>
Status Invalid(const Parts&... parts) {
  return Error(StatusCode::kInvalidArgument, parts...);
}

StatusOr<std::uint32_t> ParseCrc(const std::string& text) {
  std::uint32_t crc = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), crc, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != 8) {
    return Invalid("\"", text, "\" is not a CRC-32 of 8 hex digits");
  }
  return crc;
}

StatusOr<std::vector<std::uint32_t>> ParseCrcs(const Json& json, std::size_t ops) {
  std::vector<std::uint32_t> crcs;
  for (const Json& entry : json) {
    ASSIGN_OR_RETURN(const std::uint32_t crc, ParseCrc(entry.get<std::string>()));
    crcs.push_back(crc);
  }
  if (crcs.size() != ops) return Invalid(crcs.size(), " checksums for ", ops, " operators");
  return crcs;
}

// "intermediates_0.bin (all op_outputs concatenated)": the name ends at the first space.
std::string FileNamed(const Json& entry, const char* key) {
  const std::string text = entry.value(key, "");
  return text.substr(0, text.find(' '));
}

StatusOr<std::vector<std::uint8_t>> ReadChecked(const std::filesystem::path& directory,
                                                const Json& entry, const std::string& key) {
  const std::string path = (directory / entry.at(key).get<std::string>()).string();
  ASSIGN_OR_RETURN(std::vector<std::uint8_t> bytes, ReadFile(path, kLargestData));
  ASSIGN_OR_RETURN(const std::uint32_t crc, ParseCrc(entry.at(key + "_crc32").get<std::string>()));
  if (Crc32(bytes) != crc) return Invalid(path, ": its checksum is not the manifest's");
  return bytes;
}

StatusOr<GoldenCase> ParseCase(const std::filesystem::path& directory, const Json& entry,
                               std::size_t ops) {
  GoldenCase golden_case;
  golden_case.name = entry.at("input").get<std::string>();
  ASSIGN_OR_RETURN(golden_case.input, ReadChecked(directory, entry, "input"));
  ASSIGN_OR_RETURN(golden_case.output, ReadChecked(directory, entry, "output"));
  ASSIGN_OR_RETURN(golden_case.op_crc32, ParseCrcs(entry.at("op_crc32"), ops));
  if (entry.contains("intermediates")) {
    golden_case.intermediates = (directory / FileNamed(entry, "intermediates")).string();
  }
  constexpr std::string_view kVariantPrefix = "alt_";
  for (const auto& [key, value] : entry.items()) {
    if (!key.starts_with(kVariantPrefix)) continue;
    GoldenVariant variant{.name = key.substr(kVariantPrefix.size()), .op_crc32 = {}};
    ASSIGN_OR_RETURN(variant.op_crc32, ParseCrcs(value.at("op_crc32"), ops));
    golden_case.variants.push_back(std::move(variant));
  }
  return golden_case;
}

StatusOr<Golden> ParseManifest(const std::filesystem::path& directory, const Json& manifest) {
  Golden golden;
  golden.model = manifest.at("model").get<std::string>();
  if (const int format = manifest.at("format").get<int>(); format != 1) {
    return Invalid("format ", format, "; Kiln reads format 1");
  }
  for (const Json& entry : manifest.at("op_outputs")) {
    golden.ops.push_back({.op = entry.at("op").get<std::string>(),
                          .tensor = entry.at("tensor_index").get<std::int32_t>(),
                          .bytes = entry.at("nbytes").get<std::uint64_t>(),
                          .offset = entry.at("offset").get<std::uint64_t>()});
  }
  for (const Json& entry : manifest.at("cases")) {
    ASSIGN_OR_RETURN(GoldenCase golden_case, ParseCase(directory, entry, golden.ops.size()));
    golden.cases.push_back(std::move(golden_case));
  }
  if (golden.cases.empty()) return Invalid("no cases");
  return golden;
}

// Whether an entry can be this output; recordings name custom operators with or without the word.
bool IsOutput(const GoldenOp& expected, const GraphExecutor& graph, const GoldenMatch& match) {
  const GraphOp& op = graph.ops()[match.op];
  const auto bytes = static_cast<std::uint64_t>(op.outputs[match.output].bytes);
  const bool same_name = op.op == expected.op || op.op == "CUSTOM " + expected.op;
  return expected.tensor >= 0 && same_name && (bytes == 0 || bytes == expected.bytes);
}

}  // namespace

StatusOr<Golden> ReadGolden(const std::string& directory) {
  const std::string path = (std::filesystem::path(directory) / "manifest.json").string();
  ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes, ReadFile(path, kLargestManifest));
  try {
    StatusOr<Golden> golden = ParseManifest(directory, Json::parse(bytes));
    if (!golden.ok()) return InFile(path, golden.status());
    return golden;
  } catch (const Json::exception& e) {
    return Invalid(path, ": not a golden manifest: ", e.what());
  }
}

StatusOr<std::vector<GoldenMatch>> MatchGolden(const Golden& golden, const GraphExecutor& graph) {
  std::map<std::int32_t, GoldenMatch> by_tensor;
  for (std::size_t i = 0; i < graph.ops().size(); ++i) {
    const std::vector<GraphOutput>& outputs = graph.ops()[i].outputs;
    for (std::size_t k = 0; k < outputs.size(); ++k) by_tensor[outputs[k].tensor] = {i, k};
  }
  std::vector<GoldenMatch> matches;
  for (std::size_t i = 0; i < golden.ops.size(); ++i) {
    const GoldenOp& expected = golden.ops[i];
    const auto found = by_tensor.find(expected.tensor);
    if (found == by_tensor.end() || !IsOutput(expected, graph, found->second)) {
      return Invalid("the golden files are of ", golden.model, ", not of this model: their op ", i,
                     " is ", expected.op, " with tensor ", expected.tensor, " of ", expected.bytes,
                     " bytes");
    }
    matches.push_back(found->second);
  }
  return matches;
}

StatusOr<std::vector<std::uint8_t>> ReadIntermediate(const Golden& golden,
                                                     const GoldenCase& golden_case,
                                                     std::size_t op) {
  if (golden_case.intermediates.empty()) {
    return Error(StatusCode::kNotFound, golden.model, ", ", golden_case.name,
                 ": no intermediates are recorded");
  }
  const GoldenOp& wanted = golden.ops[op];
  if (wanted.bytes > kLargestData) return Invalid("op ", op, ": ", wanted.bytes, " bytes");
  std::vector<std::uint8_t> bytes(wanted.bytes);
  std::ifstream file(golden_case.intermediates, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(wanted.offset));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file) return Invalid(golden_case.intermediates, ": too short for op ", op);
  return bytes;
}

std::uint32_t Crc32(std::span<const std::uint8_t> bytes) {
  return static_cast<std::uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
}

}  // namespace kiln
