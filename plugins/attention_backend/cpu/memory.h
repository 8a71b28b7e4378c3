// Memory: 64-byte aligned bytes, owned. Throws std::bad_alloc, which the SDK's guard reports.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <utility>

namespace dbsa::cpu {

class Memory {
 public:
  static constexpr uint64_t kAlignment = 64;

  Memory() = default;
  // Zero-filled; large blocks get their pages from the system on first touch.
  static Memory zeroed(uint64_t bytes) {
    if (bytes > uint64_t{1} << 46) throw std::bad_alloc();  // more than any machine has
    Memory memory;
    memory.block_.reset(std::calloc(bytes + kAlignment, 1));
    if (memory.block_ == nullptr) throw std::bad_alloc();
    const auto address = reinterpret_cast<uintptr_t>(memory.block_.get());
    memory.data_ = static_cast<char*>(memory.block_.get()) + (kAlignment - address % kAlignment);
    memory.bytes_ = bytes;
    return memory;
  }

  // At least `bytes`, contents undefined; keeps what it has where that is enough.
  void* reserve(uint64_t bytes) {
    if (bytes > bytes_ || data_ == nullptr) {
      *this = Memory();
      *this = zeroed(bytes);
    }
    return data_;
  }

  void* data() { return data_; }
  const void* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* block) const { std::free(block); }
  };
  std::unique_ptr<void, Free> block_;
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
};

// a * b, or no value where it does not fit (then nothing could be allocated either).
inline bool multiply_fits(int64_t a, int64_t b,
                          int64_t limit = std::numeric_limits<int64_t>::max()) {
  return a == 0 || b <= limit / a;
}

}  // namespace dbsa::cpu
