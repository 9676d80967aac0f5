#include "tests/telemetry/exposition.h"

#include <cmath>
#include <cstdlib>
#include <optional>
#include <regex>
#include <set>

namespace kiln {
namespace {

struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

std::string Show(const std::string& name, const std::map<std::string, std::string>& labels) {
  std::string text = name;
  for (const auto& [label, value] : labels) {
    text += (text.size() == name.size() ? "{" : ",") + label + "=\"" + value + "\"";
  }
  return labels.empty() ? text : text + "}";
}

std::optional<double> ReadValue(const std::string& text) {
  static const std::regex number(R"([+-]?(Inf|NaN|\d+(\.\d+)?(e[+-]?\d+)?))");
  if (!std::regex_match(text, number)) return std::nullopt;
  return std::strtod(text.c_str(), nullptr);
}

// name{label="value",...} value; nullopt: it is none.
std::optional<Sample> ReadSample(const std::string& line) {
  static const std::regex shape(R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? (\S+))re");
  static const std::regex label(R"re(([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(,|$))re");
  std::smatch parts;
  if (!std::regex_match(line, parts, shape)) return std::nullopt;
  Sample sample;
  sample.name = parts[1];
  const std::optional<double> value = ReadValue(parts[4]);
  if (!value) return std::nullopt;
  sample.value = *value;
  std::string rest = parts[3];
  if (parts[2].matched && (rest.empty() || rest.back() == ',')) return std::nullopt;
  while (!rest.empty()) {
    std::smatch one;
    if (!std::regex_search(rest, one, label, std::regex_constants::match_continuous)) {
      return std::nullopt;
    }
    if (!sample.labels.emplace(one[1], one[2]).second) return std::nullopt;
    rest = one.suffix();
  }
  return sample;
}

class Reader {
 public:
  Status Take(const std::string& line) {
    if (line.starts_with("# HELP ")) return TakeHelp(line.substr(7));
    if (line.starts_with("# TYPE ")) return TakeType(line.substr(7));
    const std::optional<Sample> sample = ReadSample(line);
    if (!sample) return Wrong("it is no series");
    return TakeSample(*sample);
  }

  StatusOr<Scrape> Finish() {
    for (const auto& [key, buckets] : buckets_) {
      double last = 0;
      for (const auto& [bound, count] : buckets) {
        if (count < last) return Wrong("buckets of " + key + " decrease");
        last = count;
      }
      const auto count = counts_.find(key);
      if (count == counts_.end() || !std::isinf(buckets.rbegin()->first) || count->second != last) {
        return Wrong("buckets of " + key + " do not add up");
      }
    }
    return std::move(scrape_);
  }

 private:
  static Status Wrong(const std::string& what) { return Error(StatusCode::kInvalidArgument, what); }

  Status TakeHelp(const std::string& text) {
    name_ = text.substr(0, text.find(' '));
    if (name_.size() + 2 > text.size()) return Wrong("there is no help");
    if (scrape_.contains(name_)) return Wrong("the family comes twice");
    scrape_[name_].help = text.substr(name_.size() + 1);
    return absl::OkStatus();
  }

  Status TakeType(const std::string& text) {
    ScrapedFamily& family = scrape_[name_];
    if (name_.empty() || !text.starts_with(name_ + " ")) return Wrong("another family's help");
    if (!family.type.empty()) return Wrong("the type comes twice");
    family.type = text.substr(name_.size() + 1);
    if (!std::set<std::string>{"counter", "gauge", "histogram"}.contains(family.type)) {
      return Wrong("no such type");
    }
    if ((family.type == "counter") != name_.ends_with("_total"))
      return Wrong("`_total` is a counter");
    return absl::OkStatus();
  }

  Status TakeSample(const Sample& sample) {
    ScrapedFamily& family = scrape_[name_];
    if (name_.empty() || family.type.empty()) return Wrong("a series without a type");
    if (family.type == "counter" && !(sample.value >= 0)) return Wrong("a negative counter");
    if (family.type == "histogram" ? !TakePart(sample) : sample.name != name_) {
      return Wrong("a series of another family");
    }
    if (!family.series.emplace(Show(sample.name, sample.labels), sample.value).second) {
      return Wrong("the series comes twice");
    }
    return absl::OkStatus();
  }

  bool TakePart(const Sample& sample) {
    auto labels = sample.labels;
    const auto bound = labels.extract("le");
    const std::string key = Show(name_, labels);
    if (sample.name == name_ + "_count") counts_[key] = sample.value;
    if (sample.name != name_ + "_bucket") {
      return bound.empty() && (sample.name == name_ + "_sum" || sample.name == name_ + "_count");
    }
    const auto value = bound.empty() ? std::nullopt : ReadValue(bound.mapped());
    if (value) buckets_[key][*value] = sample.value;
    return value.has_value();
  }

  Scrape scrape_;
  std::string name_;  // of the family under way
  std::map<std::string, std::map<double, double>> buckets_;
  std::map<std::string, double> counts_;
};

}  // namespace

StatusOr<Scrape> ParseExposition(std::string_view text) {
  Reader reader;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      return Error(StatusCode::kInvalidArgument, "the last line does not end");
    }
    const std::string line(text.substr(0, end));
    if (const Status status = reader.Take(line); !status.ok()) {
      return Error(status.code(), Message(status), ": ", line);
    }
    text.remove_prefix(end + 1);
  }
  return reader.Finish();
}

double ValueOf(const Scrape& scrape, const std::string& series) {
  for (const auto& [name, family] : scrape) {
    const auto found = family.series.find(series);
    if (found != family.series.end()) return found->second;
  }
  return -1;
}

}  // namespace kiln
