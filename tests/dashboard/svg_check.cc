#include "tests/dashboard/svg_check.h"

#include <regex>

namespace kiln {
namespace {

const std::regex kTag(R"re(<(/?)([a-zA-Z]+)((?: [a-zA-Z][a-zA-Z:-]*="[^"<]*")*)\s*(/?)>)re");

// An ampersand that begins no entity, or a bracket.
bool IsRaw(const std::string& text) {
  static const std::regex entity("&(amp|lt|gt|quot);");
  const std::string rest = std::regex_replace(text, entity, "");
  return rest.find_first_of("&<>") != std::string::npos;
}

bool HasControls(const std::string& text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n') || byte == 0x7F) return true;
  }
  return false;
}

}  // namespace

std::string FaultOfXml(const std::string& text) {
  if (HasControls(text)) return "a control character";
  std::vector<std::string> open;
  std::size_t at = 0;
  bool has_root = false;
  const std::sregex_iterator end;
  for (std::sregex_iterator tag(text.begin(), text.end(), kTag); tag != end; ++tag) {
    const std::string between = text.substr(at, static_cast<std::size_t>(tag->position()) - at);
    if (IsRaw(between)) return "raw text: " + between;
    at = static_cast<std::size_t>(tag->position() + tag->length());
    const std::string name = (*tag)[2];
    if (IsRaw((*tag)[3])) return "a raw attribute of " + name;
    if (open.empty() && has_root) return "more than one root";
    has_root = true;
    if ((*tag)[1] == "/") {
      if (open.empty() || open.back() != name) return "</" + name + "> ends nothing";
      open.pop_back();
    } else if ((*tag)[4] != "/") {
      open.push_back(name);
    }
  }
  if (!open.empty()) return "nothing ends <" + open.back() + ">";
  if (!has_root) return "no element";
  return IsRaw(text.substr(at)) ? "raw text at the end" : "";
}

std::vector<std::string> TextsOf(const std::string& svg, const std::string& element) {
  const std::regex form("<" + element + "(?: [^>]*)?>([^<]*)</" + element + ">");
  std::vector<std::string> texts;
  const std::sregex_iterator end;
  for (std::sregex_iterator found(svg.begin(), svg.end(), form); found != end; ++found) {
    texts.push_back((*found)[1]);
  }
  return texts;
}

}  // namespace kiln
