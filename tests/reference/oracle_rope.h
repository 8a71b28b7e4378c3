// RoPE from its papers, in double, apart from the engine's own code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dbsa::reference {

struct OracleRope {
  std::string kind = "default";  // default, linear, llama3, yarn
  double theta = 10000.0;
  int64_t head_dim = 0;
  double factor = 1.0;
  double original_length = 0;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;
  double beta_fast = 32.0, beta_slow = 1.0;
  std::optional<double> magnitude = {};  // of rotated queries and keys; yarn's own by default
};

// Radians per position for each pair, [head_dim / 2], rounded to float32 as checkpoints use them.
std::vector<double> oracle_frequencies(const OracleRope& rope);

double oracle_magnitude(const OracleRope& rope);

}  // namespace dbsa::reference
