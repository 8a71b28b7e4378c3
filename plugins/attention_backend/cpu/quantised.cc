#include "quantised.h"

#include "bf16.h"

#include <array>
#include <bit>
#include <cstring>

namespace dbsa::cpu {
namespace {

constexpr std::array<QuantisedType, 9> kTypes = {{
    {DBSA_BLOCKS_Q4_0, "Q4_0", 32, 18, kQ4_0, 256, 32},
    {DBSA_BLOCKS_Q4_1, "Q4_1", 32, 20, kQ4_1, 256, 64},
    {DBSA_BLOCKS_Q5_0, "Q5_0", 32, 22, kQ5_0, 320, 32},
    {DBSA_BLOCKS_Q5_1, "Q5_1", 32, 24, kQ5_1, 320, 64},
    {DBSA_BLOCKS_Q8_0, "Q8_0", 32, 34, kQ8_0, 512, 32},
    {DBSA_BLOCKS_Q4_K, "Q4_K", 256, 144, kQ4K, 256, 320},
    {DBSA_BLOCKS_Q5_K, "Q5_K", 256, 176, kQ5K, 320, 320},
    {DBSA_BLOCKS_Q6_K, "Q6_K", 256, 210, kQ6K, 384, 288},
    {DBSA_BLOCKS_MXFP4, "MXFP4", 32, 17, kMxfp4, 256, 16},
}};

uint16_t half_at(const unsigned char* from) {
  return static_cast<uint16_t>(from[0] | from[1] << 8);
}

// Sixteen bytes: low nibbles are elements 0..15, high ones 16..31. fifth: bit j is element j's.
void read_nibbles(const unsigned char* nibbles, const unsigned char* fifth, BlockFields& fields) {
  for (int j = 0; j < 16; ++j) {
    fields.elements[j] = nibbles[j] & 15;
    fields.elements[j + 16] = nibbles[j] >> 4;
  }
  for (int j = 0; fifth != nullptr && j < 32; ++j)
    fields.elements[j] |= static_cast<uint8_t>((fifth[j / 8] >> (j % 8) & 1) << 4);
}

// Q4_K, and Q5_K where `fifth` is not null. Groups of 32, two of which share their nibble bytes.
void read_k(const unsigned char* block, const unsigned char* fifth, const unsigned char* nibbles,
            BlockFields& fields) {
  fields.scale = half_at(block);
  fields.minimum = half_at(block + 2);
  const unsigned char* const s = block + 4;
  for (int g = 0; g < 8; ++g) {
    const bool low = g < 4;
    fields.scales[g] =
        static_cast<uint8_t>(low ? s[g] & 63 : (s[g + 4] & 15) | (s[g - 4] >> 6) << 4);
    fields.minimums[g] =
        static_cast<uint8_t>(low ? s[g + 4] & 63 : (s[g + 4] >> 4) | (s[g] >> 6) << 4);
    for (int l = 0; l < 32; ++l) {
      const int packed = nibbles[32 * (g / 2) + l];
      int q = g % 2 == 0 ? packed & 15 : packed >> 4;
      if (fifth != nullptr) q |= (fifth[l] >> g & 1) << 4;
      fields.elements[32 * g + l] = static_cast<uint8_t>(q);
    }
  }
}

void read_q6_k(const unsigned char* block, BlockFields& fields) {
  const unsigned char *low = block, *high = block + 128;
  std::memcpy(fields.scales, block + 192, 16);
  fields.scale = half_at(block + 208);
  for (int h = 0; h < 2; ++h)
    for (int g = 0; g < 4; ++g)
      for (int l = 0; l < 32; ++l) {
        const int packed = low[64 * h + 32 * (g % 2) + l];
        const int q = (g < 2 ? packed & 15 : packed >> 4) | (high[32 * h + l] >> 2 * g & 3) << 4;
        fields.elements[128 * h + 32 * g + l] = static_cast<uint8_t>(q);
      }
}

float signed_byte(uint8_t byte) { return static_cast<float>(static_cast<int8_t>(byte)); }

// 2^(e - 127).
float power_of_two(uint16_t e) {
  return std::bit_cast<float>(e == 0 ? 0x00400000u : static_cast<uint32_t>(e) << 23);
}

// One element in float32, as the reference of the format has it.
float value_of(const QuantisedType& type, const BlockFields& f, int64_t i) {
  const auto q = static_cast<float>(f.elements[i]);
  switch (type.form) {
    case kQ4_0:
      return f16_to_f32(f.scale) * (q - 8);
    case kQ5_0:
      return f16_to_f32(f.scale) * (q - 16);
    case kQ8_0:
      return f16_to_f32(f.scale) * signed_byte(f.elements[i]);
    case kQ4_1:
    case kQ5_1:
      return f16_to_f32(f.scale) * q + f16_to_f32(f.minimum);
    case kQ4K:
    case kQ5K: {
      const int64_t group = i / 32;
      return f16_to_f32(f.scale) * static_cast<float>(f.scales[group]) * q -
             f16_to_f32(f.minimum) * static_cast<float>(f.minimums[group]);
    }
    case kQ6K: {
      const int64_t group = i / 16;
      return f16_to_f32(f.scale) * signed_byte(f.scales[group]) * (q - 32);
    }
    case kMxfp4:
      return power_of_two(f.scale) * kE2M1[f.elements[i]];
  }
  return 0;
}

}  // namespace

const QuantisedType* find_quantised_type(uint32_t id) {
  for (const QuantisedType& type : kTypes)
    if (type.id == id) return &type;
  return nullptr;
}

void read_block(const QuantisedType& type, const unsigned char* block, BlockFields& fields) {
  switch (type.form) {
    case kQ4_0:
      fields.scale = half_at(block);
      return read_nibbles(block + 2, nullptr, fields);
    case kQ4_1:
      fields.scale = half_at(block);
      fields.minimum = half_at(block + 2);
      return read_nibbles(block + 4, nullptr, fields);
    case kQ5_0:
      fields.scale = half_at(block);
      return read_nibbles(block + 6, block + 2, fields);
    case kQ5_1:
      fields.scale = half_at(block);
      fields.minimum = half_at(block + 2);
      return read_nibbles(block + 8, block + 4, fields);
    case kQ8_0:
      fields.scale = half_at(block);
      std::memcpy(fields.elements, block + 2, 32);
      return;
    case kQ4K:
      return read_k(block, nullptr, block + 16, fields);
    case kQ5K:
      return read_k(block, block + 16, block + 48, fields);
    case kQ6K:
      return read_q6_k(block, fields);
    case kMxfp4:
      fields.scale = block[0];
      return read_nibbles(block + 1, nullptr, fields);
  }
}

void decode_blocks(const QuantisedType& type, const unsigned char* blocks, int64_t count,
                   float* out) {
  BlockFields fields = {};
  for (int64_t b = 0; b < count; ++b) {
    read_block(type, blocks + b * type.bytes, fields);
    for (int64_t i = 0; i < type.elements; ++i)
      *out++ = bf16_to_f32(f32_to_bf16(value_of(type, fields, i)));
  }
}

void place_block(const QuantisedType& type, const BlockFields& fields, int64_t column,
                 uint8_t* values, uint8_t* scales) {
  const auto put = [&](uint8_t* to, auto number) {
    std::memcpy(to + column * static_cast<int64_t>(sizeof number), &number, sizeof number);
  };
  constexpr int64_t kWords = kGroup * 4;
  for (int64_t first = 0; first < type.elements; first += 32, values += type.value_bytes) {
    const uint8_t* const q = fields.elements + first;
    if (type.form == kQ8_0) {
      for (int k = 0; k < 32; ++k) put(values + k * kGroup, q[k]);
      continue;
    }
    uint32_t low[4] = {}, fifths = 0, pairs[2] = {};
    for (int k = 0; k < 32; ++k) {
      low[k / 8] |= static_cast<uint32_t>(q[k] & 15) << k % 8 * 4;
      fifths |= static_cast<uint32_t>(q[k] >> 4 & 1) << k;
      pairs[k / 16] |= static_cast<uint32_t>(q[k] >> 4 & 3) << k % 16 * 2;
    }
    for (int w = 0; w < 4; ++w) put(values + w * kWords, low[w]);
    if (type.form == kQ5_0 || type.form == kQ5_1 || type.form == kQ5K)
      put(values + 4 * kWords, fifths);
    if (type.form == kQ6K)
      for (int w = 0; w < 2; ++w) put(values + (4 + w) * kWords, pairs[w]);
  }
  if (type.form == kMxfp4) return put(scales, static_cast<uint8_t>(fields.scale));
  put(scales, fields.scale);
  if (type.form == kQ4_1 || type.form == kQ5_1) put(scales + 32, fields.minimum);
  if (type.form == kQ4K || type.form == kQ5K) {
    put(scales + 32, fields.minimum);
    for (int g = 0; g < 8; ++g) {
      put(scales + 64 + g * 32, fields.scales[g]);
      put(scales + 64 + g * 32 + kGroup, fields.minimums[g]);
    }
  }
  if (type.form == kQ6K)
    for (int g = 0; g < 16; ++g) put(scales + 32 + g * kGroup, fields.scales[g]);
}

}  // namespace dbsa::cpu
