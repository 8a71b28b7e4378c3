#include "model/config/rope.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <numbers>

namespace dbsa {
namespace {

// theta^(2i / dim), rounded to float32 after each step.
std::vector<float> wave_numbers(const RopeParameters& rope) {
  const int64_t half = rope.head_dim / 2;
  std::vector<float> powers(static_cast<size_t>(half));
  for (int64_t i = 0; i < half; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(rope.head_dim);
    const double base = static_cast<float>(rope.theta);
    powers[static_cast<size_t>(i)] = static_cast<float>(std::pow(base, double{exponent}));
  }
  return powers;
}

void scale_llama3(const RopeParameters& rope, std::vector<float>& inv_freq) {
  const auto length = static_cast<double>(rope.original_max_position_embeddings);
  const auto low_wavelength = static_cast<float>(length / rope.low_freq_factor);
  const auto high_wavelength = static_cast<float>(length / rope.high_freq_factor);
  const auto factor = static_cast<float>(rope.factor);
  const auto low = static_cast<float>(rope.low_freq_factor);
  const auto range = static_cast<float>(rope.high_freq_factor - rope.low_freq_factor);
  for (float& f : inv_freq) {
    const float wavelength = static_cast<float>(2 * std::numbers::pi) / f;
    if (wavelength > low_wavelength) {
      f = f / factor;
    } else if (wavelength >= high_wavelength) {
      const float smooth = (static_cast<float>(length) / wavelength - low) / range;
      const float interpolated = (1.0f - smooth) * f / factor;
      const float kept = smooth * f;
      f = interpolated + kept;
    }
  }
}

// The pair index at which `rotations` full turns fit into the original length.
double correction_index(const RopeParameters& rope, double rotations) {
  const auto length = static_cast<double>(rope.original_max_position_embeddings);
  return static_cast<double>(rope.head_dim) *
         std::log(length / (rotations * 2 * std::numbers::pi)) / (2 * std::log(rope.theta));
}

std::vector<float> yarn(const RopeParameters& rope) {
  const double low = std::max(std::floor(correction_index(rope, rope.beta_fast)), 0.0);
  double high = std::min(std::ceil(correction_index(rope, rope.beta_slow)),
                         static_cast<double>(rope.head_dim - 1));
  if (low == high) high += 0.001;
  std::vector<float> inv_freq = wave_numbers(rope);
  for (size_t i = 0; i < inv_freq.size(); ++i) {
    const float position = static_cast<float>(i) - static_cast<float>(low);
    const float ramp = std::clamp(position / static_cast<float>(high - low), 0.0f, 1.0f);
    const float extrapolated_share = 1.0f - ramp;
    const float extrapolated = 1.0f / inv_freq[i];
    const float interpolated = 1.0f / (static_cast<float>(rope.factor) * inv_freq[i]);
    const float a = interpolated * (1.0f - extrapolated_share);
    const float b = extrapolated * extrapolated_share;
    inv_freq[i] = a + b;
  }
  return inv_freq;
}

std::string exact(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

}  // namespace

std::vector<float> rope_inverse_frequencies(const RopeParameters& rope) {
  std::vector<float> inv_freq;
  if (rope.kind == RopeKind::kYarn) {
    inv_freq = yarn(rope);
  } else {
    inv_freq = wave_numbers(rope);
    // LongRoPE multiplies before it divides, and is rounded so.
    for (size_t i = 0; rope.kind == RopeKind::kLongRope && i < rope.divisors.size(); ++i)
      inv_freq[i] *= rope.divisors[i];
    for (float& f : inv_freq) f = 1.0f / f;
    if (rope.kind == RopeKind::kLongRope) return inv_freq;
  }
  if (rope.kind == RopeKind::kLinear) {
    for (float& f : inv_freq) f /= static_cast<float>(rope.factor);
  } else if (rope.kind == RopeKind::kLlama3) {
    scale_llama3(rope, inv_freq);
  }
  for (size_t i = 0; i < std::min(inv_freq.size(), rope.divisors.size()); ++i)
    inv_freq[i] /= rope.divisors[i];
  return inv_freq;
}

double rope_attention_factor(const RopeParameters& rope) {
  if (rope.kind != RopeKind::kYarn) return 1.0;
  return rope.attention_factor.value_or(0.1 * std::log(rope.factor) + 1.0);
}

const char* rope_kind_name(RopeKind kind) {
  switch (kind) {
    case RopeKind::kDefault:
      return "default";
    case RopeKind::kLinear:
      return "linear";
    case RopeKind::kLlama3:
      return "llama3";
    case RopeKind::kYarn:
      return "yarn";
    case RopeKind::kLongRope:
      return "longrope";
  }
  return "unknown";
}

std::string rope_identity(const RopeParameters& rope) {
  std::string text = std::string("rope 1 ") + rope_kind_name(rope.kind) + " theta " +
                     exact(rope.theta) + " head_dim " + std::to_string(rope.head_dim);
  if (rope.kind != RopeKind::kDefault && rope.kind != RopeKind::kLongRope)
    text += " factor " + exact(rope.factor);
  if (rope.kind == RopeKind::kLlama3 || rope.kind == RopeKind::kYarn) {
    text += " original " + std::to_string(rope.original_max_position_embeddings);
  }
  if (rope.kind == RopeKind::kLlama3) {
    text += " low " + exact(rope.low_freq_factor) + " high " + exact(rope.high_freq_factor);
  }
  if (rope.kind == RopeKind::kYarn) {
    text += " fast " + exact(rope.beta_fast) + " slow " + exact(rope.beta_slow) + " magnitude " +
            exact(rope_attention_factor(rope));
  }
  if (rope.rotation_factor != 1.0) text += " rotation_factor " + exact(rope.rotation_factor);
  // The numbers in use as well: another way of forming them must not be taken for this one.
  text += " inv_freq";
  char bits[12];
  for (float f : rope_inverse_frequencies(rope)) {
    std::snprintf(bits, sizeof bits, " %08x", std::bit_cast<uint32_t>(f));
    text += bits;
  }
  return text;
}

}  // namespace dbsa
