#include "pipeline/pool/opened_pool.h"

#include <string>
#include <utility>

namespace dbsa {

Result<std::shared_ptr<OpenedPool>> open_pool(Pool pool, PoolRetriever index, int64_t anchor_blocks,
                                              const Settings& settings) {
  auto opened = std::make_shared<OpenedPool>(
      OpenedPool{std::move(pool), std::move(index), anchor_blocks, {}, 0, {}, {}, {}, {}, {}});
  for (const PoolBlock& block : opened->pool.blocks)
    opened->lengths.push_back(static_cast<int64_t>(block.token_ids.size()));
  if (settings.retriever.by_demonstration)
    opened->block_of = blocks_of_demonstrations(opened->pool);
  const DecodingMethod method = settings.decoding.method;
  if (method == DecodingMethod::kFree || method == DecodingMethod::kVote) return opened;
  std::vector<LabelTokens> tokens;
  std::vector<std::string> names;
  for (const PoolLabel& label : opened->pool.labels) {
    tokens.push_back(label.tokens);
    names.push_back(label.text);
  }
  if (method == DecodingMethod::kLikelihood) {
    opened->tree.emplace(tokens);
    opened->scoring.emplace(settings.decoding.scorer, tokens, names);
  } else {
    DBSA_ASSIGN_OR_RETURN(opened->trie, LabelTrie::build(tokens, names));
  }
  return opened;
}

std::vector<int64_t> blocks_of_demonstrations(const Pool& pool) {
  std::vector<int64_t> blocks;
  const size_t first = pool.has_prefix ? 1 : 0;
  for (size_t i = first; i < pool.blocks.size(); ++i)
    blocks.insert(blocks.end(), pool.blocks[i].demonstrations.size(),
                  static_cast<int64_t>(i - first));
  return blocks;
}

}  // namespace dbsa
