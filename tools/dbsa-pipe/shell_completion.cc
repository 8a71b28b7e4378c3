#include "shell_completion.h"

#include <algorithm>
#include <vector>

#include "commands.h"

namespace dbsa::cli {
namespace {

// What is offered for a value.
enum class Offer { kNothing, kFiles, kFolders, kChoices };

// unit: of an option, or an argument's name.
Offer offer_of(const CommandLine& line, const std::string& name, const std::string& unit) {
  if (!line.choices_of(name).empty()) return Offer::kChoices;
  if (unit == "DIR") return Offer::kFolders;
  constexpr std::string_view kFileUnits[] = {"FILE",  "RECORD", "PIPELINE",
                                             "SWEEP", "STORE",  "PATH"};
  const bool file =
      std::find(std::begin(kFileUnits), std::end(kFileUnits), unit) != std::end(kFileUnits);
  return file ? Offer::kFiles : Offer::kNothing;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// In single quotes, for bash and zsh.
std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Every command that has options: "run", "store list".
std::vector<CommandLine> all_lines() {
  std::vector<CommandLine> lines;
  for (const Command& command : commands())
    if (command.line != nullptr) lines.push_back(command.line());
  for (const CommandLine& line : store_command_lines()) lines.push_back(line);
  return lines;
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const Command& command : commands()) names.emplace_back(command.name);
  return names;
}

std::string last_word(const std::string& name) { return name.substr(name.rfind(' ') + 1); }

std::vector<std::string> store_names() {
  std::vector<std::string> names;
  for (const CommandLine& line : store_command_lines())
    names.push_back(last_word(line.help().name));
  return names;
}

// ---- bash --------------------------------------------------------------------------------------

std::string bash_of(const CommandLine& line) {
  std::vector<std::string> options, files, folders, values;
  std::string choices, arguments;
  for (const Option& option : line.shown_options()) {
    const std::string name = "--" + option.name;
    options.push_back(name);
    if (option.letter != 0) options.push_back(std::string("-") + option.letter);
    if (option.unit.empty()) continue;
    const Offer offer = offer_of(line, option.name, option.unit);
    if (offer == Offer::kChoices)
      choices += "      [[ $previous == " + name + " ]] && choices='" +
                 joined(line.choices_of(option.name)) + "'\n";
    (offer == Offer::kFiles ? files : offer == Offer::kFolders ? folders : values).push_back(name);
  }
  for (const std::string& name : line.argument_names()) {
    const Offer offer = offer_of(line, name, name);
    if (offer == Offer::kChoices) arguments += " " + joined(line.choices_of(name));
    if (offer == Offer::kFiles) arguments += " FILES";
  }
  return "    " + shell_quoted(line.help().name) + ")\n      options='" + joined(options) +
         "'\n      files='" + joined(files) + "'\n      folders='" + joined(folders) +
         "'\n      values='" + joined(values) + "'\n      arguments='" +
         (arguments.empty() ? "" : arguments.substr(1)) + "'\n" + choices + "      ;;\n";
}

// ---- zsh ---------------------------------------------------------------------------------------

// Text inside the brackets of a specification.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_action(const CommandLine& line, const std::string& name, const std::string& unit) {
  switch (offer_of(line, name, unit)) {
    case Offer::kFiles:
      return "_files";
    case Offer::kFolders:
      return "_files -/";
    case Offer::kChoices:
      return "(" + joined(line.choices_of(name)) + ")";
    case Offer::kNothing:
      break;
  }
  return "";
}

std::string zsh_of(const CommandLine& line) {
  std::string out = "    " + shell_quoted(line.help().name) + ")\n      _arguments -S";
  const auto add = [&](const std::string& specification) {
    out += " \\\n        " + specification;
  };
  for (const Option& option : line.shown_options()) {
    const std::string rest =
        (option.unit.empty() ? "" : "=") + ("[" + zsh_text(option.text) + "]") +
        (option.unit.empty()
             ? ""
             : ":" + option.unit + ":" + zsh_action(line, option.name, option.unit));
    const std::string name = "--" + option.name;
    if (option.letter != 0) {
      const std::string letter = std::string("-") + option.letter;
      add(shell_quoted("(" + letter + " " + name + ")" + letter + rest));
      add(shell_quoted("(" + letter + " " + name + ")" + name + rest));
    } else {
      add(shell_quoted((option.repeats ? "*" : "") + name + rest));
    }
  }
  const std::vector<std::string>& names = line.argument_names();
  for (size_t i = 0; i < names.size(); ++i)
    add(shell_quoted((line.last_argument_repeats() ? "*" : std::to_string(i + 1)) + ":" + names[i] +
                     ":" + zsh_action(line, names[i], names[i])));
  return out + "\n      ;;\n";
}

// ---- fish --------------------------------------------------------------------------------------

// In single quotes, where only these two need a backslash.
std::string fish_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_values(const CommandLine& line, const std::string& name, const std::string& unit) {
  switch (offer_of(line, name, unit)) {
    case Offer::kFiles:
      return " -F";
    case Offer::kFolders:
      return " -a '(__fish_complete_directories)'";
    case Offer::kChoices:
      return " -a " + fish_quoted(joined(line.choices_of(name)));
    case Offer::kNothing:
      break;
  }
  return "";
}

std::string fish_of(const CommandLine& line) {
  const std::string head =
      "complete -c dbsa-pipe -n " + fish_quoted("__dbsa_pipe_is " + line.help().name);
  std::string out;
  for (const Option& option : line.shown_options()) {
    out += head + " -l " + option.name;
    if (option.letter != 0) out += std::string(" -s ") + option.letter;
    if (!option.unit.empty()) {
      const bool files = offer_of(line, option.name, option.unit) == Offer::kFiles;
      out += (files ? " -r" : " -x") + fish_values(line, option.name, option.unit);
    }
    out += " -d " + fish_quoted(option.text) + "\n";
  }
  for (const std::string& name : line.argument_names())
    if (const std::string values = fish_values(line, name, name); !values.empty())
      out += head + values + "\n";
  return out;
}

}  // namespace

std::string bash_completion() {
  std::string out =
      "# bash completion of dbsa-pipe, made by `dbsa-pipe completion bash`\n"
      "_dbsa_pipe() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  local command=${COMP_WORDS[1]} first=2 options= files= folders= values= arguments= "
      "choices=\n"
      "  COMPREPLY=()\n"
      "  # --option=value is three words\n"
      "  [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD-2]}\n"
      "  [[ $current == = ]] && current=\n"
      "  if ((COMP_CWORD == 1)); then\n"
      "    COMPREPLY=($(compgen -W '" +
      joined(command_names()) +
      " help --help --version' -- \"$current\"))\n"
      "    return\n"
      "  fi\n"
      "  if [[ $command == help ]]; then\n"
      "    if ((COMP_CWORD == 2)); then\n"
      "      COMPREPLY=($(compgen -W '" +
      joined(command_names()) +
      "' -- \"$current\"))\n"
      "    elif [[ ${COMP_WORDS[2]} == store ]]; then\n"
      "      COMPREPLY=($(compgen -W '" +
      joined(store_names()) +
      "' -- \"$current\"))\n"
      "    fi\n"
      "    return\n"
      "  fi\n"
      "  if [[ $command == store ]]; then\n"
      "    if ((COMP_CWORD == 2)); then\n"
      "      COMPREPLY=($(compgen -W '" +
      joined(store_names()) +
      " help --help' -- \"$current\"))\n"
      "      return\n"
      "    fi\n"
      "    command=\"store ${COMP_WORDS[2]}\" first=3\n"
      "  fi\n"
      "  case $command in\n";
  for (const CommandLine& line : all_lines()) out += bash_of(line);
  return out +
         "    *) return ;;\n"
         "  esac\n"
         "  if [[ -n $choices ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$choices\" -- \"$current\"))\n"
         "  elif [[ \" $folders \" == *\" $previous \"* ]]; then\n"
         "    compopt -o filenames 2>/dev/null\n"
         "    mapfile -t COMPREPLY < <(compgen -d -- \"$current\")\n"
         "  elif [[ \" $files \" == *\" $previous \"* ]]; then\n"
         "    compopt -o filenames 2>/dev/null\n"
         "    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
         "  elif [[ \" $values \" == *\" $previous \"* ]]; then\n"
         "    return\n"
         "  elif [[ $current == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
         "  elif [[ $arguments == *FILES* ]]; then\n"
         "    compopt -o filenames 2>/dev/null\n"
         "    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
         "  else\n"
         "    COMPREPLY=($(compgen -W \"$arguments\" -- \"$current\"))\n"
         "  fi\n"
         "}\n"
         "complete -F _dbsa_pipe dbsa-pipe\n";
}

std::string zsh_completion() {
  std::string out =
      "#compdef dbsa-pipe\n"
      "# zsh completion of dbsa-pipe, made by `dbsa-pipe completion zsh`\n"
      "_dbsa_pipe() {\n"
      "  local command\n"
      "  local -a commands store_commands\n"
      "  commands=(\n";
  for (const Command& command : commands())
    out += "    " + shell_quoted(std::string(command.name) + ":" + command.summary) + "\n";
  out += "    'help:show the options of a command'\n  )\n  store_commands=(\n";
  for (const CommandLine& line : store_command_lines())
    out += "    " + shell_quoted(last_word(line.help().name) + ":" + line.help().summary) + "\n";
  out +=
      "  )\n"
      "  if ((CURRENT == 2)); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  command=$words[2]\n"
      "  if [[ $command == help ]]; then\n"
      "    ((CURRENT == 3)) && _describe command commands\n"
      "    [[ $words[3] == store ]] && ((CURRENT == 4)) && _describe command store_commands\n"
      "    return\n"
      "  fi\n"
      "  shift words\n"
      "  ((CURRENT--))\n"
      "  if [[ $command == store ]]; then\n"
      "    if ((CURRENT == 2)); then\n"
      "      _describe command store_commands\n"
      "      return\n"
      "    fi\n"
      "    command=\"store $words[2]\"\n"
      "    shift words\n"
      "    ((CURRENT--))\n"
      "  fi\n"
      "  case $command in\n";
  for (const CommandLine& line : all_lines()) out += zsh_of(line);
  return out + "  esac\n}\n_dbsa_pipe \"$@\"\n";
}

std::string fish_completion() {
  std::string out =
      "# fish completion of dbsa-pipe, made by `dbsa-pipe completion fish`\n"
      "function __dbsa_pipe_is --description 'the command of the line is this one'\n"
      "    set -l words (commandline -opc)\n"
      "    if test \"$words[2]\" = store\n"
      "        test \"$words[2] $words[3]\" = \"$argv\"\n"
      "    else\n"
      "        test \"$words[2]\" = \"$argv\"\n"
      "    end\n"
      "end\n"
      "function __dbsa_pipe_words --description 'as many words stand before the cursor'\n"
      "    test (count (commandline -opc)) -eq $argv[1]\n"
      "end\n"
      "complete -c dbsa-pipe -f\n";
  const std::string first = "complete -c dbsa-pipe -n '__dbsa_pipe_words 1' -a ";
  for (const Command& command : commands())
    out += first + command.name + " -d " + fish_quoted(command.summary) + "\n";
  out += first + "help -d 'show the options of a command'\n";
  out += "complete -c dbsa-pipe -n '__dbsa_pipe_words 1' -l version -d 'print the version'\n";
  out += "complete -c dbsa-pipe -n '__dbsa_pipe_words 2; and __dbsa_pipe_is help' -a " +
         fish_quoted(joined(command_names())) + "\n";
  for (const CommandLine& line : store_command_lines())
    out += "complete -c dbsa-pipe -n '__dbsa_pipe_words 2; and __dbsa_pipe_is \"store \"' -a " +
           last_word(line.help().name) + " -d " + fish_quoted(line.help().summary) + "\n";
  for (const CommandLine& line : all_lines()) out += fish_of(line);
  return out;
}

}  // namespace dbsa::cli
