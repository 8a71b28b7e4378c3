// The prompt: how demonstrations and queries are written. As in the code of arXiv 2503.08640.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <string_view>

#include "icl/dataset.h"
#include "icl/tokenization.h"

namespace dbsa {

struct PromptFormat {
  std::string input_prefix = "query: ";
  std::string output_prefix = "intent: ";
  std::string separator = "\n==\n";
  std::string label_break = "\n";  // between a text and the output prefix
  // A chat template writes it: special tokens count in the prefixes and the separator. Texts and
  // labels are data.
  bool chat = false;
};

// kConfig when labels could not be told apart from what surrounds them: an output prefix of only
// white space, or no separator.
Status check_prompt(const PromptFormat& format);

// `{input_prefix}{text}{label_break}{output_prefix}{label}{separator}`. The separator ends every
// demonstration, so blocks and the query follow without one.
PromptText write_demonstration(const PromptFormat& format, const Example& example);
std::string demonstration_text(const PromptFormat& format, const Example& example);

// `{input_prefix}{text}{label_break}{output_prefix}` without the white space at its end.
PromptText write_query(const PromptFormat& format, std::string_view text);
std::string query_text(const PromptFormat& format, std::string_view text);

// The output prefix without and as the white space at its end: "intent:" and " ". The query ends
// with the first; every label follows the second.
std::string_view label_lead(const PromptFormat& format);
std::string_view label_gap(const PromptFormat& format);

// The output prefix as far as it stands before a free answer: with the white space at its end that
// demonstrations show as separate tokens ("intent:\n"), without what joins the answer's first
// token (the space of "intent: "), which the model writes. Cost: some tokenisations of the prefix.
Result<std::string> free_answer_lead(const PromptFormat& format, const Tokenize& tokenize);

}  // namespace dbsa
