// SentenceEncoder: vectors of texts by a sentence-transformers model of the BERT family, equal to
// that library's within 1e-4.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/attention_backend.h"
#include "host/host_services.h"
#include "model/checkpoint/fingerprint.h"
#include "model/sentence/bert.h"
#include "model/tokenizer/tokenizer.h"

namespace dbsa {

class SentenceEncoder final : public host::Embedder {
 public:
  // folder: see load_sentence_config; weights as Checkpoint, tokenizer as Tokenizer::load. backend:
  // a fresh instance, which the encoder configures for itself. cancel, where given, is asked
  // between passes and outlives the encoder. Errors: kEnvironment and kConfig, naming file and
  // place.
  static Result<std::unique_ptr<SentenceEncoder>> open(const std::string& folder,
                                                       host::AttentionBackend backend,
                                                       const host::HostServices* cancel = nullptr,
                                                       const std::string& backend_identity = "");

  // The weights, the tokenizer and what else of the folder enters the vectors, as a text.
  static Result<std::string> content(const std::string& folder, const DigestCache& cache);

  // Values in a vector, or what `open` says of the folder's configuration, tokenizer and weight
  // files, short of their tensors.
  static Result<int64_t> check(const std::string& folder);

  int64_t width() const override { return parts_.config.bert.hidden_size; }
  // Mean over a text's tokens, [CLS] and [SEP] included, scaled to length 1. A text longer than
  // max_seq_length is cut off; an empty one is [CLS] [SEP]. Errors: kConfig for a text that is not
  // UTF-8, with its number; kCancelled.
  Result<std::vector<float>> embed(std::span<const std::string_view> texts) override;
  std::string identity() const override { return identity_; }

  int64_t max_seq_length() const { return parts_.config.max_seq_length; }

 private:
  // A folder's content.
  struct Parts {
    SentenceConfig config;
    Checkpoint checkpoint;
    std::unique_ptr<Tokenizer> tokenizer;
    int32_t cls = 0, sep = 0;
  };
  static Result<Parts> read(const std::string& folder);

  SentenceEncoder(Parts parts, host::AttentionBackend backend, const host::HostServices* cancel);

  static Result<std::string> content(const Parts& parts, const DigestCache& cache);
  Result<std::vector<int32_t>> encode(std::string_view text) const;
  void append_mean(std::span<const float> rows, std::vector<float>& out) const;

  Parts parts_;
  std::mutex mutex_;                // held while texts are embedded
  host::AttentionBackend backend_;  // before the model, whose handles it outlives
  std::unique_ptr<Bert> model_;
  const host::HostServices* cancel_;
  std::string identity_;
};

}  // namespace dbsa
