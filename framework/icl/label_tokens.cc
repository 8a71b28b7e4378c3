#include "icl/label_tokens.h"

#include <algorithm>

namespace dbsa {
namespace {

Error fault(const std::string& label, const std::string& what, const char* pointer) {
  return Error{ErrorCode::kConfig, "label " + quote_for_message(label) + ": " + what, pointer};
}

// Where the longest run of last tokens begins that lies within the separator.
size_t find_cut(std::span<const int32_t> tokens, size_t begin, std::string_view separator,
                const Detokenize& detokenize) {
  size_t cut = tokens.size();
  for (size_t i = tokens.size(); i > begin; --i) {
    const std::string tail = detokenize(tokens.subspan(i - 1));
    if (separator.ends_with(tail)) cut = i - 1;
    // A character cut in half reads as up to 3 bytes; beyond them the separator is passed.
    if (tail.size() > separator.size() + 3) break;
  }
  return cut;
}

}  // namespace

Result<std::vector<LabelTokens>> tokenize_labels(std::span<const std::string> labels,
                                                 const PromptFormat& format,
                                                 const Tokenize& tokenize,
                                                 const Detokenize& detokenize) {
  const std::string lead(label_lead(format));
  DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> lead_ids, tokenize(lead));
  std::vector<LabelTokens> result;
  result.reserve(labels.size());
  for (const std::string& label : labels) {
    const Result<std::vector<int32_t>> tokenised =
        tokenize(PromptText(format.output_prefix).add_data(label).add(format.separator));
    if (!tokenised.ok()) return fault(label, tokenised.error().message, "");
    const std::vector<int32_t>& whole = *tokenised;
    if (whole.size() <= lead_ids.size() ||
        !std::equal(lead_ids.begin(), lead_ids.end(), whole.begin()))
      return fault(label,
                   "one token spans the end of prompt.output_prefix " + quote_for_message(lead) +
                       " and the start of the label; end the output prefix in \": \" or "
                       "change the label",
                   "/prompt/output_prefix");
    const size_t cut = find_cut(whole, lead_ids.size(), format.separator, detokenize);
    if (cut == lead_ids.size())
      return fault(label,
                   "expected tokens between prompt.output_prefix and prompt.separator " +
                       quote_for_message(format.separator) +
                       ", found none; choose a separator that no label ends in",
                   "/prompt/separator");
    LabelTokens& tokens = result.emplace_back();
    tokens.ids.assign(whole.begin() + static_cast<int64_t>(lead_ids.size()),
                      whole.begin() + static_cast<int64_t>(cut));
    tokens.terminator.assign(whole.begin() + static_cast<int64_t>(cut), whole.end());
  }
  return result;
}

}  // namespace dbsa
