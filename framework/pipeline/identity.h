// The identity of a KV block: a key that two blocks share if, and only if, every value stored for
// them is computed from the same inputs in the same way.
//
//   key = XXH3_128(kEncodeRevision, model fingerprint, RoPE parameters, tokenizer, backend,
//                  arithmetic, KV format, own token ids,
//                  for each segment its rows see: that block's key, first token, length, kind,
//                  window, and its start minus the own start)
//
// So an edit changes the key of the edited block and of every block that sees it, transitively,
// and of nothing else; two masks that show a block the same context share its KV.
#pragma once

#include <dbsa/sdk/kv_store.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pipeline/encode_plan.h"

namespace dbsa {

// Raised with every change that alters a computed value.
inline constexpr uint32_t kEncodeRevision = 1;

// What all blocks of a pool have in common. The digest is taken once.
struct ModelIdentity {
  std::string model_fingerprint;  // hexadecimal, of the weights
  std::string rope;               // serialised RoPE parameters
  std::string tokenizer;          // fingerprint of the tokenizer's file
  std::string backend;            // id of the attention backend
  uint32_t backend_revision = 0;  // raised when its results change
  uint32_t compute = 0;           // DBSA_COMPUTE_*
  dbsa_kv_format format{};        // of any block; tokens and plane_bytes are not looked at
  KvKey digest() const;
};

// The key of a block. earlier: keys of the blocks before it, [block]. Cost: O(tokens + segments).
KvKey block_key(const KvKey& model, std::span<const int32_t> token_ids, const BlockPlan& plan,
                int64_t block, std::span<const KvKey> earlier);

// Of texts in order, 32 hexadecimal digits: equal lists and no others share it.
std::string hash_list(std::span<const std::string> texts);

}  // namespace dbsa
