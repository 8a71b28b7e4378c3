// Stage two: from a query's text to a label.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "config/stopwatch.h"
#include "icl/best_first_walk.h"
#include "icl/prompt.h"
#include "pipeline/answer/label_decoder.h"
#include "pipeline/engine_impl.h"

namespace dbsa {
namespace {

constexpr int64_t kAutomaticBatch = 8;

}  // namespace

QueryContext Engine::Impl::query_context() const {
  return {settings,
          *computing.tokenizer,
          &plugins->retriever,
          {lengths, anchor_blocks, pool.has_prefix},
          block_of,
          computing.config.max_positions,
          longest_continuation()};
}

// How far tokens may follow the query: the longest label, or what free decoding may write.
int64_t Engine::Impl::longest_continuation() const {
  int64_t longest = 0;
  if (tree)
    for (const TreeToken& row : tree->rows()) longest = std::max<int64_t>(longest, row.depth + 1);
  else if (trie)
    for (const LabelTrie::Node& node : trie->nodes())
      longest = std::max<int64_t>(longest, node.depth);
  else
    longest = settings.decoding.max_tokens;
  return longest;
}

// Room for tokens behind the query. A tree is wider than it is long; of a trie, a walk takes a few
// requests' worth, and makes room for more where it needs them.
int64_t Engine::Impl::continuation_tokens() const {
  if (tree) return static_cast<int64_t>(tree->rows().size());
  if (settings.decoding.method == DecodingMethod::kTrie)
    return std::min<int64_t>(trie->inner_count(), 4 * BestFirstWalk::kFirstTokens);
  return longest_continuation();
}

// The layers in which the query's rows, and those of what follows it, read a selected block.
LayerSet Engine::Impl::layers_reading(const Selection& selection,
                                      const SelectedBlock& block) const {
  const int64_t tokens = lengths[static_cast<size_t>(block.block)];
  return computing.model->layers_reading(selection.query_start, block.start + tokens - 1);
}

Result<std::vector<QueryPass::Selected>> Engine::Impl::open_blocks(const Selection& selection) {
  std::vector<QueryPass::Selected> open;
  for (const SelectedBlock& selected : selection.blocks) {
    const auto index = static_cast<size_t>(selected.block);
    DBSA_ASSIGN_OR_RETURN(std::shared_ptr<OpenBlock> block,
                          cache.open(pool.blocks[index].key, lengths[index]));
    open.push_back(
        {std::move(block), lengths[index], selected.start, layers_reading(selection, selected)});
  }
  return open;
}

namespace {

// The best of the scores, then the next best; ties go to the first.
std::vector<size_t> best_two(std::span<const double> scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto middle =
      order.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(2, order.size()));
  std::partial_sort(order.begin(), middle, order.end(), [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  order.erase(middle, order.end());
  return order;
}

bool same_place(const Selection& selection, std::span<const SelectedBlock> blocks) {
  return std::equal(selection.blocks.begin(), selection.blocks.end(), blocks.begin(), blocks.end(),
                    [](const SelectedBlock& a, const SelectedBlock& b) {
                      return a.block == b.block && a.start == b.start;
                    });
}

}  // namespace

double Engine::Impl::temperature() const {
  return calibration ? calibration->temperature : settings.decoding.temperature;
}

// Whether probabilities are those of the scores as they are, so that the walk's two labels do.
bool Engine::Impl::probabilities_change() const {
  return temperature() != 1 || (calibration && calibration->curve);
}

// What the scorer subtracts. before: tokens of the pass ahead of the query, which every reference
// follows, too.
Result<std::vector<double>> Engine::Impl::prior_of(const QueryRequest& request, QueryPass& pass,
                                                   int64_t before) {
  if (scoring->scorer() == LabelScorer::kBatch)
    return calibration ? calibration->log_prior : std::vector<double>();
  if (request.reference_ids.empty()) return std::vector<double>();
  if (known_prior && known_prior->query_start == request.selection.query_start &&
      same_place(request.selection, known_prior->blocks))
    return known_prior->prior;
  std::vector<std::vector<double>> references;
  for (const std::vector<int32_t>& ids : request.reference_ids) {
    pass.truncate(before);
    DBSA_ASSIGN_OR_RETURN(const std::vector<double> edges, decode_likelihood(*tree, pass, ids));
    references.push_back(tree->log_likelihoods(edges));
  }
  std::vector<double> prior = scoring->prior(references);
  known_prior = KnownPrior{request.selection.blocks, request.selection.query_start, prior};
  return prior;
}

// Makes the answer of the scores of all labels; their log-probabilities, [labels].
std::vector<double> Engine::Impl::answer_from(std::span<const double> scores,
                                              Answer& answer) const {
  std::vector<double> made = log_softmax(scores, temperature());
  const std::vector<size_t> best = best_two(made);  // the curve may make them equal
  if (calibration && calibration->curve) apply_confidence_curve(*calibration->curve, made);
  answer.label = {pool.labels[best[0]].text, made[best[0]]};
  if (best.size() > 1) answer.runner_up = AnswerLabel{pool.labels[best[1]].text, made[best[1]]};
  return made;
}

// Under likelihood. query: as of decode.
Status Engine::Impl::decode_labels(const QueryRequest& request, QueryPass& pass,
                                   std::span<const int32_t> query, Answer& answer,
                                   AnswerExtras extras) {
  const auto before = static_cast<int64_t>(query.size() - request.ids.size());
  DBSA_ASSIGN_OR_RETURN(const std::vector<double> edges, decode_likelihood(*tree, pass, query));
  const std::vector<double> likelihoods = tree->log_likelihoods(edges);
  // The mean over the held-out queries is made of what each of them says.
  if (extras.evidence != nullptr && scoring->scorer() == LabelScorer::kBatch) {
    extras.evidence->scores = likelihoods;
    return {};
  }
  DBSA_ASSIGN_OR_RETURN(const std::vector<double> prior, prior_of(request, pass, before));
  std::vector<double> scores = scoring->scores(likelihoods, prior);
  if (extras.evidence != nullptr) {
    extras.evidence->scores = std::move(scores);
    return {};
  }
  scores = answer_from(scores, answer);
  for (size_t i = 0; extras.notes != nullptr && i < scores.size(); ++i)
    extras.notes->labels.push_back(
        {tree->read_label(i, edges), scores[i], scores[i], likelihoods[i], std::nullopt});
  answer.label_log_probabilities = std::move(scores);
  return {};
}

// query: the tokens that the pass computes before the answer.
Status Engine::Impl::decode(const QueryRequest& request, QueryPass& pass,
                            std::span<const int32_t> query, Answer& answer, AnswerExtras extras) {
  if (tree) return decode_labels(request, pass, query, answer, extras);
  if (!trie) return decode_freely(pass, query, answer, extras.notes);
  // A temperature and a curve need all labels.
  if (extras.evidence != nullptr || probabilities_change())
    return decode_whole_trie(pass, query, answer, extras);
  return decode_trie(pass, query, answer, extras.notes);
}

Status Engine::Impl::decode_whole_trie(QueryPass& pass, std::span<const int32_t> query,
                                       Answer& answer, AnswerExtras extras) {
  DBSA_ASSIGN_OR_RETURN(const TrieReading reading, read_trie(*trie, pass, query));
  std::vector<LabelReading> labels;
  std::vector<double> scores;
  for (size_t i = 0; i < pool.labels.size(); ++i) {
    labels.push_back(reading.read(static_cast<int32_t>(i)));
    scores.push_back(labels.back().log_probability.value());
  }
  if (extras.evidence != nullptr) {
    extras.evidence->scores = std::move(scores);
    return {};
  }
  scores = answer_from(scores, answer);
  if (extras.notes == nullptr) return {};
  for (size_t i = 0; i < scores.size(); ++i)
    labels[i].log_probability = labels[i].at_most = scores[i];  // the calibrated one
  extras.notes->labels = std::move(labels);
  return {};
}

Status Engine::Impl::decode_trie(QueryPass& pass, std::span<const int32_t> query, Answer& answer,
                                 AnswerNotes* notes) {
  std::optional<TrieNotes> seen;
  if (notes != nullptr) seen.emplace(TrieNotes{TrieReading(*trie), notes->label.value_or(-1)});
  TrieNotes* const watch = seen ? &*seen : nullptr;
  DBSA_ASSIGN_OR_RETURN(const Decision decision, settings.decoding.method == DecodingMethod::kTrie
                                                     ? decode_best_first(*trie, pass, query, watch)
                                                     : decode_greedily(*trie, pass, query, watch));
  const auto named = [&](const LabelScore& score) {
    return AnswerLabel{pool.labels[static_cast<size_t>(score.label)].text, score.log_probability};
  };
  answer.label = named(decision.best);
  if (decision.runner_up) answer.runner_up = named(*decision.runner_up);
  if (notes != nullptr)
    for (size_t i = 0; i < pool.labels.size(); ++i)
      notes->labels.push_back(seen->reading.read(static_cast<int32_t>(i)));
  return {};
}

Status Engine::Impl::decode_freely(QueryPass& pass, std::span<const int32_t> query, Answer& answer,
                                   AnswerNotes* notes) {
  std::vector<std::string> stops = settings.decoding.stop;
  // The model may end after what a chat template ends a message with, the white space left out.
  const std::string& separator = settings.prompt.separator;
  stops.push_back(settings.prompt.chat
                      ? separator.substr(0, separator.find_last_not_of(" \t\r\n") + 1)
                      : separator);
  DBSA_ASSIGN_OR_RETURN(Generated generated,
                        decode_free(*computing.tokenizer, stops, computing.config.eos_token_ids,
                                    settings.decoding.max_tokens, pass, query));
  answer.label = {generated.text, generated.log_probability};
  if (notes == nullptr) return {};
  notes->labels.push_back({std::move(generated.tokens), generated.log_probability,
                           generated.log_probability, std::nullopt, std::nullopt});
  if (notes->tokens.empty()) return {};
  DBSA_ASSIGN_OR_RETURN(notes->log_probability_of_tokens, score_tokens(notes->tokens, pass, query));
  return {};
}

// The label that most demonstrations of the selection have; of several, the one that the retriever
// ranked best. Shares count as probabilities.
Answer Engine::Impl::vote(const Selection& selection, AnswerNotes* notes) const {
  struct Votes {
    int64_t count = 0;
    double best = -std::numeric_limits<double>::infinity();  // score of a block with such a label
  };
  std::map<int32_t, Votes> votes;
  int64_t all = 0;
  for (const SelectedBlock& selected : selection.blocks)
    for (const int64_t id : pool.blocks[static_cast<size_t>(selected.block)].demonstrations) {
      Votes& label = votes[pool.demonstration_labels[static_cast<size_t>(id)]];
      ++label.count;
      ++all;
      if (selected.score) label.best = std::max(label.best, *selected.score);
    }
  const auto share_of = [&](const Votes& label) {
    return std::log(static_cast<double>(label.count) / static_cast<double>(all));
  };
  if (notes != nullptr) {
    notes->labels.assign(pool.labels.size(), LabelReading{.votes = 0});
    for (const auto& [label, count] : votes) {
      LabelReading& reading = notes->labels[static_cast<size_t>(label)];
      reading.log_probability = reading.at_most = share_of(count);
      reading.votes = count.count;
    }
  }
  std::vector<std::pair<int32_t, Votes>> order(votes.begin(), votes.end());
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second.count != b.second.count ? a.second.count > b.second.count
                                            : a.second.best > b.second.best;
  });
  const auto named = [&](const std::pair<int32_t, Votes>& label) {
    return AnswerLabel{pool.labels[static_cast<size_t>(label.first)].text, share_of(label.second)};
  };
  Answer answer;
  answer.label = named(order.at(0));
  if (order.size() > 1) answer.runner_up = named(order[1]);
  return answer;
}

// One attempt. kCorrupt when a plane does not match, kNotFound when the store lacks a block.
Status Engine::Impl::answer_once(const QueryRequest& request, Forward& forward, Answer& answer,
                                 AnswerExtras extras) {
  const Stopwatch loading;
  std::vector<QueryPass::Selected> open;
  if (!settings.recompute) {
    DBSA_ASSIGN_OR_RETURN(open, open_blocks(request.selection));
  }
  answer.kv_loaded = {};
  AnswerNotes* const notes = extras.notes;
  if (notes != nullptr) notes->kv_loaded.clear();
  if (notes != nullptr) notes->labels.clear();
  for (const QueryPass::Selected& selected : open) {
    const KvLoaded loaded = {selected.block->bytes_of(selected.layers),
                             selected.block->bytes_of(LayerSet(selected.layers.size(), true))};
    answer.kv_loaded.bytes += loaded.bytes;
    answer.kv_loaded.all_layers_bytes += loaded.all_layers_bytes;
    if (notes != nullptr) notes->kv_loaded.push_back(loaded);
  }
  answer.seconds.load += loading.seconds();

  const Stopwatch prefilling;
  // Blocks that are computed again are tokens before the query's own, nothing else.
  std::vector<int32_t> ids;
  if (settings.recompute)
    for (const SelectedBlock& selected : request.selection.blocks) {
      const auto& block = pool.blocks[static_cast<size_t>(selected.block)].token_ids;
      ids.insert(ids.end(), block.begin(), block.end());
    }
  const auto before = static_cast<int64_t>(ids.size());
  ids.insert(ids.end(), request.ids.begin(), request.ids.end());
  size_t longest = request.ids.size();
  for (const std::vector<int32_t>& reference : request.reference_ids)
    longest = std::max(longest, reference.size());
  DBSA_ASSIGN_OR_RETURN(
      QueryPass pass,
      QueryPass::begin(forward, *computing.backend, services, std::move(open),
                       request.selection.query_start - before,
                       before + static_cast<int64_t>(longest) + continuation_tokens(),
                       settings.model.chunk_tokens));
  answer.seconds.prefill += prefilling.seconds();
  const Stopwatch decoding;
  DBSA_RETURN_IF_ERROR(decode(request, pass, ids, answer, extras));
  answer.seconds.verify += pass.verify_seconds();
  answer.seconds.prefill += pass.first_seconds();
  answer.seconds.decode =
      decoding.seconds() - pass.verify_seconds() - pass.away_seconds() - pass.first_seconds();
  return {};
}

// Drops every selected block with a plane that is read and does not match, then computes what the
// store lacks of the selection, and of what those blocks see. Whether there was anything to do.
Result<bool> Engine::Impl::repair(const Selection& selection, Answer& answer) {
  const Stopwatch watch;
  const std::vector<int64_t> encoded = pool.encoded_indices();
  std::vector<int64_t> wanted;
  for (const SelectedBlock& selected : selection.blocks) {
    wanted.push_back(encoded[static_cast<size_t>(selected.block)]);
    const auto index = static_cast<size_t>(selected.block);
    const KvKey& key = pool.blocks[index].key;
    DBSA_ASSIGN_OR_RETURN(const bool stored, plugins->store.contains(key));
    if (!stored) continue;
    const Result<std::shared_ptr<OpenBlock>> block = cache.open(key, lengths[index]);
    Status sound = block.ok() ? (*block)->verify_content(layers_reading(selection, selected))
                              : Status(block.error());
    if (sound.ok()) continue;
    if (sound.error().code != ErrorCode::kCorrupt) return std::move(sound).error();
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
                     " blocks are missing from the store; encoding them (" +
                     std::to_string(need.tokens) + " tokens) first");
  answer.blocks_repaired += static_cast<int64_t>(need.blocks.size());
  const bool mended = !need.blocks.empty();
  DBSA_RETURN_IF_ERROR(encoder.encode(blocks, std::move(need), nullptr, /*keep_in_memory=*/true));
  answer.seconds.repair += watch.seconds();
  return mended;
}

// Says where the numbers lie that a failed computation came of.
Error Engine::Impl::with_sources(Error error) const {
  if (error.code != ErrorCode::kRun) return error;
  error.message += "; the model is " + settings.model.path;
  if (!settings.store_path.empty())
    error.message += ", its blocks and packed weights are in " + settings.store_path;
  return error;
}

Status Engine::Impl::answer_with_model(const QueryRequest& request, Forward& forward,
                                       Answer& answer, AnswerExtras extras) {
  answer.query_tokens = static_cast<int64_t>(request.ids.size());
  answer.cut_tokens = request.cut_tokens;
  // A repair mends all that is wrong with the selection. To need it again and again means a disk
  // that spoils what is written. A pass that is shared may fail for a block of another query; that
  // one gives up sooner.
  constexpr int kAttempts = 4, kAttemptsOfOthers = 64;
  int attempts = 1;
  for (int others = 0;;) {
    const Status status = answer_once(request, forward, answer, extras);
    if (status.ok()) return {};
    const ErrorCode code = status.error().code;
    if (code != ErrorCode::kCorrupt && code != ErrorCode::kNotFound)
      return with_sources(status.error());
    if (attempts == kAttempts || others == kAttemptsOfOthers)
      return Error{ErrorCode::kEnvironment,
                   "stored blocks stay damaged after " + std::to_string(kAttempts) +
                       " attempts to encode them again: " + status.error().message +
                       "; check the disk that holds kv_store.path",
                   "/kv_store/path"};
    DBSA_ASSIGN_OR_RETURN(const bool mended, repair(request.selection, answer));
    ++(mended ? attempts : others);
  }
}

Result<Outcome> Engine::Impl::answer(std::string_view text, Forward& forward, AnswerExtras extras) {
  const QueryContext context = query_context();
  const Stopwatch retrieving;
  QueryRequest request;
  DBSA_RETURN_IF_ERROR(select_for_query(context, text, request));
  if (request.error) return Outcome(*std::move(request.error));
  Answer answer;
  if (settings.decoding.method == DecodingMethod::kVote) {
    answer = vote(request.selection, extras.notes);
    answer.seconds.retrieve = retrieving.seconds();
  } else {
    answer.seconds.retrieve = retrieving.seconds();
    const Stopwatch tokenising;
    DBSA_RETURN_IF_ERROR(tokenize_query(context, text, request));
    if (!request.error) DBSA_RETURN_IF_ERROR(tokenize_references(context, request));
    if (request.error) return Outcome(*std::move(request.error));
    answer.seconds.prefill = tokenising.seconds();
    DBSA_RETURN_IF_ERROR(answer_with_model(request, forward, answer, extras));
  }
  answer.abstained = std::exp(answer.label.log_probability) < settings.decoding.abstain_below;
  for (const SelectedBlock& block : request.selection.blocks)
    answer.blocks.push_back({block.block, block.score, block.start,
                             lengths[static_cast<size_t>(block.block)],
                             pool.blocks[static_cast<size_t>(block.block)].key});
  answer.selected_tokens = request.selection.tokens;
  if (extras.notes != nullptr) extras.notes->request = std::move(request);
  return Outcome(std::move(answer));
}

Result<Answer> Engine::Impl::answer_alone(std::string_view text, AnswerNotes* notes) {
  SingleForward forward(*computing.model);
  DBSA_ASSIGN_OR_RETURN(Outcome outcome, answer(text, forward, {.notes = notes}));
  if (Answer* told = std::get_if<Answer>(&outcome)) return std::move(*told);
  ItemError& error = std::get<ItemError>(outcome);
  return Error{error.fault == ItemFault::kPlugin ? ErrorCode::kPlugin : ErrorCode::kConfig,
               std::move(error.message), ""};
}

Result<Answer> Engine::answer(std::string_view text) { return impl_->answer_alone(text, nullptr); }

// evidence: empty, or of each text.
std::vector<Result<Outcome>> Engine::Impl::answer_together(std::span<const std::string> texts,
                                                           std::span<LabelEvidence> evidence) {
  std::vector<Result<Outcome>> outcomes(texts.size(), Outcome());
  const auto answer_one = [&](size_t i, Forward& forward) {
    outcomes[i] =
        answer(texts[i], forward, {.evidence = evidence.empty() ? nullptr : &evidence[i]});
  };
  if (texts.size() == 1) {
    SingleForward forward(*computing.model);
    answer_one(0, forward);
    return outcomes;
  }
  ForwardBatch batch(*computing.model, settings.model.chunk_tokens);
  batch.run_tasks(static_cast<int64_t>(texts.size()),
                  [&](int64_t i) { answer_one(static_cast<size_t>(i), batch); });
  return outcomes;
}

std::vector<Result<Outcome>> Engine::answer_together(std::span<const std::string> texts) {
  return impl_->answer_together(texts, {});
}

int64_t Engine::Impl::batch_size() const {
  if (settings.model.batch_size > 0) return settings.model.batch_size;
  // Where a query reads its blocks again its rows are many, and a vote has none at all.
  const bool alone = settings.recompute || settings.decoding.method == DecodingMethod::kVote;
  return alone ? 1 : kAutomaticBatch;
}

int64_t Engine::batch_size() const { return impl_->batch_size(); }

}  // namespace dbsa
