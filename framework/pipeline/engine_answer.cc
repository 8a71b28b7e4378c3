// Stage two: from a query's text to a label.

#include <algorithm>
#include <utility>

#include "icl/prompt.h"
#include "pipeline/engine_impl.h"
#include "pipeline/label_decoder.h"
#include "pipeline/stopwatch.h"

namespace dbsa {

Result<Selection> Engine::Impl::select(std::string_view text) {
  const PoolShape shape = {lengths, settings.mask.anchor_blocks, pool.has_prefix};
  DBSA_ASSIGN_OR_RETURN(const int64_t count, selection_size(settings.selection, shape));
  const std::string query = settings.index_whole_demonstrations
                                ? query_text(prompt_format(settings.prompt), text)
                                : std::string(text);
  DBSA_ASSIGN_OR_RETURN(const std::vector<Hit> ranking, plugins->retriever.query(query, count));
  return select_blocks(settings.selection, shape, ranking);
}

Result<std::vector<int32_t>> Engine::Impl::query_ids(std::string_view text) const {
  DBSA_ASSIGN_OR_RETURN(std::vector<int32_t> ids,
                        tokenizer->encode(query_text(prompt_format(settings.prompt), text),
                                          {.parse_special = false}));
  if (settings.prompt.tail.empty()) return ids;
  const PromptFormat behind = label_format(settings.prompt);
  DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> tail, tokenizer->encode(label_lead(behind)));
  ids.insert(ids.end(), tail.begin(), tail.end());
  return ids;
}

// Tokens that may follow the query: the longest label, or what free decoding may write.
int64_t Engine::Impl::longest_continuation() const {
  if (!trie) return settings.decoding.max_tokens;
  int64_t longest = 0;
  for (const LabelTrie::Node& node : trie->nodes())
    longest = std::max<int64_t>(longest, node.depth);
  return longest;
}

Result<std::vector<QueryPass::Selected>> Engine::Impl::open_blocks(const Selection& selection) {
  std::vector<QueryPass::Selected> open;
  for (const SelectedBlock& selected : selection.blocks) {
    const auto index = static_cast<size_t>(selected.block);
    DBSA_ASSIGN_OR_RETURN(OpenBlock * block, cache.open(pool.blocks[index].key));
    open.push_back({block, lengths[index], selected.start});
  }
  return open;
}

Status Engine::Impl::decode(QueryPass& pass, std::vector<float> logits, Answer& answer) {
  if (!trie) {
    DBSA_ASSIGN_OR_RETURN(const Generated generated,
                          decode_free(*tokenizer, settings.prompt.separator, config.eos_token_ids,
                                      settings.decoding.max_tokens, pass, std::move(logits)));
    answer.label = {generated.text, generated.log_probability};
    return {};
  }
  DBSA_ASSIGN_OR_RETURN(const Decision decision, decode_trie(*trie, pass, std::move(logits)));
  const auto named = [&](const LabelScore& score) {
    return AnswerLabel{pool.labels[static_cast<size_t>(score.label)].text, score.log_probability};
  };
  answer.label = named(decision.best);
  if (decision.runner_up) answer.runner_up = named(*decision.runner_up);
  return {};
}

// Blocks of the pool that the store lacks, for whatever reason, are computed anew.
Status Engine::Impl::repair(int64_t& repaired) {
  if (blocks.empty()) {
    DBSA_ASSIGN_OR_RETURN(blocks, plan_pool(parts(), pool));
  }
  DBSA_ASSIGN_OR_RETURN(EncodeNeed need, encoder.need(blocks, all_indices(blocks.size())));
  repaired += static_cast<int64_t>(need.blocks.size());
  return encoder.encode(blocks, std::move(need), nullptr);
}

// One attempt. On kCorrupt the block at fault is discarded; on kNotFound the store lacks a block.
Result<Answer> Engine::Impl::answer_once(std::string_view text) {
  Answer answer;
  const Stopwatch retrieving;
  DBSA_ASSIGN_OR_RETURN(const Selection selection, select(text));
  answer.seconds.retrieve = retrieving.seconds();

  DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, query_ids(text));
  const auto query_tokens = static_cast<int64_t>(ids.size());
  const int64_t rows = query_tokens + longest_continuation();
  DBSA_RETURN_IF_ERROR(check_distances(selection, rows, config.max_positions));
  if (config.sliding_window)
    DBSA_RETURN_IF_ERROR(check_distances(selection, rows, *config.sliding_window));

  const Stopwatch loading;
  DBSA_ASSIGN_OR_RETURN(std::vector<QueryPass::Selected> open, open_blocks(selection));
  answer.seconds.load = loading.seconds();

  const Stopwatch computing;
  DBSA_ASSIGN_OR_RETURN(QueryPass pass,
                        QueryPass::begin(*model, plugins->backend, services, std::move(open),
                                         selection.query_start, rows, settings.model.chunk_tokens));
  Result<std::vector<float>> logits = pass.extend(ids);
  if (!logits.ok()) {
    if (pass.corrupt() != nullptr) {
      const KvKey key = pass.corrupt()->key();
      services.log(host::LogLevel::kWarning, "block " + key.hex() + ": " + logits.error().message +
                                                 "; it is encoded again and the query repeated");
      DBSA_RETURN_IF_ERROR(cache.discard(key));
    }
    return logits.error();
  }
  answer.seconds.verify = pass.verify_seconds();
  answer.seconds.prefill = computing.seconds() - pass.verify_seconds();

  const Stopwatch decoding;
  DBSA_RETURN_IF_ERROR(decode(pass, std::move(logits).value(), answer));
  answer.seconds.decode = decoding.seconds();

  for (const SelectedBlock& block : selection.blocks)
    answer.blocks.push_back(
        {block.block, block.score, block.start, lengths[static_cast<size_t>(block.block)]});
  answer.selected_tokens = selection.tokens;
  answer.query_tokens = query_tokens;
  return answer;
}

Result<Answer> Engine::answer(std::string_view text) {
  Impl& self = *impl_;
  // Every failed attempt drops a block from the store or finds one missing, and mends it. More
  // attempts than this mean a disk that spoils what is written.
  constexpr int kAttempts = 8;
  int64_t repaired = 0;
  for (int attempt = 1;; ++attempt) {
    Result<Answer> answer = self.answer_once(text);
    if (answer.ok()) {
      answer->blocks_repaired = repaired;
      return answer;
    }
    const ErrorCode code = answer.error().code;
    if (code != ErrorCode::kCorrupt && code != ErrorCode::kNotFound) return answer.error();
    if (attempt == kAttempts)
      return Error{ErrorCode::kEnvironment,
                   "stored blocks stay damaged after " + std::to_string(kAttempts) +
                       " attempts to encode them again: " + answer.error().message +
                       "; check the disk that holds kv_store.path",
                   "/kv_store/path"};
    DBSA_RETURN_IF_ERROR(self.repair(repaired));
  }
}

}  // namespace dbsa
