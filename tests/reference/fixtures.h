// The checkpoints and logits in tests/reference/fixtures, made by
// tools/reference/make_model_reference.py with transformers.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dbsa::reference {

// How far the engine's logits may be from these, as worst_row_error: in float32; and in bfloat16
// against logits_bf16_weights, as a multiple of transformers' own bf16_error.
inline constexpr double kFloat32Bound = 1e-4;
inline constexpr double kBf16Factor = 1.5;

// Rows of logits are kept for some tokens only.
struct FixtureCase {
  int64_t length = 0;
  std::vector<int32_t> ids;                // [length]
  std::vector<int64_t> rows;               // ascending
  std::vector<float> logits;               // [rows, vocabulary]; weights and arithmetic float32
  std::vector<float> logits_bf16_weights;  // the same, weights rounded to bfloat16 before
  // Worst row error of transformers' own bfloat16 run against logits_bf16_weights: over the rows
  // kept, and over all rows.
  double bf16_error = 0, bf16_error_all_rows = 0;
};

struct Fixture {
  std::string name;
  std::string folder;  // a Hugging Face model folder
  int64_t vocabulary = 0;
  std::vector<float> inv_freq;  // transformers' own
  double attention_factor = 1;
  std::vector<FixtureCase> cases;
};

// llama2, llama3 (in two shards), llama3_1, llama3_2 (tied), tinyllama, smollm2 (tied), mistral
// (heads * head_dim is not hidden_size), qwen2 (tied), qwen2_5, qwen2_5_yarn, llama_yarn (every
// number given), llama_linear (every bias).
const std::vector<std::string>& fixture_names();

// source_folder: the project's own, DBSA_SOURCE_DIR in tests.
Result<Fixture> load_fixture(const std::string& source_folder, const std::string& name);

// ||a - b||2 / ||b||2 of the worst row; width: elements a row.
double worst_row_error(std::span<const double> a, std::span<const double> b, int64_t width);

std::vector<double> to_double(std::span<const float> values);
// Rows of a matrix.
std::vector<double> take_rows(std::span<const double> matrix, std::span<const int64_t> rows,
                              int64_t width);

}  // namespace dbsa::reference
