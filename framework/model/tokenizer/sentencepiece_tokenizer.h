// The tokenizer of a tokenizer.model, through libsentencepiece, with the tokens of the files beside
// it.
#pragma once

#include <sentencepiece_processor.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/tokenizer.h"

namespace dbsa {

class SentencePieceTokenizer final : public Tokenizer {
 public:
  // Error (kEnvironment) when the bytes are no sentencepiece model.
  static Result<std::unique_ptr<Tokenizer>> read(std::string_view bytes, std::string name,
                                                 const CompanionFiles& companions);

  std::string decode(std::span<const int32_t> ids, DecodeOptions options) const override;
  int32_t vocab_size() const override { return vocab_size_; }
  std::optional<int32_t> token_id(std::string_view token) const override;
  bool is_special(int32_t id) const override;
  bool starts_with_space() const override { return starts_with_space_; }

 protected:
  Result<std::vector<int32_t>> encode_valid(std::string_view utf8,
                                            EncodeOptions options) const override;

 private:
  using Processor = sentencepiece::SentencePieceProcessor;
  SentencePieceTokenizer(std::string name, std::string_view bytes,
                         std::unique_ptr<Processor> processor, std::vector<AddedToken> tokens);
  static Result<std::unique_ptr<Processor>> open(std::string_view bytes, const std::string& name);

  std::unique_ptr<Processor> processor_;
  // Without the space before a text, where not every stretch of text gets one; else null.
  std::unique_ptr<Processor> plain_;
  // Control pieces, the unknown piece and added tokens, looked for in the text.
  AddedTokenMatcher matcher_;
  std::unordered_map<int32_t, AddedToken> by_id_;  // the same
  std::unordered_map<std::string, int32_t> by_text_;
  int32_t vocab_size_;
  bool starts_with_space_;
};

}  // namespace dbsa
