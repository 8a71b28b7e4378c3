#include "pipeline/model/model_fit.h"

#include <algorithm>

namespace dbsa {

void fit_tokenizer(Tokenizer& tokenizer, ModelConfig& model) {
  tokenizer.limit_ids(model.vocab_size);
  if (const std::optional<int32_t> begin = tokenizer.bos_id()) {
    if (model.bos_token_id && model.bos_token_id != *begin)
      model.replaced_bos_token_id = model.bos_token_id;
    model.bos_token_id = *begin;
  }
  const std::optional<int32_t> end = tokenizer.eos_id();
  std::vector<int64_t>& ends = model.eos_token_ids;
  if (end && *end < model.vocab_size && std::find(ends.begin(), ends.end(), *end) == ends.end())
    ends.push_back(*end);
}

std::vector<std::string> model_warnings(const Settings& settings, const ModelConfig& model,
                                        const Tokenizer& tokenizer) {
  std::vector<std::string> warnings;
  const bool computes = settings.decoding.method != DecodingMethod::kVote;
  const std::optional<bool> adds_bos = tokenizer.adds_bos();
  if (computes && settings.prompt.bos && adds_bos && !*adds_bos)
    warnings.push_back(
        "prompt.bos = true, and the model's tokenizer puts no BOS token before a "
        "text, so the model may not know it there; set prompt.bos = false");
  // A chat template writes the token itself, or leaves it out.
  if (computes && !settings.prompt.bos && !settings.prompt.chat && adds_bos && *adds_bos &&
      model.bos_token_id)
    warnings.push_back(
        "prompt.bos = false, and the model's tokenizer puts a BOS token before every "
        "text, so answers may be worse without it; set prompt.bos = true");
  if (computes && settings.prompt.bos && model.bos_token_id && model.replaced_bos_token_id)
    warnings.push_back("prompt.bos = true puts the tokenizer's BOS token, id " +
                       std::to_string(*model.bos_token_id) + ", and not bos_token_id " +
                       std::to_string(*model.replaced_bos_token_id) +
                       " of config.json (its default where it has none); correct the file that is "
                       "wrong");
  if (settings.decoding.method == DecodingMethod::kFree)
    for (const std::string& setting : model.ignored_generation)
      warnings.push_back(setting + " is not applied: answers are the likeliest tokens");
  return warnings;
}

std::string tokenizer_identity(const Tokenizer& tokenizer) { return tokenizer.fingerprint().hex(); }

}  // namespace dbsa
