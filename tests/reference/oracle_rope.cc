#include "tests/reference/oracle_rope.h"

#include <algorithm>
#include <cmath>

namespace dbsa::reference {
namespace {

constexpr double kTurn = 6.283185307179586476925;

// Llama 3.1: long waves are stretched by the factor, short ones kept, those between are mixed.
double llama3(const OracleRope& rope, double frequency) {
  const double turns = rope.original_length * frequency / kTurn;  // in the original length
  if (turns < rope.low_freq_factor) return frequency / rope.factor;
  if (turns > rope.high_freq_factor) return frequency;
  const double keep =
      (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return keep * frequency + (1 - keep) * frequency / rope.factor;
}

// YaRN section 3.2 (NTK by parts) with the ramp over pair indices, whose ends are whole pairs.
double yarn(const OracleRope& rope, double frequency, int64_t pair) {
  const double dim = static_cast<double>(rope.head_dim);
  const auto pair_of = [&](double turns) {
    // theta^(-2 i / dim) * original_length / 2 pi == turns, solved for i.
    return dim / 2 * std::log(rope.original_length / (turns * kTurn)) / std::log(rope.theta);
  };
  const double first = std::max(0.0, std::floor(pair_of(rope.beta_fast)));
  double last = std::min(dim - 1, std::ceil(pair_of(rope.beta_slow)));
  if (last == first) last += 0.001;
  const double stretch = std::clamp((static_cast<double>(pair) - first) / (last - first), 0.0, 1.0);
  return stretch * frequency / rope.factor + (1 - stretch) * frequency;
}

}  // namespace

std::vector<double> oracle_frequencies(const OracleRope& rope) {
  std::vector<double> out;
  for (int64_t pair = 0; pair < rope.head_dim / 2; ++pair) {
    double f =
        std::pow(rope.theta, -2.0 * static_cast<double>(pair) / static_cast<double>(rope.head_dim));
    if (rope.kind == "linear") f /= rope.factor;
    if (rope.kind == "llama3") f = llama3(rope, f);
    if (rope.kind == "yarn") f = yarn(rope, f, pair);
    out.push_back(static_cast<float>(f));
  }
  return out;
}

double oracle_magnitude(const OracleRope& rope) {
  if (rope.magnitude) return *rope.magnitude;
  return rope.kind == "yarn" ? 0.1 * std::log(rope.factor) + 1.0 : 1.0;
}

}  // namespace dbsa::reference
