// The `llama` tokenizer of GGUF files: sentencepiece's BPE, by the scores of the vocabulary. Ids
// are those of llama.cpp.
//
// User-defined tokens, and with parse_special control tokens, are cut out of the text first
// (token_cutter.h). Each stretch between them gets a space in front where the file asks for it and
// the stretch stands first or behind a token that was cut out; its spaces become U+2581. From
// single characters on the two neighbours whose join is the token of the highest score are joined,
// the leftmost of equals first, until no join is a token. A character that is no token goes out as
// its bytes, <0x00> to <0xFF>. Nothing is normalised.
#pragma once

#include <dbsa/sdk/result.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/companion_files.h"
#include "model/tokenizer/ggml_vocabulary.h"
#include "model/tokenizer/token_cutter.h"
#include "model/tokenizer/token_table.h"
#include "model/tokenizer/tokenizer.h"

namespace dbsa {

class ScoreTokenizer final : public Tokenizer {
 public:
  // The vocabulary is checked. Fails with kEnvironment where two tokens have one text.
  static Result<std::unique_ptr<Tokenizer>> make(const GgmlVocabulary& vocabulary,
                                                 const std::string& name,
                                                 const CompanionFiles& settings);

  std::string decode(std::span<const int32_t> ids, DecodeOptions options) const override;
  int32_t vocab_size() const override { return tokens_.size(); }
  std::optional<int32_t> token_id(std::string_view token) const override;
  bool is_special(int32_t id) const override;
  bool starts_with_space() const override { return space_prefix_; }

 protected:
  Result<std::vector<int32_t>> encode_valid(std::string_view utf8,
                                            EncodeOptions options) const override;

 private:
  struct Scratch;
  ScoreTokenizer(const GgmlVocabulary& vocabulary, const std::string& name, TokenTable tokens);

  Status encode_stretch(std::string_view text, bool spaced, Scratch& scratch,
                        std::vector<int32_t>& ids) const;
  Status merge(std::string_view text, Scratch& scratch, std::vector<int32_t>& ids) const;
  void propose(std::string_view text, int32_t left, Scratch& scratch) const;
  Status append(std::string_view symbol, std::vector<int32_t>& ids) const;

  TokenTable tokens_;
  std::vector<GgmlTokenType> types_;  // by id
  std::vector<float> scores_;         // by id
  TokenCutter with_special_, without_special_;
  std::array<int32_t, 256> bytes_{};  // ids of <0x00> to <0xFF>, -1: none
  std::vector<int16_t> byte_of_;      // by id; -1: no byte
  int32_t unknown_id_ = -1;
  bool space_prefix_ = true;
  bool words_ = true;  // no token has U+2581 behind another character
};

}  // namespace dbsa
