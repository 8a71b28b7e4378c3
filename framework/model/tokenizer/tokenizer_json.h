// The JSON of tokenizer.json, with the two big tables (model.vocab, model.merges) kept out of the
// document tree: 128,000 tokens and 280,000 merges load in a fraction of a second.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dbsa {

struct TokenizerJson {
  nlohmann::json root;  // everything but model.vocab and model.merges
  bool has_vocab = false;
  bool has_merges = false;
  std::vector<std::pair<std::string, int64_t>> vocab;  // in the file's order
  std::vector<std::pair<std::string, std::string>> merges;
};

// A member of an object, or null.
nlohmann::json member(const nlohmann::json& object, const char* key);

// Errors: kEnvironment "NAME: byte N: ..." where the bytes are not JSON, a key is given twice,
// brackets nest deeper than 64, or an entry of the two tables has the wrong form.
Result<TokenizerJson> read_tokenizer_json(std::string_view bytes, const std::string& name);

}  // namespace dbsa
