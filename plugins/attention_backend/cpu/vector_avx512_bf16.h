// V for AVX-512 with BF16, shared by the units that are compiled for it (kernels_body.h).
#pragma once

#include "kernels.h"

#include <immintrin.h>

namespace dbsa::cpu {
namespace {

struct V {
  static constexpr int kLanes = 16;
  static constexpr int kMaxRows = 6;
  static constexpr int kMaxGroups = 4;
  static constexpr bool kHasDot = true;
  static constexpr bool kHasF16 = true;
  typedef uint32_t Integers __attribute__((vector_size(64)));
  using Table = __m512;
  struct WideTable {
    __m512 low, high;
  };
  __m512 v;
  static V zero() { return {_mm512_setzero_ps()}; }
  static V set1(float x) { return {_mm512_set1_ps(x)}; }
  static V load(const float* p) { return {_mm512_loadu_ps(p)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  static V load_even(const uint32_t* p) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))};
  }
  static V load_odd(const uint32_t* p) {
    return {
        _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(-65536)))};
  }
  static V load_int8(const int8_t* p) {
    return {_mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
  }
  static V load_bf16(const uint16_t* p) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16))};
  }
  static V load_f16(const uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static Integers load_integers(const uint8_t* p) { return (Integers)_mm512_loadu_si512(p); }
  static Integers load_bytes(const uint8_t* p) {
    return (Integers)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static V from_integers(Integers x) { return {_mm512_cvtepi32_ps((__m512i)x)}; }
  static V from_bits(Integers x) { return {(__m512)x}; }
  static Integers to_bits(V x) { return (Integers)x.v; }
  static Table load_table(const float* p) { return _mm512_loadu_ps(p); }
  // The number of the table that the lowest four bits name.
  static V look_up(Integers x, Table t) { return {_mm512_permutexvar_ps((__m512i)x, t)}; }
  static WideTable load_wide_table(const float* p) {
    return {_mm512_loadu_ps(p), _mm512_loadu_ps(p + 16)};
  }
  // The lowest five bits, likewise.
  static V look_up_wide(Integers x, WideTable t) {
    return {_mm512_permutex2var_ps(t.low, (__m512i)x, t.high)};
  }
  // Bits of a where the mask has them, else of b.
  static Integers select(int32_t mask, Integers a, Integers b) {
    return (Integers)_mm512_ternarylogic_epi32(_mm512_set1_epi32(mask), (__m512i)a, (__m512i)b,
                                               0xca);
  }
  friend V operator+(V a, V b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend V operator-(V a, V b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend V operator*(V a, V b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend V operator/(V a, V b) { return {_mm512_div_ps(a.v, b.v)}; }
  static V fma(V a, V b, V c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static V max(V a, V b) { return {_mm512_max_ps(a.v, b.v)}; }
  static V negative_abs(V a) {
    return {_mm512_castsi512_ps(
        _mm512_or_si512(_mm512_castps_si512(a.v), _mm512_set1_epi32(INT32_MIN)))};
  }
  static V if_less(V a, V b, V x, V y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
  }
  static V scale_by_magic(V a, V magic) {
    return {_mm512_castsi512_ps(_mm512_add_epi32(
        _mm512_castps_si512(a.v), _mm512_slli_epi32(_mm512_castps_si512(magic.v), 23)))};
  }
  static bool any_greater(V a, float b) {
    return _mm512_cmp_ps_mask(a.v, _mm512_set1_ps(b), _CMP_GT_OQ) != 0;
  }
  static float horizontal_max(V a) { return _mm512_reduce_max_ps(a.v); }
  static float horizontal_sum(V a) { return _mm512_reduce_add_ps(a.v); }
  static V round_bf16(V a) {
    const __m512i bits = _mm512_castps_si512(a.v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i high = _mm512_set1_epi32(-65536);
    const __m512i rounded = _mm512_and_si512(
        _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), high);
    const __m512i quiet =
        _mm512_or_si512(_mm512_and_si512(bits, high), _mm512_set1_epi32(0x00400000));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
    return {_mm512_castsi512_ps(_mm512_mask_blend_epi32(is_nan, rounded, quiet))};
  }
  static void store_bf16(uint16_t* p, V a) {
    const __m512i bits = _mm512_srli_epi32(_mm512_castps_si512(round_bf16(a).v), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(bits));
  }
  // Positive numbers to the next bfloat16 that is not smaller.
  static V round_bf16_up(V a) {
    return {_mm512_castsi512_ps(
        _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(a.v), _mm512_set1_epi32(0xffff)),
                         _mm512_set1_epi32(-65536)))};
  }
  // Rounded to bfloat16, `even` in the low halves and `odd` in the high ones.
  static void store_pairs(uint32_t* p, V even, V odd) { _mm512_storeu_si512(p, pairs(even, odd)); }
  static __m512i pairs(V even, V odd) {
    const __m512i interleave = _mm512_add_epi32(
        _mm512_set1_epi32(0x00100000),
        _mm512_mullo_epi32(
            _mm512_set1_epi32(0x00010001),
            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
    return _mm512_permutexvar_epi16(interleave, (__m512i)_mm512_cvtne2ps_pbh(odd.v, even.v));
  }
  // Weights of softmax: exp(score - m) as bfloat16, `count` of them, a multiple of 32, and 0 for a
  // score of -infinity; their sum, of pairs in each lane, is added to l. Before it is rounded a
  // weight errs by 8e-5 (relative; by 1.2e-4 where |m| is 1000), far below what rounding may add.
  static void soften(const float* scores, int64_t count, float m, uint16_t* weights, float* l) {
    const __m512 shift = _mm512_set1_ps(m * -1.44269504f);
    const __m512bh ones = (__m512bh)_mm512_set1_epi32(0x3f803f80);
    __m512 sum = _mm512_loadu_ps(l);
    for (int64_t i = 0; i < count; i += 32) {
      const __m512 low = exp2_plus(_mm512_loadu_ps(scores + i), shift);
      const __m512 high = exp2_plus(_mm512_loadu_ps(scores + i + 16), shift);
      const __m512bh both = _mm512_cvtne2ps_pbh(high, low);
      _mm512_storeu_si512(weights + i, (__m512i)both);
      sum = _mm512_dpbf16_ps(sum, both, ones);
    }
    _mm512_storeu_ps(l, sum);
  }
  // exp(x) where `shift` is -log2(e) times what is taken off x; less than the smallest normal
  // number, which conversion to bfloat16 makes 0, from 2^-126.4 on. 2^f for |f| <= 1/2 by the
  // polynomial of degree 3 whose largest relative error is least.
  static __m512 exp2_plus(__m512 x, __m512 shift) {
    __m512 t = _mm512_fmadd_ps(x, _mm512_set1_ps(1.44269504f), shift);
    t = _mm512_max_ps(_mm512_set1_ps(-126.4f), t);     // in this order a NaN stays one
    const __m512 magic = _mm512_set1_ps(12582912.0f);  // leaves round(t) in the low bits
    const __m512 shifted = _mm512_add_ps(t, magic);
    const __m512 f = _mm512_sub_ps(t, _mm512_sub_ps(shifted, magic));
    __m512 p = _mm512_set1_ps(0.0551716685f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.242611125f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.693260968f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.999928057f));
    return _mm512_castsi512_ps(_mm512_add_epi32(
        _mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(shifted), 23)));
  }
  static __m512i load_pairs(const uint32_t* p) { return _mm512_loadu_si512(p); }
  // acc + the dot product of the bfloat16 pairs in each 32-bit lane.
  static V dot(V acc, uint32_t a, __m512i b) {
    return {
        _mm512_dpbf16_ps(acc.v, (__m512bh)_mm512_set1_epi32(static_cast<int32_t>(a)), (__m512bh)b)};
  }
};

}  // namespace
}  // namespace dbsa::cpu
