// The tokenizer of a tokenizer.json: added tokens, normaliser, pre-tokeniser, model and decoder, in
// that order.
#pragma once

#include <memory>
#include <unordered_map>

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/text_normalizer.h"
#include "model/tokenizer/token_decoder.h"
#include "model/tokenizer/token_model.h"
#include "model/tokenizer/tokenizer.h"

namespace dbsa {

class JsonTokenizer final : public Tokenizer {
 public:
  // From what was read already; `bytes` decide the fingerprint. Errors begin with "NAME: ".
  static Result<std::unique_ptr<Tokenizer>> assemble(const TokenizerJson& file,
                                                     std::string_view bytes, std::string name);

  std::string decode(std::span<const int32_t> ids, DecodeOptions options) const override;
  int32_t vocab_size() const override { return vocab_size_; }
  std::optional<int32_t> token_id(std::string_view token) const override;
  bool is_special(int32_t id) const override;
  bool starts_with_space() const override;

 protected:
  Result<std::vector<int32_t>> encode_valid(std::string_view utf8,
                                            EncodeOptions options) const override;

 private:
  struct Parts {
    TextNormalizer normalizer;
    PreTokenizer pre_tokenizer;
    TokenDecoder decoder;
    TokenModel model;
    std::vector<AddedToken> added;
  };
  static Result<Parts> read_parts(const TokenizerJson& file, const std::string& name);
  JsonTokenizer(std::string name, std::string_view bytes, Parts parts, AddedTokenMatcher raw,
                AddedTokenMatcher normalized);

  Error in_file(Error error) const;
  Status encode_text(std::string_view text, bool first, TextBounds& bounds,
                     TokenModel::Scratch& scratch, std::vector<int32_t>& ids) const;

  Parts parts_;
  AddedTokenMatcher raw_;         // looked for in the text
  AddedTokenMatcher normalized_;  // looked for in what the normaliser made of it
  std::unordered_map<int32_t, size_t> added_by_id_;
  std::unordered_map<std::string, int32_t> added_by_text_;
  int32_t vocab_size_ = 0;
};

}  // namespace dbsa
