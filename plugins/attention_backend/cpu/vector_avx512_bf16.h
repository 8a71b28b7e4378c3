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
  // Stores exp(x), x <= 0, as bfloat16 and returns the value stored; 0 below -87. Before it is
  // rounded its relative error is below 5e-5, a fortieth of what rounding may add: exp(r) by the
  // Taylor polynomial of degree 4, |r| <= ln 2 / 2.
  static V exp_to_bf16(V x, uint16_t* out) {
    const __m512 lowest = _mm512_set1_ps(-87.0f);
    const __mmask16 counts = _mm512_cmp_ps_mask(x.v, lowest, _CMP_NLT_UQ);  // and NaN
    const __m512 clamped = _mm512_max_ps(lowest, x.v);  // in this order a NaN stays one
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(clamped, _mm512_set1_ps(1.44269504f)),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693147182f), clamped);
    __m512 p = _mm512_set1_ps(1.0f / 24.0f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    const __m256i half = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_scalef_ps(counts, p, n));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), half);
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
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
