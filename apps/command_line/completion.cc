// One script for each shell, from the tree of commands. Words come from our own command lines: they have
// no quotes and no newlines, but their help texts do.

#include "apps/command_line/completion.h"

#include <algorithm>

namespace kiln {
namespace {

std::string Join(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

// The first sentence or line, which is all there is room for.
std::string Brief(const std::string& help) { return help.substr(0, help.find('\n')); }

std::string Escaped(const std::string& text, const std::string& special,
                    const std::string& escape) {
  std::string escaped;
  for (const char c : text) {
    if (special.find(c) != std::string::npos) escaped += escape;
    escaped += c;
  }
  return escaped;
}

// For a word in single quotes.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::vector<std::string> ValuesOf(const CommandOption& option, const CompletionWords& words) {
  if (!option.choices.empty()) return option.choices;
  for (const std::string& name : option.names) {
    if (const auto found = words.find(name); found != words.end()) return found->second;
  }
  return {};
}

// "/db/merge"; the program itself is "".
std::string PathOf(const std::vector<std::string>& names) {
  std::string path;
  for (std::size_t i = 1; i < names.size(); ++i) path += "/" + names[i];
  return path;
}

// "_kiln_server_db": a name of a function.
std::string FunctionOf(const std::vector<std::string>& names) {
  std::string name = "_" + Join(names, "_");
  std::ranges::replace(name, '-', '_');
  return name;
}

// ---- bash

class BashScript {
 public:
  BashScript(const CommandNode& program, const CompletionWords& words) : words_(words) {
    VisitCommands(program, {}, [this](const CommandNode& node, const auto& names) {
      AddNode(node, PathOf(names));
    });
    const std::string function = FunctionOf({program.name});
    text_ =
        "# bash completion of " + program.name + "\n" + function + "() {\n" +
        "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= words= i\n"
        "  if [[ $cur == = ]]; then cur=; fi\n"
        "  if [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
        "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "    case \"$path/${COMP_WORDS[i]}\" in\n" +
        (paths_.empty() ? "" : "      " + paths_ + ") path+=/${COMP_WORDS[i]} ;;\n") +
        "      *) ;;\n"
        "    esac\n"
        "  done\n"
        "  case \"$path $prev\" in\n" +
        values_ +
        "    *) ;;\n"
        "  esac\n"
        "  case \"$path\" in\n" +
        options_ +
        "  esac\n"
        "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
        "  if [[ $cur != -* && -n $files ]]; then\n"
        "    compopt -o filenames 2> /dev/null\n"
        "    COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
        "  fi\n"
        "}\n"
        "complete -F " +
        function + " " + program.name + "\n";
    const std::string declared = "path= words= i\n";
    text_.replace(text_.find(declared), declared.size(), "path= words= files= i\n");
  }
  const std::string& text() const { return text_; }

 private:
  void AddNode(const CommandNode& node, const std::string& path) {
    if (!path.empty()) paths_ += (paths_.empty() ? "" : " | ") + path;
    std::vector<std::string> all;
    bool takes_files = false;
    for (const CommandNode& command : node.commands) all.push_back(command.name);
    for (const CommandOption& option : node.options) {
      all.insert(all.end(), option.names.begin(), option.names.end());
      takes_files |= option.names.empty() && option.takes_files;
      if (!option.names.empty() && !option.value.empty()) AddValue(option, path);
    }
    options_ += "    '" + path + "') words='" + Join(all, " ") + "'" +
                (takes_files ? " files=1" : "") + " ;;\n";
  }

  void AddValue(const CommandOption& option, const std::string& path) {
    std::vector<std::string> patterns;
    for (const std::string& name : option.names) patterns.push_back("'" + path + " " + name + "'");
    values_ += "    " + Join(patterns, " | ") + ")\n";
    const std::vector<std::string> values = ValuesOf(option, words_);
    if (!values.empty()) {
      values_ += "      COMPREPLY=($(compgen -W '" + Join(values, " ") + "' -- \"$cur\"))\n";
    }
    if (option.takes_files) {
      values_ +=
          "      compopt -o filenames 2> /dev/null\n"
          "      COMPREPLY+=($(compgen -f -- \"$cur\"))\n";
    }
    values_ += "      return ;;\n";
  }

  const CompletionWords& words_;
  std::string paths_, values_, options_, text_;
};

// ---- zsh

// A function for each command, of _arguments.
class ZshScript {
 public:
  ZshScript(const CommandNode& program, const CompletionWords& words) : words_(words) {
    VisitCommands(program, {},
                  [this](const CommandNode& node, const auto& names) { AddFunction(node, names); });
    // As a file in fpath it is called, else it says for what it is.
    text_ = "#compdef " + program.name + "\n# zsh completion of " + program.name + "\n" + text_ +
            "if [ \"$funcstack[1]\" = \"" + FunctionOf({program.name}) + "\" ]; then\n  " +
            FunctionOf({program.name}) + " \"$@\"\nelse\n  compdef " + FunctionOf({program.name}) +
            " " + program.name + "\nfi\n";
  }
  const std::string& text() const { return text_; }

 private:
  static std::string Message(const std::string& help) {
    return Escaped(Brief(help), "[]:\\", "\\");
  }

  std::string ActionOf(const CommandOption& option) const {
    const std::vector<std::string> values = ValuesOf(option, words_);
    if (!values.empty()) return "(" + Join(values, " ") + ")";
    return option.takes_files ? "_files" : " ";
  }

  void AddOption(const CommandOption& option) {
    if (option.names.empty()) {
      const std::string count = option.repeats ? "*" : "";
      text_ +=
          "    " + Quoted(count + ":" + Message(option.value) + ":" + ActionOf(option)) + " \\\n";
      return;
    }
    for (const std::string& name : option.names) {
      std::string spec = (option.repeats ? "*" : "") + name + "[" + Message(option.help) + "]";
      if (!option.value.empty()) spec += ":" + Message(option.value) + ":" + ActionOf(option);
      text_ += "    " + Quoted(spec) + " \\\n";
    }
  }

  void AddFunction(const CommandNode& node, const std::vector<std::string>& names) {
    text_ += FunctionOf(names) + "() {\n";
    if (!node.commands.empty()) text_ += "  local curcontext=\"$curcontext\" state line\n";
    text_ += node.commands.empty() ? "  _arguments -s \\\n" : "  _arguments -C -s \\\n";
    for (const CommandOption& option : node.options) AddOption(option);
    if (node.commands.empty()) {
      text_ += "    && return 0\n}\n";
      return;
    }
    text_ +=
        "    '1: :->command' '*:: :->rest' && return 0\n  case $state in\n    command)\n"
        "      local -a commands=(\n";
    for (const CommandNode& command : node.commands) {
      text_ += "        " + Quoted(command.name + ":" + Escaped(Brief(command.help), ":\\", "\\")) +
               "\n";
    }
    text_ += "      )\n      _describe command commands ;;\n    rest)\n      case $words[1] in\n";
    for (const CommandNode& command : node.commands) {
      std::vector<std::string> inner = names;
      inner.push_back(command.name);
      text_ += "        " + command.name + ") " + FunctionOf(inner) + " ;;\n";
    }
    text_ += "      esac ;;\n  esac\n}\n";
  }

  const CompletionWords& words_;
  std::string text_;
};

// ---- fish

class FishScript {
 public:
  FishScript(const CommandNode& program, const CompletionWords& words)
      : words_(words), program_(program.name) {
    text_ = "# fish completion of " + program.name + "\ncomplete -c " + program.name + " -f\n";
    VisitCommands(program, {},
                  [this](const CommandNode& node, const auto& names) { AddNode(node, names); });
  }
  const std::string& text() const { return text_; }

 private:
  // That the command line is at this node: its names were given, and none of the commands in it.
  static std::string ConditionOf(const CommandNode& node, const std::vector<std::string>& names) {
    std::string condition;
    for (std::size_t i = 1; i < names.size(); ++i) {
      condition += (i > 1 ? "; and " : "") + ("__fish_seen_subcommand_from " + names[i]);
    }
    std::vector<std::string> inner;
    for (const CommandNode& command : node.commands) inner.push_back(command.name);
    if (inner.empty()) return condition;
    return condition + (condition.empty() ? "" : "; and ") + "not __fish_seen_subcommand_from " +
           Join(inner, " ");
  }

  static std::string Text(const std::string& help) {
    return "'" + Escaped(Brief(help), "'\\", "\\") + "'";
  }

  void AddNode(const CommandNode& node, const std::vector<std::string>& names) {
    const std::string condition = ConditionOf(node, names);
    const std::string begin =
        "complete -c " + program_ + (condition.empty() ? "" : " -n '" + condition + "'");
    for (const CommandNode& command : node.commands) {
      text_ += begin + " -a " + command.name + " -d " + Text(command.help) + "\n";
    }
    for (const CommandOption& option : node.options) AddOption(option, begin);
  }

  void AddOption(const CommandOption& option, const std::string& begin) {
    if (option.names.empty()) {
      if (option.takes_files) text_ += begin + " -F\n";
      return;
    }
    text_ += begin;
    for (const std::string& name : option.names) {
      text_ += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    const std::vector<std::string> values = ValuesOf(option, words_);
    if (!values.empty()) text_ += " -x -a '" + Join(values, " ") + "'";
    if (values.empty() && option.takes_files) text_ += " -r -F";
    if (values.empty() && !option.takes_files && !option.value.empty()) text_ += " -x";
    text_ += " -d " + Text(option.help) + "\n";
  }

  const CompletionWords& words_;
  const std::string program_;
  std::string text_;
};

}  // namespace

StatusOr<std::string> CompletionScript(const CommandNode& program, const CompletionWords& words,
                                       const std::string& shell) {
  if (shell == "bash") return BashScript(program, words).text();
  if (shell == "zsh") return ZshScript(program, words).text();
  if (shell == "fish") return FishScript(program, words).text();
  return Error(StatusCode::kInvalidArgument, "no completion for ", shell,
               ": bash, zsh and fish have one");
}

}  // namespace kiln
