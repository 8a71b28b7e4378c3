// Ctrl-C: the first SIGINT, SIGTERM or SIGHUP, or one of the signals that batch systems send before
// they end a job, asks the work to stop at the next safe place; a second SIGINT, SIGTERM or SIGHUP
// ends the process at once. One that was ignored when the program started stays ignored.
#pragma once

#include <signal.h>

#include <array>

#include "config/exit_code.h"
#include "host/host_services.h"

namespace dbsa::cli {

// Routes the signals to the services while it lives. One at a time.
class CancelOnSignal {
 public:
  explicit CancelOnSignal(host::HostServices& services);
  ~CancelOnSignal();
  CancelOnSignal(const CancelOnSignal&) = delete;
  CancelOnSignal& operator=(const CancelOnSignal&) = delete;

 private:
  std::array<struct sigaction, kStopSignals.size()> old_ = {};
};

// The signal that asked the work to stop; 0 for none.
int received_signal();

}  // namespace dbsa::cli
