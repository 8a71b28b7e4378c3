#include "pipeline/pool/pool_blocks.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>

#include "pipeline/pool/demonstration_lengths.h"
#include "pipeline/pool/pool_prompt.h"

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

}  // namespace

Result<Assignment> deal_demonstrations(const PoolParts& parts, const PromptFormat& format,
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

Result<std::vector<Block>> tokenise_blocks(const PoolParts& parts, const PromptFormat& format,
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

}  // namespace dbsa
