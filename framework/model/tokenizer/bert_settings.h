// What tokenizer_config.json says of BERT's normalizer, with the meaning it has to transformers'
// BertTokenizerFast (4.46 and 5.24): do_lower_case, strip_accents and tokenize_chinese_chars.
#pragma once

#include <dbsa/sdk/result.h>

#include <nlohmann/json.hpp>
#include <string>

#include "model/tokenizer/companion_files.h"

namespace dbsa {

// tokenizer_config.json as an object, an empty one where it is not there. kEnvironment for another
// value.
Result<nlohmann::json> tokenizer_config(const CompanionFiles& companions);

// The normalizer that it asks for, as tokenizer.json would have it; a setting that it does not give
// has transformers' default. Errors name the file and the setting; kConfig for one that is not
// followed here.
Result<nlohmann::json> bert_normalizer(const CompanionFiles& companions);

// Puts that normalizer into a tokenizer.json which has a BertNormalizer, unless there is no
// tokenizer_config.json or its tokenizer_class is not BERT's. Returns what changed as JSON, "" for
// nothing: with the file's bytes it decides the ids of a text. `name` is the tokenizer's.
Result<std::string> apply_bert_settings(const CompanionFiles& companions, const std::string& name,
                                        nlohmann::json& root);

}  // namespace dbsa
