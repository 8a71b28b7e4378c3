// A model on the backend that --backend names, fed with random tokens. --model says which,
// --packed where its packed weights are kept.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "bench/support/plugins.h"
#include "model/decoder/decoder.h"
#include "model/decoder/packed_weights.h"
#include "model/open_model.h"

namespace dbsa::bench {

class Model {
 public:
  explicit Model(int threads);

  double load_seconds() const { return load_seconds_; }
  const ModelConfig& config() const { return config_; }
  Precision precision() const { return precision_; }
  double bytes_a_weight() const;  // in memory, of all weights alike
  std::string path() const;
  std::string backend() { return backend_.describe(); }
  host::AttentionBackend& ops() { return backend_; }
  Decoder& decoder() { return *decoder_; }
  const host::HostServices& services() { return plugins_.services(); }
  host::Kv make_kv(int64_t tokens) { return must(backend_.kv_create(tokens)); }
  std::vector<int32_t> random_ids(int64_t count);

  // Rows of one KV object, from token `first`, behind `visible`; the logits of the last row.
  std::vector<float> pass(const std::vector<int32_t>& ids, host::Kv& kv, int64_t first,
                          int64_t start, std::vector<dbsa_segment> visible = {});

  // A row for each KV object, all behind `visible`; the logits of all.
  std::vector<float> pass_together(const std::vector<int32_t>& ids, std::vector<host::Kv>& kvs,
                                   int64_t position, const std::vector<dbsa_segment>& visible);

  static dbsa_segment segment(const host::Kv& kv, int32_t kind, int64_t length, int64_t start) {
    return {sizeof(dbsa_segment), kind, kv.get(), 0, length, start, 0};
  }

 private:
  std::mt19937 random_{20250304};
  std::unique_ptr<ModelSource> source_;
  ModelConfig config_;
  std::unique_ptr<Weights> weights_;
  Plugins plugins_;
  host::AttentionBackend backend_;
  Precision precision_;
  std::optional<PackedWeights> packed_;
  std::unique_ptr<Decoder> decoder_;
  double load_seconds_ = 0;
};

}  // namespace dbsa::bench
