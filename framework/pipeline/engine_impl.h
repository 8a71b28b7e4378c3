// What an Engine holds. Shared by engine.cc (opening), engine_encode.cc (stage one) and
// engine_answer.cc (stage two), and by nothing else.
#pragma once

#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/attention_backend.h"
#include "host/block_grouper.h"
#include "host/kv_store.h"
#include "host/mask_pattern.h"
#include "host/retriever.h"
#include "icl/label_scorer.h"
#include "icl/label_trie.h"
#include "icl/likelihood_tree.h"
#include "model/decoder/decoder.h"
#include "pipeline/answer/calibration.h"
#include "pipeline/answer/query_pass.h"
#include "pipeline/answer/query_request.h"
#include "pipeline/engine.h"
#include "pipeline/explanation.h"
#include "pipeline/identity/identity.h"
#include "pipeline/pool/pool_builder.h"

namespace dbsa {

// The plugins of a pipeline except its attention backend, one instance each.
struct Plugins {
  host::BlockGrouper grouper;
  host::MaskPattern mask;
  host::Retriever retriever;
  host::KvStore store;
};

// What plugins embed texts with, for as long as this lives.
class OfferedEmbedder {
 public:
  OfferedEmbedder(host::HostServices& services, std::unique_ptr<host::Embedder> embedder)
      : services_(services), embedder_(std::move(embedder)) {
    services_.set_embedder(embedder_.get());
  }
  // Another engine on these services may have replaced it.
  ~OfferedEmbedder() {
    if (services_.embedder() == embedder_.get()) services_.set_embedder(nullptr);
  }
  OfferedEmbedder(const OfferedEmbedder&) = delete;
  OfferedEmbedder& operator=(const OfferedEmbedder&) = delete;

 private:
  host::HostServices& services_;
  std::unique_ptr<host::Embedder> embedder_;  // nullptr: there is none
};

// The model with all that computes it. Made before the plugins that may ask for embeddings of it.
struct Computing {
  ModelConfig config;
  std::unique_ptr<Weights> weights;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<host::AttentionBackend> backend;
  std::unique_ptr<PackedWeights> packed;  // nullptr: none are kept
  std::unique_ptr<Decoder> model;
  std::string fingerprint;
  InputIdentity inputs;        // of the model, its tokenizer and the encoder
  nlohmann::json kv_identity;  // see identity.h
  std::unique_ptr<OfferedEmbedder> embedder;
};

// 0, 1, ... count - 1.
inline std::vector<int64_t> all_indices(size_t count) {
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

// What an answer came of, noted on its way for those who ask.
struct AnswerNotes {
  QueryRequest request;
  std::vector<KvLoaded> kv_loaded;   // [selected blocks]
  std::vector<LabelReading> labels;  // as Explanation's
  // Also to be found: the log-probability of a label of the pool, or of a free answer's tokens.
  std::optional<int32_t> label;
  std::vector<int32_t> tokens;
  double log_probability_of_tokens = 0;
};

// What is wanted of an answer beside it; each may be nullptr.
struct AnswerExtras {
  LabelEvidence* evidence = nullptr;  // filled in instead of the answer's label
  AnswerNotes* notes = nullptr;
};

struct Engine::Impl {
  Settings settings;
  host::HostServices& services;
  Computing computing;
  std::unique_ptr<Plugins> plugins;
  nlohmann::json tables;  // pipeline_identity
  PoolIdentities identities;
  std::string pool_id;
  int64_t anchor_blocks = 0;  // the mask's
  BlockCache cache;
  Encoder encoder;

  // The open pool.
  Pool pool;
  int64_t pool_changed_unix_s = 0;  // as the store says
  std::vector<EncodeBlock> blocks;  // with plans; of an opened pool only once a repair needs them
  std::vector<int64_t> lengths;
  std::optional<LabelTrie> trie;           // under trie and greedy_trie
  std::optional<LikelihoodTree> tree;      // under likelihood
  std::optional<LabelScoring> scoring;     // beside it
  std::optional<Calibration> calibration;  // where needs_calibration(settings)
  // What the scorer subtracts behind the blocks of the last request; the next may have the same.
  struct KnownPrior {
    std::vector<SelectedBlock> blocks;
    int64_t query_start = 0;
    std::vector<double> prior;
  };
  std::optional<KnownPrior> known_prior;
  std::vector<int64_t> block_of;  // of each document, where single demonstrations are ranked

  Impl(Settings s, host::HostServices& host_services, Computing c, std::unique_ptr<Plugins> p)
      : settings(std::move(s)),
        services(host_services),
        computing(std::move(c)),
        plugins(std::move(p)),
        cache(plugins->store, *computing.backend),
        encoder(*computing.model, *computing.backend, plugins->store, cache, services,
                settings.model.chunk_tokens) {}

  PoolParts parts() {
    return {settings,         computing.config, identities,    *computing.tokenizer,
            plugins->grouper, plugins->mask,    anchor_blocks, plugins->retriever,
            services};
  }
  Status identify(const host::ResolvedPipeline& resolved, nlohmann::json all);
  Status adopt(Pool opened);
  Status adopt_stored(Pool stored, const std::string& name);
  Result<std::optional<Pool>> previous_pool() const;
  void warn_of_changes(const Pool& previous, Dealing dealing) const;
  void warn_of_kept_blocks(const Pool& made) const;
  std::string kv_changes(const nlohmann::json& before) const;
  std::string nearest_pool() const;
  std::string pool_name() const;
  Status estimate(const BuiltPool& built, const EncodeNeed& need, EncodeReport& report) const;
  Status check_writable(const EncodeNeed& need) const;
  // previous: whose blocks `built` keeps, or nullptr.
  Status encode(const BuiltPool& built, const Pool* previous, const EncodeObserver& observer,
                EncodeReport& report);
  QueryContext query_context() const;
  int64_t continuation_tokens() const;
  int64_t longest_continuation() const;
  Answer vote(const Selection& selection, AnswerNotes* notes) const;
  Result<Outcome> answer(std::string_view text, Forward& forward, AnswerExtras extras = {});
  // The query's own error as the Engine's functions for one text give it. notes: may be nullptr.
  Result<Answer> answer_alone(std::string_view text, AnswerNotes* notes);
  std::vector<Result<Outcome>> answer_together(std::span<const std::string> texts,
                                               std::span<LabelEvidence> evidence);
  Error with_sources(Error error) const;
  Status answer_with_model(const QueryRequest& request, Forward& forward, Answer& answer,
                           AnswerExtras extras);
  LayerSet layers_reading(const Selection& selection, const SelectedBlock& block) const;
  Result<std::vector<QueryPass::Selected>> open_blocks(const Selection& selection);
  Result<std::vector<double>> prior_of(const QueryRequest& request, QueryPass& pass,
                                       int64_t before);
  std::vector<double> answer_from(std::span<const double> scores, Answer& answer) const;
  Status decode(const QueryRequest& request, QueryPass& pass, std::span<const int32_t> query,
                Answer& answer, AnswerExtras extras);
  Status decode_labels(const QueryRequest& request, QueryPass& pass, std::span<const int32_t> query,
                       Answer& answer, AnswerExtras extras);
  Status decode_whole_trie(QueryPass& pass, std::span<const int32_t> query, Answer& answer,
                           AnswerExtras extras);
  Status decode_trie(QueryPass& pass, std::span<const int32_t> query, Answer& answer,
                     AnswerNotes* notes);
  Status decode_freely(QueryPass& pass, std::span<const int32_t> query, Answer& answer,
                       AnswerNotes* notes);
  Status answer_once(const QueryRequest& request, Forward& forward, Answer& answer,
                     AnswerExtras extras);
  int64_t batch_size() const;
  double temperature() const;
  bool probabilities_change() const;
  nlohmann::json calibration_identity() const;
  Result<std::vector<HeldOut>> answer_held_out(std::span<const Example> held_out,
                                               const EncodeObserver& observer);
  Status calibrate(std::span<const Example> held_out, const EncodeObserver& observer,
                   EncodeReport& report);
  Status adopt_calibration();
  Result<bool> repair(const Selection& selection, Answer& answer);
  Result<std::optional<std::map<int64_t, std::vector<SharedWord>>>> shared_words(
      std::string_view text, const Selection& selection) const;
  Result<WithoutBlock> answer_without(const Explanation& explained, const QueryRequest& request,
                                      size_t index);
};

}  // namespace dbsa
