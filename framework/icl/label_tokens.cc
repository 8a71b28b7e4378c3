#include "icl/label_tokens.h"

#include <algorithm>

namespace dbsa {
namespace {

Error fault(const std::string& label, const std::string& what, const char* pointer) {
  return Error{ErrorCode::kConfig, "label " + quote_for_message(label) + ": " + what, pointer};
}

}  // namespace

Result<std::vector<LabelTokens>> tokenize_labels(std::span<const std::string> labels,
                                                 const PromptFormat& format,
                                                 const Tokenize& tokenize,
                                                 const TokenBytes& token_bytes) {
  const std::string lead(label_lead(format));
  DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> lead_ids, tokenize(lead));
  std::vector<LabelTokens> result;
  result.reserve(labels.size());
  for (const std::string& label : labels) {
    DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> whole,
                          tokenize(format.output_prefix + label + format.separator));
    if (whole.size() <= lead_ids.size() ||
        !std::equal(lead_ids.begin(), lead_ids.end(), whole.begin()))
      return fault(label,
                   "expected its tokens to begin with those of prompt.output_prefix " +
                       quote_for_message(lead) +
                       ", found one token that spans both; end the output prefix in \": \" or "
                       "change the label",
                   "/prompt/output_prefix");
    size_t cut = whole.size();
    std::string tail;
    while (cut > lead_ids.size()) {
      const std::string bytes = token_bytes(whole[cut - 1]);
      if (bytes.size() + tail.size() > format.separator.size()) break;
      tail = bytes + tail;
      --cut;
    }
    if (!format.separator.ends_with(tail) || cut == lead_ids.size())
      return fault(label,
                   "expected its tokens to end with those of prompt.separator " +
                       quote_for_message(format.separator) + ", found " + quote_for_message(tail) +
                       "; the tokenizer rewrites the separator, choose another",
                   "/prompt/separator");
    LabelTokens& tokens = result.emplace_back();
    tokens.ids.assign(whole.begin() + static_cast<int64_t>(lead_ids.size()),
                      whole.begin() + static_cast<int64_t>(cut));
    tokens.terminator.assign(whole.begin() + static_cast<int64_t>(cut), whole.end());
  }
  return result;
}

}  // namespace dbsa
