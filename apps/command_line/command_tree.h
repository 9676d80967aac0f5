#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace kiln {

// An option, as help, completion and manual pages show it.
struct CommandOption {
  std::vector<std::string> names;    // "-h", "--help"; empty: it is known by its position
  std::string value;                 // what it takes: "FILE.tflite"; empty: a flag
  std::vector<std::string> choices;  // the only values that it takes; empty: any
  bool takes_files = false;
  bool repeats = false;  // it may be given again
  bool required = false;
  std::string group, help;
  std::string otherwise;  // the value without it; empty: none that is worth showing
  std::string variable;   // of the environment, in its place
};

// A program or one of its commands, with what is in it; what is hidden is left out.
struct CommandNode {
  std::string name, group, help, footer;
  std::vector<CommandOption> options;
  std::vector<CommandNode> commands;
};

// From the same definitions as --help.
CommandNode DescribeCommands(const CLI::App& app);

// Calls `visit` with each node, parents first, and the names from the program to it.
template <typename Visit>
void VisitCommands(const CommandNode& node, std::vector<std::string> path, const Visit& visit) {
  path.push_back(node.name);
  visit(node, path);
  for (const CommandNode& command : node.commands) VisitCommands(command, path, visit);
}

}  // namespace kiln
