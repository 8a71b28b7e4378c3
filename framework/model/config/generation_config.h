// generation_config.json of a Hugging Face model folder: where text generation ends.
//
// transformers' generate takes the end tokens of this file, and published chat models name more of
// them here than in config.json. Free decoding ends at those of both.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

#include "model/config/model_config.h"

namespace dbsa {

// Adds to `config` what <folder>/generation_config.json says; nothing where there is no such file.
// eos_token_id (an id or a list) joins eos_token_ids; bos_token_id counts where config.json names
// none. Ids outside the model's vocabulary are passed over: no model writes them. Settings that
// change greedy answers and are not applied (penalties, forbidden tokens, beams) are listed in
// ignored_generation. Errors: as load_model_config.
Status read_generation_config(const std::string& folder, ModelConfig& config);

}  // namespace dbsa
