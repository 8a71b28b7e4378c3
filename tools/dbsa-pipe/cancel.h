// Ctrl-C: the first SIGINT or SIGTERM asks the work to stop at the next safe place, the second one
// ends the process at once.
#pragma once

#include <signal.h>

#include "host/host_services.h"

namespace dbsa::cli {

// Routes the two signals to the services while it lives. One at a time.
class CancelOnSignal {
 public:
  explicit CancelOnSignal(host::HostServices& services);
  ~CancelOnSignal();
  CancelOnSignal(const CancelOnSignal&) = delete;
  CancelOnSignal& operator=(const CancelOnSignal&) = delete;

 private:
  struct sigaction old_interrupt_ {};
  struct sigaction old_terminate_ {};
};

}  // namespace dbsa::cli
