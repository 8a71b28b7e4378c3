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
  if (count == 0) return select_blocks(settings.selection, shape, {});
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
    std::vector<std::string> stops = settings.decoding.stop;
    stops.push_back(settings.prompt.separator);
    DBSA_ASSIGN_OR_RETURN(const Generated generated,
                          decode_free(*tokenizer, stops, config.eos_token_ids,
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

// What a query asks for, whatever the state of the store.
Result<Engine::Impl::Request> Engine::Impl::make_request(std::string_view text,
                                                         AnswerTimings& seconds) {
  Request request;
  const Stopwatch retrieving;
  DBSA_ASSIGN_OR_RETURN(request.selection, select(text));
  seconds.retrieve = retrieving.seconds();
  const Stopwatch tokenising;
  DBSA_ASSIGN_OR_RETURN(request.ids, query_ids(text));
  seconds.prefill = tokenising.seconds();
  request.rows = static_cast<int64_t>(request.ids.size()) + longest_continuation();
  DBSA_RETURN_IF_ERROR(check_distances(request.selection, request.rows, longest_distance(config)));
  return request;
}

// One attempt. kCorrupt when a plane does not match, kNotFound when the store lacks a block.
Status Engine::Impl::answer_once(const Request& request, Answer& answer) {
  const Stopwatch loading;
  DBSA_ASSIGN_OR_RETURN(std::vector<QueryPass::Selected> open, open_blocks(request.selection));
  answer.seconds.load += loading.seconds();

  const Stopwatch computing;
  DBSA_ASSIGN_OR_RETURN(
      QueryPass pass,
      QueryPass::begin(*model, plugins->backend, services, std::move(open),
                       request.selection.query_start, request.rows, settings.model.chunk_tokens));
  DBSA_ASSIGN_OR_RETURN(std::vector<float> logits, pass.extend(request.ids));
  answer.seconds.verify += pass.verify_seconds();
  answer.seconds.prefill += computing.seconds() - pass.verify_seconds();

  const Stopwatch decoding;
  DBSA_RETURN_IF_ERROR(decode(pass, std::move(logits), answer));
  answer.seconds.decode = decoding.seconds();
  return {};
}

// Drops every selected block whose bytes do not match, then computes what the store lacks of the
// selection, and of what those blocks see.
Status Engine::Impl::repair(const Selection& selection, Answer& answer) {
  const Stopwatch watch;
  std::vector<int64_t> wanted;
  for (const SelectedBlock& selected : selection.blocks) {
    wanted.push_back(selected.block);
    const KvKey& key = pool.blocks[static_cast<size_t>(selected.block)].key;
    DBSA_ASSIGN_OR_RETURN(const bool stored, plugins->store.contains(key));
    if (!stored) continue;
    const Result<OpenBlock*> block = cache.open(key);
    Status sound = block.ok() ? (*block)->verify_all() : Status(block.error());
    if (sound.ok()) continue;
    if (sound.error().code != ErrorCode::kCorrupt) return sound;
    services.log(host::LogLevel::kWarning, "block " + key.hex() + ": " + sound.error().message +
                                               "; it is encoded again and the query repeated");
    DBSA_RETURN_IF_ERROR(cache.discard(key));
  }
  if (blocks.empty()) {
    DBSA_ASSIGN_OR_RETURN(blocks, plan_pool(parts(), pool));
  }
  DBSA_ASSIGN_OR_RETURN(EncodeNeed need, encoder.need(blocks, wanted));
  if (need.blocks.size() > 1)
    services.log(host::LogLevel::kWarning,
                 std::to_string(need.blocks.size()) +
                     " blocks of the pool are not in the store (any more); encoding " +
                     std::to_string(need.tokens) + " tokens first");
  answer.blocks_repaired += static_cast<int64_t>(need.blocks.size());
  DBSA_RETURN_IF_ERROR(encoder.encode(blocks, std::move(need), nullptr));
  answer.seconds.repair += watch.seconds();
  return {};
}

Result<Answer> Engine::answer(std::string_view text) {
  Impl& self = *impl_;
  Answer answer;
  DBSA_ASSIGN_OR_RETURN(const Impl::Request request, self.make_request(text, answer.seconds));
  // A repair mends all that is wrong with the selection. To need it again and again means a disk
  // that spoils what is written.
  constexpr int kAttempts = 4;
  for (int attempt = 1;; ++attempt) {
    const Status status = self.answer_once(request, answer);
    if (status.ok()) break;
    const ErrorCode code = status.error().code;
    if (code != ErrorCode::kCorrupt && code != ErrorCode::kNotFound) return status.error();
    if (attempt == kAttempts)
      return Error{ErrorCode::kEnvironment,
                   "stored blocks stay damaged after " + std::to_string(kAttempts) +
                       " attempts to encode them again: " + status.error().message +
                       "; check the disk that holds kv_store.path",
                   "/kv_store/path"};
    DBSA_RETURN_IF_ERROR(self.repair(request.selection, answer));
  }
  for (const SelectedBlock& block : request.selection.blocks)
    answer.blocks.push_back(
        {block.block, block.score, block.start, self.lengths[static_cast<size_t>(block.block)]});
  answer.selected_tokens = request.selection.tokens;
  answer.query_tokens = static_cast<int64_t>(request.ids.size());
  return answer;
}

}  // namespace dbsa
