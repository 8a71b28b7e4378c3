#include "model/gguf/block_decoder.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

namespace dbsa::gguf {
namespace {

using Block = const unsigned char*;

uint16_t half_word(Block at) {
  uint16_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// float16 to float32, exact.
float half(Block at) {
  const uint32_t bits = half_word(at);
  const uint32_t sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

float as_float(int value) { return static_cast<float>(value); }

// 32 elements of 4 bits: byte j holds element j low and element j + 16 high.
template <typename Value>
void each_nibble(Block nibbles, float* out, Value value) {
  for (int j = 0; j < 16; ++j) {
    out[j] = value(nibbles[j] & 15, j);
    out[j + 16] = value(nibbles[j] >> 4, j + 16);
  }
}

void decode_q4_0(Block b, float* out) {
  const float d = half(b);
  each_nibble(b + 2, out, [&](int q, int) { return d * as_float(q - 8); });
}

void decode_q4_1(Block b, float* out) {
  const float d = half(b), m = half(b + 2);
  each_nibble(b + 4, out, [&](int q, int) { return d * as_float(q) + m; });
}

// Bit j of the 32 is the fifth of element j.
int fifth_bit(uint32_t bits, int j) { return static_cast<int>(bits >> j & 1) << 4; }

uint32_t word(Block at) {
  uint32_t bits = 0;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}

void decode_q5_0(Block b, float* out) {
  const float d = half(b);
  const uint32_t high = word(b + 2);
  each_nibble(b + 6, out,
              [&](int q, int j) { return d * as_float((q | fifth_bit(high, j)) - 16); });
}

void decode_q5_1(Block b, float* out) {
  const float d = half(b), m = half(b + 2);
  const uint32_t high = word(b + 4);
  each_nibble(b + 8, out, [&](int q, int j) { return d * as_float(q | fifth_bit(high, j)) + m; });
}

void decode_q8_0(Block b, float* out) {
  const float d = half(b);
  for (int j = 0; j < 32; ++j) out[j] = d * as_float(static_cast<int8_t>(b[2 + j]));
}

// 2^(e - 128), half the block's scale, so that the elements are integers.
float mxfp4_scale(unsigned char e) {
  return std::bit_cast<float>(e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23);
}

void decode_mxfp4(Block b, float* out) {
  constexpr std::array<int, 16> kTwice = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  const float d = mxfp4_scale(b[0]);
  each_nibble(b + 1, out, [&](int q, int) { return d * as_float(kTwice[static_cast<size_t>(q)]); });
}

struct ScaleAndMinimum {
  int scale, minimum;
};

// Group g of 8, 6 bits each of the 12 bytes.
ScaleAndMinimum k_scale(Block s, int g) {
  if (g < 4) return {s[g] & 63, s[g + 4] & 63};
  return {(s[g + 4] & 15) | (s[g - 4] >> 6) << 4, (s[g + 4] >> 4) | (s[g] >> 6) << 4};
}

// Q4_K, and Q5_K where `fifth` is not null: d, minimum's d, scales, nibbles. Groups of 32, two of
// which share their nibble bytes.
void decode_k(Block b, Block fifth, Block nibbles, float* out) {
  const float d = half(b), d_minimum = half(b + 2);
  for (int g = 0; g < 8; ++g) {
    const ScaleAndMinimum s = k_scale(b + 4, g);
    const float scale = d * as_float(s.scale), minimum = d_minimum * as_float(s.minimum);
    for (int l = 0; l < 32; ++l) {
      const int packed = nibbles[32 * (g / 2) + l];
      int q = g % 2 == 0 ? packed & 15 : packed >> 4;
      if (fifth != nullptr) q |= (fifth[l] >> g & 1) << 4;
      out[32 * g + l] = scale * as_float(q) - minimum;
    }
  }
}

void decode_q4_k(Block b, float* out) { decode_k(b, nullptr, b + 16, out); }
void decode_q5_k(Block b, float* out) { decode_k(b, b + 16, b + 48, out); }

void decode_q6_k(Block b, float* out) {
  const Block low = b, high = b + 128, scales = b + 192;
  const float d = half(b + 208);
  for (int h = 0; h < 2; ++h)
    for (int g = 0; g < 4; ++g)
      for (int l = 0; l < 32; ++l) {
        const int packed = low[64 * h + 32 * (g % 2) + l];
        const int q = (g < 2 ? packed & 15 : packed >> 4) | (high[32 * h + l] >> 2 * g & 3) << 4;
        const int e = 128 * h + 32 * g + l;
        out[e] = d * as_float(static_cast<int8_t>(scales[e / 16])) * as_float(q - 32);
      }
}

using Decoder = void (*)(Block, float*);

Decoder decoder_of(std::string_view type) {
  if (type == "Q4_0") return decode_q4_0;
  if (type == "Q4_1") return decode_q4_1;
  if (type == "Q5_0") return decode_q5_0;
  if (type == "Q5_1") return decode_q5_1;
  if (type == "Q8_0") return decode_q8_0;
  if (type == "Q4_K") return decode_q4_k;
  if (type == "Q5_K") return decode_q5_k;
  if (type == "Q6_K") return decode_q6_k;
  if (type == "MXFP4") return decode_mxfp4;
  return nullptr;
}

bool is_finite_half(Block b) { return (b[1] & 0x7c) != 0x7c; }

}  // namespace

bool are_numbers(const TensorType& type, std::span<const unsigned char> blocks) {
  // A product of finite float16 numbers and what a block multiplies them with is far below the
  // largest float32; 6 * 2^(e - 127) is so up to e = 252.
  const bool exponent = type.name == "MXFP4", last = type.name == "Q6_K";
  const bool minimum =
      type.name == "Q4_1" || type.name == "Q5_1" || type.name == "Q4_K" || type.name == "Q5_K";
  bool finite = true;
  for (size_t at = 0; at + type.bytes <= blocks.size() && finite; at += type.bytes) {
    const Block b = blocks.data() + at;
    if (exponent)
      finite = b[0] <= 252 || decode_blocks(type, blocks.subspan(at, type.bytes),
                                            std::vector<float>(type.elements).data());
    else
      finite = is_finite_half(last ? b + 208 : b) && (!minimum || is_finite_half(b + 2));
  }
  return finite;
}

bool decode_blocks(const TensorType& type, std::span<const unsigned char> blocks, float* out) {
  const Decoder decode = decoder_of(type.name);
  if (decode == nullptr) return false;
  bool finite = true;
  for (size_t at = 0; at + type.bytes <= blocks.size(); at += type.bytes) {
    // E8M0's number that is none.
    finite = finite && (decode != decode_mxfp4 || blocks[at] != 255);
    decode(blocks.data() + at, out);
    for (uint32_t j = 0; j < type.elements; ++j) finite = finite && std::isfinite(out[j]);
    out += type.elements;
  }
  return finite;
}

void round_to_bf16(std::span<const float> numbers, uint16_t* out) {
  for (const float number : numbers) {
    const auto bits = std::bit_cast<uint32_t>(number);
    *out++ = static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
  }
}

}  // namespace dbsa::gguf
