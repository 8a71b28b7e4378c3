// Reads the header of a GGUF file forward, little endian, never past its end.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace dbsa::gguf {

template <typename T>
T load(const unsigned char* data) {
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

class Cursor {
 public:
  // file: the name for messages. Both must outlive it.
  Cursor(const std::string& file, std::span<const unsigned char> bytes)
      : file_(file), bytes_(bytes) {}

  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }
  uint64_t size() const { return bytes_.size(); }

  // false, and the place stays, where the rest of the file is shorter.
  template <typename T>
  bool read(T& value) {
    if (left() < sizeof value) return false;
    value = load<T>(bytes_.data() + at_);
    at_ += sizeof value;
    return true;
  }
  bool take(uint64_t count, std::span<const unsigned char>& out) {
    if (left() < count) return false;
    out = bytes_.subspan(at_, count);
    at_ += count;
    return true;
  }
  bool string(std::string_view& out) {
    uint64_t length = 0;
    std::span<const unsigned char> text;
    const uint64_t start = at_;
    if (!read(length) || !take(length, text)) {
      at_ = start;
      return false;
    }
    out = {reinterpret_cast<const char*>(text.data()), text.size()};
    return true;
  }

  // kEnvironment: "file: place: what; the file is damaged ...".
  Error damaged(const std::string& place, const std::string& what) const {
    return {ErrorCode::kEnvironment,
            file_ + ": " + place + ": " + what +
                "; the file is damaged or not a GGUF file: fetch it again",
            {}};
  }
  // The same for a file that ends too early.
  Error ends(const std::string& place, const std::string& expected) const {
    return damaged(place + ", byte " + std::to_string(at_), "expected " + expected + ", found " +
                                                                std::to_string(left()) +
                                                                " bytes up to the end of the file");
  }

 private:
  const std::string& file_;
  std::span<const unsigned char> bytes_;
  uint64_t at_ = 0;
};

}  // namespace dbsa::gguf
