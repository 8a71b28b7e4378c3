// A model, its tokenizer and the pipeline's settings, put together.
#pragma once

#include <string>
#include <vector>

#include "model/config/model_config.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// The fingerprint of a tokenizer's files, hexadecimal.
std::string tokenizer_identity(const Tokenizer& tokenizer);

// The tokenizer may have ids that the model has no embeddings for: a text that holds such a token
// is refused. The tokenizer's BOS token counts before that of config.json, as in transformers, and
// free decoding ends at the tokenizer's eos_token, too.
void fit_tokenizer(Tokenizer& tokenizer, ModelConfig& model);

// What the folder says and the settings do not follow: BOS that is put where the tokenizer puts
// none, or the other way round; BOS tokens that differ; under free decoding, generation settings
// that are not applied.
std::vector<std::string> model_warnings(const Settings& settings, const ModelConfig& model,
                                        const Tokenizer& tokenizer);

}  // namespace dbsa
