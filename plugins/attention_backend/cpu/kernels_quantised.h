// Decoding of quantised matrices (kernels.h: DecodeArgs), over the vector type V. Part of
// kernels_body.h, included there and nowhere else.
//
// A value is decoded to float32 as the reference of the format does it: products are exact, so that
// only the sum with a minimum rounds, then rounded to bfloat16.

namespace dbsa::cpu {
namespace {

using Integers = V::Integers;

// Bits shifted to the right, or to the left where `by` is negative.
inline Integers shifted(Integers w, int by) { return by >= 0 ? w >> by : w << -by; }

// Without numbers below the smallest normal one on the way: those are slow.
inline V from_f16(Integers half) {
  const Integers magnitude = (half & 0x7fffu) << 13;
  const V tiny = V::from_bits(((half & 0x3ffu) << 13) | 0x38800000u) - V::set1(0x1p-14f);
  const Integers is_tiny = (Integers)((half & 0x7c00u) == 0u);
  const Integers value = (V::to_bits(tiny) & is_tiny) | ((magnitude + 0x38000000u) & ~is_tiny);
  return V::from_bits(value | (half & 0x8000u) << 16);
}

// 2^(e - 127).
inline V from_e8m0(Integers e) {
  return V::from_bits((e << 23) | ((Integers)(e == 0u) & 0x00400000u));
}

// Scale and minimum of some columns.
struct Scale {
  V scale;
  V minimum;
};

constexpr int64_t kWordBytes = kGroup * 4;  // one word for each column

// How values of 32 elements are kept. at: element k of some columns as a number, `from` being their
// part of the first word. numbers: what the elements stand for, where they are looked up.
template <int kBits>
struct Values;

// Words of eight values.
template <>
struct Values<4> {
  static constexpr int64_t kBytes = 4 * kWordBytes;
  V::Table table;
  explicit Values(const float* numbers) : table(V::load_table(numbers)) {}
  V at(const uint8_t* from, int k) const {
    return V::look_up(V::load_integers(from + k / 8 * kWordBytes) >> (k % 8 * 4), table);
  }
};

// The same, then a word of all fifth bits.
template <>
struct Values<5> {
  static constexpr int64_t kBytes = 5 * kWordBytes;
  V::WideTable table;
  explicit Values(const float* numbers) : table(V::load_wide_table(numbers)) {}
  V at(const uint8_t* from, int k) const {
    const Integers low = V::load_integers(from + k / 8 * kWordBytes) >> (k % 8 * 4);
    const Integers high = V::load_integers(from + 4 * kWordBytes);
    return V::look_up_wide(V::select(16, shifted(high, k - 4), low), table);
  }
};

// The same, then two words of sixteen pairs of bits. Numbers from 0.
template <>
struct Values<6> {
  static constexpr int64_t kBytes = 6 * kWordBytes;
  explicit Values(const float*) {}
  V at(const uint8_t* from, int k) const {
    const Integers low = V::load_integers(from + k / 8 * kWordBytes) >> (k % 8 * 4);
    const Integers high = V::load_integers(from + (4 + k / 16) * kWordBytes);
    return V::from_integers(V::select(48, shifted(high, k % 16 * 2 - 4), low) & 63u);
  }
};

// Bytes, [32][16 columns].
template <>
struct Values<8> {
  static constexpr int64_t kBytes = 32 * kGroup;
  explicit Values(const float*) {}
  V at(const uint8_t* from, int k) const {
    return V::load_int8(reinterpret_cast<const int8_t*>(from) + k * kGroup);
  }
};

// ---- scales: those of block b of a group ----------------------------------------------------

template <typename W = V>
W load_scale(const uint8_t* from, int64_t column) {
  const uint16_t* const halves = reinterpret_cast<const uint16_t*>(from) + column;
  if constexpr (W::kHasF16) {
    return W::load_f16(halves);
  } else {
    return from_f16(W::load_halves(halves));
  }
}

// A float16 for 32 values: d (q - offset).
struct OneScale {
  static constexpr int kInABlock = 1;
  static constexpr bool kMinimum = false;
  static Scale at(const uint8_t* scales, int64_t b, int, int64_t column) {
    return {load_scale(scales + b * 32, column), V::zero()};
  }
};

// Two: d q + m.
struct ScaleAndMinimum {
  static constexpr int kInABlock = 1;
  static constexpr bool kMinimum = true;
  static Scale at(const uint8_t* scales, int64_t b, int, int64_t column) {
    return {load_scale(scales + b * 64, column), load_scale(scales + b * 64 + 32, column)};
  }
};

// An exponent.
struct Exponent {
  static constexpr int kInABlock = 1;
  static constexpr bool kMinimum = false;
  static Scale at(const uint8_t* scales, int64_t b, int, int64_t column) {
    return {from_e8m0(V::load_bytes(scales + b * 16 + column)), V::zero()};
  }
};

// Of 256 values: d and dmin as float16, then a byte each for 32 values: (d s) q - dmin m.
struct ScalesOfEight {
  static constexpr int kInABlock = 1;
  static constexpr bool kMinimum = true;
  static Scale at(const uint8_t* scales, int64_t b, int, int64_t column) {
    const uint8_t* const whole = scales + b / 8 * 320;
    const uint8_t* const part = whole + 64 + b % 8 * 32 + column;
    const V minimum =
        load_scale(whole + 32, column) * V::from_integers(V::load_bytes(part + kGroup));
    return {load_scale(whole, column) * V::from_integers(V::load_bytes(part)), V::zero() - minimum};
  }
};

// Of 256 values: d as float16, then a signed byte each for 16 values: (d s) (q - 32). As q and 32
// are whole numbers, (d s) q - (d s) 32 is exact.
struct ScalesOfSixteen {
  static constexpr int kInABlock = 2;
  static constexpr bool kMinimum = true;
  static Scale at(const uint8_t* scales, int64_t b, int i, int64_t column) {
    const uint8_t* const whole = scales + b / 8 * 288;
    const auto* const part =
        reinterpret_cast<const int8_t*>(whole + 32) + (b % 8 * 2 + i) * kGroup + column;
    const V scale = load_scale(whole, column) * V::load_int8(part);
    return {scale, scale * V::set1(-32.0f)};
  }
};

// ---- blocks ---------------------------------------------------------------------------------

// To bfloat16 in the high halves, nearest, ties to even.
inline Integers round_finite(V x) {
  const Integers bits = V::to_bits(x);
  return bits + 0x7fffu + ((bits >> 16) & 1u);
}

// As V::store_pairs, of finite numbers.
template <typename W = V>
void store_finite_pairs(uint32_t* to, W even, W odd) {
  if constexpr (W::kHasDot) {
    W::store_pairs(to, even, odd);
  } else {
    const Integers pairs = (round_finite(even) >> 16) | (round_finite(odd) & 0xffff0000u);
    __builtin_memcpy(to, &pairs, sizeof pairs);
  }
}

template <typename S>
V scaled(V q, const Scale& s) {
  return S::kMinimum ? V::fma(q, s.scale, s.minimum) : q * s.scale;
}

template <int kBits, typename S>
void decode(const DecodeArgs& x, const float* table) {
  const Values<kBits> values(table);
  uint32_t* out = x.out;
  for (int64_t b = x.first_block; b < x.first_block + x.blocks; ++b, out += 16 * kGroup) {
    const uint8_t* const from = static_cast<const uint8_t*>(x.values) + b * Values<kBits>::kBytes;
    for (int c = 0; c < kVectors; ++c) {
      const int64_t column = static_cast<int64_t>(c) * V::kLanes;
      const uint8_t* const part = from + column * (kBits == 8 ? 1 : 4);
      DBSA_UNROLL
      for (int i = 0; i < S::kInABlock; ++i) {
        const Scale s = S::at(static_cast<const uint8_t*>(x.scales), b, i, column);
        constexpr int kCount = 32 / S::kInABlock;
        DBSA_UNROLL
        for (int k = kCount * i; k < kCount * (i + 1); k += 2) {
          store_finite_pairs(out + k / 2 * kGroup + column, scaled<S>(values.at(part, k), s),
                             scaled<S>(values.at(part, k + 1), s));
        }
      }
    }
  }
}

// What elements stand for.
constexpr float kFromZero[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
constexpr float kAroundZero[32] = {-16, -15, -14, -13, -12, -11, -10, -9, -8, -7, -6,
                                   -5,  -4,  -3,  -2,  -1,  0,   1,   2,  3,  4,  5,
                                   6,   7,   8,   9,   10,  11,  12,  13, 14, 15};

template <int kBitsOf, typename ScalesOf>
struct Form {
  static constexpr int kBits = kBitsOf;
  using Scales = ScalesOf;
};

// Calls body(Form, what elements stand for).
template <typename Body>
void with_form(QuantisedForm form, Body&& body) {
  switch (form) {
    case kQ4_0:
      return body(Form<4, OneScale>(), kAroundZero + 8);
    case kQ4_1:
      return body(Form<4, ScaleAndMinimum>(), kFromZero);
    case kQ5_0:
      return body(Form<5, OneScale>(), kAroundZero);
    case kQ5_1:
      return body(Form<5, ScaleAndMinimum>(), kFromZero);
    case kQ8_0:
      return body(Form<8, OneScale>(), nullptr);
    case kQ4K:
      return body(Form<4, ScalesOfEight>(), kFromZero);
    case kQ5K:
      return body(Form<5, ScalesOfEight>(), kFromZero);
    case kQ6K:
      return body(Form<6, ScalesOfSixteen>(), nullptr);
    case kMxfp4:
      return body(Form<4, Exponent>(), kE2M1);
  }
}

void decode_quantised(const DecodeArgs& x) {
  with_form(x.form, [&](auto form, const float* numbers) {
    using Form = decltype(form);
    decode<Form::kBits, typename Form::Scales>(x, numbers);
  });
}

}  // namespace
}  // namespace dbsa::cpu
