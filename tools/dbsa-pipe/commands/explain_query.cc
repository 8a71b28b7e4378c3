#include "commands/explain_query.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "commands/answered_query.h"
#include "commands/query_line.h"
#include "host/describe.h"
#include "json_output.h"
#include "terminal/sudden_end.h"

namespace dbsa::cli {
namespace {

using nlohmann::ordered_json;

ordered_json finite_or_null(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json or_null(const std::optional<double>& value) {
  return value ? finite_or_null(*value) : ordered_json(nullptr);
}

// ---- what is gathered --------------------------------------------------------------------------

// The demonstrations of the pool, by id; none, and a warning, where the data file is not what it
// was.
std::vector<Example> pool_examples(const Pipeline& pipeline, Terminal& terminal) {
  if (pipeline.pool().demonstrations.empty()) return {};
  const DataSettings& data = pipeline.settings().data;
  Result<DataRows> rows = read_demonstrations(data);
  if (rows.ok() && rows->identity == pipeline.pool().demonstration_rows &&
      rows->chosen.size() == pipeline.pool().demonstrations.size())
    return std::move(rows->chosen);
  terminal.warning(shown_path(data.demonstrations) +
                   (rows.ok() ? " has changed since the pool was encoded"
                              : " cannot be read: " + rows.error().message) +
                   "; lines and texts of demonstrations are left out");
  return {};
}

std::map<int64_t, RankedHit> ranks_of(const std::vector<Hit>& ranking, int64_t first) {
  std::map<int64_t, RankedHit> ranks;
  for (size_t i = 0; i < ranking.size(); ++i)
    ranks[ranking[i].id + first] = {static_cast<int64_t>(i) + 1, ranking[i].score};
  return ranks;
}

std::optional<RankedHit> find_rank(const std::map<int64_t, RankedHit>& ranks, int64_t id) {
  const auto found = ranks.find(id);
  return found == ranks.end() ? std::nullopt : std::optional(found->second);
}

void gather_blocks(QueryView& view, const std::vector<Example>& examples) {
  const Pool& pool = view.pipeline.pool();
  const Ranking& ranking = view.explained.ranking;
  const auto block_ranks = ranks_of(ranking.blocks, pool.has_prefix ? 1 : 0);
  const auto document_ranks = ranks_of(ranking.documents, 0);
  std::map<int64_t, int64_t> document_of;  // by demonstration
  if (view.ranks_demonstrations())
    for (const PoolBlock& block : pool.blocks)
      for (const int64_t id : block.demonstrations) {
        document_of[id] = static_cast<int64_t>(view.demonstration_of.size());
        view.demonstration_of.push_back(id);
      }
  for (size_t i = 0; i < view.explained.answer.blocks.size(); ++i) {
    ShownBlock& shown = view.blocks.emplace_back();
    shown.place = view.explained.answer.blocks[i];
    const PoolBlock& block = pool.blocks[static_cast<size_t>(shown.place.block)];
    shown.ranked = find_rank(block_ranks, shown.place.block);
    if (i < view.explained.kv_loaded.size()) shown.kv_loaded = view.explained.kv_loaded[i];
    for (const int64_t id : block.demonstrations) {
      const auto index = static_cast<size_t>(id);
      ShownDemonstration& one = shown.demonstrations.emplace_back();
      one.id = id;
      one.label = pool.labels[static_cast<size_t>(pool.demonstration_labels[index])].text;
      if (index < examples.size()) one.example = examples[index];
      if (!view.ranks_demonstrations()) continue;
      one.document = document_of[id];
      one.ranked = find_rank(document_ranks, one.document);
    }
  }
}

PromptPart prompt_part(const Tokenizer& tokenizer, std::optional<int64_t> block, int64_t start,
                       std::span<const int32_t> ids) {
  return {block, start, tokenizer.decode(ids, {.skip_special = false}),
          prompt_tokens(tokenizer, ids)};
}

void gather_prompt(QueryView& view) {
  if (view.pipeline.settings().decoding.method == DecodingMethod::kVote) return;
  const Tokenizer& tokenizer = view.pipeline.tokenizer();
  for (const AnswerBlock& block : view.explained.answer.blocks)
    view.prompt.push_back(
        prompt_part(tokenizer, block.block, block.start,
                    view.pipeline.pool().blocks[static_cast<size_t>(block.block)].token_ids));
  view.prompt.push_back(
      prompt_part(tokenizer, std::nullopt, view.explained.query_start, view.explained.query_ids));
}

// ---- as JSON -----------------------------------------------------------------------------------

ordered_json part_to_json(const PromptPart& part) {
  ordered_json tokens = ordered_json::array();
  for (const PromptToken& token : part.tokens)
    tokens.push_back({{"id", token.id}, {"text", token.text}, {"special", token.special}});
  return {{"block", part.block ? ordered_json(*part.block) : ordered_json(nullptr)},
          {"start", part.start},
          {"text", part.text},
          {"tokens", std::move(tokens)}};
}

ordered_json words_to_json(const std::vector<SharedWord>* words) {
  if (words == nullptr) return nullptr;
  ordered_json out = ordered_json::array();
  for (const SharedWord& word : *words)
    out.push_back({{"word", word.word},
                   {"in_query", word.in_query},
                   {"in_document", word.in_document},
                   {"score", finite_or_null(word.score)}});
  return out;
}

ordered_json demonstration_to_json(const QueryView& view, const ShownDemonstration& one) {
  ordered_json out = {{"demonstration", one.id}};
  out["line"] = one.example ? ordered_json(one.example->line) : ordered_json(nullptr);
  out["text"] = one.example ? ordered_json(one.example->text) : ordered_json(nullptr);
  out["label"] = one.label;
  if (!view.ranks_demonstrations()) return out;
  out["rank"] = one.ranked ? ordered_json(one.ranked->rank) : ordered_json(nullptr);
  out["score"] = one.ranked ? finite_or_null(one.ranked->score) : ordered_json(nullptr);
  out["shared_words"] = words_to_json(view.words_of(one.document));
  return out;
}

ordered_json block_to_json(const QueryView& view, const ShownBlock& block) {
  ordered_json labels = ordered_json::array(), demonstrations = ordered_json::array();
  for (const auto& [label, count] : label_counts(block))
    labels.push_back({{"label", label}, {"demonstrations", count}});
  for (const ShownDemonstration& one : block.demonstrations)
    demonstrations.push_back(demonstration_to_json(view, one));
  ordered_json out = {{"block", block.place.block},
                      {"key", block.place.key.hex()},
                      {"start", block.place.start},
                      {"tokens", block.place.tokens}};
  out["rank"] = block.ranked ? ordered_json(block.ranked->rank) : ordered_json(nullptr);
  out["score"] = block.ranked ? finite_or_null(block.ranked->score) : ordered_json(nullptr);
  out["kv_loaded"] = block.kv_loaded
                         ? ordered_json{{"bytes", block.kv_loaded->bytes},
                                        {"all_layers_bytes", block.kv_loaded->all_layers_bytes}}
                         : ordered_json(nullptr);
  const int64_t document = view.document_of(block.place.block);
  out["shared_words"] = words_to_json(document < 0 ? nullptr : view.words_of(document));
  out["labels"] = std::move(labels);
  out["demonstrations"] = std::move(demonstrations);
  return out;
}

ordered_json retrieval_to_json(const QueryView& view) {
  const Pool& pool = view.pipeline.pool();
  std::set<int64_t> chosen;
  for (const ShownBlock& block : view.blocks) chosen.insert(block.place.block);
  ordered_json blocks = ordered_json::array();
  int64_t rank = 0;
  for (const Hit& hit : view.explained.ranking.blocks) {
    const int64_t block = hit.id + (pool.has_prefix ? 1 : 0);
    blocks.push_back({{"rank", ++rank},
                      {"block", block},
                      {"score", finite_or_null(hit.score)},
                      {"in_prompt", chosen.contains(block)}});
  }
  ordered_json demonstrations = nullptr;
  if (view.ranks_demonstrations()) {
    demonstrations = ordered_json::array();
    rank = 0;
    for (const Hit& hit : view.explained.ranking.documents)
      demonstrations.push_back(
          {{"rank", ++rank},
           {"demonstration", view.demonstration_of[static_cast<size_t>(hit.id)]},
           {"score", finite_or_null(hit.score)}});
  }
  return {{"plugin", view.retriever},
          {"unit", view.ranks_demonstrations() ? "demonstration" : "block"},
          {"blocks", std::move(blocks)},
          {"demonstrations", std::move(demonstrations)}};
}

ordered_json decoding_to_json(const QueryView& view) {
  const DecodingMethod method = view.pipeline.settings().decoding.method;
  ordered_json labels = ordered_json::array();
  for (const size_t i : by_probability(view)) {
    const LabelReading& reading = view.explained.labels[i];
    std::vector<int32_t> ids;
    for (const ReadToken& token : reading.tokens) ids.push_back(token.token);
    const std::vector<PromptToken> texts = prompt_tokens(view.pipeline.tokenizer(), ids);
    ordered_json tokens = ordered_json::array();
    for (size_t t = 0; t < texts.size(); ++t)
      tokens.push_back({{"id", texts[t].id},
                        {"text", texts[t].text},
                        {"log_probability", or_null(reading.tokens[t].log_probability)}});
    ordered_json label = {{"label", label_name(view, i)},
                          {"log_probability", or_null(reading.log_probability)}};
    if (!reading.votes) label["at_most"] = finite_or_null(reading.at_most);
    if (reading.log_likelihood) label["log_likelihood"] = finite_or_null(*reading.log_likelihood);
    if (reading.votes) label["votes"] = *reading.votes;
    label["tokens"] = std::move(tokens);
    labels.push_back(std::move(label));
  }
  return {{"method", method_name(method)},
          {"meaning", meaning_of(view.pipeline.settings().decoding)},
          {"labels", std::move(labels)}};
}

ordered_json without_to_json(const QueryView& view) {
  ordered_json out = ordered_json::array();
  for (const WithoutBlock& one : view.explained.without)
    out.push_back({{"block", one.block},
                   {"log_probability", or_null(one.log_probability)},
                   {"label", one.label ? ordered_json(one.label->text) : ordered_json(nullptr)},
                   {"label_log_probability", one.label ? finite_or_null(one.label->log_probability)
                                                       : ordered_json(nullptr)}});
  return out;
}

ordered_json view_to_json(const QueryView& view, bool without_each) {
  ordered_json parts = ordered_json::array(), blocks = ordered_json::array();
  for (const PromptPart& part : view.prompt) parts.push_back(part_to_json(part));
  for (const ShownBlock& block : view.blocks) blocks.push_back(block_to_json(view, block));
  return {
      {"answer", answered_to_json({view.text, ""}, view.explained.answer, view.pipeline.labels())},
      {"pool", view.pipeline.pool().id},
      {"prompt", std::move(parts)},
      {"blocks", std::move(blocks)},
      {"retrieval", retrieval_to_json(view)},
      {"decoding", decoding_to_json(view)},
      {"without", without_each ? without_to_json(view) : ordered_json(nullptr)}};
}

}  // namespace

// ---- what both views need ----------------------------------------------------------------------

const std::vector<SharedWord>* QueryView::words_of(int64_t document) const {
  if (!explained.words) return nullptr;
  const auto found = explained.words->find(document);
  return found == explained.words->end() ? nullptr : &found->second;
}

int64_t QueryView::document_of(int64_t block) const {
  const int64_t document = block - (pipeline.pool().has_prefix ? 1 : 0);
  return ranks_demonstrations() ? -1 : document;
}

std::vector<std::string> QueryView::words_of_block(const ShownBlock& block) const {
  std::set<std::string> words;
  const auto add = [&](int64_t document) {
    if (const std::vector<SharedWord>* shared = words_of(document))
      for (const SharedWord& word : *shared) words.insert(word.word);
  };
  if (!ranks_demonstrations()) add(document_of(block.place.block));
  if (ranks_demonstrations())
    for (const ShownDemonstration& one : block.demonstrations) add(one.document);
  return {words.begin(), words.end()};
}

// What the numbers mean as the method has them.
static const char* meaning_of_method(DecodingMethod method) {
  switch (method) {
    case DecodingMethod::kTrie:
    case DecodingMethod::kGreedyTrie:
      return "A token's log-probability is among the tokens with which a label may continue "
             "there, not among the vocabulary: 0 where there is one only. A label's is the sum of "
             "its tokens', and all labels together have 1. A label that was not followed to its "
             "end has none; it can be at most as likely as what is known of its beginning.";
    case DecodingMethod::kLikelihood:
      return "A token's log-probability is among the whole vocabulary; a label's log-likelihood "
             "is the sum of its tokens', the one that ends it included, and its log-probability "
             "is that among the labels, which together have 1.";
    case DecodingMethod::kFree:
      return "A token's log-probability is among the whole vocabulary. Only the tokens that were "
             "written are known, what ended the answer included; no other answer was looked at.";
    case DecodingMethod::kVote:
      break;
  }
  return "No model was asked. A label's probability is its share of the demonstrations in the "
         "chosen blocks.";
}

std::string meaning_of(const DecodingSettings& decoding) {
  const bool changed = decoding.scorer != LabelScorer::kSum || decoding.fit_temperature ||
                       decoding.fit_confidence || decoding.temperature != 1;
  return std::string(meaning_of_method(decoding.method)) +
         (changed ? " decoding.scorer, the temperature and the curve of confidence then change "
                    "the log-probabilities of labels, not those of tokens."
                  : "");
}

std::vector<size_t> by_probability(const QueryView& view) {
  std::vector<size_t> order(view.explained.labels.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto key = [&](size_t i) {
    const LabelReading& reading = view.explained.labels[i];
    const bool none = reading.votes && *reading.votes == 0;
    return std::tuple(!reading.log_probability.has_value(), none ? INFINITY : -reading.at_most,
                      label_name(view, i) != view.explained.answer.label.text);
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) < key(b); });
  return order;
}

std::string label_name(const QueryView& view, size_t label) {
  if (view.pipeline.settings().decoding.method == DecodingMethod::kFree)
    return view.explained.answer.label.text;
  return view.pipeline.pool().labels[label].text;
}

std::vector<std::pair<std::string, int64_t>> label_counts(const ShownBlock& block) {
  std::map<std::string, int64_t> counts;
  for (const ShownDemonstration& one : block.demonstrations) ++counts[one.label];
  std::vector<std::pair<std::string, int64_t>> order(counts.begin(), counts.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return order;
}

std::vector<PromptToken> prompt_tokens(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::vector<PromptToken> tokens;
  for (size_t i = 0; i < ids.size(); ++i) {
    // Beside the token before it, so that a space in front of it is not taken for a text's first.
    const std::string before =
        i == 0 ? "" : tokenizer.decode(ids.subspan(i - 1, 1), {.skip_special = false});
    std::string text =
        tokenizer.decode(ids.subspan(i - (i > 0 ? 1 : 0), i > 0 ? 2 : 1), {.skip_special = false});
    if (text.starts_with(before))
      text.erase(0, before.size());
    else
      text = tokenizer.decode(ids.subspan(i, 1), {.skip_special = false});
    tokens.push_back({ids[i], std::move(text), tokenizer.is_special(ids[i])});
  }
  return tokens;
}

Status explain_query(Session& session, const CommandLine& line, Terminal& terminal) {
  DBSA_ASSIGN_OR_RETURN(const Settings settings, read_settings(session.resolved().json));
  DBSA_RETURN_IF_ERROR(check_text("--query", line.text("query")));
  DBSA_ASSIGN_OR_RETURN(const std::string text,
                        given_text("--query", line.text("query"), settings.data.text));
  set_phase("opening the model");
  terminal.set_progress("opening the model ...");
  DBSA_ASSIGN_OR_RETURN(const std::unique_ptr<Pipeline> pipeline, session.open_pipeline());
  set_phase("opening the pool");
  DBSA_RETURN_IF_ERROR(pipeline->open_pool());
  set_phase("answering");
  terminal.set_progress("answering ...");
  const bool without_each = line.has("without-each");
  DBSA_ASSIGN_OR_RETURN(Explanation explained, pipeline->explain(text, without_each));
  terminal.set_progress("");
  QueryView view = {*pipeline, text, std::move(explained), {}, {}, {}, ""};
  view.retriever =
      session.registry().name_of(*session.resolved().stage(DBSA_KIND_RETRIEVER).manifest);
  gather_blocks(view, pool_examples(*pipeline, terminal));
  gather_prompt(view);
  if (line.has("json"))
    print_document("explanation", view_to_json(view, without_each), terminal);
  else
    print_query_view(view, line.has("prompt"), terminal);
  return {};
}

}  // namespace dbsa::cli
