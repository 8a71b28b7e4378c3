#include "pipeline/pool/pool_builder.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

#include "config/hash128.h"
#include "icl/blocks.h"
#include "icl/label_tokens.h"
#include "icl/label_trie.h"
#include "icl/selection.h"
#include "icl/tokenization.h"
#include "model/config/model_spec.h"
#include "pipeline/encode/block_key.h"
#include "pipeline/identity/identity.h"
#include "pipeline/pool/append_edits.h"
#include "pipeline/pool/demonstration_lengths.h"
#include "pipeline/pool/index_check.h"
#include "pipeline/pool/regroup.h"

namespace dbsa {
namespace {

Result<std::optional<int32_t>> bos_id(const PoolParts& parts) {
  if (!parts.settings.prompt.bos) return std::optional<int32_t>();
  if (!parts.model.bos_token_id)
    return Error{
        ErrorCode::kConfig,
        "prompt.bos = true, but neither the tokenizer nor config.json of the model names a "
        "BOS token; set it to false",
        "/prompt/bos"};
  if (*parts.model.bos_token_id >= parts.model.vocab_size)
    return Error{ErrorCode::kConfig,
                 "prompt.bos = true, and the tokenizer's BOS token has id " +
                     std::to_string(*parts.model.bos_token_id) +
                     ", while the model has embeddings for ids below " +
                     std::to_string(parts.model.vocab_size) +
                     " (vocab_size of config.json); use the tokenizer that was published with the "
                     "model, or set it to false",
                 "/prompt/bos"};
  if (parts.settings.prompt.anchor == PromptHead::kFirstBlocks && parts.anchor_blocks == 0)
    return Error{
        ErrorCode::kConfig,
        "bos = true puts the token before block 0, but most prompts do not include block 0: set "
        "prompt.anchor = \"prefix\", or use a mask pattern that gives every query its first "
        "blocks (dbsa with anchor_blocks >= 1)",
        "/prompt/bos"};
  return std::optional<int32_t>(static_cast<int32_t>(*parts.model.bos_token_id));
}

// An error of the tokenizer with the place of its text: "FILE:LINE: ".
Error at_demonstration(const PoolParts& parts, const Example& example, Error error) {
  error.message = parts.settings.data.demonstrations + ":" + std::to_string(example.line) + ": " +
                  error.message;
  return error;
}

// Token counts of single demonstrations, on all threads. The first of several faults counts.
Result<std::vector<int64_t>> count_all(const PoolParts& parts, const PromptFormat& format,
                                       std::span<const Example> demonstrations) {
  std::vector<int64_t> counts(demonstrations.size());
  std::optional<Error> failure;
  size_t failed = demonstrations.size();
  std::mutex mutex;
  const Tokenize tokenize = tokenize_with(parts.tokenizer, format.chat);
  parts.services.parallel_for(
      static_cast<int64_t>(demonstrations.size()), 64, [&](int64_t begin, int64_t end) {
        for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
          const auto one = count_tokens(demonstrations.subspan(i, 1), format, tokenize);
          if (one.ok()) {
            counts[i] = one->front();
            continue;
          }
          std::lock_guard lock(mutex);
          if (i < failed) failure = at_demonstration(parts, demonstrations[i], one.error());
          failed = std::min(failed, i);
          return;
        }
      });
  if (failure) return *failure;
  return counts;
}

// A demonstration that is too long for the model makes its block too long. Where blocks are not
// encoded, others may still be shown.
Status check_lengths(const PoolParts& parts, std::span<const Example> demonstrations,
                     std::span<const int64_t> counts) {
  if (parts.settings.decoding.method == DecodingMethod::kVote) return {};  // no model reads it
  std::string faults = too_long_demonstrations(parts.model, parts.settings.data.demonstrations,
                                               demonstrations, counts);
  if (faults.empty()) return {};
  if (uses_stored_kv(parts.settings)) return Error{ErrorCode::kConfig, std::move(faults), ""};
  for (size_t begin = 0; begin < faults.size();) {
    const size_t end = std::min(faults.find('\n', begin), faults.size());
    parts.services.log(host::LogLevel::kWarning, faults.substr(begin, end - begin));
    begin = end + 1;
  }
  return {};
}

// The blocks of demonstrations: what stood before, then new ones, which `kept` gets, too.
Result<Assignment> deal(const PoolParts& parts, const PromptFormat& format,
                        std::span<const Example> demonstrations,
                        std::span<const std::string> hashes, const Pool* previous) {
  Assignment assignment = keep_assignment(previous != nullptr ? *previous : Pool{}, hashes);
  if (assignment.fresh.empty()) return assignment;
  const std::vector<Example> fresh = pick(demonstrations, assignment.fresh);
  DBSA_ASSIGN_OR_RETURN(const std::vector<int64_t> counts, count_all(parts, format, fresh));
  DBSA_RETURN_IF_ERROR(check_lengths(parts, fresh, counts));
  std::vector<std::string> texts, labels;
  for (const Example& example : fresh) {
    texts.push_back(example.text);
    labels.push_back(example.label);
  }
  DBSA_ASSIGN_OR_RETURN(const Blocks dealt, parts.grouper.group(texts, labels, counts,
                                                                parts.settings.grouper.block_size,
                                                                parts.settings.grouper.seed));
  for (const std::vector<int64_t>& block : dealt) {
    std::vector<int64_t>& group = assignment.kept.emplace_back();
    for (const int64_t i : block) group.push_back(assignment.fresh[static_cast<size_t>(i)]);
  }
  return assignment;
}

Result<std::vector<Block>> tokenise(const PoolParts& parts, const PromptFormat& format,
                                    std::span<const Example> demonstrations,
                                    std::span<const std::vector<int64_t>> groups) {
  const PromptSettings& prompt = parts.settings.prompt;
  const Tokenize plain = tokenize_with(parts.tokenizer, false);
  DBSA_ASSIGN_OR_RETURN(const std::optional<int32_t> bos, bos_id(parts));
  std::vector<Block> blocks;
  if (prompt.anchor == PromptHead::kPrefix) {
    const Tokenize special = tokenize_with(parts.tokenizer, true);
    Result<Block> prefix =
        build_prefix_block(bos, prompt.head, prompt.instruction, format, plain, special);
    if (!prefix.ok()) {
      Error error = std::move(prefix).error();
      if (error.config_pointer.empty())  // the tokenizer's
        error.config_pointer = special(prompt.head).ok() ? "/prompt/instruction" : "/prompt/head";
      return error;
    }
    blocks.push_back(std::move(prefix).value());
  }
  Result<std::vector<Block>> rest =
      build_blocks(demonstrations, groups, format, tokenize_with(parts.tokenizer, format.chat),
                   prompt.anchor == PromptHead::kFirstBlocks ? bos : std::nullopt);
  if (!rest.ok()) {
    // Blocks that were dealt before were not counted now.
    DBSA_RETURN_IF_ERROR(count_all(parts, format, demonstrations));
    return std::move(rest).error();
  }
  std::move(rest->begin(), rest->end(), std::back_inserter(blocks));
  return blocks;
}

// The model must have been made for the distances a block's rows meet.
Status check_positions(const PoolParts& parts, const BlockPlan& plan, int64_t block,
                       int64_t length) {
  const ModelConfig& model = parts.model;
  const bool global = parts.settings.encode_positions == EncodePositions::kGlobal;
  const int64_t needed = global ? plan.start + length : positions_needed(plan, length);
  if (needed > model.max_positions)
    return Error{ErrorCode::kConfig,
                 "block " + std::to_string(block) + " needs " + std::to_string(needed) +
                     (global ? " positions (encode_positions = \"global\")"
                             : " positions, with all that it sees,") +
                     " and the model has " + std::to_string(model.max_positions) +
                     (global ? "; use encode_positions = \"packed\" or fewer demonstrations"
                             : "; lower block_grouper.block_size or let blocks see fewer others"),
                 "/mask_pattern"};
  return {};
}

// What the mask pattern shows each block of these.
Result<std::vector<BlockPlan>> plans_of(const PoolParts& parts,
                                        std::span<const std::vector<int32_t>> token_ids) {
  std::vector<int64_t> lengths;
  for (const auto& ids : token_ids) lengths.push_back(static_cast<int64_t>(ids.size()));
  const std::vector<int64_t> starts = block_starts(lengths);
  std::vector<BlockPlan> plans;
  for (size_t i = 0; i < lengths.size(); ++i) {
    DBSA_ASSIGN_OR_RETURN(BlockPlan plan,
                          plan_block(parts.mask, lengths, starts, static_cast<int64_t>(i),
                                     parts.settings.encode_positions));
    plans.push_back(std::move(plan));
  }
  return plans;
}

// token_ids, plans: [blocks] in the order in which they are encoded.
Result<std::vector<EncodeBlock>> key_blocks(const PoolParts& parts,
                                            std::vector<std::vector<int32_t>> token_ids,
                                            std::vector<BlockPlan> plans) {
  const KvKey common = kv_digest(parts.identities.kv);
  // Blocks whose rows see farther than a window are other blocks without it.
  nlohmann::json with_windows = parts.identities.kv;
  with_windows["windows"] = layer_identity(make_model_spec(parts.model));
  const KvKey windowed = kv_digest(with_windows);
  std::vector<EncodeBlock> blocks;
  std::vector<KvKey> keys;
  blocks.reserve(plans.size());
  for (size_t i = 0; i < plans.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    const auto length = static_cast<int64_t>(token_ids[i].size());
    if (uses_stored_kv(parts.settings))
      DBSA_RETURN_IF_ERROR(check_positions(parts, plans[i], index, length));
    const bool cut = parts.model.sliding_window &&
                     positions_needed(plans[i], length) > *parts.model.sliding_window;
    keys.push_back(block_key(cut ? windowed : common, token_ids[i], plans[i], index, keys));
    blocks.push_back({keys.back(), std::move(token_ids[i]), std::move(plans[i])});
  }
  return blocks;
}

// All blocks of a pool in the order in which they were encoded.
std::vector<std::vector<int32_t>> token_ids(const Pool& pool) {
  std::vector<std::vector<int32_t>> ids;
  for (const PoolBlock* block : pool.encoded_blocks()) ids.push_back(block->token_ids);
  return ids;
}

// What each of them was encoded behind.
Result<std::vector<BlockPlan>> plans_of(const PoolParts& parts, const Pool& pool) {
  if (pool.history) return pool.history->plans;
  return plans_of(parts, token_ids(pool));
}

Result<std::vector<EncodeBlock>> encode_blocks_of(const PoolParts& parts, const Pool& pool) {
  DBSA_ASSIGN_OR_RETURN(std::vector<BlockPlan> plans, plans_of(parts, pool));
  return key_blocks(parts, token_ids(pool), std::move(plans));
}

// Puts the wanted blocks into the order in which they stand after an edit that is appended, and
// their groups likewise.
Result<PoolHistory> append_to(const PoolParts& parts, const Pool& previous,
                              const Assignment& assignment, std::vector<Block>& blocks,
                              std::vector<std::vector<int64_t>>& groups) {
  DBSA_ASSIGN_OR_RETURN(std::vector<BlockPlan> plans, plans_of(parts, previous));
  const EncodedBlocks before = {token_ids(previous), std::move(plans), previous.encoded_indices()};
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

// What the retriever sees: of each block of demonstrations, or of each demonstration, block after
// block.
std::vector<std::string> documents(const PoolParts& parts, const PromptFormat& format,
                                   std::span<const Example> demonstrations,
                                   std::span<const std::vector<int64_t>> groups) {
  const RetrieverSettings& retriever = parts.settings.retriever;
  std::vector<std::string> texts;
  for (const std::vector<int64_t>& group : groups) {
    if (!retriever.by_demonstration) texts.emplace_back();
    for (const int64_t i : group) {
      const Example& example = demonstrations[static_cast<size_t>(i)];
      if (retriever.by_demonstration) texts.emplace_back();
      texts.back() += retriever.whole_demonstrations ? demonstration_text(format, example)
                                                     : example.text + "\n";
    }
  }
  return texts;
}

void identify(const PoolParts& parts, Pool& pool) {
  pool.id = pool_id(parts.identities.pool);
  pool.identity = parts.identities.pool;
  pool.kv = parts.identities.kv;
  pool.made_index = parts.identities.index;
  pool.grouper_library = parts.identities.grouper_library;
}

// Fills in the retriever's part of a pool, from the previous one where the documents are the same.
Result<bool> index_documents(const PoolParts& parts, std::span<const std::string> texts,
                             const Pool* previous, Pool& pool) {
  std::string all;
  for (const std::string& text : texts) all += hash_text(text).hex();
  pool.documents_hash = hash_text(all).hex();
  if (texts.empty()) return false;
  if (previous != nullptr && previous->made_index == pool.made_index &&
      previous->documents_hash == pool.documents_hash) {
    const auto count = static_cast<int64_t>(texts.size());
    const Status loaded = parts.retriever->load(previous->index, count);
    if (loaded.ok()) {
      pool.index = previous->index;
      return true;
    }
    if (loaded.error().code == ErrorCode::kCancelled) return loaded.error();
    parts.services.log(host::LogLevel::kWarning,
                       "the stored retriever index cannot be loaded: " + loaded.error().message +
                           "; the index is made again");
  }
  DBSA_RETURN_IF_ERROR(parts.retriever->index(texts));
  DBSA_ASSIGN_OR_RETURN(pool.index, parts.retriever->save());
  return false;
}

}  // namespace

Tokenize tokenize_with(const Tokenizer& tokenizer, bool special) {
  return [&tokenizer, special](const PromptText& text) {
    return tokenizer.encode(text.text, {.parse_special = special, .plain = text.data});
  };
}

PromptFormat prompt_format(const PromptSettings& prompt) {
  return {prompt.input_prefix, prompt.output_prefix, prompt.separator, prompt.label_break,
          prompt.chat};
}

PromptFormat label_format(const PromptSettings& prompt) {
  PromptFormat format = prompt_format(prompt);
  if (!prompt.tail.empty()) format.output_prefix = prompt.tail;
  return format;
}

Result<std::vector<PoolLabel>> pool_labels(const PoolParts& parts,
                                           std::span<const std::string> table) {
  std::vector<PoolLabel> labels;
  const DecodingMethod method = parts.settings.decoding.method;
  if (method == DecodingMethod::kFree || method == DecodingMethod::kVote) {  // no ids are needed
    for (const std::string& text : table) labels.push_back({text, {}});
    return labels;
  }
  const PromptFormat format = label_format(parts.settings.prompt);
  DBSA_RETURN_IF_ERROR(check_prompt(format));
  const PromptSettings& prompt = parts.settings.prompt;
  const bool special = prompt.chat || !prompt.tail.empty();  // special tokens count
  const Detokenize detokenize = [&parts](std::span<const int32_t> ids) {
    return parts.tokenizer.decode(ids, {.skip_special = false});
  };
  DBSA_ASSIGN_OR_RETURN(
      std::vector<LabelTokens> tokens,
      tokenize_labels(table, format, tokenize_with(parts.tokenizer, special), detokenize));
  DBSA_RETURN_IF_ERROR(check_label_lengths(parts.model, parts.settings.data, table, tokens));
  // Labels that cannot be told apart are found here, before anything is encoded.
  DBSA_ASSIGN_OR_RETURN([[maybe_unused]] const LabelTrie trie, LabelTrie::build(tokens, table));
  for (size_t i = 0; i < table.size(); ++i) labels.push_back({table[i], std::move(tokens[i])});
  return labels;
}

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

namespace {

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

void set_keys(std::span<const EncodeBlock> encoded, Pool& pool) {
  for (size_t i = 0; i < encoded.size(); ++i) {
    PoolBlock& block = pool.history
                           ? block_at(std::span(pool.blocks), std::span(pool.history->retired),
                                      pool.history->order[i])
                           : pool.blocks[i];
    block.key = encoded[i].key;
  }
}

// Plans and keys of a pool whose blocks have their tokens. A history that says what the mask
// pattern says, too, is dropped.
Status plan_and_key(const PoolParts& parts, const Pool* previous, BuiltPool& built) {
  Pool& pool = built.pool;
  DBSA_ASSIGN_OR_RETURN(built.blocks, encode_blocks_of(parts, pool));
  set_keys(built.blocks, pool);
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
  DBSA_ASSIGN_OR_RETURN(
      Assignment assignment,
      deal(parts, format, demonstrations, pool.demonstrations, kept ? previous : nullptr));
  std::vector<std::vector<int64_t>> groups = std::move(assignment.kept);
  if (kept)
    built.change = {assignment.edited, static_cast<int64_t>(assignment.fresh.size()),
                    assignment.removed,
                    static_cast<int64_t>(groups.size() - assignment.sources.size())};
  pool.dealt = kept ? previous->dealt : hash_list(pool.demonstrations);
  if (kept) pool.grouper_library = previous->grouper_library;  // it still says what dealt them
  DBSA_ASSIGN_OR_RETURN(std::vector<Block> blocks, tokenise(parts, format, demonstrations, groups));
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

  DBSA_ASSIGN_OR_RETURN(
      built.index_reused,
      index_documents(parts, documents(parts, format, demonstrations, groups), previous, pool));
  return built;
}

Result<std::vector<EncodeBlock>> plan_pool(const PoolParts& parts, const Pool& pool) {
  DBSA_ASSIGN_OR_RETURN(std::vector<EncodeBlock> blocks, encode_blocks_of(parts, pool));
  const std::vector<const PoolBlock*> made = pool.encoded_blocks();
  for (size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i].key != made[i]->key)
      return Error{
          ErrorCode::kConfig,
          "pool " + pool.id + ": was made with other settings; run `dbsa-pipe encode` again", ""};
  return blocks;
}

Result<BuiltPool> rebuild_pool(const PoolParts& parts, Pool pool) {
  BuiltPool built;
  built.anchor_blocks = parts.anchor_blocks;
  DBSA_ASSIGN_OR_RETURN(built.blocks, encode_blocks_of(parts, pool));
  identify(parts, pool);
  set_keys(built.blocks, pool);
  const int64_t documents = pool.documents(parts.settings.retriever.by_demonstration);
  if (documents > 0) DBSA_RETURN_IF_ERROR(parts.retriever->load(pool.index, documents));
  built.index_reused = documents > 0;
  built.pool = std::move(pool);
  return built;
}

}  // namespace dbsa
