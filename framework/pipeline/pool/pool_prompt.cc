#include "pipeline/pool/pool_prompt.h"

#include <utility>

#include "icl/label_tokens.h"
#include "icl/label_trie.h"
#include "pipeline/pool/demonstration_lengths.h"

namespace dbsa {

Tokenize tokenize_with(const Tokenizer& tokenizer, bool special) {
  return [&tokenizer, special](const PromptText& text) {
    return tokenizer.encode(text.text, {.parse_special = special, .plain = text.data});
  };
}

PromptFormat prompt_format(const PromptSettings& prompt) {
  return {prompt.input_prefix, prompt.output_prefix, prompt.separator, prompt.label_break,
          prompt.chat};
}

PromptFormat label_format(const PromptSettings& prompt) {
  PromptFormat format = prompt_format(prompt);
  if (!prompt.tail.empty()) format.output_prefix = prompt.tail;
  return format;
}

Result<std::vector<PoolLabel>> pool_labels(const PoolParts& parts,
                                           std::span<const std::string> table) {
  std::vector<PoolLabel> labels;
  const DecodingMethod method = parts.settings.decoding.method;
  if (method == DecodingMethod::kFree || method == DecodingMethod::kVote) {  // no ids are needed
    for (const std::string& text : table) labels.push_back({text, {}});
    return labels;
  }
  const PromptFormat format = label_format(parts.settings.prompt);
  DBSA_RETURN_IF_ERROR(check_prompt(format));
  const PromptSettings& prompt = parts.settings.prompt;
  const bool special = prompt.chat || !prompt.tail.empty();  // special tokens count
  const Detokenize detokenize = [&parts](std::span<const int32_t> ids) {
    return parts.tokenizer.decode(ids, {.skip_special = false});
  };
  DBSA_ASSIGN_OR_RETURN(
      std::vector<LabelTokens> tokens,
      tokenize_labels(table, format, tokenize_with(parts.tokenizer, special), detokenize));
  DBSA_RETURN_IF_ERROR(check_label_lengths(parts.model, parts.settings.data, table, tokens));
  // Labels that cannot be told apart are found here, before anything is encoded.
  DBSA_ASSIGN_OR_RETURN([[maybe_unused]] const LabelTrie trie, LabelTrie::build(tokens, table));
  for (size_t i = 0; i < table.size(); ++i) labels.push_back({table[i], std::move(tokens[i])});
  return labels;
}

}  // namespace dbsa
