// From demonstrations to a Pool that is ready to be encoded: grouping, tokens, plans, keys, labels
// and the retriever's index. Computes no KV.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/block_grouper.h"
#include "host/host_services.h"
#include "host/mask_pattern.h"
#include "host/retriever.h"
#include "icl/dataset.h"
#include "icl/prompt.h"
#include "model/config/model_config.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/encode/encoder.h"
#include "pipeline/pool/pool.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// What a pool is known by and checked against, see identity.h.
struct PoolIdentities {
  nlohmann::json pool;
  nlohmann::json kv;
  nlohmann::json index;
  std::string grouper_library;
};

// Everything a pool is made with. Borrowed; outlives the builder's call.
struct PoolParts {
  const Settings& settings;
  const ModelConfig& model;
  const PoolIdentities& identities;
  const Tokenizer& tokenizer;
  host::BlockGrouper& grouper;
  const host::MaskPattern& mask;
  int64_t anchor_blocks;       // the mask's
  host::Retriever* retriever;  // nullptr where nothing is indexed
  host::HostServices& services;
};

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

// How demonstrations and queries are written.
PromptFormat prompt_format(const PromptSettings& prompt);
// What labels are written behind: the output prefix, or the chat template's tail where there is
// one.
PromptFormat label_format(const PromptSettings& prompt);

// Token ids of a prompt's texts. special: the text of special tokens counts outside data.
Tokenize tokenize_with(const Tokenizer& tokenizer, bool special);

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

// The labels to choose from with their tokens, where the decoding needs them. kConfig for labels
// that cannot be told apart.
Result<std::vector<PoolLabel>> pool_labels(const PoolParts& parts,
                                           std::span<const std::string> table);

// Plans and keys of an opened pool's encoded_blocks(), recomputed from its token ids. kConfig when
// they are not those of the manifest.
Result<std::vector<EncodeBlock>> plan_pool(const PoolParts& parts, const Pool& pool);

}  // namespace dbsa
