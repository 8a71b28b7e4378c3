// What a text may become, and take, on its way through the steps of a tokenizer.json. A few steps
// of a few bytes can multiply a text without end; those of published files make it some six times
// as long at most.
#pragma once

#include <dbsa/sdk/result.h>

#include <chrono>
#include <cstddef>
#include <string>

namespace dbsa {

class TextBounds {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kTimes = 16;              // its own bytes
  static constexpr size_t kMore = 1024;             // and these
  static constexpr std::chrono::seconds kTime{30};  // for finding where it is split

  explicit TextBounds(size_t text_bytes, Clock::time_point now = Clock::now())
      : text_bytes_(text_bytes), left_(text_bytes * kTimes + kMore), deadline_(now + kTime) {}

  // The text goes through the steps in parts; all of them share the bound.
  size_t left() const { return left_; }
  void use(size_t bytes) { left_ -= bytes; }
  Clock::time_point deadline() const { return deadline_; }

  // kConfig: what the step at a place of the file, "normalizer.normalizers[1] (Replace)", has made.
  Error exceeded(const std::string& place) const;

 private:
  size_t text_bytes_;
  size_t left_;
  Clock::time_point deadline_;
};

}  // namespace dbsa
