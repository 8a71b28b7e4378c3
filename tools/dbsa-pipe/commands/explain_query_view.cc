// explain --query for people.
#include <cmath>
#include <cstdio>
#include <cstring>

#include "commands/answered_query.h"
#include "commands/explain_query.h"
#include "terminal/units.h"

namespace dbsa::cli {
namespace {

using enum Table::Align;

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  const bool zero = std::strspn(text, "-0.") == std::strlen(text);
  return zero && text[0] == '-' ? text + 1 : text;
}

std::string shown_text(std::string_view text) { return "\"" + visible_text(text) + "\""; }

std::string joined(const std::vector<std::string>& parts, const char* between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

std::string label_summary(const ShownBlock& block) {
  constexpr size_t kMost = 4;
  const auto counts = label_counts(block);
  std::vector<std::string> parts;
  for (size_t i = 0; i < std::min(kMost, counts.size()); ++i)
    parts.push_back(visible_text(counts[i].first) + " " + human_count(counts[i].second));
  if (counts.size() > kMost)
    parts.push_back(human_count(static_cast<int64_t>(counts.size() - kMost)) + " more");
  return joined(parts, ", ");
}

void print_title(const std::string& title, Terminal& terminal) {
  terminal.out("");
  terminal.out(terminal.out_style(Style::kBold, title));
}

void print_answer(const QueryView& view, Terminal& terminal) {
  const Answer& answer = view.explained.answer;
  const auto labelled = [](const AnswerLabel& label) {
    return visible_text(label.text) + "  (" + percent(label.log_probability) + ")";
  };
  terminal.out("query      " + shown_text(view.text));
  terminal.out("label      " + terminal.out_style(Style::kBold, labelled(answer.label)) +
               (answer.abstained ? ", withheld by decoding.abstain_below" : ""));
  if (answer.runner_up) terminal.out("runner-up  " + labelled(*answer.runner_up));
  terminal.out("(percent)  " + meaning_of_percent(view.pipeline));
  terminal.out("pool       " + view.pipeline.pool().id + ": " +
               counted(static_cast<int64_t>(view.pipeline.pool().blocks.size()), "block"));
}

void print_blocks(const QueryView& view, Terminal& terminal) {
  if (view.blocks.empty()) {
    print_title("no blocks: the query alone is the prompt", terminal);
    return;
  }
  print_title("blocks, as they stand in the prompt; best ranked by " + view.retriever, terminal);
  Table table({{"position", kRight},
               {"block", kRight},
               {"rank", kRight},
               {"score", kRight},
               {"tokens", kRight},
               {"loaded", kRight},
               {"key"},
               {"labels of its demonstrations"}});
  for (const ShownBlock& block : view.blocks)
    table.add({human_count(block.place.start), std::to_string(block.place.block),
               block.ranked ? human_count(block.ranked->rank) : "-",
               block.ranked ? fixed(block.ranked->score, 4) : "-", human_count(block.place.tokens),
               block.kv_loaded ? human_bytes(block.kv_loaded->bytes) : "-", block.place.key.hex(),
               block.demonstrations.empty() ? "none: the prompt's head" : label_summary(block)});
  table.print(terminal);
  if (!view.explained.words) return;
  print_title("words that the query shares with them, as " + view.retriever + " has them",
              terminal);
  Table words({{"block", kRight}, {"words"}});
  for (const ShownBlock& block : view.blocks) {
    if (block.demonstrations.empty()) continue;
    std::vector<std::string> shown;
    if (const int64_t document = view.document_of(block.place.block); document >= 0) {
      if (const std::vector<SharedWord>* shared = view.words_of(document))
        for (const SharedWord& word : *shared)
          shown.push_back(visible_text(word.word) +
                          (std::isnan(word.score) ? "" : " " + fixed(word.score, 3)));
    } else {
      for (const std::string& word : view.words_of_block(block))
        shown.push_back(visible_text(word));
    }
    words.add({std::to_string(block.place.block), shown.empty() ? "none" : joined(shown, ", ")});
  }
  words.print(terminal);
}

void print_ranking(const QueryView& view, Terminal& terminal) {
  const Ranking& ranking = view.explained.ranking;
  if (ranking.blocks.empty()) return;
  const int64_t first = view.pipeline.pool().has_prefix ? 1 : 0;
  std::vector<bool> in_prompt(view.pipeline.pool().blocks.size(), false);
  for (const ShownBlock& block : view.blocks)
    in_prompt[static_cast<size_t>(block.place.block)] = true;
  print_title("all blocks that " + view.retriever + " ranks", terminal);
  Table table({{"rank", kRight}, {"block", kRight}, {"score", kRight}, {"in the prompt"}});
  for (size_t i = 0; i < ranking.blocks.size(); ++i) {
    const int64_t block = ranking.blocks[i].id + first;
    table.add({human_count(static_cast<int64_t>(i) + 1), std::to_string(block),
               fixed(ranking.blocks[i].score, 4),
               in_prompt[static_cast<size_t>(block)] ? "yes" : ""});
  }
  table.print(terminal);
  if (!view.ranks_demonstrations()) return;
  print_title("demonstrations of these blocks that " + view.retriever + " ranks", terminal);
  Table best({{"rank", kRight},
              {"score", kRight},
              {"block", kRight},
              {"line", kRight},
              {"label"},
              {"text"}});
  for (const ShownBlock& block : view.blocks)
    for (const ShownDemonstration& one : block.demonstrations)
      if (one.ranked)
        best.add({human_count(one.ranked->rank), fixed(one.ranked->score, 4),
                  std::to_string(block.place.block),
                  one.example ? std::to_string(one.example->line) : "-", visible_text(one.label),
                  one.example ? visible_text(one.example->text) : "-"});
  best.print(terminal);
}

void print_tokens(const PromptPart& part, Terminal& terminal) {
  Table table({{"position", kRight}, {"id", kRight}, {"token"}, {"kind"}});
  int64_t position = part.start;
  for (const PromptToken& token : part.tokens)
    table.add({human_count(position++), std::to_string(token.id), shown_text(token.text),
               token.special ? "special" : ""});
  table.print(terminal);
}

void print_prompt(const QueryView& view, bool whole, Terminal& terminal) {
  if (view.prompt.empty()) return;
  for (const PromptPart& part : view.prompt) {
    if (part.block && !whole) continue;
    print_title(part.block ? "prompt: block " + std::to_string(*part.block)
                           : "prompt: the query, which ends it",
                terminal);
    terminal.out(part.text);
    terminal.out("");
    print_tokens(part, terminal);
  }
  if (!whole && view.prompt.size() > 1)
    terminal.out("--prompt shows the text and the tokens of the " +
                 counted(static_cast<int64_t>(view.prompt.size()) - 1, "block") +
                 " before it, too");
}

void print_labels(const QueryView& view, Terminal& terminal) {
  const DecodingMethod method = view.pipeline.settings().decoding.method;
  print_title(std::string("labels, by decoding.method = \"") + method_name(method) + "\"",
              terminal);
  for (const std::string& line : wrap_text(meaning_of(view.pipeline.settings().decoding), 100))
    terminal.out(line);
  Table table(
      {{"label"},
       {"probability", kRight},
       {"log-probability", kRight},
       {method == DecodingMethod::kVote ? "votes" : "tokens with their log-probabilities"}});
  for (const size_t i : by_probability(view)) {
    const LabelReading& reading = view.explained.labels[i];
    std::vector<int32_t> ids;
    for (const ReadToken& token : reading.tokens) ids.push_back(token.token);
    const std::vector<PromptToken> texts = prompt_tokens(view.pipeline.tokenizer(), ids);
    std::vector<std::string> tokens;
    for (size_t t = 0; t < texts.size(); ++t) {
      const std::optional<double>& known = reading.tokens[t].log_probability;
      tokens.push_back(shown_text(texts[t].text) + (known ? " " + fixed(*known, 3) : " ?"));
    }
    const bool none = reading.votes && *reading.votes == 0;
    const bool known = reading.log_probability.has_value();
    table.add({visible_text(label_name(view, i)),
               none ? "-" : (known ? "" : "at most ") + percent(reading.at_most),
               none ? "-" : (known ? "" : "at most ") + fixed(reading.at_most, 6),
               reading.votes ? human_count(*reading.votes) : joined(tokens, "  ")});
  }
  table.print(terminal);
}

void print_without(const QueryView& view, Terminal& terminal) {
  if (view.explained.without.empty()) return;
  const AnswerLabel& label = view.explained.answer.label;
  print_title("without each block; with all of them " + visible_text(label.text) + " has " +
                  fixed(label.log_probability, 6),
              terminal);
  Table table({{"block", kRight},
               {"log-probability", kRight},
               {"change", kRight},
               {"probability", kRight},
               {"label without it"}});
  for (const WithoutBlock& one : view.explained.without) {
    const bool known = one.log_probability.has_value();
    table.add({std::to_string(one.block), known ? fixed(*one.log_probability, 6) : "-",
               known ? fixed(*one.log_probability - label.log_probability, 6) : "-",
               known ? percent(*one.log_probability) : "-",
               !one.label                      ? "none: no demonstration is left"
               : one.label->text == label.text ? "the same"
                                               : visible_text(one.label->text)});
  }
  table.print(terminal);
  terminal.out(
      "The keys and values of the others stay as they are stored: what they saw of the "
      "block when they\nwere encoded is still in them.");
}

}  // namespace

void print_query_view(const QueryView& view, bool whole_prompt, Terminal& terminal) {
  print_answer(view, terminal);
  print_blocks(view, terminal);
  print_ranking(view, terminal);
  print_prompt(view, whole_prompt, terminal);
  print_labels(view, terminal);
  print_without(view, terminal);
}

}  // namespace dbsa::cli
