// The tokenizer of a tokenizer.model, through libsentencepiece.
#pragma once

#include <sentencepiece_processor.h>

#include <memory>

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/tokenizer.h"

namespace dbsa {

class SentencePieceTokenizer final : public Tokenizer {
 public:
  // Error (kEnvironment) when the bytes are no sentencepiece model.
  static Result<std::unique_ptr<Tokenizer>> read(std::string_view bytes, std::string name);

  std::string decode(std::span<const int32_t> ids, DecodeOptions options) const override;
  int32_t vocab_size() const override { return processor_->GetPieceSize(); }
  std::optional<int32_t> token_id(std::string_view token) const override;
  bool is_special(int32_t id) const override;
  bool starts_with_space() const override { return starts_with_space_; }

 protected:
  Result<std::vector<int32_t>> encode_valid(std::string_view utf8,
                                            EncodeOptions options) const override;

 private:
  using Processor = sentencepiece::SentencePieceProcessor;
  SentencePieceTokenizer(std::string name, std::string_view bytes,
                         std::unique_ptr<Processor> processor, AddedTokenMatcher control,
                         bool starts_with_space);

  std::unique_ptr<Processor> processor_;
  AddedTokenMatcher control_;  // control pieces and the unknown piece, by their text
  bool starts_with_space_;
};

}  // namespace dbsa
