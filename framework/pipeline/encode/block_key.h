// The key of a stored KV block: two blocks share it if, and only if, every value stored for them is
// computed from the same inputs in the same way.
//
//   key = XXH3_128(digest of the pool's kv_identity (identity.h), own token ids,
//                  for each segment its rows see: that block's key, first token, length, kind,
//                  window, and its start minus the own start)
//
// So an edit changes the key of the edited block and of every block that sees it, transitively,
// and of nothing else; two masks that show a block the same context share its KV.
#pragma once

#include <dbsa/sdk/kv_store.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>

#include "pipeline/encode/encode_plan.h"

namespace dbsa {

// Raised with every change of the framework that alters a computed value.
inline constexpr uint32_t kEncodeRevision = 1;

KvKey kv_digest(const nlohmann::json& kv_identity);

// The key of a block. common: kv_digest of its pool; of a block whose rows see farther than a
// layer's window, of that with the windows of all layers. earlier: keys of the blocks before it,
// [block]. Cost: O(tokens + segments).
KvKey block_key(const KvKey& common, std::span<const int32_t> token_ids, const BlockPlan& plan,
                int64_t block, std::span<const KvKey> earlier);

}  // namespace dbsa
