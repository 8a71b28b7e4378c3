// The process exit code that an error means.
#pragma once

#include <dbsa/sdk/result.h>

#include <array>
#include <csignal>

namespace dbsa {

// 2 configuration, 3 plugin, 4 environment (missing file, memory, disk), 5 run, 130 cancelled.
// A finished run is 0.
int exit_code(ErrorCode code);

// The code of a process that a signal asked to stop, as a shell reports it: 130 for SIGINT.
constexpr int signal_exit_code(int signal_number) { return 128 + signal_number; }
// Those that ask a process to stop: by a person, or by a batch system before it ends a job.
inline constexpr std::array kStopSignals = {SIGINT,  SIGTERM, SIGHUP, SIGXCPU,
                                            SIGUSR1, SIGUSR2, SIGALRM};
// Whether that is how a process ended.
bool is_cancelled(int process_exit_code);

}  // namespace dbsa
