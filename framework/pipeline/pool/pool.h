// A pool: demonstrations dealt into blocks, each with its token ids and its key. This is what
// encoding produces besides KV, and all that answering a query needs besides the store, the model
// and the pipeline file.
#pragma once

#include <dbsa/sdk/kv_store.h>
#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "icl/label_tokens.h"

namespace dbsa {

struct PoolBlock {
  std::vector<int64_t> demonstrations;  // ids in the pool; none in a prefix block
  std::vector<int32_t> token_ids;
  KvKey key;
};

struct PoolLabel {
  std::string text;
  LabelTokens tokens;  // none under free decoding and votes; not in the manifest
};

struct Pool {
  // What it is made with, see identity.h; the id is that of the first.
  std::string id;
  nlohmann::json identity;      // pool_identity
  nlohmann::json kv;            // kv_identity, of the keys
  nlohmann::json made_index;    // index_identity
  std::string grouper_library;  // library_identity
  // hash_list of the demonstrations that were dealt into blocks at once. Where it is not that of
  // `demonstrations`, the blocks have kept what they held through edits of the file.
  std::string dealt;
  // hash_rows of data.demonstrations and data.labels as they were read.
  std::string demonstration_rows, label_rows;
  bool has_prefix = false;  // block 0 is the prompt's head, not demonstrations
  // None of a zero-shot pool, whose only block, if any, is the prefix.
  std::vector<std::string> demonstrations;    // content hash of each, by id
  std::vector<int32_t> demonstration_labels;  // index in `labels` of each, by id
  std::vector<PoolBlock> blocks;
  bool stored = true;             // its blocks were put into the store; a vote needs none of them
  std::vector<PoolLabel> labels;  // to choose from, in byte order of the texts
  std::string documents_hash;     // of what was indexed
  std::string index;              // the retriever's own bytes

  // Whether its blocks have the keys of another pool's.
  bool has_blocks_of(const Pool& other) const;
  bool is_dealt_at_once() const;

  // What a retriever ranks: blocks of demonstrations, or single demonstrations, block after block.
  int64_t documents(bool by_demonstration) const {
    return by_demonstration ? static_cast<int64_t>(demonstrations.size())
                            : static_cast<int64_t>(blocks.size()) - (has_prefix ? 1 : 0);
  }
};

}  // namespace dbsa
