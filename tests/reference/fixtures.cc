#include "tests/reference/fixtures.h"

#include <cmath>
#include <cstring>
#include <exception>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "model/checkpoint/safetensors.h"

namespace dbsa::reference {
namespace {

Result<std::vector<float>> read_floats(const SafetensorsFile& file, const std::string& name) {
  DBSA_ASSIGN_OR_RETURN(const TensorView tensor, file.tensor(name));
  std::vector<float> out(tensor.bytes / sizeof(float));
  std::memcpy(out.data(), tensor.data, tensor.bytes);
  return out;
}

}  // namespace

const std::vector<std::string>& fixture_names() {
  static const std::vector<std::string> kNames = {
      "llama2",  "llama3", "llama3_1", "llama3_2",     "tinyllama",  "smollm2",
      "mistral", "qwen2",  "qwen2_5",  "qwen2_5_yarn", "llama_yarn", "llama_linear"};
  return kNames;
}

Result<Fixture> load_fixture(const std::string& source_folder, const std::string& name) {
  Fixture out;
  out.name = name;
  out.folder = source_folder + "/tests/reference/fixtures/" + name;
  DBSA_ASSIGN_OR_RETURN(const auto expected,
                        SafetensorsFile::open(out.folder + "/expected.safetensors"));
  DBSA_ASSIGN_OR_RETURN(out.inv_freq, read_floats(expected, "inv_freq"));
  try {
    std::ifstream config(out.folder + "/config.json"), in(out.folder + "/reference.json");
    out.vocabulary = nlohmann::json::parse(config).at("vocab_size");
    const auto reference = nlohmann::json::parse(in);
    out.attention_factor = reference.at("attention_factor");
    for (const auto& item : reference.at("cases")) {
      FixtureCase c;
      c.length = item.at("length");
      c.ids = item.at("ids").get<std::vector<int32_t>>();
      c.rows = item.at("rows").get<std::vector<int64_t>>();
      c.bf16_error = item.at("bf16_error");
      c.bf16_error_all_rows = item.at("bf16_error_all_rows");
      const std::string length = std::to_string(c.length);
      DBSA_ASSIGN_OR_RETURN(c.logits, read_floats(expected, "logits." + length));
      DBSA_ASSIGN_OR_RETURN(c.logits_bf16_weights,
                            read_floats(expected, "logits_bf16_weights." + length));
      out.cases.push_back(std::move(c));
    }
  } catch (const std::exception& e) {
    return Error{ErrorCode::kEnvironment, out.folder + ": " + e.what(), {}};
  }
  return out;
}

double worst_row_error(std::span<const double> a, std::span<const double> b, int64_t width) {
  const auto w = static_cast<size_t>(width);
  if (a.size() != b.size() || a.size() % w != 0) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t row = 0; row < a.size(); row += w) {
    double difference = 0, size = 0;
    for (size_t i = row; i < row + w; ++i) {
      difference += (a[i] - b[i]) * (a[i] - b[i]);
      size += b[i] * b[i];
    }
    const double error = std::sqrt(difference / size);
    // A NaN is the worst of errors, not the least.
    if (!(error <= worst)) worst = std::isnan(error) ? HUGE_VAL : error;
  }
  return worst;
}

std::vector<double> to_double(std::span<const float> values) {
  return {values.begin(), values.end()};
}

std::vector<double> take_rows(std::span<const double> matrix, std::span<const int64_t> rows,
                              int64_t width) {
  std::vector<double> out;
  for (int64_t row : rows) {
    const auto first = matrix.begin() + row * width;
    out.insert(out.end(), first, first + width);
  }
  return out;
}

}  // namespace dbsa::reference
