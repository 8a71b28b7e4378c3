// What a template may use: steps, bytes and depth, so that a hostile one ends with an error.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstddef>
#include <cstdint>

#include "model/chat/lexer.h"
#include "model/chat/value.h"

namespace dbsa::jinja {

// A step is a node that is computed, an item that is looked at, or 16 bytes that are read or
// written. A real template takes some hundreds for a message; these take a tenth of a second or so.
inline constexpr int64_t kMaxSteps = 500'000;
inline constexpr size_t kMaxOutputBytes = size_t{4} << 20;  // of a text, too
inline constexpr size_t kMaxValueDepth = 50;                // of lists and maps in one another
inline constexpr size_t kMaxCallDepth = 300;                // of nodes and macros in one another
inline constexpr size_t kMaxMembers = 100;                  // of a map or a namespace

// Counts how deep calls, nodes or macros are in one another.
class DepthCount {
 public:
  explicit DepthCount(size_t& depth) : depth_(depth) { ++depth_; }
  ~DepthCount() { --depth_; }
  DepthCount(const DepthCount&) = delete;
  DepthCount& operator=(const DepthCount&) = delete;

 private:
  size_t& depth_;
};

class Budget {
 public:
  int64_t line = 0;  // of what is computed, for faults

  Status take(size_t steps) {
    if (left_ < 0 || steps > static_cast<size_t>(left_))
      return fault("takes more than " + std::to_string(kMaxSteps) + " steps");
    left_ -= static_cast<int64_t>(steps);
    return {};
  }
  Status take_bytes(size_t bytes) {
    if (bytes > kMaxOutputBytes)
      return fault("makes a text of more than " + std::to_string(kMaxOutputBytes) + " bytes");
    return take(1 + bytes / 16);
  }
  // Of a search for a text in another one, which may compare each byte with each.
  Status take_search(size_t bytes, size_t wanted) {
    return take((1 + bytes / 16) * (1 + wanted / 16));
  }
  // Of what is written or compared as a whole.
  Status take_value(const Value& value) { return take(value.weight()); }
  Error fault(const std::string& what) const { return fault_at(line, what); }

 private:
  int64_t left_ = kMaxSteps;
};

}  // namespace dbsa::jinja
