// dbsa-pipe completion: completion for shells, and manual pages.
#include "commands.h"
#include "config/atomic_file.h"
#include "config/file_calls.h"
#include "config/nearest_name.h"
#include "config/schema_check.h"
#include "manual.h"
#include "shell_completion.h"

namespace dbsa::cli {
namespace {

struct Shell {
  const char* name;
  const char* file;  // in share/
  std::string (*script)();
};

constexpr Shell kShells[] = {
    {"bash", "bash-completion/completions/dbsa-pipe", bash_completion},
    {"zsh", "zsh/site-functions/_dbsa-pipe", zsh_completion},
    {"fish", "fish/vendor_completions.d/dbsa-pipe.fish", fish_completion},
};

std::vector<std::string> shell_names() {
  std::vector<std::string> names;
  for (const Shell& shell : kShells) names.emplace_back(shell.name);
  return names;
}

}  // namespace

CommandLine completion_command_line() {
  CommandLine line(
      {"completion", "[SHELL]",
       "Print what bash, zsh or fish needs to complete commands and options.",
       "`cmake --install` puts these files, and the manual pages, where shells and man "
       "look for them.\nWithout an installation, load them from the shell's own start "
       "file.",
       "source <(dbsa-pipe completion bash)               # in ~/.bashrc\n"
       "dbsa-pipe completion zsh > ~/.zfunc/_dbsa-pipe    # a folder of fpath\n"
       "dbsa-pipe completion fish | source                # in "
       "~/.config/fish/config.fish"});
  line.arguments({"SHELL"}, 0).choices("SHELL", shell_names());
  line.value(
      "output", "DIR",
      "write the files of all shells and the manual pages here, in folders as those of share/");
  return line;
}

namespace {

Status write_page(const std::string& path, const std::string& text) {
  DBSA_RETURN_IF_ERROR(make_folders(path.substr(0, path.rfind('/'))));
  return write_file_atomically(path, text);
}

Status write_all(const std::string& folder) {
  for (const Shell& shell : kShells)
    DBSA_RETURN_IF_ERROR(write_page(folder + "/" + shell.file, shell.script()));
  for (const ManualPage& page : manual_pages())
    DBSA_RETURN_IF_ERROR(write_page(folder + "/man/man1/" + page.file, page.text));
  return {};
}

Status complete(const CommandLine& line, Terminal& terminal) {
  if (line.has("SHELL") == line.has("output"))
    return Error{ErrorCode::kConfig,
                 "dbsa-pipe completion: expected either SHELL or --output DIR; see `dbsa-pipe "
                 "completion --help`",
                 ""};
  if (line.has("output")) return write_all(line.text("output"));
  const std::string name = line.text("SHELL");
  for (const Shell& shell : kShells)
    if (name == shell.name) {
      terminal.out_bytes(shell.script());
      return {};
    }
  return Error{ErrorCode::kConfig,
               with_hint("unknown shell " + in_quotes(name) + did_you_mean(name, shell_names()),
                         "shells: bash, zsh, fish"),
               ""};
}

}  // namespace

int completion_command(Words words, Terminal& terminal) {
  CommandLine line = completion_command_line();
  const Result<bool> parsed = line.parse(words, terminal);
  if (!parsed.ok()) return fail(terminal, parsed.error());
  if (!*parsed) return 0;
  const Status status = complete(line, terminal);
  return status.ok() ? 0 : fail(terminal, status.error());
}

}  // namespace dbsa::cli
