#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

// A reader of pages that shares nothing with what writes them: every element that is opened is
// closed in order, attributes are quoted and named once, and a character of markup never stands for
// itself. Empty: the page is sound; else where it is not.
inline std::string FaultOfPage(std::string_view page) {
  static const std::set<std::string_view> kWithoutEnd = {"meta", "br",   "img",
                                                         "hr",   "link", "input"};
  constexpr std::string_view kDoctype = "<!DOCTYPE html>\n";
  const auto at = [&](std::string_view rest, const std::string& why) {
    return why + " before: " + std::string(rest.substr(0, 80));
  };
  if (!page.starts_with(kDoctype)) return "no doctype";
  std::string_view rest = page.substr(kDoctype.size());
  std::vector<std::string_view> open;
  while (!rest.empty()) {
    const std::size_t less = rest.find('<');
    const std::string_view text = rest.substr(0, less);
    if (open.empty() && text.find_first_not_of('\n') != text.npos) return at(rest, "stray text");
    if (text.find_first_of(">\"'") != text.npos) {
      if (open.empty() || open.back() != "style") return at(rest, "bare markup");
    }
    for (std::size_t i = 0; (i = text.find('&', i)) != text.npos; ++i) {
      if (text.find(';', i) == text.npos) return at(rest.substr(i), "bare ampersand");
    }
    if (less == rest.npos) break;
    rest.remove_prefix(less + 1);
    if (rest.starts_with('/')) {
      const std::size_t end = rest.find('>');
      if (open.empty() || rest.substr(1, end - 1) != open.back()) return at(rest, "wrong end");
      open.pop_back();
      rest.remove_prefix(end + 1);
      continue;
    }
    const std::string_view name = rest.substr(0, rest.find_first_of(" >"));
    if (name.empty() || name.find_first_of("<\"'&") != name.npos) return at(rest, "no name");
    rest.remove_prefix(name.size());
    std::set<std::string_view> attributes;
    while (rest.starts_with(' ')) {
      rest.remove_prefix(1);
      const std::size_t equal = rest.find("=\"");
      if (equal == rest.npos) return at(rest, "no attribute");
      if (!attributes.insert(rest.substr(0, equal)).second) return at(rest, "attribute twice");
      const std::size_t quote = rest.find('"', equal + 2);
      if (rest.substr(equal + 2, quote - equal - 2).find('<') != rest.npos) {
        return at(rest, "markup in an attribute");
      }
      rest.remove_prefix(quote + 1);
    }
    if (!rest.starts_with('>')) return at(rest, "tag without end");
    rest.remove_prefix(1);
    if (!kWithoutEnd.contains(name)) open.push_back(name);
  }
  return open.empty() ? "" : "left open: " + std::string(open.back());
}

}  // namespace kiln
