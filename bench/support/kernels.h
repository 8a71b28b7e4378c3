// What the processor does at most: loops that do one thing, once per instruction set.
#pragma once

#include <cstdint>

namespace dbsa::bench {

enum class Peak {
  kF32,  // float32 fused multiply-add, the widest there is
  kDot,  // bfloat16 pairs, summed in float32 (AVX-512 BF16)
  kAmx,  // bfloat16 tiles (AMX)
};

// nullptr where this processor or this build lacks it. A loop runs about `operations`
// floating-point operations on registers and returns how many it did.
using PeakLoop = int64_t (*)(int64_t operations);
PeakLoop peak_loop(Peak peak);

// Reads `bytes`, a multiple of 1024, in the widest loads there are.
void read_all(const char* data, int64_t bytes);

}  // namespace dbsa::bench
