// LlmHidden: a text's embedding is the mean, over its tokens, of the hidden state of the pipeline's
// own model after one of its layers, brought to length 1.
//
// A text is read by itself: no BOS, no prompt, the attention causal. Small models' last layers are
// made for predicting the next token; a layer in the middle often tells texts apart better.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/host_services.h"
#include "model/decoder/scheduler.h"
#include "model/tokenizer/tokenizer.h"

namespace dbsa {

// kConfig for a layer that is none: layers count from 1, 0 is the last.
Status check_hidden_layer(int64_t layer, int64_t layers);

// The tokens of a text that is embedded. kConfig where they are more than the model reads.
Result<std::vector<int32_t>> tokens_to_embed(const Tokenizer& tokenizer, std::string_view text,
                                             int64_t max_positions);

class LlmHidden final : public host::Embedder {
 public:
  // layer: see check_hidden_layer. All of it is borrowed; the scheduler is the model's.
  // model_fingerprint: of weights and tokenizer.
  static Result<std::unique_ptr<LlmHidden>> create(Scheduler& scheduler, Decoder& model,
                                                   host::AttentionBackend& backend,
                                                   const Tokenizer& tokenizer,
                                                   const host::HostServices& services,
                                                   int64_t layer,
                                                   const std::string& model_fingerprint);

  int64_t width() const override { return model_.config().hidden_size; }
  // A text without tokens gets the first unit vector. kConfig for a text longer than the model
  // reads.
  Result<std::vector<float>> embed(std::span<const std::string_view> texts) override;
  std::string identity() const override { return identity_; }

 private:
  LlmHidden(Scheduler& scheduler, Decoder& model, host::AttentionBackend& backend,
            const Tokenizer& tokenizer, const host::HostServices& services, int32_t layer,
            std::string identity)
      : scheduler_(scheduler),
        model_(model),
        backend_(backend),
        tokenizer_(tokenizer),
        services_(services),
        layer_(layer),
        identity_(std::move(identity)) {}
  Status embed_some(std::span<const std::vector<int32_t>> texts, float* vectors);

  Scheduler& scheduler_;
  Decoder& model_;
  host::AttentionBackend& backend_;
  const Tokenizer& tokenizer_;
  const host::HostServices& services_;
  int32_t layer_;
  std::string identity_;
};

}  // namespace dbsa
