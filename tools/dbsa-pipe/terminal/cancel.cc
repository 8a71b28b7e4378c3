#include "terminal/cancel.h"

#include <atomic>

namespace dbsa::cli {
namespace {

// A signal handler cannot be passed an argument, so these are variables of the program.
std::atomic<host::HostServices*> cancel_target = nullptr;
std::atomic<int> cancel_signal = 0;
static_assert(std::atomic<host::HostServices*>::is_always_lock_free &&
              std::atomic<int>::is_always_lock_free);

// A batch system repeats its warnings, and the kernel sends SIGXCPU every second, while the work is
// being stopped.
bool from_a_person(int signal_number) {
  return signal_number == SIGINT || signal_number == SIGTERM || signal_number == SIGHUP;
}

extern "C" void dbsa_cancel_on_signal(int signal_number) {
  host::HostServices* services = cancel_target.load(std::memory_order_relaxed);
  if (services != nullptr && services->cancelled() && !from_a_person(signal_number)) return;
  if (services != nullptr && !services->cancelled()) {
    cancel_signal.store(signal_number, std::memory_order_relaxed);
    services->request_cancel();
    return;
  }
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

}  // namespace

CancelOnSignal::CancelOnSignal(host::HostServices& services) {
  cancel_target = &services;
  struct sigaction action = {};
  action.sa_handler = dbsa_cancel_on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // no SA_RESTART: a read of standard input ends, too
  for (size_t i = 0; i < kStopSignals.size(); ++i) {
    ::sigaction(kStopSignals[i], nullptr, &old_[i]);
    // What whoever started the program has turned off, nohup for one, stays off.
    if (old_[i].sa_handler != SIG_IGN) ::sigaction(kStopSignals[i], &action, nullptr);
  }
}

CancelOnSignal::~CancelOnSignal() {
  for (size_t i = 0; i < kStopSignals.size(); ++i) ::sigaction(kStopSignals[i], &old_[i], nullptr);
  cancel_target = nullptr;
}

int received_signal() { return cancel_signal.load(std::memory_order_relaxed); }

}  // namespace dbsa::cli
