// Kernels in plain C++ with four-lane vectors: the compiler maps them to what the target has.
#include "kernels.h"

#define DBSA_KERNEL_TABLE portable_kernels

namespace dbsa::cpu {
namespace {

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef uint32_t Words __attribute__((vector_size(16)));

struct V {
  static constexpr int kLanes = 4;
  static constexpr int kMaxRows = 2;
  static constexpr int kMaxGroups = 1;
  static constexpr bool kHasDot = false;
  static constexpr bool kHasF16 = false;
  struct WideTable {
    float first;
  };
  using Integers = Words;
  using Table = const float*;
  Floats v;
  static V zero() { return {Floats{}}; }
  static V set1(float x) { return {Floats{x, x, x, x}}; }
  static V load(const float* p) {
    V r;
    __builtin_memcpy(&r.v, p, 16);
    return r;
  }
  void store(float* p) const { __builtin_memcpy(p, &v, 16); }
  static V load_even(const uint32_t* p) {
    Words w;
    __builtin_memcpy(&w, p, 16);
    return {(Floats)(w << 16)};
  }
  static V load_odd(const uint32_t* p) {
    Words w;
    __builtin_memcpy(&w, p, 16);
    return {(Floats)(w & 0xffff0000u)};
  }
  static V load_int8(const int8_t* p) {
    return {Floats{static_cast<float>(p[0]), static_cast<float>(p[1]), static_cast<float>(p[2]),
                   static_cast<float>(p[3])}};
  }
  static V load_bf16(const uint16_t* p) { return {(Floats)(Words{p[0], p[1], p[2], p[3]} << 16)}; }
  static Integers load_integers(const uint8_t* p) {
    Integers x;
    __builtin_memcpy(&x, p, 16);
    return x;
  }
  static Integers load_halves(const uint16_t* p) { return Integers{p[0], p[1], p[2], p[3]}; }
  static Integers load_bytes(const uint8_t* p) { return Integers{p[0], p[1], p[2], p[3]}; }
  static V from_integers(Integers x) { return {__builtin_convertvector((Ints)x, Floats)}; }
  static V from_bits(Integers x) { return {(Floats)x}; }
  static Integers to_bits(V x) { return (Integers)x.v; }
  static Table load_table(const float* p) { return p; }
  // The number of the table that the lowest four bits name.
  static V look_up(Integers x, Table t) {
    return {Floats{t[x[0] & 15u], t[x[1] & 15u], t[x[2] & 15u], t[x[3] & 15u]}};
  }
  // The lowest five bits, where the table's numbers follow each other.
  static WideTable load_wide_table(const float* p) { return {*p}; }
  static V look_up_wide(Integers x, WideTable t) { return from_integers(x & 31u) + set1(t.first); }
  // Bits of a where the mask has them, else of b.
  static Integers select(uint32_t mask, Integers a, Integers b) { return (a & mask) | (b & ~mask); }
  friend V operator+(V a, V b) { return {a.v + b.v}; }
  friend V operator-(V a, V b) { return {a.v - b.v}; }
  friend V operator*(V a, V b) { return {a.v * b.v}; }
  friend V operator/(V a, V b) { return {a.v / b.v}; }
  static V fma(V a, V b, V c) { return {a.v * b.v + c.v}; }
  static V max(V a, V b) { return {a.v > b.v ? a.v : b.v}; }
  static V negative_abs(V a) { return {(Floats)((Words)a.v | 0x80000000u)}; }
  // a < b ? x : y
  static V if_less(V a, V b, V x, V y) { return {a.v < b.v ? x.v : y.v}; }
  // a * 2^n, where n is in the low bits of `magic` (see exp_negative).
  static V scale_by_magic(V a, V magic) { return {(Floats)((Words)a.v + ((Words)magic.v << 23))}; }
  static bool any_greater(V a, float b) {
    return a.v[0] > b || a.v[1] > b || a.v[2] > b || a.v[3] > b;
  }
  static float horizontal_max(V a) {
    const float x = a.v[0] > a.v[1] ? a.v[0] : a.v[1];
    const float y = a.v[2] > a.v[3] ? a.v[2] : a.v[3];
    return x > y ? x : y;
  }
  static float horizontal_sum(V a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
  // Bits of the nearest bfloat16 in the high half, zero in the low half.
  static V round_bf16(V a) {
    const Words bits = (Words)a.v;
    const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
    const Words quiet = (bits & 0xffff0000u) | 0x00400000u;
    return {a.v == a.v ? (Floats)rounded : (Floats)quiet};
  }
  static void store_bf16(uint16_t* p, V a) {
    const Words bits = (Words)round_bf16(a).v;
    for (int i = 0; i < kLanes; ++i) p[i] = static_cast<uint16_t>(bits[i] >> 16);
  }
  // Positive numbers to the next bfloat16 that is not smaller.
  static V round_bf16_up(V a) { return {(Floats)(((Words)a.v + 0xffffu) & 0xffff0000u)}; }
  // Rounded to bfloat16, `even` in the low halves and `odd` in the high ones.
  static void store_pairs(uint32_t* p, V even, V odd) {
    const Words pairs = (Words)round_bf16(even).v >> 16 | (Words)round_bf16(odd).v;
    __builtin_memcpy(p, &pairs, 16);
  }
};

}  // namespace
}  // namespace dbsa::cpu

#include "kernels_body.h"
