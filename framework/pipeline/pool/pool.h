// A pool: demonstrations dealt into blocks, each with its token ids and its key. This is what
// encoding produces besides KV, and all that answering a query needs besides the store, the model
// and the pipeline file.
#pragma once

#include <dbsa/sdk/kv_store.h>
#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "icl/label_tokens.h"
#include "pipeline/encode/encode_plan.h"

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

// How the blocks of a pool became what they are through edits that were appended
// (block_grouper.edits = "append"): a mask pattern no longer says what each of them sees.
struct PoolHistory {
  int64_t edits = 0;  // since the blocks were dealt
  std::string hash;   // of each pool that it has been, and of this one; no keys in it
  // Blocks that others saw when they were encoded and that hold what the file no longer does. No
  // query is given them.
  std::vector<PoolBlock> retired;
  // All blocks in the order in which they were encoded: i < blocks.size() is blocks[i], a greater
  // one retired[i - blocks.size()].
  std::vector<int64_t> order;
  // [order] what each was encoded behind; `block` of a segment counts in `order`, and is an earlier
  // one, or the block itself.
  std::vector<BlockPlan> plans;
};

// The block of a number in PoolHistory::order.
template <typename Block>
Block& block_at(std::span<Block> blocks, std::span<Block> retired, int64_t number) {
  const auto i = static_cast<size_t>(number);
  return i < blocks.size() ? blocks[i] : retired[i - blocks.size()];
}

// What held-out demonstrations said of a pool's answers, see answer/calibration.h.
struct PoolCalibration {
  std::string identity;  // hash of all that it depends on
  std::string document;
  bool operator==(const PoolCalibration&) const = default;
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
  std::vector<PoolBlock> blocks;              // that queries are given, in their order
  // None where each block sees what the mask pattern gives it of the blocks before it.
  std::optional<PoolHistory> history;
  bool stored = true;             // its blocks were put into the store; a vote needs none of them
  std::vector<PoolLabel> labels;  // to choose from, in byte order of the texts
  std::string documents_hash;     // of what was indexed
  std::string index;              // the retriever's own bytes
  std::vector<PoolCalibration> calibrations;  // one for each way to answer, the first made first

  // Whether its blocks have the keys of another pool's.
  bool has_blocks_of(const Pool& other) const;
  // Whether its blocks are those that a new store would have.
  bool is_dealt_at_once() const;
  // All blocks in the order in which they were encoded, and which of them each of `blocks` is.
  std::vector<const PoolBlock*> encoded_blocks() const;
  std::vector<int64_t> encoded_indices() const;
  // Of the demonstrations as they stand in the blocks, and of the history.
  std::string line_hash() const;
  // Of all blocks: what a store must keep.
  std::vector<KvKey> keys() const;

  // What a retriever ranks: blocks of demonstrations, or single demonstrations, block after block.
  int64_t documents(bool by_demonstration) const {
    return by_demonstration ? static_cast<int64_t>(demonstrations.size())
                            : static_cast<int64_t>(blocks.size()) - (has_prefix ? 1 : 0);
  }
};

}  // namespace dbsa
