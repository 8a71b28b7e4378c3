#include "tools/make_checkpoint/random_weights.h"

#include <bit>
#include <cmath>

namespace dbsa::tools {
namespace {

// SplitMix64 (Steele, Lea and Flood, 2014).
uint64_t mix(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

RandomStream::RandomStream(uint64_t seed, const std::string& name) : state_(seed) {
  for (unsigned char c : name) {
    state_ ^= c;
    state_ = mix(state_);
  }
}

float RandomStream::next() {
  const uint64_t bits = mix(state_);
  const auto sum = static_cast<int64_t>((bits & 0xffff) + (bits >> 16 & 0xffff) +
                                        (bits >> 32 & 0xffff) + (bits >> 48));
  // Four uniform 16-bit numbers: mean 2 * 65535, variance 4 * (2^32 - 1) / 12.
  constexpr float kScale = 1.0f / 37837.0f;
  return static_cast<float>(sum - 2 * 65535) * kScale;
}

void draw_weights(const std::string& name, std::span<const int64_t> shape, RandomStream& stream,
                  std::span<float> out) {
  float mean = 0, deviation = 0.25f;
  if (shape.size() == 2) {
    deviation = 1.0f / std::sqrt(static_cast<float>(shape[1]));
  } else if (name.ends_with("norm.weight")) {
    mean = 1;
  }
  for (float& value : out) value = mean + deviation * stream.next();
}

uint16_t to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace dbsa::tools
