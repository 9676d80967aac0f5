#include "daemon/job_spec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "daemon/closest_word.h"
#include "ops/target_file.h"
#include "ops/trial_limits.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 11> kMembers = {
    "networks", "target",          "threads",    "cache",   "policy",    "seed",
    "trials",   "trials_per_task", "early_stop", "seconds", "stale_only"};
constexpr std::array<std::string_view, 8> kNetworkMembers = {
    "model", "network", "layers", "workloads", "layers_type", "layers_act", "digest", "weight"};
constexpr std::array<std::string_view, 2> kCaches = {"hot", "cold"};
constexpr std::array<std::string_view, 3> kTypes = {"i8", "u8s8", "u8"};
constexpr std::array<std::string_view, 4> kActs = {"as-listed", "none", "lo", "lohi"};

constexpr std::size_t kMostText = 4096;  // bytes: of a path as the kernel takes it
constexpr std::size_t kMostShown = 64;   // of somebody's text in a message
constexpr std::size_t kMostNetworks = 1000, kMostWorkloads = 10'000;
constexpr std::int64_t kMostCount = std::int64_t{1} << 53;  // which every reader of JSON can hold
constexpr std::int64_t kMostSeconds = 1'000'000'000;        // some 30 years
constexpr double kMostWeight = 1e9;

template <typename... Parts>
Status Invalid(const Parts&... parts) {
  return Error(StatusCode::kInvalidArgument, "the job's spec: ", parts...);
}

std::string Quoted(std::string_view text) {
  std::string shown(text.substr(0, kMostShown));
  if (shown.size() < text.size()) shown += "...";
  std::ranges::replace_if(
      shown, [](unsigned char c) { return c < ' ' || c >= 0x7f; }, '?');
  return "`" + shown + "`";
}

// Something on one line.
bool IsPlain(std::string_view text, std::size_t most_bytes) {
  return !text.empty() && text.size() <= most_bytes &&
         std::ranges::none_of(text, [](unsigned char c) { return c < ' '; });
}

// "hot or cold", "i8, u8s8 or u8".
std::string OneOf(std::span<const std::string_view> words) {
  std::string list;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) list += i + 1 == words.size() ? " or " : ", ";
    list += words[i];
  }
  return list;
}

// These are the members of one object. A member that is not there leaves the value as it is.
class Members {
 public:
  // `where` is in front of the names: "networks[1].".
  Members(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  Status CheckNames(std::span<const std::string_view> known) const {
    for (const auto& [name, unused] : object_.items()) {
      if (std::ranges::find(known, name) != known.end()) continue;
      const auto meant = ClosestWord(name, known);
      return Invalid(
          "no member ", Quoted(where_ + name),
          meant ? ": did you mean `" + std::string(*meant) + "`?" : "; there are " + OneOf(known));
    }
    return {};
  }

  const Json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }

  Status Bad(const char* name, const std::string& want) const {
    return Invalid("`", where_, name, "` must be ", want);
  }

  Status Read(const char* name, std::string& text) const {
    const Json* member = Find(name);
    if (member == nullptr) return {};
    if (!member->is_string()) return Bad(name, WantType("a text", *member));
    const auto& value = member->get_ref<const std::string&>();
    if (!IsPlain(value, kMostText)) {
      return Bad(name, "a text of 1 to " + std::to_string(kMostText) +
                           " bytes without control characters");
    }
    text = value;
    return {};
  }

  Status ReadWord(const char* name, std::span<const std::string_view> words,
                  std::string& word) const {
    RETURN_IF_ERROR(Read(name, word));
    if (Find(name) == nullptr || std::ranges::find(words, word) != words.end()) return {};
    return Bad(name, OneOf(words) + ", not " + Quoted(word));
  }

  Status ReadPath(const char* name, std::string& path) const {
    RETURN_IF_ERROR(Read(name, path));
    if (path.empty() || path.front() == '/') return {};
    return Bad(name, "an absolute path, not " + Quoted(path));
  }

  template <typename Number>
  Status ReadWhole(const char* name, Number least, Number most, Number& number) const {
    const Json* member = Find(name);
    if (member == nullptr) return {};
    const std::string want =
        "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
    if (!member->is_number_integer()) return Bad(name, WantType(want, *member));
    const bool fits = member->is_number_unsigned()
                          ? std::in_range<Number>(member->get<std::uint64_t>())
                          : std::in_range<Number>(member->get<std::int64_t>());
    const Number value = fits ? member->get<Number>() : Number{};
    if (!fits || value < least || value > most) return Bad(name, want + ", not " + member->dump());
    number = value;
    return {};
  }

  Status ReadCount(const char* name, std::int64_t least, std::optional<std::int64_t>& count,
                   std::int64_t most = kMostCount) const {
    if (Find(name) == nullptr) return {};
    return ReadWhole(name, least, most, count.emplace());
  }

  Status ReadWeight(const char* name, double& weight) const {
    const Json* member = Find(name);
    if (member == nullptr) return {};
    const std::string want = "a number above 0 and up to 1e9";
    if (!member->is_number()) return Bad(name, WantType(want, *member));
    weight = member->get<double>();
    return weight > 0 && weight <= kMostWeight ? Status() : Bad(name, want);
  }

  Status ReadBool(const char* name, bool& value) const {
    const Json* member = Find(name);
    if (member == nullptr) return {};
    if (!member->is_boolean()) return Bad(name, WantType("true or false", *member));
    value = member->get<bool>();
    return {};
  }

  Status ReadKeys(const char* name, std::vector<std::string>& keys) const {
    const Json* member = Find(name);
    if (member == nullptr) return {};
    const std::string want = "a list of 1 to " + std::to_string(kMostWorkloads) + " workload keys";
    if (!member->is_array()) return Bad(name, WantType(want, *member));
    if (member->empty() || member->size() > kMostWorkloads) return Bad(name, want);
    for (const Json& key : *member) {
      if (!key.is_string()) return Bad(name, WantType(want, key) + " in it");
      keys.push_back(key.get<std::string>());
      if (!IsPlain(keys.back(), kMaxKeyBytes))
        return Bad(name, want + ", not " + Quoted(keys.back()));
      const StatusOr<Workload> workload = ReadWorkload(keys.back());
      if (!workload.ok()) return Invalid("`", where_, name, "`: ", Message(workload.status()));
    }
    return {};
  }

 private:
  static std::string WantType(const std::string& want, const Json& got) {
    return want + ", not " + (got.is_null() ? "" : "of type ") + got.type_name();
  }

  const Json& object_;
  const std::string where_;
};

bool IsDigest(const std::string& text) {
  return text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

StatusOr<JobNetwork> ParseNetwork(const Json& json, std::size_t index) {
  const std::string name = "networks[" + std::to_string(index) + "]";
  if (!json.is_object()) return Invalid("`", name, "` must be an object");
  const Members members(json, name + ".");
  RETURN_IF_ERROR(members.CheckNames(kNetworkMembers));
  JobNetwork network;
  RETURN_IF_ERROR(members.ReadPath("model", network.model));
  RETURN_IF_ERROR(members.Read("network", network.network));
  RETURN_IF_ERROR(members.ReadPath("layers", network.layers));
  RETURN_IF_ERROR(members.ReadKeys("workloads", network.workloads));
  RETURN_IF_ERROR(members.ReadWord("layers_type", kTypes, network.layers_type));
  RETURN_IF_ERROR(members.ReadWord("layers_act", kActs, network.layers_act));
  RETURN_IF_ERROR(members.Read("digest", network.digest));
  RETURN_IF_ERROR(members.ReadWeight("weight", network.weight));
  const int given = !network.model.empty() + !network.network.empty() + !network.layers.empty() +
                    !network.workloads.empty();
  if (given != 1) {
    return Invalid("`", name, "` must have exactly one of model, network, layers and workloads");
  }
  if (network.layers.empty() && !(network.layers_type.empty() && network.layers_act.empty())) {
    return Invalid("`", name, "`: layers_type and layers_act go with layers");
  }
  if (network.digest.empty()) return network;
  if (network.model.empty() && network.layers.empty()) {
    return Invalid("`", name, ".digest` goes with a file: model or layers");
  }
  if (!IsDigest(network.digest)) return members.Bad("digest", "16 lower-case hex digits");
  return network;
}

StatusOr<std::vector<JobNetwork>> ParseNetworks(const Members& members) {
  const Json* list = members.Find("networks");
  if (list == nullptr) return Invalid("`networks` is missing");
  if (!list->is_array() || list->empty() || list->size() > kMostNetworks) {
    return members.Bad("networks", "a list of 1 to " + std::to_string(kMostNetworks) + " networks");
  }
  std::vector<JobNetwork> networks;
  for (const Json& each : *list) {
    ASSIGN_OR_RETURN(JobNetwork network, ParseNetwork(each, networks.size()));
    networks.push_back(std::move(network));
  }
  return networks;
}

// JSON in which no object has a member twice, of which parsers keep one without a word.
StatusOr<Json> ParseWithoutTwins(std::string_view text) {
  std::vector<std::set<std::string>> open;  // the names of the objects that are being read
  std::optional<std::string> twin;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& name = parsed.get_ref<const std::string&>();
      if (!open.back().insert(name).second && !twin) twin = name;
    }
    return true;
  };
  Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Invalid("not JSON");
  if (twin) return Invalid(Quoted(*twin), " is there twice in one object");
  return json;
}

template <typename Value>
void AddUnless(Json& json, const char* name, const Value& value, const Value& left_out) {
  if (value != left_out) json[name] = value;
}

void AddCount(Json& json, const char* name, const std::optional<std::int64_t>& count) {
  if (count) json[name] = *count;
}

Json ToJson(const JobNetwork& network) {
  const JobNetwork defaults;
  Json json;
  AddUnless(json, "model", network.model, defaults.model);
  AddUnless(json, "network", network.network, defaults.network);
  AddUnless(json, "layers", network.layers, defaults.layers);
  AddUnless(json, "workloads", network.workloads, defaults.workloads);
  AddUnless(json, "layers_type", network.layers_type, defaults.layers_type);
  AddUnless(json, "layers_act", network.layers_act, defaults.layers_act);
  AddUnless(json, "digest", network.digest, defaults.digest);
  AddUnless(json, "weight", network.weight, defaults.weight);
  return json;
}

std::string FileName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string Describe(const JobNetwork& network) {
  if (!network.model.empty()) return FileName(network.model);
  if (!network.network.empty()) return network.network;
  if (!network.layers.empty()) return FileName(network.layers);
  const std::size_t count = network.workloads.size();
  return std::to_string(count) + (count == 1 ? " workload" : " workloads");
}

}  // namespace

std::string ToJson(const JobSpec& spec) {
  const JobSpec defaults;
  Json json;
  json["networks"] = Json::array();
  for (const JobNetwork& network : spec.networks) json["networks"].push_back(ToJson(network));
  AddUnless(json, "target", spec.target, defaults.target);
  AddUnless(json, "threads", spec.threads, defaults.threads);
  AddUnless(json, "cache", spec.cache, defaults.cache);
  AddUnless(json, "policy", spec.policy, defaults.policy);
  AddUnless(json, "seed", spec.seed, defaults.seed);
  AddCount(json, "trials", spec.trials);
  AddCount(json, "trials_per_task", spec.trials_per_task);
  AddCount(json, "early_stop", spec.early_stop);
  AddCount(json, "seconds", spec.seconds);
  AddUnless(json, "stale_only", spec.stale_only, defaults.stale_only);
  // A path need not be UTF-8, which JSON is: what is not leaves a path that nobody finds.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

StatusOr<JobSpec> ParseJobSpec(std::string_view json) {
  ASSIGN_OR_RETURN(const Json parsed, ParseWithoutTwins(json));
  if (!parsed.is_object()) return Invalid("not a JSON object");
  const Members members(parsed, "");
  RETURN_IF_ERROR(members.CheckNames(kMembers));
  JobSpec spec;
  ASSIGN_OR_RETURN(spec.networks, ParseNetworks(members));
  RETURN_IF_ERROR(members.Read("target", spec.target));
  if (IsTargetFile(spec.target)) {
    return members.Bad("target", "a name and no file, not " + Quoted(spec.target));
  }
  RETURN_IF_ERROR(members.ReadWhole<std::int32_t>("threads", 1, kMaxThreads, spec.threads));
  RETURN_IF_ERROR(members.ReadWord("cache", kCaches, spec.cache));
  RETURN_IF_ERROR(members.Read("policy", spec.policy));
  RETURN_IF_ERROR(members.ReadWhole<std::uint64_t>(
      "seed", 0, std::numeric_limits<std::uint64_t>::max(), spec.seed));
  RETURN_IF_ERROR(members.ReadCount("trials", 0, spec.trials));
  RETURN_IF_ERROR(members.ReadCount("trials_per_task", 0, spec.trials_per_task));
  RETURN_IF_ERROR(members.ReadCount("early_stop", 1, spec.early_stop));
  RETURN_IF_ERROR(members.ReadCount("seconds", 1, spec.seconds, kMostSeconds));
  RETURN_IF_ERROR(members.ReadBool("stale_only", spec.stale_only));
  return spec;
}

std::string Describe(const JobSpec& spec) {
  std::string words;
  for (const JobNetwork& network : spec.networks) {
    words += (words.empty() ? "" : ", ") + Describe(network);
  }
  return words + " on " + spec.target;
}

}  // namespace kiln
