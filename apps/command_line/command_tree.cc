#include "apps/command_line/command_tree.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

namespace kiln {
namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// "TEXT:{hot,cold}" or "hot|cold" name all that there is.
std::vector<std::string> ChoicesOf(const std::string& type) {
  const std::size_t begin = type.find('{'), end = type.rfind('}');
  if (begin != std::string::npos && end != std::string::npos && begin < end) {
    return Split(type.substr(begin + 1, end - begin - 1), ',');
  }
  const bool is_list = type.find('|') != std::string::npos &&
                       std::ranges::none_of(type, [](unsigned char c) { return std::isupper(c); });
  return is_list ? Split(type, '|') : std::vector<std::string>();
}

CommandOption DescribeOption(const CLI::Option& option) {
  CommandOption described;
  for (const std::string& name : option.get_snames()) described.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) described.names.push_back("--" + name);
  if (option.get_items_expected_max() > 0) {
    const std::string type = option.get_type_name();
    described.choices = ChoicesOf(type);
    described.value = described.names.empty()     ? option.get_name(true)
                      : described.choices.empty() ? type
                                                  : "WORD";
    const std::string& of = described.names.empty() ? option.get_name(true) : type;
    described.takes_files =
        of.starts_with("FILE") || of.starts_with("DIR") || of == "FROM" || of == "INTO";
  }
  described.repeats = option.get_expected_max() > 1;
  described.required = option.get_required();
  described.group = option.get_group();
  described.help = option.get_description();
  described.otherwise = option.get_default_str();
  described.variable = option.get_envname();
  return described;
}

}  // namespace

CommandNode DescribeCommands(const CLI::App& app) {
  CommandNode node{
      app.get_name(), app.get_group(), app.get_description(), app.get_footer(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_group().empty()) node.options.push_back(DescribeOption(*option));
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) node.commands.push_back(DescribeCommands(*command));
  }
  return node;
}

}  // namespace kiln
