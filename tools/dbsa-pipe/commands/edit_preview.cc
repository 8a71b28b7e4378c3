#include "commands/edit_preview.h"

#include <utility>

#include "host/block_grouper.h"
#include "host/kv_store.h"
#include "host/make_plugin.h"
#include "host/mask_pattern.h"
#include "host/retriever.h"
#include "pipeline/identity/identity.h"
#include "pipeline/pool/stored_pool.h"

namespace dbsa::cli {
namespace {

// The identity of a pool without what only reading the model says.
nlohmann::json without_contents(nlohmann::json identity) {
  for (const auto& [table, key] : {std::pair("model", "weights"), std::pair("model", "tokenizer"),
                                   std::pair("embedding", "content")})
    if (identity.is_object() && identity.contains(table)) identity[table].erase(key);
  return identity;
}

Result<std::optional<Pool>> stored_pool(const host::KvStore& store,
                                        const nlohmann::json& identity) {
  DBSA_ASSIGN_OR_RETURN(std::vector<StoredPool> pools, stored_pools(store));
  const nlohmann::json wanted = without_contents(identity);
  StoredPool* last = nullptr;
  for (StoredPool& stored : pools)
    if (stored.pool.ok() && without_contents(stored.pool->identity) == wanted &&
        (last == nullptr || stored.changed_unix_s > last->changed_unix_s))
      last = &stored;
  if (last == nullptr) return std::optional<Pool>();
  return std::optional<Pool>(std::move(last->pool).value());
}

}  // namespace

Result<std::optional<EncodeEstimate>> preview_edit(Session& session, const Findings& found) {
  const host::ResolvedPipeline& resolved = session.resolved();
  if (!found.pool || found.settings.embedding.method != EmbeddingMethod::kNone ||
      !host::store_keys(resolved).keeps())
    return std::optional<EncodeEstimate>();
  const auto make = [&]<typename Plugin>(int32_t kind) {
    return host::make_plugin<Plugin>(resolved, kind, session.registry(), session.services());
  };
  DBSA_ASSIGN_OR_RETURN(const auto store,
                        make.template operator()<host::KvStore>(DBSA_KIND_KV_STORE));
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats stats, store.stats());
  if (stats.location == nullptr) return std::optional<EncodeEstimate>();  // none was made yet
  DBSA_ASSIGN_OR_RETURN(const nlohmann::json tables, pipeline_identity(resolved));
  DBSA_ASSIGN_OR_RETURN(const std::optional<Pool> previous,
                        stored_pool(store, pool_identity(tables, {}, found.settings)));
  if (!previous) return std::optional<EncodeEstimate>();
  DBSA_ASSIGN_OR_RETURN(auto grouper,
                        make.template operator()<host::BlockGrouper>(DBSA_KIND_BLOCK_GROUPER));
  DBSA_ASSIGN_OR_RETURN(auto mask,
                        make.template operator()<host::MaskPattern>(DBSA_KIND_MASK_PATTERN));
  DBSA_ASSIGN_OR_RETURN(auto retriever,
                        make.template operator()<host::Retriever>(DBSA_KIND_RETRIEVER));
  DBSA_ASSIGN_OR_RETURN(const int64_t anchor_blocks, mask.anchor_blocks());
  PoolIdentities identities = {previous->identity, previous->kv, previous->made_index, ""};
  DBSA_ASSIGN_OR_RETURN(identities.grouper_library,
                        library_identity(resolved.stage(DBSA_KIND_BLOCK_GROUPER)));
  const PoolParts parts = {found.settings, found.model,   identities, *found.tokenizer,  grouper,
                           mask,           anchor_blocks, &retriever, session.services()};
  DBSA_ASSIGN_OR_RETURN(const BuiltPool built, build_pool(parts, found.data.demonstrations(),
                                                          found.data.labels(), &*previous));
  DBSA_ASSIGN_OR_RETURN(
      const std::vector<int64_t> absent,
      absent_blocks(
          built.blocks,
          uses_stored_kv(found.settings) ? built.pool.encoded_indices() : std::vector<int64_t>(),
          [&](const EncodeBlock& block) { return store.contains(block.key); }));
  return std::optional(estimate_of(built, &*previous, found.data.demonstrations(), absent));
}

}  // namespace dbsa::cli
