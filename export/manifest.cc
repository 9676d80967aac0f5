#include "export/manifest.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/digest.h"
#include "base/version.h"
#include "export/kernel_files.h"

namespace kiln {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kManifestVersion = 1;

std::string_view NameOf(LibraryForm form) { return form == LibraryForm::kObject ? "object" : "c"; }

Json ToJson(const LibraryVariant& variant, const Library& library, const LibraryStyle& style) {
  const LibraryCode& code = library.codes[variant.code];
  const LockEntry& entry = variant.entry;
  Json config = Json::object();
  for (const auto& [knob, label] : entry.labels) config[knob] = label;
  Json line = {{"workload", variant.key.workload},
               {"target", variant.key.target},
               {"threads", variant.key.threads},
               {"cache", Name(variant.key.cache)},
               {"template", entry.kernel_template},
               {"config", config},
               {"config_id", ConfigId(entry.labels)},
               {"code_digest", Hex(entry.code_digest)},
               {"file", KernelPathOf(code, style)},
               {"origin", Name(entry.origin)},
               {"min_ns", nullptr},
               {"kind", nullptr},
               {"confirmed", false},
               {"device", nullptr},
               {"measurement", nullptr},
               {"why", nullptr}};
  if (entry.time) {
    line["min_ns"] = entry.time->min_ns;
    line["kind"] = Name(entry.time->kind);
    line["confirmed"] = entry.time->confirmed;
    line["device"] = entry.time->device;
    line["measurement"] = entry.time->uuid;
  }
  if (!variant.why.empty()) line["why"] = variant.why;
  return line;
}

Json TargetsOf(const Library& library) {
  Json targets = Json::array();
  for (const Target& target : library.targets) {
    targets.push_back({{"name", target.name}, {"cpu", target.cpu}, {"isa", Names(target.isa)}});
  }
  return targets;
}

std::optional<std::uint64_t> ReadHex(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  std::uint64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  const bool is_whole = read.ec == std::errc() && read.ptr == text.data() + text.size();
  return is_whole ? std::optional(number) : std::nullopt;
}

}  // namespace

std::string PrintManifest(const Library& library, const LibraryStyle& style,
                          const ObjectRecords& objects) {
  Json json = {{"kiln_library", kManifestVersion},
               {"name", style.name},
               {"kiln", kVersion},
               {"form", NameOf(style.form)},
               {"arch", library.arch},
               {"compiler", style.form == LibraryForm::kObject ? Json(style.compiler) : Json()},
               {"targets", TargetsOf(library)},
               {"layers", Json::array()},
               {"kernels", Json::array()},
               {"objects", Json::array()}};
  for (const auto& [name, workload] : library.layers) {
    json["layers"].push_back({{"name", name}, {"workload", workload}});
  }
  for (const LibraryVariant& variant : library.variants) {
    json["kernels"].push_back(ToJson(variant, library, style));
  }
  for (const auto& [path, record] : objects) {
    json["objects"].push_back({{"file", path},
                               {"job_digest", Hex(record.job_digest)},
                               {"object_digest", Hex(record.object_digest)}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusOr<PresentManifest> ParseManifest(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  const Status no = Error(StatusCode::kInvalidArgument, "not the manifest of an exported library");
  if (!json.is_object() || !json.contains("kiln_library")) return no;
  PresentManifest present;
  for (const auto& [member, to] :
       {std::pair("name", &present.style.name), std::pair("compiler", &present.style.compiler)}) {
    if (json.contains(member) && json[member].is_string()) *to = json[member].get<std::string>();
  }
  if (present.style.name.empty()) return no;
  if (json.contains("form") && json["form"] == NameOf(LibraryForm::kC)) {
    present.style.form = LibraryForm::kC;
  }
  if (!json.contains("objects") || !json["objects"].is_array()) return present;
  for (const Json& object : json["objects"]) {
    if (!object.is_object() || !object.contains("file") || !object["file"].is_string()) continue;
    const auto job = ReadHex(object.value("job_digest", Json())),
               bytes = ReadHex(object.value("object_digest", Json()));
    if (job && bytes) present.objects[object["file"].get<std::string>()] = {*job, *bytes};
  }
  return present;
}

}  // namespace kiln
