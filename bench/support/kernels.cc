#include "bench/support/kernels.h"

#include "plugins/attention_backend/cpu/cpu_features.h"
#if defined(__x86_64__)
#include <immintrin.h>

#include "plugins/attention_backend/cpu/tile_config.h"
#endif

namespace dbsa::bench {
namespace {

// Keeps a value in its register and its computation in the program.
template <typename T>
inline __attribute__((always_inline)) void keep(T& value) {
#if defined(__x86_64__)
  __asm__ volatile("" : "+x"(value));
#else
  __asm__ volatile("" : "+w"(value));
#endif
}

typedef float Lanes4 __attribute__((vector_size(16)));

int64_t f32_portable(int64_t operations) {
  constexpr int kSums = 8;
  Lanes4 sums[kSums] = {};
  Lanes4 factor = {0.999f, 0.999f, 0.999f, 0.999f};
  const int64_t rounds = operations / (kSums * 8) + 1;
  for (int64_t i = 0; i < rounds; ++i)
    for (Lanes4& sum : sums) {
      sum = sum * factor + factor;
      keep(sum);
    }
  return rounds * kSums * 8;
}

void read_portable(const char* data, int64_t bytes) {
  const auto* words = reinterpret_cast<const uint64_t*>(data);
  uint64_t sums[4] = {};
  for (int64_t i = 0; i < bytes / 8; i += 4)
    for (int64_t k = 0; k < 4; ++k) sums[k] ^= words[i + k];
  uint64_t all = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
  __asm__ volatile("" : "+r"(all));
}

#if defined(__x86_64__)

// An accumulator is ready again after four cycles and two units take one a cycle each: from eight
// on they are all busy.
constexpr int kSums = 12;

__attribute__((target("avx2,fma"))) int64_t f32_avx2(int64_t operations) {
  __m256 sums[kSums] = {};
  const __m256 factor = _mm256_set1_ps(0.999f);
  const int64_t rounds = operations / (kSums * 16) + 1;
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k) {
      sums[k] = _mm256_fmadd_ps(sums[k], factor, factor);
      __asm__ volatile("" : "+x"(sums[k]));
    }
  }
  return rounds * kSums * 16;
}

__attribute__((target("avx512f"))) int64_t f32_avx512(int64_t operations) {
  __m512 sums[kSums] = {};
  const __m512 factor = _mm512_set1_ps(0.999f);
  const int64_t rounds = operations / (kSums * 32) + 1;
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k) {
      sums[k] = _mm512_fmadd_ps(sums[k], factor, factor);
      __asm__ volatile("" : "+v"(sums[k]));
    }
  }
  return rounds * kSums * 32;
}

__attribute__((target("avx512f,avx512bw,avx512bf16"))) int64_t dot_avx512(int64_t operations) {
  __m512 sums[kSums] = {};
  const __m512i pairs = _mm512_set1_epi32(0x3f7f3f7f);
  const int64_t rounds = operations / (kSums * 64) + 1;
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k) {
      sums[k] = _mm512_dpbf16_ps(sums[k], (__m512bh)pairs, (__m512bh)pairs);
      __asm__ volatile("" : "+v"(sums[k]));
    }
  }
  return rounds * kSums * 64;
}

constexpr cpu::TileConfig kTiles;

__attribute__((target("amx-tile,amx-bf16"))) int64_t amx_tiles(int64_t operations) {
  constexpr int64_t kOperations = 4 * 2 * 16 * 16 * 32;
  alignas(64) static uint16_t ones[16 * 32];
  for (uint16_t& one : ones) one = 0x3f80;
  __asm__ volatile("" ::: "memory");
  _tile_loadconfig(&kTiles);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, ones, 64);
  _tile_loadd(5, ones, 64);
  _tile_loadd(6, ones, 64);
  _tile_loadd(7, ones, 64);
  const int64_t rounds = operations / kOperations + 1;
  for (int64_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return rounds * kOperations;
}

__attribute__((target("avx2"))) void read_avx2(const char* data, int64_t bytes) {
  __m256i sums[4] = {};
  for (int64_t i = 0; i < bytes; i += 128)
    for (int k = 0; k < 4; ++k)
      sums[k] = _mm256_xor_si256(
          sums[k], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + i + 32 * k)));
  for (__m256i& sum : sums) __asm__ volatile("" : "+x"(sum));
}

__attribute__((target("avx512f"))) void read_avx512(const char* data, int64_t bytes) {
  __m512i sums[4] = {};
  for (int64_t i = 0; i < bytes; i += 256)
    for (int k = 0; k < 4; ++k)
      sums[k] = _mm512_xor_si512(sums[k], _mm512_loadu_si512(data + i + 64 * k));
  for (__m512i& sum : sums) __asm__ volatile("" : "+v"(sum));
}

#endif

}  // namespace

PeakLoop peak_loop(Peak peak) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (peak == Peak::kDot) return __builtin_cpu_supports("avx512bf16") ? dot_avx512 : nullptr;
  if (peak == Peak::kAmx) return cpu::detect_features().amx_bf16 ? amx_tiles : nullptr;
  if (__builtin_cpu_supports("avx512f")) return f32_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return f32_avx2;
#endif
  return peak == Peak::kF32 ? f32_portable : nullptr;
}

void read_all(const char* data, int64_t bytes) {
#if defined(__x86_64__)
  static const auto read = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") ? read_avx512
           : __builtin_cpu_supports("avx2")  ? read_avx2
                                             : read_portable;
  }();
  read(data, bytes);
#else
  read_portable(data, bytes);
#endif
}

}  // namespace dbsa::bench
