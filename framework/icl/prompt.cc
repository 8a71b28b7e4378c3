#include "icl/prompt.h"

#include <algorithm>

namespace dbsa {
namespace {

// As Python's str.strip() and str.rstrip() for ASCII white space.
constexpr const char* kSpace = " \t\n\v\f\r\x1c\x1d\x1e\x1f";

std::string_view strip_end(std::string_view text) {
  const size_t last = text.find_last_not_of(kSpace);
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

std::string_view strip(std::string_view text) {
  text = strip_end(text);
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text;
}

// A chat template is given messages without white space around them: many take it off themselves.
std::string_view content_of(const PromptFormat& format, std::string_view text) {
  return format.chat ? strip(text) : text;
}

}  // namespace

Status check_prompt(const PromptFormat& format) {
  if (label_lead(format).empty())
    return Error{ErrorCode::kConfig,
                 "prompt.output_prefix: expected text that announces the label, found " +
                     quote_for_message(format.output_prefix) + "; write e.g. \"label: \"",
                 "/prompt/output_prefix"};
  if (format.separator.empty())
    return Error{ErrorCode::kConfig,
                 "prompt.separator: expected text that ends a demonstration, found an empty one; "
                 "write e.g. \"\\n==\\n\"",
                 "/prompt/separator"};
  return {};
}

PromptText write_demonstration(const PromptFormat& format, const Example& example) {
  PromptText written(format.input_prefix);
  written.add_data(content_of(format, example.text))
      .add(format.label_break)
      .add(format.output_prefix);
  written.add_data(example.label).add(format.separator);
  return written;
}

std::string demonstration_text(const PromptFormat& format, const Example& example) {
  return write_demonstration(format, example).text;
}

PromptText write_query(const PromptFormat& format, std::string_view text) {
  PromptText written(format.input_prefix);
  written.add_data(content_of(format, text)).add(format.label_break).add(format.output_prefix);
  written.text.resize(strip_end(written.text).size());
  written.data.front().end = std::min(written.data.front().end, written.text.size());
  return written;
}

std::string query_text(const PromptFormat& format, std::string_view text) {
  return write_query(format, text).text;
}

std::string_view label_lead(const PromptFormat& format) { return strip_end(format.output_prefix); }

std::string_view label_gap(const PromptFormat& format) {
  return std::string_view(format.output_prefix).substr(label_lead(format).size());
}

Result<std::string> free_answer_lead(const PromptFormat& format, const Tokenize& tokenize) {
  const std::string_view lead = label_lead(format), gap = label_gap(format);
  // A word stands for the answer.
  DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> shown, tokenize(format.output_prefix + "a"));
  for (size_t kept = gap.size();; --kept) {
    std::string text = std::string(lead) + std::string(gap.substr(0, kept));
    DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenize(text));
    if (ids.size() <= shown.size() && std::equal(ids.begin(), ids.end(), shown.begin()))
      return text;
    // Where nothing fits, one token spans prefix and answer.
    if (kept == 0) return format.output_prefix;
  }
}

}  // namespace dbsa
