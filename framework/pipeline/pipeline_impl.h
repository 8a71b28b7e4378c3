// What a Pipeline holds. Shared by pipeline*.cc, and by nothing else.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/block_grouper.h"
#include "host/kv_store.h"
#include "host/mask_pattern.h"
#include "host/retriever.h"
#include "pipeline/answer/answerer.h"
#include "pipeline/explanation.h"
#include "pipeline/pipeline.h"
#include "pipeline/pool/pool_builder.h"

namespace dbsa {

// The plugins of a pipeline except its attention backend, one instance each.
struct Plugins {
  host::BlockGrouper grouper;
  host::MaskPattern mask;
  host::KvStore store;
};

struct Pipeline::Impl {
  Settings settings;
  const host::ResolvedPipeline resolved;
  host::PluginRegistry& registry;
  host::HostServices services;  // its own: embedder, plugins, cancel flag
  std::shared_ptr<LoadedModel> model;
  InputIdentity inputs;                      // of the model and the encoder
  nlohmann::json kv_identity;                // see identity.h
  std::unique_ptr<host::Embedder> embedder;  // nullptr: there is none
  std::unique_ptr<Plugins> plugins;
  std::optional<PoolRetriever> next_index;  // made for the next pool
  nlohmann::json tables;                    // pipeline_identity
  PoolIdentities identities;
  std::string pool_id;
  int64_t anchor_blocks = 0;  // the mask's
  std::unique_ptr<BlockCache> cache;

  mutable std::mutex mutex;
  std::shared_ptr<Answerer> open;  // on the open pool; under the mutex

  Impl(Settings s, const host::ResolvedPipeline& pipeline, host::PluginRegistry& plugin_registry,
       host::HostServices& host_services, std::shared_ptr<LoadedModel> loaded)
      : settings(std::move(s)),
        resolved(pipeline),
        registry(plugin_registry),
        services(host_services),
        model(std::move(loaded)) {}

  // Of the open pool; there must be one.
  std::shared_ptr<Answerer> answerer() const {
    const std::lock_guard lock(mutex);
    return open;
  }
  Status prepare();
  Status make_embedder(const DigestCache& digests);
  Status make_plugins();
  Status identify_pool();
  // Without a retriever, and with the next pool's.
  PoolParts parts() {
    return {settings,           model->config(),  identities,
            model->tokenizer(), plugins->grouper, plugins->mask,
            anchor_blocks,      nullptr,          services};
  }
  PoolParts indexing_parts() {
    return {settings,           model->config(),        identities,
            model->tokenizer(), plugins->grouper,       plugins->mask,
            anchor_blocks,      &next_index->retriever, *next_index->services};
  }
  Encoder make_encoder() {
    return {
        model->scheduler(), model->decoder(),           model->backend(), plugins->store, *cache,
        services,           settings.model.chunk_tokens};
  }
  Result<std::shared_ptr<OpenedPool>> open_with_retriever(Pool pool);
  std::shared_ptr<Answerer> answerer_of(std::shared_ptr<const OpenedPool> opened);
  Result<std::shared_ptr<Answerer>> adopt(BuiltPool built);
  Result<std::shared_ptr<OpenedPool>> open_stored(Pool stored, const std::string& name);
  // Queries are answered from it from now on.
  void publish(std::shared_ptr<Answerer> answerer);
  Status renew_retriever();

  Result<std::optional<Pool>> previous_pool();
  void warn_of_changes(const Pool& previous, Dealing dealing);
  void warn_of_kept_blocks(const Pool& made);
  std::string kv_changes(const nlohmann::json& before) const;
  std::string nearest_pool() const;
  std::string pool_name() const;
  Result<uint64_t> kv_bytes(const Pool& pool) const;
  Status check_writable(const EncodeNeed& need) const;
  // previous: whose blocks `built` keeps, or nullptr. demonstrations: what `built` was made of.
  Status encode(const BuiltPool& built, const Pool* previous,
                std::span<const Example> demonstrations, const EncodeObserver& observer,
                EncodeReport& report);

  nlohmann::json calibration_identity(const Pool& pool) const;
  Result<std::vector<HeldOut>> answer_held_out(Answerer& answerer,
                                               std::span<const Example> held_out,
                                               const EncodeObserver& observer);
  // Of a pool that is not answered from yet: the answerer with its calibration, where answers need
  // one, from the store or made and kept there.
  Result<std::shared_ptr<Answerer>> calibrate(std::shared_ptr<Answerer> answerer,
                                              std::span<const Example> held_out,
                                              const EncodeObserver& observer, EncodeReport& report);
  Result<std::shared_ptr<Answerer>> adopt_calibration(std::shared_ptr<Answerer> answerer);

  Result<std::optional<std::map<int64_t, std::vector<SharedWord>>>> shared_words(
      const OpenedPool& opened, std::string_view text, const Selection& selection) const;
  Result<WithoutBlock> answer_without(Answerer& answerer, const Explanation& explained,
                                      const QueryRequest& request, size_t index);
};

}  // namespace dbsa
