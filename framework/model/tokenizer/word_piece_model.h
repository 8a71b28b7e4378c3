// WordPiece: a word becomes the longest token that it starts with, then the longest continuation
// ("##ing") that the rest starts with, and so on; a word that cannot be covered is unknown.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/tokenizer/token_table.h"

namespace dbsa {

struct WordPieceOptions {
  std::string unk_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  int64_t max_input_chars_per_word = 100;  // longer words are unknown
};

class WordPieceModel {
 public:
  // Errors (kEnvironment): see TokenTable; an unk_token that is not in the vocabulary.
  static Result<WordPieceModel> build(const std::vector<std::pair<std::string, int64_t>>& vocab,
                                      WordPieceOptions options);

  // Appends the ids of `word` (valid UTF-8). O(characters * bytes of the longest token).
  void encode(std::string_view word, std::vector<int32_t>& ids) const;

  const TokenTable& tokens() const { return tokens_; }

 private:
  WordPieceModel(TokenTable tokens, WordPieceOptions options)
      : tokens_(std::move(tokens)), options_(std::move(options)) {}

  TokenTable tokens_;
  WordPieceOptions options_;
  int32_t unk_id_ = -1;
  size_t longest_ = 0;  // bytes of the longest token
};

}  // namespace dbsa
