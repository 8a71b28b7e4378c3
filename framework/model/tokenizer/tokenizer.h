// Text to token ids and back, equal to Hugging Face `tokenizers` id for id.
//
// A Tokenizer is read from a model directory: tokenizer.json if it is there, else tokenizer.model
// (sentencepiece), else vocab.txt (BERT). It never changes after loading; every member may be
// called from any thread.
//
// What is supported
//   tokenizer.json     models BPE (byte_fallback, fuse_unk, unk_token, ignore_merges), WordPiece;
//                      normalizers BertNormalizer, NFC, Prepend, Replace (string), Sequence;
//                      pre-tokenizers BertPreTokenizer, ByteLevel, Split (all five behaviours,
//                      invert), Digits, Metaspace (both spellings), Sequence;
//                      decoders ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip,
//                      WordPiece, Sequence; added tokens with every flag.
//                      That is what Llama 2 and 3, TinyLlama, Mistral, GPT-2, SmolLM2, Qwen2 and
//                      the BERT family ship.
//   tokenizer.model    what libsentencepiece reads (BPE, unigram; its own normaliser).
//   vocab.txt          WordPiece. Beside it, and beside a tokenizer.json with a BertNormalizer,
//                      tokenizer_config.json says whether case and accents count.
//   GGUF               the vocabularies of GGUF files, see ggml_vocabulary.h.
// Beside each of them tokenizer_config.json, special_tokens_map.json and added_tokens.json are
// read, see companion_files.h. Anything else in the file (another model type, an unknown component,
// dropout, a regular expression whose meaning differs between Oniguruma and PCRE2) is refused by
// name. Three things are read past on purpose, because `encode` yields the ids of the text and
// nothing else: post_processor (it only adds BOS and the like), truncation and padding.
//
// Special and added tokens. By default `encode` finds added tokens in the text, as Hugging Face
// does: "</s>" in a demonstration becomes the one id of </s>. That is what a chat template needs
// and what equality with Hugging Face means, but user data can then forge a prompt's structure.
// EncodeOptions{.parse_special = false} reads the text of *special* tokens as ordinary text
// (Hugging Face: encode_special_tokens, split_special_tokens); added tokens that are not special
// belong to the vocabulary and stay recognised. For tokenizer.model the control and unknown pieces
// play the role of special tokens, as in Hugging Face's conversion of such files.
//
// Start of a text. Nothing is added for BOS; adds_bos() tells whether the folder would. The Llama-2
// kind (and sentencepiece's dummy prefix) puts one U+2581, a space, before every text and, in the
// older ("legacy") conversions, after every special token; encoding blocks one by one therefore
// gives each block such a space, which is what the reference does for a separate text.
// starts_with_space() tells whether this happens.
//
// Text must be UTF-8. Invalid bytes are refused with their offset (kConfig), as is a character that
// the vocabulary cannot express where the file has no unk_token (Hugging Face drops it silently).
//
// Cost: encode is O(n log n) in the bytes of the text; memory a small multiple of it.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/hash128.h"
#include "model/tokenizer/companion_files.h"
#include "text/byte_range.h"

namespace dbsa {

struct TokenizerJson;

struct EncodeOptions {
  // Recognise the text of special tokens ("<|eot_id|>"). False: it is ordinary text.
  bool parse_special = true;
  // With parse_special: where in the text special tokens are ordinary text all the same, because
  // what stands there is data. Ranges ascend. A token that reaches into one is none. Special tokens
  // that are looked for in the normalised text are found in no stretch that holds such a range.
  std::span<const ByteRange> plain = {};
};

struct DecodeOptions {
  // Leave special tokens out of the text. False: they appear as their literal text.
  bool skip_special = true;
};

class Tokenizer {
 public:
  // Reads tokenizer.json, else tokenizer.model, else vocab.txt, from the directory, and the files
  // beside it. Errors: kEnvironment for a missing, unreadable or damaged file, kConfig for one that
  // uses something unsupported.
  static Result<std::unique_ptr<Tokenizer>> load(const std::filesystem::path& model_dir);

  // The same from the bytes of one file; `name` stands for the path in messages.
  static Result<std::unique_ptr<Tokenizer>> from_json(std::string_view bytes, std::string name,
                                                      const CompanionFiles& companions = {});
  static Result<std::unique_ptr<Tokenizer>> from_sentencepiece(
      std::string_view bytes, std::string name, const CompanionFiles& companions = {});

  static Result<std::unique_ptr<Tokenizer>> from_vocab_txt(std::string_view bytes, std::string name,
                                                           const CompanionFiles& companions = {});

  // The same of a tokenizer.json that was made of other tables; `identity` is all that decides ids
  // and text.
  static Result<std::unique_ptr<Tokenizer>> from_parts(const TokenizerJson& parts,
                                                       std::string_view identity, std::string name,
                                                       const CompanionFiles& settings);

  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // What encode says of a text that is not UTF-8.
  static Status check_utf8(std::string_view text);

  // Ids from `limit` on are refused from now on: the model has no embeddings for them. A tokenizer
  // may have more, for tokens that no text holds (padding). Not while other threads encode.
  void limit_ids(int64_t limit) { id_limit_ = limit; }

  // Ids of the text; no BOS, EOS or template is added. Empty text gives no ids. kConfig, naming the
  // token, for an id beyond the limit.
  Result<std::vector<int32_t>> encode(std::string_view utf8, EncodeOptions options = {}) const;

  // Text of the ids, always valid UTF-8: bytes that form no character become U+FFFD. Ids outside
  // the vocabulary contribute nothing.
  virtual std::string decode(std::span<const int32_t> ids, DecodeOptions options = {}) const = 0;

  // Largest id + 1, added tokens included. Ids below it may be unused.
  virtual int32_t vocab_size() const = 0;

  // Id of exactly this token, as the file spells it ("<s>", "\u0120the"), if there is one.
  virtual std::optional<int32_t> token_id(std::string_view token) const = 0;

  // True for ids that `decode` skips.
  virtual bool is_special(int32_t id) const = 0;

  // Whether a separate text gets a space in front ("dummy prefix").
  virtual bool starts_with_space() const = 0;

  // Whether the folder puts BOS before a text (`add_bos_token`, or the template of a
  // tokenizer.json's post_processor); nothing where it does not say.
  std::optional<bool> adds_bos() const { return adds_bos_; }

  // Id of the token that the folder puts, or would put, before a text: its bos_token, else what the
  // template of a tokenizer.json begins with; nothing where it names none.
  std::optional<int32_t> bos_id() const {
    return bos_token_.empty() ? template_bos_ : token_id(bos_token_);
  }

  // Id of the folder's eos_token, where it names one.
  std::optional<int32_t> eos_id() const {
    return eos_token_.empty() ? std::nullopt : token_id(eos_token_);
  }

  // A decoded answer as the folder wants it: with clean_up_tokenization_spaces without the space
  // before English punctuation and contractions, else as it is.
  std::string clean_up(std::string text) const;

  // Identity of the files, for block keys.
  Hash128 fingerprint() const { return fingerprint_; }

  // The path or name the tokenizer was read from.
  const std::string& name() const { return name_; }

 protected:
  Tokenizer(std::string name, std::string_view file_bytes);

  // `utf8` is valid and not empty.
  virtual Result<std::vector<int32_t>> encode_valid(std::string_view utf8,
                                                    EncodeOptions options) const = 0;

  // What the post_processor does; tokenizer_config.json may say otherwise.
  void set_template(bool adds_bos, std::optional<int32_t> bos) {
    adds_bos_ = adds_bos;
    template_bos_ = bos;
  }
  // `text` counts in the fingerprint, too.
  void extend_fingerprint(std::string_view text);
  void take_settings(const CompanionFiles& companions);

 private:
  std::string name_;
  Hash128 fingerprint_;
  int64_t id_limit_ = int64_t{1} << 31;
  std::optional<bool> adds_bos_;
  std::optional<int32_t> template_bos_;
  std::string bos_token_, eos_token_;
  bool clean_up_ = false;
};

}  // namespace dbsa
