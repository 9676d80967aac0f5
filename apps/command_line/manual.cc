#include "apps/command_line/manual.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace kiln {
namespace {

// As text of a page: a hyphen is one that can be copied, and nothing at the beginning of a line is a
// request.
std::string Text(const std::string& text) {
  std::string page;
  bool begins = true;
  for (const char c : text) {
    if (begins && (c == '.' || c == '\'')) page += "\\&";
    begins = c == '\n';
    page += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
  }
  return page;
}

std::string Bold(const std::string& text) { return "\\fB" + Text(text) + "\\fR"; }
std::string Italic(const std::string& text) { return "\\fI" + Text(text) + "\\fR"; }

std::string Joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string Upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

// On one line, as names of pages are.
std::string OneLine(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

void AddSynopsis(const CommandNode& node, const std::vector<std::string>& names,
                 std::string& page) {
  page += ".SH SYNOPSIS\n" + Bold(Joined(names, " "));
  if (!node.options.empty()) page += " [" + Italic("OPTIONS") + "]";
  for (const CommandOption& option : node.options) {
    if (!option.names.empty()) continue;
    const std::string value = Italic(option.value) + (option.repeats ? "..." : "");
    page += option.required ? " " + value : " [" + value + "]";
  }
  if (!node.commands.empty()) page += " " + Italic("COMMAND") + " ...";
  page += "\n";
}

void AddOption(const CommandOption& option, std::string& page) {
  page += ".TP\n";
  std::vector<std::string> names;
  for (const std::string& name : option.names) names.push_back(Bold(name));
  page += Joined(names, ", ");
  const std::string value =
      option.choices.empty() ? Italic(option.value) : Text(Joined(option.choices, "|"));
  if (!option.value.empty()) page += (names.empty() ? "" : " ") + value;
  if (option.repeats) page += " ...";
  page += "\n" + Text(option.help);
  if (!option.otherwise.empty()) page += " (" + Text(option.otherwise) + " unless given)";
  if (!option.variable.empty()) page += "; also $" + Text(option.variable);
  page += "\n";
}

void AddOptions(const CommandNode& node, std::string& page) {
  std::vector<std::string> groups;
  for (const CommandOption& option : node.options) {
    if (std::ranges::find(groups, option.group) == groups.end()) groups.push_back(option.group);
  }
  if (!groups.empty()) page += ".SH OPTIONS\n";
  for (const std::string& group : groups) {
    if (groups.size() > 1) page += ".SS " + Text(group) + "\n";
    for (const CommandOption& option : node.options) {
      if (option.group == group) AddOption(option, page);
    }
  }
}

void AddCommands(const CommandNode& node, const std::vector<std::string>& names,
                 std::string& page) {
  if (node.commands.empty()) return;
  page += ".SH COMMANDS\n";
  for (const CommandNode& command : node.commands) {
    page += ".TP\n" + Bold(Joined(names, "-") + "-" + command.name) + "(1)\n" +
            Text(OneLine(command.help)) + "\n";
  }
}

std::string PageOf(const CommandNode& node, const std::vector<std::string>& names,
                   const std::string& version) {
  const std::string name = Joined(names, "-");
  std::string page = ".TH " + Upper(name) + " 1 \"\" \"" + names.front() + " " + version +
                     "\" \"User Commands\"\n.SH NAME\n" + Text(name) + " \\- " +
                     Text(OneLine(node.help)) + "\n";
  AddSynopsis(node, names, page);
  AddCommands(node, names, page);
  AddOptions(node, page);
  if (!node.footer.empty()) page += ".SH NOTES\n.nf\n" + Text(node.footer) + "\n.fi\n";
  if (names.size() > 1) {
    page += ".SH SEE ALSO\n" + Bold(Joined({names.begin(), names.end() - 1}, "-")) + "(1)\n";
  }
  return page;
}

}  // namespace

std::map<std::string, std::string> ManualPages(const CommandNode& program,
                                               const std::string& version) {
  std::map<std::string, std::string> pages;
  VisitCommands(program, {}, [&](const CommandNode& node, const std::vector<std::string>& names) {
    pages[Joined(names, "-") + ".1"] = PageOf(node, names, version);
  });
  return pages;
}

}  // namespace kiln
