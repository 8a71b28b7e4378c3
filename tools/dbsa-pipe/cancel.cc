#include "cancel.h"

#include <atomic>

namespace dbsa::cli {
namespace {

// A signal handler has no argument of its own, so this is the one variable of the program that is
// not passed in.
std::atomic<host::HostServices*> cancel_target = nullptr;
static_assert(std::atomic<host::HostServices*>::is_always_lock_free);

extern "C" void dbsa_cancel_on_signal(int signal_number) {
  host::HostServices* services = cancel_target.load(std::memory_order_relaxed);
  if (services != nullptr && !services->cancelled()) {
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
  ::sigaction(SIGINT, &action, &old_interrupt_);
  ::sigaction(SIGTERM, &action, &old_terminate_);
}

CancelOnSignal::~CancelOnSignal() {
  ::sigaction(SIGINT, &old_interrupt_, nullptr);
  ::sigaction(SIGTERM, &old_terminate_, nullptr);
  cancel_target = nullptr;
}

}  // namespace dbsa::cli
