// Kernels for AVX2 with FMA: eight lanes, bfloat16 widened to float32.
#include "kernels.h"

#include <immintrin.h>

#define DBSA_KERNEL_TABLE avx2_kernels

namespace dbsa::cpu {
namespace {

struct V {
  static constexpr int kLanes = 8;
  static constexpr int kMaxRows = 6;
  static constexpr int kMaxGroups = 1;
  static constexpr bool kHasDot = false;
  static constexpr bool kHasF16 = false;
  struct WideTable {
    float first;
  };
  typedef uint32_t Integers __attribute__((vector_size(32)));
  struct Table {
    __m256 low, high;
  };
  __m256 v;
  static V zero() { return {_mm256_setzero_ps()}; }
  static V set1(float x) { return {_mm256_set1_ps(x)}; }
  static V load(const float* p) { return {_mm256_loadu_ps(p)}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  static __m256i words(const uint32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static V load_even(const uint32_t* p) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(words(p), 16))};
  }
  static V load_odd(const uint32_t* p) {
    return {_mm256_castsi256_ps(_mm256_and_si256(words(p), _mm256_set1_epi32(-65536)))};
  }
  static V load_int8(const int8_t* p) {
    return {_mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
  }
  static V load_bf16(const uint16_t* p) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16))};
  }
  static Integers load_integers(const uint8_t* p) {
    return (Integers)_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static Integers load_halves(const uint16_t* p) {
    return (Integers)_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Integers load_bytes(const uint8_t* p) {
    return (Integers)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static V from_integers(Integers x) { return {_mm256_cvtepi32_ps((__m256i)x)}; }
  static V from_bits(Integers x) { return {(__m256)x}; }
  static Integers to_bits(V x) { return (Integers)x.v; }
  static Table load_table(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  // The number of the table that the lowest four bits name.
  static V look_up(Integers x, Table t) {
    const __m256i index = (__m256i)x;
    return {_mm256_blendv_ps(_mm256_permutevar8x32_ps(t.low, index),
                             _mm256_permutevar8x32_ps(t.high, index),
                             _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)))};
  }
  // The lowest five bits, where the table's numbers follow each other.
  static WideTable load_wide_table(const float* p) { return {*p}; }
  static V look_up_wide(Integers x, WideTable t) { return from_integers(x & 31u) + set1(t.first); }
  // Bits of a where the mask has them, else of b.
  static Integers select(uint32_t mask, Integers a, Integers b) { return (a & mask) | (b & ~mask); }
  friend V operator+(V a, V b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend V operator-(V a, V b) { return {_mm256_sub_ps(a.v, b.v)}; }
  friend V operator*(V a, V b) { return {_mm256_mul_ps(a.v, b.v)}; }
  friend V operator/(V a, V b) { return {_mm256_div_ps(a.v, b.v)}; }
  static V fma(V a, V b, V c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  static V max(V a, V b) { return {_mm256_max_ps(a.v, b.v)}; }
  static V negative_abs(V a) { return {_mm256_or_ps(a.v, _mm256_set1_ps(-0.0f))}; }
  static V if_less(V a, V b, V x, V y) {
    return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
  }
  static V scale_by_magic(V a, V magic) {
    return {_mm256_castsi256_ps(_mm256_add_epi32(
        _mm256_castps_si256(a.v), _mm256_slli_epi32(_mm256_castps_si256(magic.v), 23)))};
  }
  static bool any_greater(V a, float b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a.v, _mm256_set1_ps(b), _CMP_GT_OQ)) != 0;
  }
  static float horizontal_max(V a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
  }
  static float horizontal_sum(V a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
  }
  static V round_bf16(V a) {
    const __m256i bits = _mm256_castps_si256(a.v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i high = _mm256_set1_epi32(-65536);
    const __m256i rounded = _mm256_and_si256(
        _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), high);
    const __m256i quiet =
        _mm256_or_si256(_mm256_and_si256(bits, high), _mm256_set1_epi32(0x00400000));
    const __m256 is_number = _mm256_cmp_ps(a.v, a.v, _CMP_ORD_Q);
    return {_mm256_blendv_ps(_mm256_castsi256_ps(quiet), _mm256_castsi256_ps(rounded), is_number)};
  }
  static void store_bf16(uint16_t* p, V a) {
    const __m256i bits = _mm256_srli_epi32(_mm256_castps_si256(round_bf16(a).v), 16);
    const __m128i packed =
        _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed);
  }
  // Positive numbers to the next bfloat16 that is not smaller.
  static V round_bf16_up(V a) {
    return {_mm256_castsi256_ps(
        _mm256_and_si256(_mm256_add_epi32(_mm256_castps_si256(a.v), _mm256_set1_epi32(0xffff)),
                         _mm256_set1_epi32(-65536)))};
  }
  // Rounded to bfloat16, `even` in the low halves and `odd` in the high ones.
  static void store_pairs(uint32_t* p, V even, V odd) {
    const __m256i low = _mm256_srli_epi32(_mm256_castps_si256(round_bf16(even).v), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm256_or_si256(low, _mm256_castps_si256(round_bf16(odd).v)));
  }
};

}  // namespace
}  // namespace dbsa::cpu

#include "kernels_body.h"
