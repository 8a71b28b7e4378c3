// BERT's plain vocabulary: vocab.txt, one token a line, and what tokenizer_config.json beside it
// says of case and accents.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <string_view>

#include "model/tokenizer/companion_files.h"
#include "model/tokenizer/tokenizer_json.h"

namespace dbsa {

// The tokenizer.json that Hugging Face makes of these files. Errors: kEnvironment for damaged
// files, kConfig for special tokens other than BERT's.
Result<TokenizerJson> read_vocab_txt(std::string_view vocab, const std::string& vocab_name,
                                     const CompanionFiles& companions);

}  // namespace dbsa
