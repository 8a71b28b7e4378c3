// The kernels, written once over the vector type V that the including unit defines. Included at the
// end of each kernels_<path>.cc and nowhere else; everything but the table stays in an anonymous
// namespace, so no unit shares compiled code with another.
//
// V: kLanes floats (a divisor of 16); kMaxRows x kMaxGroups is the tile of sums kept in registers.

#define DBSA_UNROLL _Pragma("GCC unroll 32")
#ifdef __clang__
#undef DBSA_UNROLL
#define DBSA_UNROLL _Pragma("clang loop unroll(full)")
#endif

namespace dbsa::cpu {
namespace {

constexpr int kVectors = static_cast<int>(kGroup) / V::kLanes;  // in a group
constexpr int64_t kChunkVectors = kChunk / V::kLanes;
constexpr float kInfinity = __builtin_inff();
constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it leaves round(x) in the low bits

}  // namespace
}  // namespace dbsa::cpu

#include "kernels_quantised.h"
#ifdef DBSA_KERNEL_REGISTERS
#include "kernels_quantised_rows.h"
#endif

namespace dbsa::cpu {
namespace {

// ---- exponential ----------------------------------------------------------------------------

// exp(x) for x <= 0; relative error below 2e-7; exactly 1 at 0, and 0 below -87. x = n ln 2 + r
// with |r| <= ln 2 / 2; exp(r) by the Taylor polynomial of degree 7 (truncation 6e-9).
inline V exp_negative(V x) {
  const V lowest = V::set1(-87.0f);
  const V clamped = V::max(lowest, x);  // in this order a NaN stays one
  const V magic = V::set1(kMagic);
  const V shifted = V::fma(clamped, V::set1(1.44269504f), magic);
  const V n = shifted - magic;
  V r = V::fma(n, V::set1(-0.693359375f), clamped);  // ln 2 in two parts
  r = V::fma(n, V::set1(2.12194440e-4f), r);
  V p = V::set1(1.0f / 5040.0f);
  p = V::fma(p, r, V::set1(1.0f / 720.0f));
  p = V::fma(p, r, V::set1(1.0f / 120.0f));
  p = V::fma(p, r, V::set1(1.0f / 24.0f));
  p = V::fma(p, r, V::set1(1.0f / 6.0f));
  p = V::fma(p, r, V::set1(0.5f));
  p = V::fma(p, r, V::set1(1.0f));
  p = V::fma(p, r, V::set1(1.0f));
  return V::if_less(x, lowest, V::zero(), V::scale_by_magic(p, shifted));
}

// tanh(x), relative error below 3e-7. Near 0 an odd polynomial, fitted here (3e-9 for |x| <= 0.6).
inline V tanh_of(V x) {
  const V one = V::set1(1.0f);
  const V size = V::zero() - V::negative_abs(x);
  const V e = exp_negative(V::negative_abs(x) + V::negative_abs(x));
  const V far = (one - e) / (one + e);
  const V t = x * x;
  V p = V::set1(-0.00585216835f);
  p = V::fma(p, t, V::set1(0.0207536285f));
  p = V::fma(p, t, V::set1(-0.0537687045f));
  p = V::fma(p, t, V::set1(0.13331689f));
  p = V::fma(p, t, V::set1(-0.333332833f));
  p = V::fma(p, t, one);
  const V signed_far = V::if_less(x, V::zero(), V::zero() - far, far);
  return V::if_less(size, V::set1(0.6f), p * x, signed_far);
}

// ---- products -------------------------------------------------------------------------------

struct F32 {
  using Element = float;
  static constexpr int64_t kValues = 1;  // values of `a` a step
  static constexpr int64_t kRowsAStep = 1;
  static constexpr bool kDot = false;
  template <int R, int C>
  [[gnu::always_inline]] static void step(V (&acc)[R][C], const float* const (&a)[R], int64_t s,
                                          const uint32_t* b, int64_t b_group) {
    DBSA_UNROLL
    for (int c = 0; c < C; ++c) {
      const V w = V::load(reinterpret_cast<const float*>(b) + (c / kVectors) * b_group +
                          (c % kVectors) * V::kLanes);
      DBSA_UNROLL
      for (int r = 0; r < R; ++r) acc[r][c] = V::fma(V::set1(a[r][s]), w, acc[r][c]);
    }
  }
};

struct Bf16Wide {
  using Element = float;
  static constexpr int64_t kValues = 2;
  static constexpr int64_t kRowsAStep = 2;
  static constexpr bool kDot = false;
  template <int R, int C>
  [[gnu::always_inline]] static void step(V (&acc)[R][C], const float* const (&a)[R], int64_t s,
                                          const uint32_t* b, int64_t b_group) {
    DBSA_UNROLL
    for (int c = 0; c < C; ++c) {
      const uint32_t* pairs = b + (c / kVectors) * b_group + (c % kVectors) * V::kLanes;
      const V even = V::load_even(pairs);
      const V odd = V::load_odd(pairs);
      DBSA_UNROLL
      for (int r = 0; r < R; ++r) {
        acc[r][c] = V::fma(V::set1(a[r][2 * s]), even, acc[r][c]);
        acc[r][c] = V::fma(V::set1(a[r][2 * s + 1]), odd, acc[r][c]);
      }
    }
  }
};

struct Bf16Dot {
  using Element = uint32_t;
  static constexpr int64_t kValues = 1;
  static constexpr int64_t kRowsAStep = 2;
  static constexpr bool kDot = true;
  template <typename W = V>
  static void soften(const float* scores, float m, uint16_t* weights, float* l) {
    if constexpr (W::kHasDot) W::soften(scores, kChunk, m, weights, l);
  }
  template <int R, int C, typename W = V>
  [[gnu::always_inline]] static void step(W (&acc)[R][C], const uint32_t* const (&a)[R], int64_t s,
                                          const uint32_t* b, int64_t b_group) {
    if constexpr (W::kHasDot) {
      DBSA_UNROLL
      for (int c = 0; c < C; ++c) {
        const auto w = W::load_pairs(b + c * b_group);
        DBSA_UNROLL
        for (int r = 0; r < R; ++r) acc[r][c] = W::dot(acc[r][c], a[r][s], w);
      }
    }
  }
};

// One tile of R rows by G groups, its sums in registers.
template <typename P, int R, int G>
void multiply_tile(const MultiplyArgs& x, int64_t row, int64_t group) {
  constexpr int C = G * kVectors;
  const typename P::Element* a[R];
  V acc[R][C];
  DBSA_UNROLL
  for (int r = 0; r < R; ++r) {
    a[r] = reinterpret_cast<const typename P::Element*>(static_cast<const char*>(x.a) +
                                                        (row + r) * x.a_stride);
    DBSA_UNROLL
    for (int c = 0; c < C; ++c) {
      acc[r][c] = x.accumulate ? V::load(x.c + (row + r) * x.c_stride + group * kGroup +
                                         static_cast<int64_t>(c) * V::kLanes)
                               : V::zero();
    }
  }
  const uint32_t* b = static_cast<const uint32_t*>(x.b) + group * x.b_group;
  if (x.next != nullptr && row == 0) {
    const uint32_t* next = static_cast<const uint32_t*>(x.next) + group * x.b_group;
    for (int64_t s = 0; s < x.steps; ++s, b += x.b_step, next += x.b_step) {
      DBSA_UNROLL
      for (int g = 0; g < G; ++g) __builtin_prefetch(next + g * x.b_group, 0, 2);
      P::step(acc, a, s, b, x.b_group);
    }
  } else {
    for (int64_t s = 0; s < x.steps; ++s, b += x.b_step) P::step(acc, a, s, b, x.b_group);
  }
  DBSA_UNROLL
  for (int r = 0; r < R; ++r) {
    DBSA_UNROLL
    for (int c = 0; c < C; ++c) {
      acc[r][c].store(x.c + (row + r) * x.c_stride + group * kGroup +
                      static_cast<int64_t>(c) * V::kLanes);
    }
  }
}

template <typename P, int R>
void multiply_rows(const MultiplyArgs& x, int64_t row) {
  int64_t group = 0;
  for (; group + V::kMaxGroups <= x.groups; group += V::kMaxGroups) {
    multiply_tile<P, R, V::kMaxGroups>(x, row, group);
  }
  if constexpr (V::kMaxGroups > 1) {
    switch (x.groups - group) {
      case 3:
        multiply_tile<P, R, 3>(x, row, group);
        break;
      case 2:
        multiply_tile<P, R, 2>(x, row, group);
        break;
      case 1:
        multiply_tile<P, R, 1>(x, row, group);
        break;
      default:
        break;
    }
  }
}

template <typename P>
void multiply_vectors(const MultiplyArgs& x) {
  int64_t row = 0;
  for (; row + V::kMaxRows <= x.rows; row += V::kMaxRows) multiply_rows<P, V::kMaxRows>(x, row);
  const int64_t rest = x.rows - row;
  if constexpr (V::kMaxRows > 2) {
    switch (rest) {
      case 5:
        multiply_rows<P, 5>(x, row);
        break;
      case 4:
        multiply_rows<P, 4>(x, row);
        break;
      case 3:
        multiply_rows<P, 3>(x, row);
        break;
      case 2:
        multiply_rows<P, 2>(x, row);
        break;
      default:
        break;
    }
  }
  if (rest == 1) multiply_rows<P, 1>(x, row);
}

// Within a Scope.
template <typename P>
void multiply_part(const MultiplyArgs& x) {
#ifdef DBSA_KERNEL_TILES
  if constexpr (P::kDot) return multiply_in_tiles(x);
#endif
  multiply_vectors<P>(x);
}

template <typename P>
struct Scope {
  Scope() {}
};
#ifdef DBSA_KERNEL_TILES
template <>
struct Scope<Bf16Dot> : TileScope {};
#endif

template <typename P>
void multiply(const MultiplyArgs& x) {
  [[maybe_unused]] const Scope<P> scope;
  multiply_part<P>(x);
}

// ---- attention ------------------------------------------------------------------------------

// A whole chunk: what is not seen is overwritten.
inline void cap_scores(float* scores, float cap) {
  const V c = V::set1(cap);
  const V inverse = V::set1(1.0f / cap);
  for (int64_t i = 0; i < kChunk; i += V::kLanes)
    (c * tanh_of(V::load(scores + i) * inverse)).store(scores + i);
}

// Scores of one row and one chunk to weights, relative to the row's running maximum. The row sees
// columns low..high-1 of the chunk, at least one. Where what came before was measured against a
// smaller maximum, it is scaled down to the new one.
template <typename P>
void soften_row(const AttendArgs& x, int64_t row, int64_t low, int64_t high) {
  float* scores = x.scores + row * kChunk;
  if (x.soft_cap > 0) cap_scores(scores, x.soft_cap);
  for (int64_t i = 0; i < low; ++i) scores[i] = -kInfinity;
  for (int64_t i = high; i < kChunk; ++i) scores[i] = -kInfinity;

  V top = V::load(scores);
  for (int64_t i = 1; i < kChunkVectors; ++i) top = V::max(V::load(scores + i * V::kLanes), top);
  const float before = x.state.m[row];
  float m = V::any_greater(top, before) ? V::horizontal_max(top) : before;
  if (m == -kInfinity) m = 0.0f;  // every score is -inf: weights are zero, not NaN

  float* l = x.state.l + row * kGroup;
  if (m != before) {
    x.state.m[row] = m;
    float decay[V::kLanes];
    exp_negative(V::set1(before - m)).store(decay);
    const V scale = V::set1(decay[0]);
    const auto shrink = [&](float* values, int64_t count) {
      for (int64_t i = 0; i < count; i += V::kLanes)
        (V::load(values + i) * scale).store(values + i);
    };
    shrink(l, kGroup);
    shrink(x.state.acc + row * x.v_width, x.v_width);
  }
  if constexpr (P::kDot) {  // the weights that are used are those that are summed
    P::soften(scores, m, static_cast<uint16_t*>(x.weights) + row * kChunk, l);
    return;
  }
  V sums[kVectors];
  for (int i = 0; i < kVectors; ++i) sums[i] = V::load(l + i * V::kLanes);
  const V shift = V::set1(m);
  for (int64_t i = 0; i < kChunkVectors; ++i) {
    const V p = exp_negative(V::load(scores + i * V::kLanes) - shift);
    p.store(scores + i * V::kLanes);
    sums[i % kVectors] = sums[i % kVectors] + p;
  }
  for (int i = 0; i < kVectors; ++i) sums[i].store(l + i * V::kLanes);
}

// Sets the weights of a row that sees nothing of a chunk.
template <typename P>
void blank_row(const AttendArgs& x, int64_t row) {
  if constexpr (P::kDot) {
    __builtin_memset(static_cast<uint16_t*>(x.weights) + row * kChunk, 0, kChunk * 2);
  } else {
    __builtin_memset(x.scores + row * kChunk, 0, kChunk * 4);
  }
}

// ---- int8 -----------------------------------------------------------------------------------

inline float from_bf16(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

// Keys of `groups` groups of 16 tokens from `chunk` on, as bfloat16 pairs, [groups][steps][16].
inline void widen_keys(const AttendArgs& x, int64_t chunk, int64_t groups, uint32_t* out) {
  const int64_t ahead = chunk + kChunk < x.end ? kChunk * x.head_dim : 0;
  const int64_t scaled = (x.head_dim + kScaledKeys - 1) / kScaledKeys;
  const int8_t* from = static_cast<const int8_t*>(x.k) + chunk * x.head_dim;
  const uint16_t* scales = x.k_scales + chunk * scaled;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t first = 0; first < x.head_dim; first += kScaledKeys, scales += kGroup) {
      const int64_t left = x.head_dim - first;
      V scale[kVectors];
      for (int c = 0; c < kVectors; ++c) scale[c] = V::load_bf16(scales + c * V::kLanes);
      for (int64_t d = 0; d < (left < kScaledKeys ? left : kScaledKeys); d += 2) {
        __builtin_prefetch(from + ahead, 0, 2);
        for (int c = 0; c < kVectors; ++c) {
          V::store_pairs(out + c * V::kLanes, V::load_int8(from + c * V::kLanes) * scale[c],
                         V::load_int8(from + kGroup + c * V::kLanes) * scale[c]);
        }
        from += 2 * kGroup;
        out += kGroup;
      }
    }
  }
}

// Values likewise, [groups * 8][v_width].
inline void widen_values(const AttendArgs& x, int64_t chunk, int64_t groups, uint32_t* out) {
  const int64_t ahead = chunk + kChunk < x.end ? kChunk * x.v_width : 0;
  const int64_t scaled = (x.head_dim + kScaledValues - 1) / kScaledValues;
  const int8_t* from = static_cast<const int8_t*>(x.v) + chunk * x.v_width;
  for (int64_t t = 0; t < groups * kGroup; t += 2) {
    const uint16_t* scales = x.v_scales + (chunk + t) / kGroup * scaled * kGroup + t % kGroup;
    for (int64_t first = 0; first < x.v_width; first += kScaledValues, scales += kGroup) {
      __builtin_prefetch(from + first + ahead, 0, 2);
      __builtin_prefetch(from + first + x.v_width + ahead, 0, 2);
      const V even = V::set1(from_bf16(scales[0]));
      const V odd = V::set1(from_bf16(scales[1]));
      const int64_t stop = x.v_width - first < kScaledValues ? x.v_width : first + kScaledValues;
      for (int64_t d = first; d < stop; d += V::kLanes) {
        V::store_pairs(out + d, V::load_int8(from + d) * even,
                       V::load_int8(from + x.v_width + d) * odd);
      }
    }
    from += 2 * x.v_width;
    out += x.v_width;
  }
}

template <typename P>
void attend_chunk(const AttendArgs& x, int64_t chunk, int64_t groups) {
  // Rows outside first..last see nothing here.
  const int64_t stop = chunk + kChunk < x.end ? chunk + kChunk : x.end;
  const int64_t start = chunk > x.begin ? chunk : x.begin;
  int64_t first = 0;
  int64_t last = x.state.rows;
  const auto unseen = [&](int64_t r) { return x.low[r] >= stop || x.high[r] <= start; };
  while (first < last && unseen(first)) ++first;
  while (last > first && unseen(last - 1)) --last;
  if (first == last) return;

  const int64_t steps = x.head_dim / P::kRowsAStep;
  const uint32_t* k = static_cast<const uint32_t*>(x.k) + chunk * steps;
  const uint32_t* v = static_cast<const uint32_t*>(x.v) + chunk / P::kRowsAStep * x.v_width;
  const bool in_place = x.k_scales == nullptr;
  if constexpr (P::kRowsAStep == 2) {
    if (!in_place) {
      uint32_t* const values = x.widened + groups * kGroup * steps;
      widen_keys(x, chunk, groups, x.widened);
      widen_values(x, chunk, groups, values);
      k = x.widened;
      v = values;
    }
  }
  MultiplyArgs product = {};
  product.rows = last - first;
  product.a = static_cast<const char*>(x.q) + first * x.q_stride;
  product.a_stride = x.q_stride;
  product.b_step = kGroup;
  product.b_group = steps * kGroup;
  product.b = k;
  product.steps = steps;
  product.groups = groups;
  product.c = x.scores + first * kChunk;
  product.c_stride = kChunk;
  const bool more = chunk + kChunk < x.end;
  if (in_place) product.next = more ? k + kChunk * steps : x.next_k;
  multiply_part<P>(product);

  for (int64_t r = first; r < last; ++r) {
    if (unseen(r)) {
      blank_row<P>(x, r);
      continue;
    }
    const int64_t low = x.low[r] > start ? x.low[r] : start;
    const int64_t high = x.high[r] < stop ? x.high[r] : stop;
    soften_row<P>(x, r, low - chunk, high - chunk);
  }

  constexpr bool dot = P::kDot;
  product.a_stride = kChunk * (dot ? 2 : 4);
  product.a = static_cast<const char*>(dot ? x.weights : static_cast<const void*>(x.scores)) +
              first * product.a_stride;
  product.b_step = x.v_width;
  product.b_group = kGroup;
  product.b = v;
  product.steps = groups * kGroup / P::kRowsAStep;
  product.groups = x.v_width / kGroup;
  product.c = x.state.acc + first * x.v_width;
  product.c_stride = x.v_width;
  product.accumulate = true;
  if (in_place) product.next = more ? v + kChunk / P::kRowsAStep * x.v_width : x.next_v;
  multiply_part<P>(product);
}

template <typename P>
void attend(const AttendArgs& x) {
  [[maybe_unused]] const Scope<P> scope;
  const int64_t padded_end = (x.end + kGroup - 1) / kGroup * kGroup;
  for (int64_t chunk = x.begin / kChunk * kChunk; chunk < x.end; chunk += kChunk) {
    const int64_t left = (padded_end - chunk) / kGroup;
    attend_chunk<P>(x, chunk, left < kChunk / kGroup ? left : kChunk / kGroup);
  }
}

float sum_lanes(const float* l) {
  V sum = V::load(l);
  for (int i = 1; i < kVectors; ++i) sum = sum + V::load(l + i * V::kLanes);
  return V::horizontal_sum(sum);
}

float exp_one(float x) {
  float out[V::kLanes];
  exp_negative(V::set1(x)).store(out);
  return out[0];
}

void merge(const AttentionState& part, const AttentionState& total, int64_t v_width) {
  for (int64_t r = 0; r < part.rows; ++r) {
    if (part.m[r] == -kInfinity) continue;
    const float m = part.m[r] > total.m[r] ? part.m[r] : total.m[r];
    const V keep = V::set1(exp_one(total.m[r] - m));
    const V take = V::set1(exp_one(part.m[r] - m));
    total.m[r] = m;
    const auto fold = [&](const float* from, float* into, int64_t count) {
      for (int64_t i = 0; i < count; i += V::kLanes) {
        V::fma(V::load(from + i), take, V::load(into + i) * keep).store(into + i);
      }
    };
    fold(part.l + r * kGroup, total.l + r * kGroup, kGroup);
    fold(part.acc + r * v_width, total.acc + r * v_width, v_width);
  }
}

void finish(const AttentionState& state, int64_t row, int64_t v_width, int64_t head_dim,
            float* out) {
  const float l = sum_lanes(state.l + row * kGroup);
  const float* acc = state.acc + row * v_width;
  const V divisor = V::set1(l);
  int64_t i = 0;
  // + 0 turns -0 into 0: which of the two stands in acc may depend on tokens the row does not see.
  for (; i + V::kLanes <= head_dim; i += V::kLanes) {
    (V::load(acc + i) / divisor + V::zero()).store(out + i);
  }
  for (; i < head_dim; ++i) out[i] = acc[i] / l + 0.0f;
}

// ---- elementwise ----------------------------------------------------------------------------

void rotate(const float* x, const float* cosine, const float* sine, int64_t half, float scale,
            float* out) {
  const V by = V::set1(scale);
  int64_t i = 0;
  for (; i + V::kLanes <= half; i += V::kLanes) {
    const V a = V::load(x + i) * by;
    const V b = V::load(x + half + i) * by;
    const V c = V::load(cosine + i);
    const V s = V::load(sine + i);
    (a * c - b * s).store(out + i);
    (b * c + a * s).store(out + half + i);
  }
  for (; i < half; ++i) {
    const float a = x[i] * scale;
    const float b = x[half + i] * scale;
    out[i] = a * cosine[i] - b * sine[i];
    out[half + i] = b * cosine[i] + a * sine[i];
  }
}

// Runs `vector` on whole vectors of x and, for the rest, on a copy padded with zeros.
template <typename Whole>
void for_vectors(const float* x, int64_t count, Whole&& whole) {
  int64_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) whole(V::load(x + i), i, V::kLanes);
  if (i == count) return;
  float rest[V::kLanes] = {};
  __builtin_memcpy(rest, x + i, static_cast<size_t>(count - i) * sizeof(float));
  whole(V::load(rest), i, static_cast<int>(count - i));
}

V load_some(const float* x, int lanes) {
  if (lanes == V::kLanes) return V::load(x);
  float rest[V::kLanes] = {};
  __builtin_memcpy(rest, x, static_cast<size_t>(lanes) * sizeof(float));
  return V::load(rest);
}

void store_some(V x, float* out, int lanes) {
  if (lanes == V::kLanes) return x.store(out);
  float rest[V::kLanes];
  x.store(rest);
  __builtin_memcpy(out, rest, static_cast<size_t>(lanes) * sizeof(float));
}

void to_bf16(const float* x, int64_t count, uint16_t* out) {
  for_vectors(x, count, [&](V value, int64_t i, int lanes) {
    if (lanes == V::kLanes) return V::store_bf16(out + i, value);
    uint16_t rest[V::kLanes];
    V::store_bf16(rest, value);
    __builtin_memcpy(out + i, rest, static_cast<size_t>(lanes) * sizeof(uint16_t));
  });
}

void round_bf16(const float* x, int64_t count, float* out) {
  for_vectors(x, count, [&](V value, int64_t i, int lanes) {
    store_some(V::round_bf16(value), out + i, lanes);
  });
}

// The best scale for some numbers whose largest magnitude is `most`.
float search_scale(const float* x, int64_t count, float most) {
  constexpr int kCandidates = 32;
  constexpr int kParts = kCandidates / V::kLanes;
  float steps[kCandidates];
  for (int i = 0; i < kCandidates; ++i) steps[i] = static_cast<float>(127 - i);
  V scale[kParts];
  V inverse[kParts];
  V error[kParts];
  for (int p = 0; p < kParts; ++p) {
    scale[p] = V::round_bf16_up(V::set1(most) / V::load(steps + p * V::kLanes));
    inverse[p] = V::set1(1.0f) / scale[p];
    error[p] = V::zero();
  }
  const V magic = V::set1(kMagic);
  for (int64_t i = 0; i < count; ++i) {
    const V value = V::set1(x[i]);
    for (int p = 0; p < kParts; ++p) {
      const V nearest = V::fma(value, inverse[p], magic) - magic;
      const V off = V::round_bf16(nearest * scale[p]) - value;
      error[p] = V::fma(off, off, error[p]);
    }
  }
  float scales[kCandidates];
  float errors[kCandidates];
  for (int p = 0; p < kParts; ++p) {
    scale[p].store(scales + p * V::kLanes);
    error[p].store(errors + p * V::kLanes);
  }
  int best = 0;
  for (int i = 1; i < kCandidates; ++i)
    if (errors[i] < errors[best]) best = i;
  return scales[best];
}

void quantise_group(const float* x, int64_t count, int8_t* out, uint16_t* scale_out) {
  constexpr uint16_t kNaN = 0x7fc0;
  V largest = V::zero();
  V finite = V::zero();  // NaN where a number is not
  for_vectors(x, count, [&](V value, int64_t, int) {
    largest = V::max(V::max(value, V::zero() - value), largest);
    finite = V::fma(value, V::zero(), finite);
  });
  const float most = V::horizontal_max(largest);
  const bool usable = V::horizontal_sum(finite) == 0.0f;
  if (!usable || most < 127.0f * 0x1p-126f) {
    *scale_out = usable ? 0 : kNaN;
    __builtin_memset(out, 0, static_cast<size_t>(count));
    return;
  }
  const float scale = search_scale(x, count, most);
  uint32_t bits;
  __builtin_memcpy(&bits, &scale, 4);
  *scale_out = static_cast<uint16_t>(bits >> 16);
  const V inverse = V::set1(1.0f / scale);
  const V magic = V::set1(kMagic);
  for_vectors(x, count, [&](V value, int64_t i, int lanes) {
    float shifted[V::kLanes];
    V::fma(value, inverse, magic).store(shifted);
    uint32_t words[V::kLanes];
    __builtin_memcpy(words, shifted, sizeof words);
    for (int lane = 0; lane < lanes; ++lane)
      out[i + lane] = static_cast<int8_t>(words[lane] & 0xff);
  });
}

void quantise(const QuantiseArgs& args) {
  uint16_t* scale = args.scales;
  for (int64_t i = 0; i < args.count; i += args.group, ++scale) {
    const int64_t left = args.count - i;
    quantise_group(args.x + i, left < args.group ? left : args.group, args.out + i, scale);
  }
}

void rms_norm(const float* x, const float* weight, int64_t width, float epsilon, float* out) {
  V squares[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  for_vectors(x, width, [&](V value, int64_t i, int) {
    V& sum = squares[i / V::kLanes % 4];
    sum = V::fma(value, value, sum);
  });
  const float sum = V::horizontal_sum((squares[0] + squares[1]) + (squares[2] + squares[3]));
  const V by = V::set1(1.0f / __builtin_sqrtf(sum / static_cast<float>(width) + epsilon));
  for_vectors(x, width, [&](V value, int64_t i, int lanes) {
    store_some(value * by * load_some(weight + i, lanes), out + i, lanes);
  });
}

// Twice through the row: squares of distances from the mean lose nothing where the mean is large.
void layer_norm(const float* x, const float* weight, const float* bias, int64_t width,
                float epsilon, float* out) {
  V sums[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  for_vectors(x, width, [&](V value, int64_t i, int) {
    V& sum = sums[i / V::kLanes % 4];
    sum = sum + value;
  });
  const auto total = [&] { return V::horizontal_sum((sums[0] + sums[1]) + (sums[2] + sums[3])); };
  const float count = static_cast<float>(width);
  const V mean = V::set1(total() / count);
  for (V& sum : sums) sum = V::zero();
  for_vectors(x, width, [&](V value, int64_t i, int lanes) {
    V distance = value - mean;
    if (lanes < V::kLanes) {  // the padding is no part of the row
      float rest[V::kLanes] = {};
      store_some(distance, rest, lanes);
      distance = V::load(rest);
    }
    V& sum = sums[i / V::kLanes % 4];
    sum = V::fma(distance, distance, sum);
  });
  const V by = V::set1(1.0f / __builtin_sqrtf(total() / count + epsilon));
  for_vectors(x, width, [&](V value, int64_t i, int lanes) {
    const V scaled = (value - mean) * by;
    store_some(V::fma(scaled, load_some(weight + i, lanes), load_some(bias + i, lanes)), out + i,
               lanes);
  });
}

// x * P(normal <= x). The smaller tail is P(normal > |x|) = exp(-x^2 / 2) t Q(t), where
// t = 1 / (1 + 0.35 |x|) and Q, fitted here, of degree 8, errs by 3.2e-8 (relative, |x| <= 13.3;
// beyond, the exponential is 0).
void gelu(const float* x, int64_t count, float* out) {
  const V one = V::set1(1.0f);
  for_vectors(x, count, [&](V value, int64_t i, int lanes) {
    const V t = one / V::fma(V::negative_abs(value), V::set1(-0.35f), one);
    V q = V::set1(-0.0291151144f);
    q = V::fma(q, t, V::set1(0.143818885f));
    q = V::fma(q, t, V::set1(-0.255391955f));
    q = V::fma(q, t, V::set1(0.158797592f));
    q = V::fma(q, t, V::set1(-0.022844106f));
    q = V::fma(q, t, V::set1(0.105392419f));
    q = V::fma(q, t, V::set1(0.119863026f));
    q = V::fma(q, t, V::set1(0.139857575f));
    q = V::fma(q, t, V::set1(0.13962166f));
    const V tail = exp_negative(value * value * V::set1(-0.5f)) * t * q;
    store_some(value * V::if_less(value, V::zero(), tail, one - tail), out + i, lanes);
  });
}

void silu_mul(const float* gate, const float* up, int64_t count, float* out) {
  for_vectors(gate, count, [&](V g, int64_t i, int lanes) {
    const V e = exp_negative(V::negative_abs(g));
    const V numerator = V::if_less(g, V::zero(), g * e, g);
    store_some(numerator / (V::set1(1.0f) + e) * load_some(up + i, lanes), out + i, lanes);
  });
}

// x sigmoid(2 u) is x (1 + tanh(u)) / 2.
void gelu_tanh_mul(const float* gate, const float* up, int64_t count, float* out) {
  const V twice = V::set1(1.59576912f);  // 2 sqrt(2 / pi)
  for_vectors(gate, count, [&](V g, int64_t i, int lanes) {
    const V u = V::fma(g * g * g, V::set1(0.044715f), g) * twice;
    const V e = exp_negative(V::negative_abs(u));
    const V numerator = V::if_less(u, V::zero(), g * e, g);
    store_some(numerator / (V::set1(1.0f) + e) * load_some(up + i, lanes), out + i, lanes);
  });
}

void add_scaled(const float* x, const float* y, float factor, int64_t count, float* out) {
  const V by = V::set1(factor);
  for_vectors(x, count, [&](V value, int64_t i, int lanes) {
    store_some(V::fma(load_some(y + i, lanes), by, value), out + i, lanes);
  });
}

void scale(const float* x, float factor, float cap, int64_t count, float* out) {
  const V by = V::set1(cap > 0 ? factor / cap : factor);
  const V c = V::set1(cap);
  for_vectors(x, count, [&](V value, int64_t i, int lanes) {
    const V scaled = value * by;
    store_some(cap > 0 ? c * tanh_of(scaled) : scaled, out + i, lanes);
  });
}

void add(const float* x, const float* bias, const float* residual, int64_t count, float* out) {
  for_vectors(x, count, [&](V value, int64_t i, int lanes) {
    if (bias != nullptr) value = value + load_some(bias + i, lanes);
    if (residual != nullptr) value = value + load_some(residual + i, lanes);
    store_some(value, out + i, lanes);
  });
}

void exp(const float* x, int64_t count, float* out) {
  for_vectors(x, count, [&](V value, int64_t i, int lanes) {
    store_some(exp_negative(value), out + i, lanes);
  });
}

int64_t find_largest(const float* x, int64_t count) {
  constexpr int64_t kPart = 8 * V::kLanes;  // floats whose largest is found at once
  float m = -kInfinity;
  int64_t begin_of_m = 0;
  for (int64_t begin = 0; begin < count; begin += kPart) {
    const int64_t end = begin + kPart < count ? begin + kPart : count;
    float part = -kInfinity;
    int64_t i = begin;
    if (end - begin == kPart) {
      V top = V::load(x + begin);
      for (i += V::kLanes; i < end; i += V::kLanes) top = V::max(top, V::load(x + i));
      part = V::horizontal_max(top);
    }
    for (; i < end; ++i) part = x[i] > part ? x[i] : part;
    if (part > m) {
      m = part;
      begin_of_m = begin;
    }
  }
  for (int64_t i = begin_of_m; i < count; ++i)
    if (x[i] == m) return i;
  return 0;  // nothing but NaN and -inf
}

double sum_exp(const float* x, int64_t count, float m) {
  constexpr int64_t kPart = 1024;  // floats that are summed as floats
  const int64_t whole = count / V::kLanes * V::kLanes;
  double total = 0;
  const V shift = V::set1(m);
  for (int64_t begin = 0; begin < whole; begin += kPart) {
    const int64_t end = begin + kPart < whole ? begin + kPart : whole;
    V sums[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
    for (int64_t i = begin; i < end; i += V::kLanes) {
      V& sum = sums[i / V::kLanes % 4];
      sum = sum + exp_negative(V::load(x + i) - shift);
    }
    total += static_cast<double>(V::horizontal_sum((sums[0] + sums[1]) + (sums[2] + sums[3])));
  }
  for (int64_t i = whole; i < count; ++i) total += static_cast<double>(exp_one(x[i] - m));
  return total;
}

template <typename W>
constexpr Kernels make_kernels() {
  Kernels kernels = {};
  kernels.multiply[kF32] = multiply<F32>;
  kernels.multiply[kBf16Wide] = multiply<Bf16Wide>;
  kernels.attend[kF32] = attend<F32>;
  kernels.attend[kBf16Wide] = attend<Bf16Wide>;
  if constexpr (W::kHasDot) {
    kernels.multiply[kBf16Dot] = multiply<Bf16Dot>;
    kernels.attend[kBf16Dot] = attend<Bf16Dot>;
  }
  kernels.decode = decode_quantised;
#ifdef DBSA_KERNEL_REGISTERS
  kernels.multiply_quantised = multiply_quantised;
#endif
#ifdef DBSA_KERNEL_TILES
  kernels.multiply_tiles = multiply_packed;
  kernels.pack_tiles = pack_tiles;
  kernels.write_through = write_through;
#endif
  kernels.merge = merge;
  kernels.finish = finish;
  kernels.rotate = rotate;
  kernels.to_bf16 = to_bf16;
  kernels.round_bf16 = round_bf16;
  kernels.quantise = quantise;
  kernels.rms_norm = rms_norm;
  kernels.layer_norm = layer_norm;
  kernels.gelu = gelu;
  kernels.gate[0] = silu_mul;
  kernels.gate[1] = gelu_tanh_mul;
  kernels.add_scaled = add_scaled;
  kernels.scale = scale;
  kernels.add = add;
  kernels.exp = exp;
  kernels.find_largest = find_largest;
  kernels.sum_exp = sum_exp;
  return kernels;
}

constexpr Kernels kTable = make_kernels<V>();

}  // namespace

const Kernels& DBSA_KERNEL_TABLE() { return kTable; }

}  // namespace dbsa::cpu
