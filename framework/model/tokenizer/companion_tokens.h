// Puts the tokens of the companion files into a tokenizer.
#pragma once

#include <dbsa/sdk/result.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/tokenizer/companion_files.h"
#include "model/tokenizer/tokenizer_json.h"

namespace dbsa {

// What a tokenizer has by itself.
struct KnownTokens {
  std::function<std::optional<int32_t>(const std::string& text)> id;
  std::function<std::optional<std::string>(int32_t id)> text;
  int32_t next_id = 0;            // the largest id + 1
  bool may_rename = false;        // whether an added token may take the id of a piece
  std::vector<AddedToken> added;  // by the tokenizer's own file
};

// The tokens of the companion files that are not among known.added, each with its id: the one of
// equal text in the vocabulary, else the one that a file gives, else the next that is free. Of
// equal texts the first counts. kEnvironment where a file gives a token an id that another token
// has, and for a bos_token without an id; `name` is the tokenizer's.
Result<std::vector<AddedToken>> resolve_companions(const CompanionFiles& companions,
                                                   const KnownTokens& known,
                                                   const std::string& name);

// Appends them to `added_tokens` of a tokenizer.json, and gives those that it lists the flags of
// tokenizer_config.json. Returns what changed as JSON, "" for nothing: with the file's bytes it
// decides the ids of a text.
Result<std::string> add_companion_tokens(const CompanionFiles& companions, const std::string& name,
                                         TokenizerJson& file);

// A token as tokenizer.json has it.
nlohmann::json added_token_json(const AddedToken& token);

}  // namespace dbsa
