#include "ops/target.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/paths.h"
#include "ops/target_file.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::array<std::string_view, 9> kKeys = {
    "summary", "arch", "cpu", "isa", "cores", "l1_kib", "l2_kib", "l3_kib", "workspace_kib"};
// These may be missing.
constexpr std::string_view kEmulatedCpu = "emulated_cpu";
constexpr std::string_view kEstimate = "estimate";
constexpr double kMostGhz = 10;

// This is the reader of one target's JSON object; its errors name the file and the key.
class TargetReader {
 public:
  TargetReader(const fs::path& file, const Json& json) : file_(file), json_(json) {}

  StatusOr<Target> Read() const {
    RETURN_IF_ERROR(CheckKeys());
    Target target;
    target.name = file_.stem().string();
    ASSIGN_OR_RETURN(target.summary, Text("summary"));
    ASSIGN_OR_RETURN(target.arch, Text("arch"));
    if (target.arch != "x86_64" && target.arch != "aarch64") {
      return Bad("arch", "must be x86_64 or aarch64, not " + target.arch);
    }
    ASSIGN_OR_RETURN(target.cpu, Text("cpu"));
    ASSIGN_OR_RETURN(target.isa, Isa());
    ASSIGN_OR_RETURN(const std::int64_t cores, Number("cores", 1, 1024));
    target.cores = static_cast<std::int32_t>(cores);
    ASSIGN_OR_RETURN(target.l1_bytes, Kibibytes("l1_kib", 1));
    ASSIGN_OR_RETURN(target.l2_bytes, Kibibytes("l2_kib", 0));
    ASSIGN_OR_RETURN(target.l3_bytes, Kibibytes("l3_kib", 0));
    ASSIGN_OR_RETURN(target.workspace_cap, Kibibytes("workspace_kib", 1));
    if (json_.contains(kEmulatedCpu)) {
      ASSIGN_OR_RETURN(target.emulated_cpu, Text(kEmulatedCpu));
    }
    if (json_.contains(kEstimate)) {
      ASSIGN_OR_RETURN(target.estimate, Estimate());
    }
    return target;
  }

 private:
  Status Bad(std::string_view key, const std::string& message) const {
    return Error(StatusCode::kInvalidArgument, file_.string(), ": \"", key, "\" ", message);
  }

  Status CheckKeys() const {
    if (!json_.is_object()) {
      return Error(StatusCode::kInvalidArgument, file_.string(), ": not a JSON object");
    }
    for (const auto& [key, unused] : json_.items()) {
      if (key != kEmulatedCpu && key != kEstimate &&
          std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
        return Bad(key, "is not a key of a target");
      }
    }
    for (const std::string_view key : kKeys) {
      if (!json_.contains(key)) return Bad(key, "is missing");
    }
    return absl::OkStatus();
  }

  StatusOr<std::string> Text(std::string_view key) const {
    const Json& value = json_.at(key);
    if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
      return Bad(key, "must be a text");
    }
    return value.get<std::string>();
  }

  StatusOr<std::int64_t> Number(std::string_view key, std::int64_t low, std::int64_t high) const {
    const Json& value = json_.at(key);
    const std::int64_t number = value.is_number_integer() ? value.get<std::int64_t>() : low - 1;
    if (number < low || number > high) {
      return Bad(key, "must be a whole number from " + std::to_string(low) + " to " +
                          std::to_string(high) + ", not " + value.dump());
    }
    return number;
  }

  StatusOr<std::int64_t> Kibibytes(std::string_view key, std::int64_t least) const {
    ASSIGN_OR_RETURN(const std::int64_t kibibytes, Number(key, least, std::int64_t{1} << 30));
    return kibibytes << 10;
  }

  StatusOr<IsaMask> Isa() const {
    const Json& values = json_.at("isa");
    if (!values.is_array()) return Bad("isa", "must be a list of feature names");
    IsaMask mask = 0;
    for (const Json& value : values) {
      IsaFeature feature{};
      if (!value.is_string() || !ParseIsaFeature(value.get_ref<const std::string&>(), feature)) {
        return Bad("isa", "has an unknown feature " + value.dump());
      }
      mask |= Bit(feature);
    }
    return mask;
  }

  StatusOr<EstimateModel> Estimate() const {
    const Json& value = json_.at(std::string(kEstimate));
    const auto bad = [&] {
      return Bad(kEstimate,
                 R"(must be like {"mca_cpu": "cortex-a72", "ghz": 1.5}, not )" + value.dump());
    };
    if (!value.is_object() || value.size() != 2) return bad();
    const auto cpu = value.find("mca_cpu"), ghz = value.find("ghz");
    if (cpu == value.end() || ghz == value.end() || !cpu->is_string() || !ghz->is_number()) {
      return bad();
    }
    const EstimateModel model{cpu->get<std::string>(), ghz->get<double>()};
    if (model.mca_cpu.empty() || !(model.ghz > 0 && model.ghz <= kMostGhz)) return bad();
    return model;
  }

  const fs::path& file_;
  const Json& json_;
};

// By read() alone, which does not throw where a file or a directory cannot be read.
StatusOr<std::string> ReadText(const fs::path& file) {
  std::ifstream stream(file);
  std::string text;
  char block[4096];
  while (stream.read(block, sizeof block), stream.gcount() > 0) {
    text.append(block, static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.is_open() && !stream.bad()) return text;
  return Error(StatusCode::kNotFound, "cannot read target ", file.string());
}

StatusOr<Target> ReadTarget(const fs::path& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadText(file));
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& error) {
    return Error(StatusCode::kInvalidArgument, file.string(), ": ", error.what());
  }
  return TargetReader(file, json).Read();
}

}  // namespace

bool IsTargetFile(std::string_view name) {
  return name.find('/') != std::string_view::npos || name.ends_with(".json");
}

StatusOr<std::vector<Target>> KnownTargets() {
  ASSIGN_OR_RETURN(const std::string directory, FindData("targets"));
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  if (error) {
    return Error(StatusCode::kUnavailable, "cannot list ", directory, ": ", error.message());
  }
  std::vector<Target> targets;
  for (const fs::path& file : files) {
    ASSIGN_OR_RETURN(Target target, ReadTarget(file));
    targets.push_back(std::move(target));
  }
  std::sort(targets.begin(), targets.end(),
            [](const Target& a, const Target& b) { return a.name < b.name; });
  return targets;
}

StatusOr<Target> FindTarget(std::string_view name_or_path) {
  if (name_or_path == "native") return DetectNative();
  if (IsTargetFile(name_or_path)) return ReadTarget(fs::path(name_or_path));
  ASSIGN_OR_RETURN(std::vector<Target> targets, KnownTargets());
  std::string names = "native";
  for (Target& target : targets) {
    if (target.name == name_or_path) return std::move(target);
    names += ", " + target.name;
  }
  ASSIGN_OR_RETURN(Target native, DetectNative());
  if (native.name == name_or_path) return native;
  return Error(StatusCode::kNotFound, "no target named \"", name_or_path, "\"; known are ", names,
               ", and the path of a JSON file");
}

StatusOr<Target> BaselineTarget(std::string_view arch) {
  if (arch == "x86_64") return FindTarget("x86-64");
  if (arch == "aarch64") return FindTarget("armv8-a");
  return Error(StatusCode::kNotFound, "no target that every ", arch, " runs");
}

bool CanRun(const Target& machine, const Target& target) {
  return machine.arch == target.arch && (target.isa & ~machine.isa) == 0;
}

}  // namespace kiln
