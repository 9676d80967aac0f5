#include "db/row_text.h"

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>

#include "base/digest.h"

namespace kiln {
namespace {

constexpr std::array kFailureKinds = {FailureKind::kInvalidConfig,  FailureKind::kCompileError,
                                      FailureKind::kUnsupportedIsa, FailureKind::kBadObject,
                                      FailureKind::kWrongClass,     FailureKind::kRuntimeError,
                                      FailureKind::kTimeout,        FailureKind::kWrongResult,
                                      FailureKind::kDeviceLost,     FailureKind::kHostKilled};
constexpr std::array kStages = {Stage::kLower, Stage::kCompile, Stage::kLoad,  Stage::kPack,
                                Stage::kRun,   Stage::kVerify,  Stage::kDevice};
constexpr std::array kCacheStates = {CacheState::kHot, CacheState::kCold};
constexpr std::array kTimeKinds = {TimeKind::kMeasured, TimeKind::kEmulated, TimeKind::kEstimated};

// "RUNTIME_ERROR" -> "runtime_error".
std::string Lower(std::string_view word) {
  std::string lower(word);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

template <typename Value, std::size_t N>
Value OneOf(const std::array<Value, N>& values, std::string_view what, std::string_view word) {
  for (const Value value : values) {
    if (Lower(Name(value)) == word) return value;
  }
  throw std::runtime_error("unknown " + std::string(what) + " '" + std::string(word) + "'");
}

struct Word {
  std::string operator()(const Timings&) const { return "ok"; }
  std::string operator()(const Censored&) const { return "censored"; }
  std::string operator()(const Failure& failure) const { return Lower(Name(failure.kind)); }
};

}  // namespace

std::string LabelsText(const ConfigLabels& labels) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, label] : labels) json[name] = label;
  return json.dump();
}

ConfigLabels ParseLabels(std::string_view text) {
  ConfigLabels labels;
  const auto json = nlohmann::ordered_json::parse(text);
  for (const auto& [name, label] : json.items()) labels.emplace_back(name, label);
  return labels;
}

std::string SamplesText(const std::vector<double>& samples_ns) {
  return nlohmann::json(samples_ns).dump();
}

std::vector<double> ParseSamples(std::string_view text) {
  return nlohmann::json::parse(text).get<std::vector<double>>();
}

std::string DigestText(std::uint64_t digest) { return Hex(digest); }

std::uint64_t ParseDigest(std::string_view text) {
  std::uint64_t digest = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), digest, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != 16) {
    throw std::runtime_error("not a digest: '" + std::string(text) + "'");
  }
  return digest;
}

std::string StatusWord(const Outcome& outcome) { return std::visit(Word(), outcome); }

FailureKind ParseFailureKind(std::string_view status) {
  return OneOf(kFailureKinds, "status", status);
}
Stage ParseStage(std::string_view text) { return OneOf(kStages, "stage", text); }
CacheState ParseCacheState(std::string_view text) {
  return OneOf(kCacheStates, "cache state", text);
}
TimeKind ParseTimeKind(std::string_view text) { return OneOf(kTimeKinds, "kind", text); }

}  // namespace kiln
