#include "tests/telemetry/rule_check.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <regex>
#include <set>
#include <sstream>

#include "telemetry/metric_catalogue.h"

namespace kiln {
namespace {

template <typename... Parts>
Status Wrong(const Parts&... parts) {
  return Error(StatusCode::kInvalidArgument, parts...);
}

std::vector<std::smatch> AllMatches(const std::string& text, const std::regex& pattern) {
  return {std::sregex_iterator(text.begin(), text.end(), pattern), std::sregex_iterator()};
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    part.erase(0, part.find_first_not_of(' '));
    part.erase(part.find_last_not_of(' ') + 1);
    parts.push_back(part);
  }
  return parts;
}

// A family by its name or, of a histogram, by that of its parts.
const MetricFamily* FamilyNamed(const std::string& name) {
  if (const MetricFamily* family = FindMetric(name)) {
    return family->type == MetricType::kHistogram ? nullptr : family;
  }
  for (const std::string part : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(part)) continue;
    const MetricFamily* family = FindMetric(name.substr(0, name.size() - part.size()));
    if (family && family->type == MetricType::kHistogram) return family;
  }
  return nullptr;
}

Status CheckMatcher(const MetricFamily& family, const std::string& label,
                    const std::string& values) {
  const auto known = std::find_if(family.labels.begin(), family.labels.end(),
                                  [&](const MetricLabel& one) { return one.name == label; });
  if (known == family.labels.end()) return Wrong(family.name, " has no label ", label);
  if (known->values.empty()) return absl::OkStatus();
  for (const std::string& value : Split(values, '|')) {
    if (std::find(known->values.begin(), known->values.end(), value) == known->values.end()) {
      return Wrong(family.name, " has no ", label, " ", value);
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status CheckRule(const AlertRule& rule) {
  static const std::regex metric(R"re((kiln_\w+)(\{([^}]*)\})?)re");
  static const std::regex matcher(R"re((\w+)(=~|!~|!=|=)"([^"]*)")re");
  static const std::regex grouping(R"re(\b(by|on|without|ignoring) *\(([^)]*)\))re");
  std::set<std::string> labels{"instance", "job", "le"};
  const auto metrics = AllMatches(rule.expression, metric);
  if (metrics.empty()) return Wrong(rule.name, " names no metric");
  for (const std::smatch& found : metrics) {
    const MetricFamily* family = FamilyNamed(found[1]);
    if (!family) return Wrong(rule.name, ": there is no ", found[1]);
    for (const MetricLabel& label : family->labels) labels.insert(label.name);
    const std::string matchers = found[3];
    for (const std::smatch& one : AllMatches(matchers, matcher)) {
      RETURN_IF_ERROR(CheckMatcher(*family, one[1], one[3]));
    }
  }
  std::vector<std::string> named = rule.named_labels;
  for (const std::smatch& group : AllMatches(rule.expression, grouping)) {
    for (const std::string& label : Split(group[2], ',')) named.push_back(label);
  }
  for (const std::string& label : named) {
    if (!labels.contains(label)) return Wrong(rule.name, ": no metric has a label ", label);
  }
  return absl::OkStatus();
}

StatusOr<std::vector<AlertRule>> ReadRules(const std::string& path) {
  static const std::regex alert(R"re( *- alert: (\w+))re"), expression(R"re( *expr: (.*))re");
  static const std::regex named(R"re(\$labels\.(\w+))re");
  std::ifstream file(path);
  std::vector<AlertRule> rules;
  std::smatch parts;
  for (std::string line; std::getline(file, line);) {
    if (std::regex_match(line, parts, alert)) rules.push_back({parts[1], "", {}});
    if (rules.empty()) continue;
    if (std::regex_match(line, parts, expression)) rules.back().expression = parts[1];
    for (const std::smatch& label : AllMatches(line, named)) {
      rules.back().named_labels.push_back(label[1]);
    }
  }
  for (const AlertRule& rule : rules) {
    if (rule.expression.size() < 5) return Wrong(rule.name, ": the expression is not on one line");
  }
  return rules;
}

}  // namespace kiln
