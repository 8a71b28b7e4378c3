#include "manual.h"

#include <algorithm>
#include <sstream>

#include "commands.h"
#include "session.h"

namespace dbsa::cli {
namespace {

// Text as roff shows it as it is, in lines that are no requests.
std::string roff(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') out += "\\e";
    // Typed by people, so these are the ASCII characters.
    else if (c == '-')
      out += "\\-";
    else if (c == '\'')
      out += "\\(aq";
    else if (c == '`')
      out += "\\(ga";
    else if (c == '^')
      out += "\\(ha";
    else if (c == '~')
      out += "\\(ti";
    else
      out += c;
    line_begins = c == '\n';
  }
  return out;
}

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + roff(text) + "\\fR"; }

// Paragraphs, between which there is an empty line; lines of one are filled.
std::string paragraphs(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);)
    out += line.empty() ? ".PP\n" : roff(line) + "\n";
  return out;
}

std::string title(const std::string& name) {
  std::string upper = name;
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c -= 'a' - 'A';
  return ".TH " + roff(upper) + " 1 \"\" \"dbsa\\-pipe " + kProgramVersion +
         "\" \"dbsa\\-pipe manual\"\n.SH NAME\n";
}

std::string option_paragraphs(const CommandLine& line) {
  std::string out;
  for (const Option& option : line.shown_options()) {
    out += ".TP\n";
    if (option.letter != 0) out += bold(std::string("-") + option.letter) + ", ";
    out += bold("--" + option.name);
    if (!option.unit.empty()) out += " " + italic(option.unit);
    out += "\n" + roff(option.text) + "\n";
  }
  return out;
}

std::string examples(const CommandLine& line) {
  return line.help().examples.empty()
             ? ""
             : ".PP\n.nf\n.RS\n" + roff(line.help().examples) + "\n.RE\n.fi\n";
}

std::string synopsis(const CommandLine& line) {
  const CommandHelp& help = line.help();
  return bold("dbsa-pipe " + help.name) + " " +
         (help.arguments.empty() ? "" : roff(help.arguments) + " ") + "[options]\n";
}

std::string page_of(const Command& command) {
  const CommandLine line = command.line();
  const std::string name = std::string("dbsa-pipe-") + command.name;
  return title(name) + roff(name) + " \\- " + roff(command.summary) + "\n.SH SYNOPSIS\n" +
         synopsis(line) + ".SH DESCRIPTION\n" + roff(line.help().summary) + "\n.PP\n" +
         paragraphs(line.help().description) + ".SH OPTIONS\n" + option_paragraphs(line) +
         (line.help().examples.empty() ? "" : ".SH EXAMPLES\n" + examples(line)) +
         ".SH SEE ALSO\n\\fBdbsa\\-pipe\\fR(1)\n";
}

// A page of all commands of a command.
std::string page_of_commands(const Command& command, const std::vector<CommandLine>& lines) {
  const std::string name = std::string("dbsa-pipe-") + command.name;
  std::string out = title(name) + roff(name) + " \\- " + roff(command.summary) + "\n.SH SYNOPSIS\n";
  for (const CommandLine& line : lines)
    out += (&line == lines.data() ? "" : ".br\n") + synopsis(line);
  out += ".SH COMMANDS\n";
  for (const CommandLine& line : lines)
    out += ".SS \"" + roff(line.help().name) + "\"\n" + roff(line.help().summary) + "\n.PP\n" +
           paragraphs(line.help().description) + option_paragraphs(line) + examples(line);
  return out + ".SH SEE ALSO\n\\fBdbsa\\-pipe\\fR(1)\n";
}

std::string main_page() {
  std::string out =
      title("dbsa-pipe") +
      "dbsa\\-pipe \\- many\\-shot in\\-context learning from demonstrations that are "
      "encoded once\n.SH SYNOPSIS\n\\fBdbsa\\-pipe\\fR \\fICOMMAND\\fR [options]\n.br\n"
      "\\fBdbsa\\-pipe\\fR \\fB\\-\\-help\\fR | \\fB\\-\\-version\\fR\n"
      ".SH DESCRIPTION\n"
      "Encodes labelled examples (demonstrations) once, in blocks, keeps the keys and "
      "values of the\nblocks on disk, and answers each query from the few blocks that a "
      "retriever picks. A pipeline file\n(TOML) says with which model, data and "
      "plugins.\n.SH COMMANDS\n";
  for (const Command& command : commands())
    out += ".TP\n" + bold(command.name) + "\n" + roff(command.summary) + "; see " +
           bold(std::string("dbsa-pipe-") + command.name) + "(1)\n";
  out += ".SH EXIT STATUS\n";
  for (const auto& [code, meaning] :
       {std::pair{"0", "done"},
        {"2", "configuration, data or command line"},
        {"3", "a plugin"},
        {"4", "environment: a missing file, memory, disk"},
        {"5", "the run"},
        {"130", "stopped by Ctrl-C; 143 by SIGTERM, 128 + n by signal n"}})
    out += std::string(".TP\n") + code + "\n" + roff(meaning) + "\n";
  out += ".SH ENVIRONMENT\n";
  for (const auto& [name, meaning] :
       {std::pair{"DBSA_PLUGIN_PATH",
                  "folders with plugins, with colons between, looked into before "
                  "../lib/dbsa/plugins beside the program"},
        {"NO_COLOR", "if it is set, output has no colours"}})
    out += ".TP\n" + bold(name) + "\n" + roff(meaning) + "\n";
  out += ".SH SEE ALSO\n";
  const std::span<const Command> all = commands();
  for (const Command& command : all)
    out += bold(std::string("dbsa-pipe-") + command.name) + "(1)" +
           (&command == &all.back() ? "\n" : ",\n");
  return out;
}

}  // namespace

std::vector<ManualPage> manual_pages() {
  std::vector<ManualPage> pages = {{"dbsa-pipe.1", main_page()}};
  for (const Command& command : commands())
    pages.push_back({std::string("dbsa-pipe-") + command.name + ".1",
                     command.line != nullptr ? page_of(command)
                                             : page_of_commands(command, store_command_lines())});
  return pages;
}

}  // namespace dbsa::cli
