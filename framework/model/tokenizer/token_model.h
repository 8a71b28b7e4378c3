// The "model" of tokenizer.json: what turns one piece of text into ids.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "model/tokenizer/bpe_model.h"
#include "model/tokenizer/tokenizer_json.h"
#include "model/tokenizer/word_piece_model.h"

namespace dbsa {

class TokenModel {
 public:
  // Working memory of encode(); one per thread, reused over calls.
  using Scratch = BpeModel::Scratch;

  // From the file's "model". Supported: BPE, WordPiece.
  static Result<TokenModel> read(const TokenizerJson& file);

  // Appends the ids of `piece` (valid UTF-8). Errors: see the models.
  Status encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const;

  const TokenTable& tokens() const;

 private:
  using Model = std::variant<BpeModel, WordPieceModel>;
  explicit TokenModel(Model model) : model_(std::move(model)) {}

  Model model_;
};

}  // namespace dbsa
