#include "bench/support/model.h"

#include <gflags/gflags.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "bench/support/bench.h"
#include "config/stopwatch.h"
#include "model/checkpoint/fingerprint.h"
#include "pipeline/pipeline.h"

DEFINE_string(
    model, "",
    "a Hugging Face folder or a GGUF file; dbsa-make-checkpoint makes a folder with random "
    "weights");
DEFINE_string(dtype, "auto", "as model.dtype of a pipeline file: auto, f32, bf16");
DEFINE_string(packed, "",
              "folder of packed weights, written where they are missing; empty: packed each time");

namespace dbsa::bench {
namespace {

const std::string& required_model() {
  if (FLAGS_model.empty()) give_up("--model is required; see --help");
  return FLAGS_model;
}

}  // namespace

Model::Model(int threads)
    : source_(must(open_model(required_model()))),
      config_(must(source_->config())),
      weights_(must(source_->weights())),
      plugins_(threads),
      backend_(plugins_.backend()) {
  precision_ = choose_precision({.path = "", .dtype = FLAGS_dtype, .kv_dtype = "auto"}, *weights_);
  const Stopwatch clock;
  if (!FLAGS_packed.empty())
    packed_.emplace(FLAGS_packed,
                    must(fingerprint_model(config_, *weights_, {default_cache_folder()})).value,
                    DigestCache{default_cache_folder()}, plugins_.services());
  decoder_ =
      must(Decoder::load(*weights_, config_, precision_, backend_, packed_ ? &*packed_ : nullptr));
  load_seconds_ = clock.seconds();
  precision_ = decoder_->precision();
}

double Model::bytes_a_weight() const {
  if (!precision_.quantised) return precision_.compute == DBSA_COMPUTE_BF16 ? 2 : 4;
  double bytes = 0;
  for (const TensorFile* file : weights_->tensor_files())
    for (const TensorEntry& entry : file->entries()) bytes += static_cast<double>(entry.bytes);
  return bytes / static_cast<double>(parameter_count(config_));
}

std::string Model::path() const { return FLAGS_model; }

std::vector<int32_t> Model::random_ids(int64_t count) {
  std::vector<int32_t> ids;
  std::uniform_int_distribution<int32_t> any(0, static_cast<int32_t>(config_.vocab_size) - 1);
  for (int64_t i = 0; i < count; ++i) ids.push_back(any(random_));
  return ids;
}

std::vector<float> Model::pass(const std::vector<int32_t>& ids, host::Kv& kv, int64_t first,
                               int64_t start, std::vector<dbsa_segment> visible) {
  const auto rows = static_cast<int64_t>(ids.size());
  ForwardInput input;
  input.ids = ids;
  for (int64_t i = 0; i < rows; ++i)
    input.positions.push_back(static_cast<int32_t>(start + first + i));
  visible.push_back(segment(kv, DBSA_SEGMENT_CAUSAL, first + rows, start));
  input.ranges.push_back({rows, &kv, first, std::move(visible)});
  const int64_t last = rows - 1;
  std::vector<float> logits = must(decoder_->forward(input, {&last, 1}));
  if (!std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }))
    give_up("the logits are not finite");
  return logits;
}

std::vector<float> Model::pass_together(const std::vector<int32_t>& ids, std::vector<host::Kv>& kvs,
                                        int64_t position,
                                        const std::vector<dbsa_segment>& visible) {
  ForwardInput input;
  input.ids = ids;
  std::vector<int64_t> rows;
  for (host::Kv& kv : kvs) {
    rows.push_back(static_cast<int64_t>(input.positions.size()));
    input.positions.push_back(static_cast<int32_t>(position));
    std::vector<dbsa_segment> segments = visible;
    segments.push_back(segment(kv, DBSA_SEGMENT_CAUSAL, 1, position));
    input.ranges.push_back({1, &kv, 0, std::move(segments)});
  }
  return must(decoder_->forward(input, rows));
}

}  // namespace dbsa::bench
