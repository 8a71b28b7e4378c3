#include "commands/data_sight.h"

#include <algorithm>
#include <map>

#include "icl/blocks.h"
#include "icl/metrics.h"
#include "pipeline/pool/pool_builder.h"
#include "pipeline/record/record.h"
#include "terminal/units.h"

namespace dbsa::cli {
namespace {

using nlohmann::ordered_json;

std::vector<LabelUse> label_uses(const CheckedData& data) {
  std::map<std::string, LabelUse> uses;
  for (const std::string& label : data.labels()) uses[label].label = label;
  for (const Example& example : data.demonstrations()) ++uses[example.label].demonstrations;
  for (const Row& row : data.queries)
    for (const std::string& label : all_labels(row.example))
      if (const auto found = uses.find(label); found != uses.end()) ++found->second.queries;
  std::vector<LabelUse> order;
  for (auto& [label, use] : uses) order.push_back(std::move(use));
  std::stable_sort(order.begin(), order.end(), [](const LabelUse& a, const LabelUse& b) {
    return a.demonstrations > b.demonstrations;
  });
  return order;
}

struct TokensAt {
  int64_t tokens;
  int64_t line;
};

std::optional<TokenLengths> lengths_of(const std::vector<TokensAt>& all) {
  if (all.empty()) return std::nullopt;
  std::vector<double> tokens;
  TokenLengths lengths;
  for (const TokensAt& one : all) {
    tokens.push_back(static_cast<double>(one.tokens));
    if (one.tokens <= lengths.longest) continue;
    lengths.longest = one.tokens;
    lengths.longest_line = one.line;
  }
  lengths.p50 = static_cast<int64_t>(percentile(tokens, 50));
  lengths.p95 = static_cast<int64_t>(percentile(tokens, 95));
  return lengths;
}

std::optional<TokenLengths> demonstration_lengths(const Findings& findings) {
  const PromptFormat format = prompt_format(findings.settings.prompt);
  const std::vector<Example>& examples = findings.data.demonstrations();
  const auto counts =
      count_tokens(examples, format, tokenize_with(*findings.tokenizer, format.chat));
  if (!counts.ok()) return std::nullopt;  // of a pool that is not made; `run` names the text
  std::vector<TokensAt> all;
  for (size_t i = 0; i < examples.size(); ++i) all.push_back({(*counts)[i], examples[i].line});
  return lengths_of(all);
}

std::string shown_use(const LabelUse& use) {
  return visible_text(use.label) + " " + human_count(use.demonstrations);
}

std::string shown_uses(const std::vector<LabelUse>& uses, size_t begin, size_t end) {
  std::string text;
  for (size_t i = begin; i < end; ++i) text += (i == begin ? "" : ", ") + shown_use(uses[i]);
  return text;
}

std::string shown_lengths(const TokenLengths& lengths) {
  return "p50 " + human_count(lengths.p50) + ", p95 " + human_count(lengths.p95) + ", longest " +
         human_count(lengths.longest) + " (line " + std::to_string(lengths.longest_line) + ")";
}

// "2 duplicates, 1 near-equal label"; "" for none.
std::string shown_doubts(const DataValidity& validity) {
  const std::pair<const Count*, const char*> counts[] = {
      {&validity.near_equal_labels, "near-equal label"},
      {&validity.duplicates, "duplicate demonstration"},
      {&validity.texts_with_two_labels, "demonstration text with two labels"},
      {&validity.queries_in_demonstrations, "query that a demonstration equals"},
      {&validity.duplicate_queries, "duplicate query"},
      {&validity.queries_with_two_labels, "query text with two labels"},
      {&validity.near_expected_labels, "query that expects nearly a label"}};
  std::string text;
  for (const auto& [count, name] : counts)
    if (count->count > 0)
      text += (text.empty() ? "" : ", ") + human_count(count->count) + " x " + name;
  return text;
}

ordered_json lengths_to_json(const std::optional<TokenLengths>& lengths) {
  if (!lengths) return nullptr;
  return {{"p50", lengths->p50},
          {"p95", lengths->p95},
          {"longest", lengths->longest},
          {"longest_line", lengths->longest_line}};
}

}  // namespace

DataSight look_at_data(const Findings& findings) {
  const CheckedData& data = findings.data;
  DataSight sight;
  sight.labels = label_uses(data);
  sight.demonstrations = demonstration_lengths(findings);
  std::vector<TokensAt> queries;
  for (size_t i = 0; i < findings.query_tokens.size(); ++i)
    if (findings.query_tokens[i] > 0)
      queries.push_back({findings.query_tokens[i], data.queries[i].example.line});
  sight.queries = lengths_of(queries);
  sight.validity = check_validity(data.demonstrations(), data.queries, data.labels());
  return sight;
}

void print_data_sight(const DataSight& sight, Terminal& terminal) {
  constexpr size_t kAll = 8, kMost = 3;
  const size_t count = sight.labels.size();
  if (count > kAll && sight.labels.front().demonstrations == sight.labels.back().demonstrations) {
    terminal.out("labels " + counted(sight.labels.front().demonstrations, "demonstration") +
                 " each");
  } else if (count > kAll) {
    terminal.out("labels most demonstrations: " + shown_uses(sight.labels, 0, kMost));
    terminal.out("       fewest: " + shown_uses(sight.labels, count - kMost, count));
  } else if (count > 0) {
    terminal.out("labels " + shown_uses(sight.labels, 0, count));
  }
  if (sight.demonstrations)
    terminal.out("tokens of a demonstration: " + shown_lengths(*sight.demonstrations));
  if (sight.queries) terminal.out("       of a query: " + shown_lengths(*sight.queries));
  const std::string doubts = shown_doubts(sight.validity);
  terminal.out("doubts " + (doubts.empty() ? "none" : doubts));
}

ordered_json data_sight_to_json(const DataSight& sight) {
  ordered_json labels = ordered_json::array();
  for (const LabelUse& use : sight.labels)
    labels.push_back(
        {{"label", use.label}, {"demonstrations", use.demonstrations}, {"queries", use.queries}});
  return {{"labels", std::move(labels)},
          {"demonstration_tokens", lengths_to_json(sight.demonstrations)},
          {"query_tokens", lengths_to_json(sight.queries)},
          {"validity", validity_to_json(sight.validity)}};
}

}  // namespace dbsa::cli
