// Random: seeded random numbers that are the same on every machine, compiler and library.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <utility>

namespace dbsa {

// SplitMix64 (Steele, Lea, Flood 2014). Not for cryptography.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    state_ += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound), bound >= 1, without bias: as many bits as bound - 1 has, drawn again
  // until they are below bound (twice on average at worst).
  uint64_t below(uint64_t bound) {
    if (bound <= 1) return 0;
    const int shift = std::countl_zero(bound - 1);
    uint64_t value = next() >> shift;
    while (value >= bound) value = next() >> shift;
    return value;
  }

  // Fisher-Yates.
  template <typename T>
  void shuffle(std::span<T> items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  uint64_t state_;
};

}  // namespace dbsa
