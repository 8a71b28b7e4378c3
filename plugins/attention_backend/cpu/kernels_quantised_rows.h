// Few rows by quantised matrices, which are decoded in registers. Part of kernels_body.h for code
// paths whose products are dot products of bfloat16 pairs; sums are those of multiply<Bf16Dot> on
// what `decode` makes.

namespace dbsa::cpu {
namespace {

constexpr int64_t kAhead = 2048;  // bytes that are fetched before they are read

// R rows by G groups.
template <int kBits, typename S, int R, int G>
void multiply_registers(const QuantisedProduct& x, int64_t group, const Values<kBits>& values) {
  const uint32_t* a[R];
  V acc[R][G];
  DBSA_UNROLL
  for (int r = 0; r < R; ++r) {  // rows past the last are copies of it
    const int64_t row = r < x.rows ? r : x.rows - 1;
    a[r] = reinterpret_cast<const uint32_t*>(static_cast<const char*>(x.a) + row * x.a_stride);
    DBSA_UNROLL
    for (int g = 0; g < G; ++g) acc[r][g] = V::zero();
  }
  const uint8_t* from = static_cast<const uint8_t*>(x.values) + group * x.value_stride;
  const uint8_t* const scales = static_cast<const uint8_t*>(x.scales) + group * x.scale_stride;
  for (int64_t b = 0; b < x.blocks; ++b, from += Values<kBits>::kBytes) {
    DBSA_UNROLL
    for (int g = 0; g < G; ++g)
      for (int64_t i = 0; i < Values<kBits>::kBytes; i += 64)
        __builtin_prefetch(from + g * x.value_stride + i + kAhead, 0, 3);
    DBSA_UNROLL
    for (int i = 0; i < S::kInABlock; ++i) {
      Scale s[G];
      DBSA_UNROLL
      for (int g = 0; g < G; ++g) s[g] = S::at(scales + g * x.scale_stride, b, i, 0);
      constexpr int kCount = 32 / S::kInABlock;
      DBSA_UNROLL
      for (int k = kCount * i; k < kCount * (i + 1); k += 2) {
        DBSA_UNROLL
        for (int g = 0; g < G; ++g) {
          const uint8_t* const part = from + g * x.value_stride;
          const auto pairs = V::pairs(scaled<S>(values.at(part, k), s[g]),
                                      scaled<S>(values.at(part, k + 1), s[g]));
          DBSA_UNROLL
          for (int r = 0; r < R; ++r) acc[r][g] = V::dot(acc[r][g], a[r][b * 16 + k / 2], pairs);
        }
      }
    }
  }
  DBSA_UNROLL
  for (int r = 0; r < R; ++r)
    for (int g = 0; g < G && r < x.rows; ++g)
      acc[r][g].store(x.c + r * x.c_stride + (group + g) * kGroup);
}

template <int kBits, typename S>
void multiply_few(const QuantisedProduct& x, const float* numbers) {
  const Values<kBits> values(numbers);
  int64_t group = 0;
  for (; group + 2 <= x.groups; group += 2) {
    if (x.rows == 1) {
      multiply_registers<kBits, S, 1, 2>(x, group, values);
    } else if (x.rows == 2) {
      multiply_registers<kBits, S, 2, 2>(x, group, values);
    } else {
      multiply_registers<kBits, S, 4, 2>(x, group, values);
    }
  }
  if (group < x.groups) multiply_registers<kBits, S, 4, 1>(x, group, values);
}

void multiply_quantised(const QuantisedProduct& x) {
  with_form(x.form, [&](auto form, const float* numbers) {
    using Form = decltype(form);
    multiply_few<Form::kBits, typename Form::Scales>(x, numbers);
  });
}

}  // namespace
}  // namespace dbsa::cpu
