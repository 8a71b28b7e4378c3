#include "pipeline/encode/block_key.h"

#include "pipeline/encode/hasher.h"

namespace dbsa {

KvKey kv_digest(const nlohmann::json& kv_identity) {
  Hasher hasher;
  hasher.integer(kEncodeRevision);
  hasher.text(kv_identity.dump());
  return hasher.finish();
}

KvKey block_key(const KvKey& common, std::span<const int32_t> token_ids, const BlockPlan& plan,
                int64_t block, std::span<const KvKey> earlier) {
  Hasher hasher;
  hasher.bytes(common.bytes.data(), common.bytes.size());
  hasher.integer(static_cast<int64_t>(token_ids.size()));
  hasher.bytes(token_ids.data(), token_ids.size_bytes());
  hasher.integer(static_cast<int64_t>(plan.segments.size()));
  for (const PlacedSegment& segment : plan.segments) {
    const Visible& visible = segment.visible;
    const bool own = visible.block == block;
    hasher.integer(own ? 1 : 0);
    if (!own)
      hasher.bytes(earlier[static_cast<size_t>(visible.block)].bytes.data(), DBSA_KV_KEY_BYTES);
    hasher.integer(visible.first_token);
    hasher.integer(visible.length);
    hasher.integer(visible.kind);
    hasher.integer(visible.window);
    hasher.integer(segment.start - plan.start);
  }
  return hasher.finish();
}

}  // namespace dbsa
