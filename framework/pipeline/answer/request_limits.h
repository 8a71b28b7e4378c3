// What ends a request before it has its answer.
#pragma once

#include <dbsa/sdk/result.h>

#include <atomic>
#include <chrono>
#include <optional>

#include "host/host_services.h"

namespace dbsa {

// Looked at between two steps; what is set ends the request it is given with, and no other.
struct RequestLimits {
  std::optional<std::chrono::steady_clock::time_point> deadline;
  const std::atomic<bool>* cancelled = nullptr;  // borrowed; nullptr: nobody cancels it

  // kCancelled once the deadline has passed or someone has asked to stop, this request or all.
  Status check(const host::HostServices& services) const {
    if (services.cancelled() ||
        (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)))
      return Error{ErrorCode::kCancelled, "stopped while answering", ""};
    if (deadline && std::chrono::steady_clock::now() >= *deadline)
      return Error{ErrorCode::kCancelled, "not answered before its deadline", ""};
    return {};
  }
};

}  // namespace dbsa
