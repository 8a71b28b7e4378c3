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
#include "model/model_config.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/encoder.h"
#include "pipeline/pool.h"
#include "pipeline/settings.h"

namespace dbsa {

// Everything a pool is made with. Borrowed; outlives the builder's call.
struct PoolParts {
  const Settings& settings;
  const ModelConfig& model;
  KvKey model_digest;
  const Tokenizer& tokenizer;
  host::BlockGrouper& grouper;
  const host::MaskPattern& mask;
  host::Retriever& retriever;
  std::string retriever_identity;  // what its index depends on, but the documents
  host::HostServices& services;
};

struct BuiltPool {
  Pool pool;
  std::vector<EncodeBlock> blocks;  // as pool.blocks, with plans
  bool index_reused = false;
};

// The identity of the settings a pool is made with; contents of files are not part of it.
std::string pool_id(const nlohmann::json& resolved);

// Distances between a row and a token it sees must stay below this.
int64_t longest_distance(const ModelConfig& model);

// The fingerprint of a tokenizer's file, hexadecimal.
std::string tokenizer_identity(const Tokenizer& tokenizer);

// How demonstrations and queries are written.
PromptFormat prompt_format(const PromptSettings& prompt);
// What labels are written behind: the output prefix, or the chat template's tail where there is
// one.
PromptFormat label_format(const PromptSettings& prompt);

// previous: the pool as it was, to keep assignments and the index; nullptr deals all anew. The
// retriever holds the index afterwards. labels: to choose from, as read_labels gives them. A
// zero-shot pool takes its labels and no demonstrations. Errors: kConfig for data or settings that
// cannot work, the stage named.
Result<BuiltPool> build_pool(const PoolParts& parts, const std::string& id,
                             std::span<const Example> demonstrations,
                             std::span<const std::string> labels, const Pool* previous);

// A pool that was made with the same settings but for model.kv_dtype, under this model's keys. The
// retriever holds the pool's index afterwards, which it is to read as its own: what documents are
// embedded with does not depend on how blocks are stored.
Result<BuiltPool> rebuild_pool(const PoolParts& parts, const std::string& id, Pool pool);

// Plans and keys of an opened pool, recomputed from its token ids. kConfig when they are not those
// of the manifest.
Result<std::vector<EncodeBlock>> plan_pool(const PoolParts& parts, const Pool& pool);

}  // namespace dbsa
