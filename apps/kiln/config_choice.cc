#include "apps/kiln/config_choice.h"

#include <utility>
#include <vector>

namespace kiln {
namespace {

StatusOr<Config> FromList(const Task& task, const std::string& list) {
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
  return task.space().FromLabels(labels);
}

}  // namespace

StatusOr<Config> FindConfig(const Task& task, const std::string& name) {
  const ConfigSpace& space = task.space();
  if (name == "default") return task.kernel_template().Default(task.spec(), space);
  if (name.find('=') != std::string::npos) return FromList(task, name);
  for (std::uint64_t i = 0; i < space.size(); ++i) {
    Config config = space.At(i);
    if (space.Id(config) == name) return config;
  }
  return Error(StatusCode::kNotFound, "no config ", name, " among the ", space.size(), " of ",
               task.Key(), "; name one by its id, as `default`, or as knob=label,...");
}

std::string DescribeConfig(const ConfigLabels& labels) {
  std::string text;
  for (const auto& [knob, label] : labels) text += (text.empty() ? "" : " ") + knob + "=" + label;
  return text;
}

}  // namespace kiln
