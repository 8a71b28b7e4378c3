#include "pipeline/identity.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <memory>

namespace dbsa {
namespace {

// Streams integers and texts, each with its length, so that no two inputs run together.
class Hasher {
 public:
  Hasher() : state_(XXH3_createState(), &XXH3_freeState) { XXH3_128bits_reset(state_.get()); }

  void bytes(const void* data, size_t size) { XXH3_128bits_update(state_.get(), data, size); }
  void integer(int64_t value) { bytes(&value, sizeof value); }
  void text(const std::string& value) {
    integer(static_cast<int64_t>(value.size()));
    bytes(value.data(), value.size());
  }
  KvKey finish() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
    return KvKey::from(canonical.digest);
  }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

}  // namespace

KvKey ModelIdentity::digest() const {
  Hasher hasher;
  hasher.integer(kEncodeRevision);
  hasher.text(model_fingerprint);
  hasher.text(rope);
  hasher.text(tokenizer);
  hasher.text(backend);
  hasher.integer(backend_revision);
  hasher.integer(compute);
  for (const uint32_t part :
       {format.layout, format.dtype, format.panel, format.layers, format.kv_heads, format.head_dim})
    hasher.integer(part);
  return hasher.finish();
}

KvKey block_key(const KvKey& model, std::span<const int32_t> token_ids, const BlockPlan& plan,
                int64_t block, std::span<const KvKey> earlier) {
  Hasher hasher;
  hasher.bytes(model.bytes.data(), model.bytes.size());
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

std::string hash_list(std::span<const std::string> texts) {
  Hasher hasher;
  hasher.integer(static_cast<int64_t>(texts.size()));
  for (const std::string& text : texts) hasher.text(text);
  return hasher.finish().hex();
}

}  // namespace dbsa
