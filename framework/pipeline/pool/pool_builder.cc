#include "pipeline/pool/pool_builder.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "icl/selection.h"
#include "pipeline/identity/identity.h"
#include "pipeline/pool/append_edits.h"
#include "pipeline/pool/index_check.h"
#include "pipeline/pool/pool_blocks.h"
#include "pipeline/pool/pool_index.h"

namespace dbsa {
namespace {

void identify(const PoolParts& parts, Pool& pool) {
  pool.id = pool_id(parts.identities.pool);
  pool.identity = parts.identities.pool;
  pool.kv = parts.identities.kv;
  pool.made_index = parts.identities.index;
  pool.grouper_library = parts.identities.grouper_library;
}

// Whether demonstrations stay in the blocks that they were in. Where edits are appended, blocks
// move, so that a pool whose demonstrations are again those that were dealt at once is dealt again.
bool keeps_blocks(const PoolParts& parts, const Pool& pool, const Pool* previous, Dealing dealing) {
  if (previous == nullptr || previous->blocks.empty()) return false;
  const std::string all = hash_list(pool.demonstrations);
  const bool as_dealt = previous->dealt == all;
  const bool moved = parts.settings.grouper.edits == Edits::kAppend && as_dealt &&
                     (previous->history || hash_list(previous->demonstrations) != all);
  if (moved) return false;
  return dealing == Dealing::kKeep ||
         (as_dealt && previous->grouper_library == pool.grouper_library);
}

// Puts the wanted blocks into the order in which they stand after an edit that is appended, and
// their groups likewise.
Result<PoolHistory> append_to(const PoolParts& parts, const Pool& previous,
                              const Assignment& assignment, std::vector<Block>& blocks,
                              std::vector<std::vector<int64_t>>& groups) {
  DBSA_ASSIGN_OR_RETURN(std::vector<BlockPlan> plans, plans_of(parts, previous));
  const EncodedBlocks before = {encoded_token_ids(previous), std::move(plans),
                                previous.encoded_indices()};
  const size_t prefix = previous.has_prefix ? 1 : 0;
  std::vector<WantedBlock> wanted;
  for (size_t i = 0; i < blocks.size(); ++i) {
    std::optional<int64_t> source;
    if (i < prefix)
      source = 0;
    else if (i - prefix < assignment.sources.size())
      source = assignment.sources[i - prefix];
    wanted.push_back({blocks[i].tokens, source});
  }
  const int64_t fixed = std::max(parts.anchor_blocks, static_cast<int64_t>(prefix));
  DBSA_ASSIGN_OR_RETURN(
      AppendedEdits edits,
      append_edits(parts.mask, parts.settings.encode_positions, fixed, before, wanted));
  std::vector<Block> line;
  std::vector<std::vector<int64_t>> line_groups;
  for (const int64_t i : edits.line) {
    const auto place = static_cast<size_t>(i);
    line.push_back(std::move(blocks[place]));
    if (place >= prefix) line_groups.push_back(std::move(groups[place - prefix]));
  }
  blocks = std::move(line);
  groups = std::move(line_groups);
  return std::move(edits.history);
}

// Plans and keys of a pool whose blocks have their tokens. A history that says what the mask
// pattern says, too, is dropped.
Status plan_and_key(const PoolParts& parts, const Pool* previous, BuiltPool& built) {
  Pool& pool = built.pool;
  DBSA_ASSIGN_OR_RETURN(built.blocks, encode_blocks_of(parts, pool));
  set_block_keys(built.blocks, pool);
  if (!pool.history) return {};
  if (pool.history->retired.empty()) {
    const std::vector<KvKey> keys = pool.keys();
    PoolHistory history = *std::exchange(pool.history, std::nullopt);
    DBSA_ASSIGN_OR_RETURN(std::vector<EncodeBlock> plain, encode_blocks_of(parts, pool));
    if (std::equal(keys.begin(), keys.end(), plain.begin(), plain.end(),
                   [](const KvKey& a, const EncodeBlock& b) { return a == b.key; })) {
      built.blocks = std::move(plain);
      return {};
    }
    pool.history = std::move(history);
  }
  const std::string before = previous->line_hash();
  pool.history->edits = previous->history ? previous->history->edits : 0;
  pool.history->hash = previous->history ? previous->history->hash : "";
  if (pool.line_hash() == before) return {};  // nothing was edited
  ++pool.history->edits;
  pool.history->hash = hash_list(std::vector<std::string>{before, pool.line_hash()});
  return {};
}

}  // namespace

Status check_zero_shot(const Settings& settings, int64_t anchor_blocks) {
  const int64_t prefix = settings.prompt.anchor == PromptHead::kPrefix ? 1 : 0;
  if (!is_zero_shot(settings.selection) || anchor_blocks <= prefix) return {};
  return Error{
      ErrorCode::kConfig,
      "selection.count: 0 means no demonstrations, but the mask pattern gives every query the "
      "first " +
          std::to_string(anchor_blocks) + (anchor_blocks == 1 ? " block" : " blocks") +
          " of the pool; lower mask_pattern.anchor_blocks to " + std::to_string(prefix) +
          (anchor_blocks == 1 ? ", or use prompt.anchor = \"prefix\" with an instruction" : "") +
          ", or raise selection.count",
      "/selection/count"};
}

Result<BuiltPool> build_pool(const PoolParts& parts, std::span<const Example> demonstrations,
                             std::span<const std::string> labels, const Pool* previous,
                             Dealing dealing) {
  DBSA_RETURN_IF_ERROR(check_zero_shot(parts.settings, parts.anchor_blocks));
  if (is_zero_shot(parts.settings.selection)) demonstrations = {};
  const PromptFormat format = prompt_format(parts.settings.prompt);
  DBSA_RETURN_IF_ERROR(check_prompt(format));
  BuiltPool built;
  built.anchor_blocks = parts.anchor_blocks;
  Pool& pool = built.pool;
  identify(parts, pool);
  pool.has_prefix = parts.settings.prompt.anchor == PromptHead::kPrefix;
  for (const Example& example : demonstrations)
    pool.demonstrations.push_back(hash_example(example).hex());

  DBSA_ASSIGN_OR_RETURN(pool.labels, pool_labels(parts, labels));
  for (const Example& example : demonstrations)  // `labels` is sorted and has them all
    pool.demonstration_labels.push_back(static_cast<int32_t>(
        std::lower_bound(labels.begin(), labels.end(), example.label) - labels.begin()));
  const bool kept = keeps_blocks(parts, pool, previous, dealing);
  if (!kept) {
    const auto count = static_cast<int64_t>(demonstrations.size());
    const int64_t size = parts.settings.grouper.block_size;
    DBSA_RETURN_IF_ERROR(check_index(
        *parts.retriever, parts.services, demonstrations,
        parts.settings.retriever.by_demonstration ? count : count / size + (count % size > 0)));
  }
  DBSA_ASSIGN_OR_RETURN(Assignment assignment,
                        deal_demonstrations(parts, format, demonstrations, pool.demonstrations,
                                            kept ? previous : nullptr));
  std::vector<std::vector<int64_t>> groups = std::move(assignment.kept);
  if (kept)
    built.change = {assignment.edited, static_cast<int64_t>(assignment.fresh.size()),
                    assignment.removed,
                    static_cast<int64_t>(groups.size() - assignment.sources.size())};
  pool.dealt = kept ? previous->dealt : hash_list(pool.demonstrations);
  if (kept) pool.grouper_library = previous->grouper_library;  // it still says what dealt them
  DBSA_ASSIGN_OR_RETURN(std::vector<Block> blocks,
                        tokenise_blocks(parts, format, demonstrations, groups));
  if (kept && parts.settings.grouper.edits == Edits::kAppend) {
    DBSA_ASSIGN_OR_RETURN(pool.history, append_to(parts, *previous, assignment, blocks, groups));
  }
  std::vector<int64_t> lengths;
  for (Block& block : blocks) {
    lengths.push_back(static_cast<int64_t>(block.tokens.size()));
    pool.blocks.push_back({std::move(block.demonstrations), std::move(block.tokens), {}});
  }
  DBSA_RETURN_IF_ERROR(plan_and_key(parts, previous, built));
  DBSA_RETURN_IF_ERROR(check_selection_possible(
      parts.settings.selection, {lengths, parts.anchor_blocks, pool.has_prefix},
      parts.settings.decoding.method == DecodingMethod::kVote  // no model reads it
          ? std::numeric_limits<int64_t>::max()
          : parts.model.max_positions));

  DBSA_ASSIGN_OR_RETURN(built.index_reused,
                        index_pool(parts, format, demonstrations, groups, previous, pool));
  return built;
}

Result<BuiltPool> rebuild_pool(const PoolParts& parts, Pool pool) {
  BuiltPool built;
  built.anchor_blocks = parts.anchor_blocks;
  DBSA_ASSIGN_OR_RETURN(built.blocks, encode_blocks_of(parts, pool));
  identify(parts, pool);
  set_block_keys(built.blocks, pool);
  const int64_t documents = pool.documents(parts.settings.retriever.by_demonstration);
  if (documents > 0) DBSA_RETURN_IF_ERROR(parts.retriever->load(pool.index, documents));
  built.index_reused = documents > 0;
  built.pool = std::move(pool);
  return built;
}

}  // namespace dbsa
