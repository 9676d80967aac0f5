#include "export/lock_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "base/digest.h"
#include "base/read_file.h"
#include "base/write_file.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

constexpr std::string_view kHeading =
    "# Best configs, one a line, by `kiln lock`; builds link what it says. Not to be edited: of a "
    "merge conflict take either line.\n";
constexpr std::string_view kMagic = "kiln-lock ";
constexpr std::string_view kTargetLine = "target ";
constexpr std::string_view kSum = " sum=";
constexpr std::size_t kSumDigits = 8;
constexpr std::uint64_t kMostBytes = 64 << 20;

constexpr std::array<Origin, 4> kOrigins = {Origin::kTuned, Origin::kDefault, Origin::kTransferred,
                                            Origin::kPredicted};

bool IsPlain(char c) {
  constexpr std::string_view kMarks = "-_.+*/:@";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kMarks.find(c) != std::string_view::npos;
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (IsPlain(c)) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::optional<std::string> Unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!IsPlain(text[i])) return std::nullopt;
      out += text[i];
      continue;
    }
    unsigned value = 0;
    const char* digits = text.data() + i + 1;
    if (i + 3 > text.size() || std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) {
      return std::nullopt;
    }
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

std::string WithSum(std::string line) {
  const std::string sum = Hex(Digest(line)).substr(0, kSumDigits);
  return line.append(kSum).append(sum).append("\n");
}

Status Bad(std::string_view what) { return Error(StatusCode::kInvalidArgument, what); }

// The words of a line that has the right sum, each name=value in the order in which they are asked
// for.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  std::string_view Next() {
    const std::size_t end = std::min(rest_.find(' '), rest_.size());
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return word;
  }

  // The value of the next word, which must have this name.
  StatusOr<std::string_view> Raw(std::string_view name) {
    const std::string_view word = Next();
    if (word.size() <= name.size() || !word.starts_with(name) || word[name.size()] != '=') {
      return Bad(fmt::format("expected {}=, got `{}`", name, word));
    }
    return word.substr(name.size() + 1);
  }
  StatusOr<std::string> Text(std::string_view name) {
    ASSIGN_OR_RETURN(const std::string_view raw, Raw(name));
    std::optional<std::string> text = Unescaped(raw);
    if (!text) return Bad(fmt::format("{}={} is no text", name, raw));
    return *std::move(text);
  }
  template <typename Number>
  StatusOr<Number> Value(std::string_view name, int base = 10) {
    ASSIGN_OR_RETURN(const std::string_view raw, Raw(name));
    Number number{};
    std::from_chars_result read{};
    if constexpr (std::is_floating_point_v<Number>) {
      read = std::from_chars(raw.data(), raw.data() + raw.size(), number);
    } else {
      read = std::from_chars(raw.data(), raw.data() + raw.size(), number, base);
    }
    if (read.ec != std::errc() || read.ptr != raw.data() + raw.size() || raw.empty()) {
      return Bad(fmt::format("{}={} is no number", name, raw));
    }
    return number;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

StatusOr<ConfigLabels> ParseConfig(std::string_view list) {
  ConfigLabels labels;
  if (list == "-") return labels;
  while (true) {
    const std::size_t end = std::min(list.find(','), list.size());
    const std::string_view pair = list.substr(0, end);
    const std::size_t equal = pair.find('=');
    if (equal == std::string_view::npos) return Bad(fmt::format("`{}` is no knob=label", pair));
    const auto knob = Unescaped(pair.substr(0, equal)), label = Unescaped(pair.substr(equal + 1));
    if (!knob || !label) return Bad(fmt::format("`{}` is no knob=label", pair));
    labels.emplace_back(*knob, *label);
    if (end == list.size()) return labels;
    list.remove_prefix(end + 1);
  }
}

std::string PrintConfig(const ConfigLabels& labels) {
  if (labels.empty()) return "-";
  std::string list;
  for (const auto& [knob, label] : labels) {
    list += (list.empty() ? "" : ",") + Escaped(knob) + "=" + Escaped(label);
  }
  return list;
}

StatusOr<Origin> ParseOrigin(std::string_view name) {
  const auto found = std::ranges::find_if(kOrigins, [&](Origin o) { return Name(o) == name; });
  if (found == kOrigins.end()) return Bad(fmt::format("there is no origin `{}`", name));
  return *found;
}

StatusOr<LockedTime> ParseTime(Words& words) {
  LockedTime time;
  ASSIGN_OR_RETURN(time.min_ns, words.Value<double>("min_ns"));
  if (!(time.min_ns > 0) || !std::isfinite(time.min_ns)) return Bad("min_ns is no time");
  ASSIGN_OR_RETURN(const std::string kind, words.Text("kind"));
  const std::optional<TimeKind> known = TimeKindNamed(kind);
  if (!known) return Bad(fmt::format("there is no kind `{}`", kind));
  time.kind = *known;
  ASSIGN_OR_RETURN(const std::string confirmed, words.Text("confirmed"));
  if (confirmed != "yes" && confirmed != "no") return Bad("confirmed is yes or no");
  time.confirmed = confirmed == "yes";
  ASSIGN_OR_RETURN(time.device, words.Text("device"));
  ASSIGN_OR_RETURN(time.uuid, words.Text("measurement"));
  return time;
}

std::string PrintEntry(const LockKey& key, const LockEntry& entry) {
  std::string line = fmt::format(
      "{} target={} threads={} cache={} template={} config={} code={} origin={}", key.workload,
      Escaped(key.target), key.threads, Name(key.cache), Escaped(entry.kernel_template),
      PrintConfig(entry.labels), Hex(entry.code_digest), Name(entry.origin));
  if (entry.time) {
    line += fmt::format(" min_ns={:.1f} kind={} confirmed={} device={} measurement={}",
                        entry.time->min_ns, Name(entry.time->kind),
                        entry.time->confirmed ? "yes" : "no", Escaped(entry.time->device),
                        Escaped(entry.time->uuid));
  }
  return WithSum(std::move(line));
}

StatusOr<std::pair<LockKey, LockEntry>> ParseEntry(std::string_view line) {
  Words words(line);
  LockKey key;
  const StatusOr<Workload> workload = ParseWorkload(words.Next());
  if (!workload.ok()) return workload.status();
  key.workload = Key(*workload);
  ASSIGN_OR_RETURN(key.target, words.Text("target"));
  ASSIGN_OR_RETURN(key.threads, words.Value<std::int32_t>("threads"));
  if (key.threads < 1 || key.threads > kMaxThreads) return Bad("so many threads are not possible");
  ASSIGN_OR_RETURN(const std::string cache, words.Text("cache"));
  if (cache != "hot" && cache != "cold") return Bad("cache is hot or cold");
  key.cache = cache == "cold" ? CacheState::kCold : CacheState::kHot;
  LockEntry entry;
  ASSIGN_OR_RETURN(entry.kernel_template, words.Text("template"));
  ASSIGN_OR_RETURN(const std::string_view config, words.Raw("config"));
  ASSIGN_OR_RETURN(entry.labels, ParseConfig(config));
  ASSIGN_OR_RETURN(entry.code_digest, words.Value<std::uint64_t>("code", 16));
  ASSIGN_OR_RETURN(const std::string origin, words.Text("origin"));
  ASSIGN_OR_RETURN(entry.origin, ParseOrigin(origin));
  if (!words.at_end()) {
    ASSIGN_OR_RETURN(entry.time, ParseTime(words));
  }
  if (!words.at_end()) return Bad(fmt::format("unexpected `{}`", words.Next()));
  return std::pair(std::move(key), std::move(entry));
}

std::string PrintTarget(const Target& target) {
  std::string isa;
  for (const std::string& name : Names(target.isa)) isa += (isa.empty() ? "" : ":") + name;
  return WithSum(fmt::format(
      "{}{} arch={} cpu={} isa={} cores={} l1={} l2={} l3={} workspace={}", kTargetLine,
      Escaped(target.name), Escaped(target.arch), Escaped(target.cpu), isa.empty() ? "-" : isa,
      target.cores, target.l1_bytes, target.l2_bytes, target.l3_bytes, target.workspace_cap));
}

StatusOr<IsaMask> ParseIsa(std::string_view names) {
  IsaMask isa = 0;
  if (names == "-") return isa;
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(':'), names.size());
    IsaFeature feature{};
    if (!ParseIsaFeature(names.substr(0, end), feature)) {
      return Bad(fmt::format("there is no feature `{}`", names.substr(0, end)));
    }
    isa |= Bit(feature);
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return isa;
}

StatusOr<Target> ParseTargetLine(std::string_view line) {
  Words words(line);
  words.Next();
  Target target;
  const std::optional<std::string> name = Unescaped(words.Next());
  if (!name || name->empty()) return Bad("a target without a name");
  target.name = *name;
  target.summary = "described in a lock file";
  ASSIGN_OR_RETURN(target.arch, words.Text("arch"));
  ASSIGN_OR_RETURN(target.cpu, words.Text("cpu"));
  ASSIGN_OR_RETURN(const std::string isa, words.Text("isa"));
  ASSIGN_OR_RETURN(target.isa, ParseIsa(isa));
  ASSIGN_OR_RETURN(target.cores, words.Value<std::int32_t>("cores"));
  ASSIGN_OR_RETURN(target.l1_bytes, words.Value<std::int64_t>("l1"));
  ASSIGN_OR_RETURN(target.l2_bytes, words.Value<std::int64_t>("l2"));
  ASSIGN_OR_RETURN(target.l3_bytes, words.Value<std::int64_t>("l3"));
  ASSIGN_OR_RETURN(target.workspace_cap, words.Value<std::int64_t>("workspace"));
  if (!words.at_end()) return Bad(fmt::format("unexpected `{}`", words.Next()));
  return target;
}

// The space tells it from an entry whose first byte was changed.
bool IsComment(std::string_view line) { return line == "#" || line.starts_with("# "); }

bool IsConflictMarker(std::string_view line) {
  return line.starts_with("<<<<<<<") || line.starts_with("=======") ||
         line.starts_with(">>>>>>>") || line.starts_with("|||||||");
}

// The line without its sum, if that is right.
StatusOr<std::string_view> CheckSum(std::string_view line) {
  const std::size_t at = line.rfind(kSum);
  const std::string_view content = line.substr(0, at);
  if (at == std::string_view::npos ||
      line.substr(at + kSum.size()) != Hex(Digest(content)).substr(0, kSumDigits)) {
    return Bad("the line was edited or is damaged");
  }
  return content;
}

// Reads lines into a lock file.
class LockReader {
 public:
  StatusOr<LockFile> Read(std::string_view text) {
    for (std::int64_t number = 1; !text.empty(); ++number) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      if (line.ends_with('\r')) line.remove_suffix(1);  // as some checkouts write text
      text.remove_prefix(std::min(end + 1, text.size()));
      if (const Status status = ReadLine(line, number); !status.ok()) {
        return Error(status.code(), "line ", number, ": ", Message(status), Advice(status));
      }
    }
    if (!versioned_) {
      return Bad(fmt::format("not a lock file: there is no line `{}{}`", kMagic, kLockVersion));
    }
    return std::move(lock_);
  }

 private:
  std::string Advice(const Status& status) const {
    if (status.code() != StatusCode::kInvalidArgument || !versioned_) return "";
    return "; remove it and `kiln lock --update` writes it again";
  }

  Status ReadLine(std::string_view line, std::int64_t number) {
    if (line.empty() || IsComment(line)) return absl::OkStatus();
    if (IsConflictMarker(line)) {
      return Error(StatusCode::kFailedPrecondition,
                   "an unresolved merge conflict: keep either line of each entry and remove the "
                   "marks");
    }
    if (line.starts_with(kMagic)) return ReadVersion(line.substr(kMagic.size()));
    if (!versioned_) {
      return Bad(fmt::format("not a lock file: expected `{}{}`", kMagic, kLockVersion));
    }
    ASSIGN_OR_RETURN(const std::string_view content, CheckSum(line));
    if (content.starts_with(kTargetLine)) {
      ASSIGN_OR_RETURN(Target target, ParseTargetLine(content));
      const std::string name = target.name;
      if (!lock_.targets.emplace(name, std::move(target)).second) {
        return Error(StatusCode::kFailedPrecondition, "the target ", name,
                     " is described twice: keep either line");
      }
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(auto entry, ParseEntry(content));
    entry.second.line = number;
    const auto [known, is_new] = lock_.entries.emplace(std::move(entry));
    if (is_new) return absl::OkStatus();
    return Error(StatusCode::kFailedPrecondition, "the same entry as in line ", known->second.line,
                 " (", Describe(known->first), "): keep either");
  }

  Status ReadVersion(std::string_view version) {
    int number = 0;
    const auto read = std::from_chars(version.data(), version.data() + version.size(), number);
    if (read.ec != std::errc() || read.ptr != version.data() + version.size() || number < 1) {
      return Bad("no version of a lock file");
    }
    if (number > kLockVersion) {
      return Error(StatusCode::kFailedPrecondition, "made by a newer Kiln: version ", number,
                   ", this one reads ", kLockVersion);
    }
    versioned_ = true;
    return absl::OkStatus();
  }

  LockFile lock_;
  bool versioned_ = false;
};

}  // namespace

const char* Name(Origin origin) {
  switch (origin) {
    case Origin::kTuned:
      return "tuned";
    case Origin::kDefault:
      return "default";
    case Origin::kTransferred:
      return "transferred";
    case Origin::kPredicted:
      return "predicted";
  }
  return "";
}

std::string Describe(const LockKey& key) {
  return fmt::format("{} target={} threads={}{}", key.workload, Escaped(key.target), key.threads,
                     key.cache == CacheState::kCold ? " cache=cold" : "");
}

StatusOr<LockFile> ParseLock(std::string_view text) { return LockReader().Read(text); }

std::string PrintLock(const LockFile& lock) {
  std::vector<std::string> lines;
  std::set<std::string_view> used;
  for (const auto& [key, entry] : lock.entries) {
    lines.push_back(PrintEntry(key, entry));
    used.insert(key.target);
  }
  for (const auto& [name, target] : lock.targets) {
    if (used.contains(name)) lines.push_back(PrintTarget(target));
  }
  std::ranges::sort(lines);
  std::string text = fmt::format("{}{}{}\n", kHeading, kMagic, kLockVersion);
  for (const std::string& line : lines) text += line;
  return text;
}

StatusOr<LockFile> ReadLockFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes, ReadFile(path, kMostBytes));
  StatusOr<LockFile> lock = ParseLock({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!lock.ok()) return InFile(path, lock.status());
  return lock;
}

Status WriteLockFile(const std::string& path, const LockFile& lock) {
  return ReplaceFile(path, PrintLock(lock));
}

StatusOr<Target> LockedTarget(const LockFile& lock, const std::string& name) {
  const auto described = lock.targets.find(name);
  if (described != lock.targets.end()) return described->second;
  return FindTarget(name);
}

}  // namespace kiln
