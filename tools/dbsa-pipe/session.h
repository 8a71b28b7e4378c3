// Session: what a command needs to work on a pipeline file: threads and log, the plugins there are,
// the file checked and resolved.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands.h"
#include "earlier_record.h"
#include "host/host_services.h"
#include "host/plugin_registry.h"
#include "host/resolve.h"
#include "options.h"
#include "pipeline/pipeline.h"
#include "pipeline/record/record.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

extern const char* const kProgramVersion;

class Session {
 public:
  // Reads the pipeline file, sets --set values over it, checks it whole, plugins' own checks
  // included. All faults in one error, a line each.
  static Result<std::unique_ptr<Session>> open(const CommandLine& line, Terminal& terminal);

  const TomlDocument& document() const { return resolved_.document; }
  const host::ResolvedPipeline& resolved() const { return resolved_; }
  // The record that is repeated (run --record).
  const std::optional<EarlierRecord>& earlier() const { return earlier_; }
  host::PluginRegistry& registry() { return registry_; }
  const host::PluginRegistry& registry() const { return registry_; }
  host::HostServices& services() { return services_; }

  Result<std::unique_ptr<Pipeline>> open_pipeline() {
    return Pipeline::open(resolved_, registry_, services_, open_options_);
  }
  Result<std::vector<PluginRecord>> plugin_records() const;

 private:
  Session(host::HostOptions options, host::PluginRegistry registry)
      : services_(std::move(options)), registry_(std::move(registry)) {}

  host::HostServices services_;
  host::PluginRegistry registry_;
  host::ResolvedPipeline resolved_;
  std::optional<EarlierRecord> earlier_;
  OpenOptions open_options_;
};

// Threads and log as the options say; the log goes through the terminal.
Result<host::HostOptions> host_options(const CommandLine& line, Terminal& terminal);
// kEnvironment for a --plugin-path that is no folder.
Result<host::PluginRegistry> discover_plugins(const CommandLine& line);
// Of manifests that cannot be used, in folders that the user has named: one of them may have been
// meant to stand before a plugin of the program's. said: an error that names some of them.
void warn_of_refused_plugins(const CommandLine& line, const host::PluginRegistry& registry,
                             Terminal& terminal, std::string_view said = "");

// Parses the words, opens a session, lets `work` run under Ctrl-C handling, and turns what it
// returns into an exit code. Errors get their place in the pipeline file.
using Work = Status (*)(Session& session, const CommandLine& line, Terminal& terminal);
int with_session(CommandLine& line, Words words, Terminal& terminal, Work work);

// A path as people type it: relative where the file lies below the current folder.
std::string shown_path(const std::string& path);

}  // namespace dbsa::cli
