#include "apps/kiln/config_choice.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace kiln {
namespace {

StatusOr<ConfigLabels> ParseLabels(const std::string& list) {
  ConfigLabels labels;
  std::size_t begin = 0;
  while (begin <= list.size()) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string pair = list.substr(begin, end - begin);
    const std::size_t equal = pair.find('=');
    if (equal == std::string::npos) {
      return Error(StatusCode::kInvalidArgument, "config: expected knob=label, got `", pair, "`");
    }
    labels.emplace_back(pair.substr(0, equal), pair.substr(equal + 1));
    begin = end + 1;
  }
  return labels;
}

StatusOr<Config> FromList(const Task& task, const std::string& list) {
  ASSIGN_OR_RETURN(const ConfigLabels labels, ParseLabels(list));
  return task.space().FromLabels(labels);
}

// A knob's position and the choice that it is to have.
struct Demand {
  std::size_t knob = 0;
  std::uint16_t choice = 0;
};

StatusOr<Demand> FindDemand(const ConfigSpace& space, const std::string& knob,
                            const std::string& label) {
  const auto knobs = space.knobs();
  const auto at = std::ranges::find(knobs, knob, &Knob::name);
  if (at == knobs.end()) return Error(StatusCode::kNotFound, "there is no knob `", knob, "`");
  const auto value = std::ranges::find(at->values, label, &KnobValue::label);
  if (value == at->values.end()) {
    return Error(StatusCode::kNotFound, "knob ", knob, " has no value `", label, "`");
  }
  return Demand{.knob = static_cast<std::size_t>(at - knobs.begin()),
                .choice = static_cast<std::uint16_t>(value - at->values.begin())};
}

std::size_t Differences(const Config& a, const Config& b) {
  std::size_t count = 0;
  for (std::size_t k = 0; k < a.choice.size(); ++k) count += a.choice[k] != b.choice[k];
  return count;
}

}  // namespace

StatusOr<Config> FindConfig(const Task& task, const std::string& name) {
  const ConfigSpace& space = task.space();
  if (name == "default") return task.kernel_template().Default(task.spec(), space);
  if (name.find('=') != std::string::npos) return AsUsageError(FromList(task, name));
  for (std::uint64_t i = 0; i < space.size(); ++i) {
    Config config = space.At(i);
    if (space.Id(config) == name) return config;
  }
  return UsageError("no config ", name, " among the ", space.size(), " of ", task.Key(),
                    "; name one by its id, as `default`, or as knob=label,...");
}

StatusOr<Config> WithLabels(const Task& task, const Config& config, const std::string& list) {
  const ConfigSpace& space = task.space();
  ASSIGN_OR_RETURN(const ConfigLabels labels, ParseLabels(list));
  std::vector<Demand> demands;
  for (const auto& [knob, label] : labels) {
    ASSIGN_OR_RETURN(demands.emplace_back(), FindDemand(space, knob, label));
  }
  std::optional<Config> nearest;
  for (std::uint64_t i = 0; i < space.size(); ++i) {
    Config candidate = space.At(i);
    const bool meets = std::ranges::all_of(
        demands, [&](const Demand& d) { return candidate.choice[d.knob] == d.choice; });
    if (meets && (!nearest || Differences(candidate, config) < Differences(*nearest, config))) {
      nearest = std::move(candidate);
    }
  }
  if (!nearest) {
    return Error(StatusCode::kFailedPrecondition, "no legal config has ", list);
  }
  return *std::move(nearest);
}

std::string DescribeConfig(const ConfigLabels& labels) {
  std::string text;
  for (const auto& [knob, label] : labels) text += (text.empty() ? "" : " ") + knob + "=" + label;
  return text;
}

}  // namespace kiln
