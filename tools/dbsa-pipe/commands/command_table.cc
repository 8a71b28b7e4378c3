// The commands there are, in the order of --help.
#include "commands.h"

namespace dbsa::cli {
namespace {

constexpr Command kCommands[] = {
    {"run", "encode a pool and answer every query of a pipeline file", run_command,
     run_command_line},
    {"encode", "encode a pool of demonstrations into the store", encode_command,
     encode_command_line},
    {"query", "answer a text, JSON lines or a file, from an encoded pool", query_command,
     query_command_line},
    {"validate", "check a pipeline file: everything short of computing", validate_command,
     validate_command_line},
    {"explain", "show what a pipeline will do, or why a text gets its answer", explain_command,
     explain_command_line},
    {"inspect", "show plugins, keys of the pipeline file, and what is wrong with plugins",
     inspect_command, inspect_command_line},
    {"sweep", "run every cell of a grid of pipelines", sweep_command, sweep_command_line},
    {"tune", "find better settings for a pipeline file, within some minutes", tune_command,
     tune_command_line},
    {"report", "make tables and plots of sweeps and result records", report_command,
     report_command_line},
    {"store", "list, verify, export, compact and clean a KV store and its pools", store_command,
     nullptr},
    {"completion", "print what a shell needs to complete commands and options", completion_command,
     completion_command_line},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

}  // namespace dbsa::cli
