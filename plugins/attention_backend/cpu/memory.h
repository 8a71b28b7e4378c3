// Memory: 64-byte aligned bytes, owned or borrowed. Throws std::bad_alloc, which the SDK's guard
// reports.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <utility>

namespace dbsa::cpu {

struct FreeBlock {
  uint64_t mapped = 0;  // bytes; 0: not a mapping
  void operator()(void* block) const {
    if (mapped == 0) {
      std::free(block);
    } else {
      munmap(block, mapped);
    }
  }
};

class Memory {
 public:
  static constexpr uint64_t kAlignment = 64;

  Memory() = default;
  // Zero-filled; large blocks get their pages from the system on first touch.
  static Memory zeroed(uint64_t bytes) {
    if (bytes > uint64_t{1} << 46) throw std::bad_alloc();  // more than any machine has
    return bytes < kMapped ? allocate(bytes) : map(bytes);
  }

  // Bytes of somebody else, who keeps them; to be read only.
  static Memory borrowed(const void* data, uint64_t bytes) {
    Memory memory;
    memory.data_ = const_cast<void*>(data);
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
  // From here on a block is a separate mapping, so that what is freed goes back to the system: in
  // a heap, blocks of changing sizes leave holes that add up.
  static constexpr uint64_t kMapped = uint64_t{1} << 20;
  static constexpr uint64_t kHugePage = uint64_t{2} << 20;

  static Memory allocate(uint64_t bytes) {
    Memory memory;
    memory.block_.reset(std::calloc(bytes + kAlignment, 1));
    if (memory.block_ == nullptr) throw std::bad_alloc();
    memory.data_ = align(memory.block_.get(), kAlignment);
    memory.bytes_ = bytes;
    return memory;
  }
  static Memory map(uint64_t bytes) {
    const uint64_t alignment = bytes < kHugePage ? kAlignment : kHugePage;
    const uint64_t mapped = bytes + alignment;
    void* block = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) throw std::bad_alloc();
    Memory memory;
    memory.block_ = std::unique_ptr<void, FreeBlock>(block, FreeBlock{mapped});
    memory.data_ = align(block, alignment);
    memory.bytes_ = bytes;
#ifdef MADV_HUGEPAGE
    // Fewer look-ups of pages while weights stream by. Only whole huge pages, so that rounding up
    // wastes no memory.
    if (const uint64_t whole = bytes / kHugePage * kHugePage; whole > 0)
      madvise(memory.data_, whole, MADV_HUGEPAGE);
#endif
    return memory;
  }
  static char* align(void* block, uint64_t alignment) {
    const auto address = reinterpret_cast<uintptr_t>(block);
    return static_cast<char*>(block) + (alignment - address % alignment) % alignment;
  }

  std::unique_ptr<void, FreeBlock> block_;
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
};

// a * b, or no value where it does not fit (then nothing could be allocated either).
inline bool multiply_fits(int64_t a, int64_t b,
                          int64_t limit = std::numeric_limits<int64_t>::max()) {
  return a == 0 || b <= limit / a;
}

}  // namespace dbsa::cpu
