// A model of tests/reference/fixtures on the CPU backend, and passes over it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "host/attention_backend.h"
#include "host/host_services.h"
#include "model/decoder/decoder.h"
#include "model/open_model.h"
#include "tests/reference/fixtures.h"

namespace dbsa {

struct HarnessOptions {
  Precision precision = {};
  std::string instructions = "auto";  // the backend's code path
  int threads = 2;
  // Changes the configuration before the model is made, for tests that must fail with a wrong one.
  std::function<void(ModelConfig&)> change = nullptr;
  std::string packed = "";                  // folder of packed weights; "": none are kept
  std::string cache = "";                   // where checked files are remembered
  std::vector<std::string>* log = nullptr;  // takes what is logged
};

inline constexpr Precision kF32 = {DBSA_COMPUTE_F32, DBSA_KV_DTYPE_F32};
// Blocks of files as they are.
inline constexpr Precision kQuantised = {DBSA_COMPUTE_BF16, DBSA_KV_DTYPE_BF16, true};
inline constexpr Precision kBf16 = {DBSA_COMPUTE_BF16, DBSA_KV_DTYPE_BF16};

class ForwardHarness {
 public:
  // Ends the test when anything fails.
  ForwardHarness(const std::string& path, const HarnessOptions& options);

  Decoder& model() { return *model_; }
  host::AttentionBackend& backend() { return *backend_; }
  const ModelConfig& config() const { return config_; }

  // The code paths this machine can run, of the plugin's `instructions`.
  static std::vector<std::string> code_paths();

  host::Kv make_kv(int64_t tokens);

  // Appends ids to kv from token `first`, standing at `position`, after `visible` segments; the own
  // tokens are causal. Returns the logits of `logit_rows`.
  std::vector<float> pass(std::span<const int32_t> ids, host::Kv& kv, int64_t first,
                          int64_t position, std::vector<dbsa_segment> visible,
                          std::span<const int64_t> logit_rows);

  // Logits of the rows of one plain causal prefill, cut into passes of `chunk` rows (0: one).
  std::vector<float> prefill(std::span<const int32_t> ids, std::span<const int64_t> rows,
                             int64_t chunk = 0);

 private:
  std::unique_ptr<host::HostServices> services_;
  std::unique_ptr<ModelSource> source_;
  ModelConfig config_;
  std::unique_ptr<Weights> weights_;
  std::unique_ptr<host::AttentionBackend> backend_;
  std::unique_ptr<PackedWeights> packed_;
  std::unique_ptr<Decoder> model_;
};

// Small checkpoints with every combination that matters: grouped queries, biases, scaled RoPE.
inline constexpr const char* kVariedModels[] = {"llama3_1", "qwen2_5", "llama_yarn"};

// A folder of tests/reference/fixtures.
std::string fixture_folder(const std::string& name);

// 0, 1, ... count - 1.
std::vector<int64_t> all_rows(int64_t count);

// A segment that stands at `start`.
dbsa_segment segment_of(const host::Kv& kv, int32_t kind, int64_t length, int64_t start);

}  // namespace dbsa
