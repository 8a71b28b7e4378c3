// From demonstrations to a Pool that is ready to be encoded: grouping, tokens, plans, keys, labels
// and the retriever's index. Computes no KV.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "icl/dataset.h"
#include "pipeline/encode/encoder.h"
#include "pipeline/pool/pool.h"
#include "pipeline/pool/pool_parts.h"
#include "pipeline/pool/pool_plans.h"
#include "pipeline/pool/pool_prompt.h"

namespace dbsa {

// How the demonstrations differ from those of the pool whose blocks are kept.
struct PoolChange {
  std::vector<int64_t> edited;  // indices of demonstrations that took the place of another one
  int64_t added = 0;            // demonstrations
  int64_t removed = 0;
  int64_t blocks_added = 0;  // of added ones: the pool's last
};

struct BuiltPool {
  Pool pool;
  std::vector<EncodeBlock> blocks;   // as pool.encoded_blocks(), with plans
  int64_t anchor_blocks = 0;         // that every query is given; the prefix is one of them
  std::optional<PoolChange> change;  // none where no blocks were kept
  bool index_reused = false;
};

// kConfig where queries are to be answered with no demonstration and the mask pattern gives them
// some: anchor blocks are selected for every query, and only a prefix block has no demonstrations.
Status check_zero_shot(const Settings& settings, int64_t anchor_blocks);

enum class Dealing {
  kKeep,   // demonstrations stay in the blocks that they are in; new ones are dealt
  kAsNew,  // the blocks are those that a new store would have
};

// previous: the pool as it was, to keep the index and, with kKeep, assignments; or nullptr. The
// retriever holds the index afterwards. labels: to choose from, as read_labels gives them. A
// zero-shot pool takes its labels and no demonstrations. Errors: kConfig for data or settings that
// cannot work, the stage named.
Result<BuiltPool> build_pool(const PoolParts& parts, std::span<const Example> demonstrations,
                             std::span<const std::string> labels, const Pool* previous,
                             Dealing dealing = Dealing::kKeep);

// A pool that was made with the same settings except model.kv_dtype, under this model's keys. The
// retriever ends up with this pool's index: what documents are embedded with does not depend on how
// blocks are stored.
Result<BuiltPool> rebuild_pool(const PoolParts& parts, Pool pool);

}  // namespace dbsa
