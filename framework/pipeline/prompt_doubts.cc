#include "pipeline/prompt_doubts.h"

#include <cstdint>

#include "icl/example_check.h"
#include "icl/prompt.h"
#include "pipeline/pool/pool_builder.h"

namespace dbsa {
namespace {

std::string of_number(size_t count, const std::string& one, const std::string& several) {
  return std::to_string(count) + " " + (count == 1 ? one : several);
}

void doubt_texts(const std::string& key, const std::string& part,
                 std::span<const Example> demonstrations, std::vector<std::string>& doubts) {
  if (is_blank(part)) return;  // a space, or a line end, is in most texts
  constexpr size_t kLines = 3;
  size_t count = 0;
  std::string lines;
  for (const Example& example : demonstrations) {
    if (example.text.find(part) == example.text.npos || ++count > kLines) continue;
    lines += (count == 1 ? "line " : ", line ") + std::to_string(example.line);
  }
  if (count > 0)
    doubts.push_back(of_number(count, "demonstration's text has ", "demonstrations' texts have ") +
                     key + " = " + quote_for_message(part) +
                     (count == 1 ? " in it (" : " in them (") + lines +
                     (count > kLines ? ", ..." : "") +
                     "), so that a model may read one demonstration as several; write another " +
                     key.substr(key.find('.') + 1));
}

// A label as free decoding would have to write it, with the white space before it.
struct WrittenLabel {
  std::string name, text;
  int64_t tokens = 0;
};

// None where the tokenizer fails, which other checks tell.
std::vector<WrittenLabel> written_labels(const Settings& settings,
                                         std::span<const std::string> labels,
                                         const Tokenizer& tokenizer) {
  const PromptFormat format = label_format(settings.prompt);
  const bool special = settings.prompt.chat || !settings.prompt.tail.empty();
  std::string lead(label_lead(format));
  std::vector<WrittenLabel> written;
  const Tokenize tokenize = tokenize_with(tokenizer, special);
  const Result<std::string> before = free_answer_lead(format, tokenize);
  if (!before.ok()) return {};
  const Result<std::vector<int32_t>> lead_ids = tokenize(*before);
  if (!lead_ids.ok()) return {};
  for (const std::string& label : labels) {
    const Result<std::vector<int32_t>> ids =
        tokenize(PromptText(format.output_prefix).add_data(label));
    if (ids.ok())
      written.push_back(
          {label, format.output_prefix.substr(before->size()) + label,
           static_cast<int64_t>(ids->size()) - static_cast<int64_t>(lead_ids->size())});
  }
  return written;
}

void doubt_stop(const std::string& key, const std::string& stop,
                const std::vector<WrittenLabel>& labels, std::vector<std::string>& doubts) {
  size_t count = 0;
  std::string example;
  for (const WrittenLabel& label : labels)
    if (label.text.find(stop) != label.text.npos && ++count == 1)
      example = quote_for_message(label.name);
  if (count > 0)
    doubts.push_back(key + ": " + quote_for_message(stop) + " ends answers, and " +
                     std::to_string(count) + " of " + of_number(labels.size(), "label", "labels") +
                     (count == 1 ? " has it" : " have it") + ", such as " + example +
                     ": such an answer is never written whole and counts as wrong; " +
                     (key == "decoding.stop" ? "leave it out" : "write another separator"));
}

void doubt_length(int64_t max_tokens, const std::vector<WrittenLabel>& labels,
                  std::vector<std::string>& doubts) {
  size_t count = 0;
  const WrittenLabel* longest = nullptr;
  for (const WrittenLabel& label : labels) {
    count += label.tokens > max_tokens ? 1 : 0;
    if (longest == nullptr || label.tokens > longest->tokens) longest = &label;
  }
  if (count > 0)
    doubts.push_back("decoding.max_tokens: is " + std::to_string(max_tokens) + ", and " +
                     std::to_string(count) + " of " + of_number(labels.size(), "label", "labels") +
                     (count == 1 ? " has" : " have") + " more tokens, " +
                     quote_for_message(longest->name) + " has " + std::to_string(longest->tokens) +
                     ": such an answer is cut and counts as wrong; write " +
                     std::to_string(longest->tokens) + " or more");
}

}  // namespace

std::vector<std::string> prompt_doubts(const Settings& settings,
                                       std::span<const Example> demonstrations,
                                       std::span<const std::string> labels,
                                       const Tokenizer& tokenizer) {
  std::vector<std::string> doubts;
  const PromptSettings& prompt = settings.prompt;
  if (settings.decoding.method == DecodingMethod::kVote) return doubts;  // no model reads them
  if (!prompt.chat) {  // whose words cannot be forged
    doubt_texts("prompt.separator", prompt.separator, demonstrations, doubts);
    const bool whole = !prompt.label_break.empty();  // else they are parts of prompt.demonstration
    doubt_texts(whole ? "prompt.input_prefix" : "prompt.demonstration", prompt.input_prefix,
                demonstrations, doubts);
    doubt_texts(whole ? "prompt.output_prefix" : "prompt.demonstration", prompt.output_prefix,
                demonstrations, doubts);
  }
  if (settings.decoding.method != DecodingMethod::kFree) return doubts;
  const std::vector<WrittenLabel> written = written_labels(settings, labels, tokenizer);
  for (const std::string& stop : settings.decoding.stop)
    doubt_stop("decoding.stop", stop, written, doubts);
  doubt_stop("prompt.separator", prompt.separator, written, doubts);
  doubt_length(settings.decoding.max_tokens, written, doubts);
  return doubts;
}

}  // namespace dbsa
