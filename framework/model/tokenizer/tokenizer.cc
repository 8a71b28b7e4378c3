#include "model/tokenizer/tokenizer.h"

#include <algorithm>
#include <exception>

#include "config/path_kind.h"
#include "config/read_file.h"
#include "model/tokenizer/bert_settings.h"
#include "model/tokenizer/companion_tokens.h"
#include "model/tokenizer/json_tokenizer.h"
#include "model/tokenizer/make_error.h"
#include "model/tokenizer/sentencepiece_tokenizer.h"
#include "model/tokenizer/text_normalizer.h"
#include "model/tokenizer/tokenizer_json.h"
#include "model/tokenizer/vocab_txt.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

// The largest published ones have some 35 MB.
constexpr uint64_t kMaxFileBytes = 256 << 20;

Result<std::string> tokenizer_bytes(const std::filesystem::path& path) {
  Result<FileText> file = read_file(path.string(), kMaxFileBytes);
  if (file.ok()) return std::move(file->text);
  return make_error(ErrorCode::kEnvironment, file.error().message);
}

// What is there instead, and what makes one of the three files of it.
Error no_tokenizer(const std::filesystem::path& folder) {
  const auto there = [&](const char* name) {
    std::error_code ignored;
    return std::filesystem::exists(folder / name, ignored);
  };
  const std::string expected =
      ": no tokenizer found; expected tokenizer.json, tokenizer.model or vocab.txt in this folder";
  std::string fix;
  if (there("vocab.json") && there("merges.txt"))
    fix =
        ". vocab.json and merges.txt are not read: `AutoTokenizer.from_pretrained(FOLDER)"
        ".save_pretrained(FOLDER)` of transformers makes a tokenizer.json of them";
  else if (there("tekken.json"))
    fix = ". tekken.json is not read: fetch tokenizer.json of the model in transformers' format";
  return make_error(ErrorCode::kEnvironment, folder.string() + expected + fix);
}

}  // namespace

Tokenizer::Tokenizer(std::string name, std::string_view file_bytes)
    : name_(std::move(name)), fingerprint_(hash_text(file_bytes)) {}

void Tokenizer::extend_fingerprint(std::string_view text) {
  std::string all(reinterpret_cast<const char*>(&fingerprint_), sizeof fingerprint_);
  all += text;
  fingerprint_ = hash_text(all);
}

void Tokenizer::take_settings(const CompanionFiles& companions) {
  if (companions.add_bos_token) adds_bos_ = companions.add_bos_token;
  bos_token_ = companions.bos_token;
  eos_token_ = companions.eos_token;
  clean_up_ = companions.clean_up_tokenization_spaces;
  if (clean_up_) extend_fingerprint("clean_up_tokenization_spaces");
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const std::filesystem::path& model_dir) {
  const auto is_there = [&](const char* name) -> Result<bool> {
    DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind((model_dir / name).string()));
    return kind != PathKind::kNothing;
  };
  const std::string json = (model_dir / "tokenizer.json").string();
  const std::string model = (model_dir / "tokenizer.model").string();
  const std::string vocab = (model_dir / "vocab.txt").string();
  DBSA_ASSIGN_OR_RETURN(const bool has_json, is_there("tokenizer.json"));
  DBSA_ASSIGN_OR_RETURN(const bool has_model, is_there("tokenizer.model"));
  DBSA_ASSIGN_OR_RETURN(const bool has_vocab, is_there("vocab.txt"));
  if (!has_json && !has_model && !has_vocab) return no_tokenizer(model_dir);
  DBSA_ASSIGN_OR_RETURN(const CompanionFiles companions, read_companion_files(model_dir));
  if (has_json) {
    DBSA_ASSIGN_OR_RETURN(const std::string bytes, tokenizer_bytes(json));
    return from_json(bytes, json, companions);
  }
  if (has_model) {
    DBSA_ASSIGN_OR_RETURN(const std::string bytes, tokenizer_bytes(model));
    return from_sentencepiece(bytes, model, companions);
  }
  DBSA_ASSIGN_OR_RETURN(const std::string bytes, tokenizer_bytes(vocab));
  return from_vocab_txt(bytes, vocab, companions);
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_json(std::string_view bytes, std::string name,
                                                        const CompanionFiles& companions) {
  // Allocation and the JSON library may throw; nothing else does.
  try {
    DBSA_ASSIGN_OR_RETURN(TokenizerJson file, read_tokenizer_json(bytes, name));
    DBSA_ASSIGN_OR_RETURN(std::string more, add_companion_tokens(companions, name, file));
    DBSA_ASSIGN_OR_RETURN(const std::string normalizer,
                          apply_bert_settings(companions, name, file.root));
    more += normalizer;
    DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer,
                          JsonTokenizer::assemble(file, bytes, name));
    if (!more.empty()) tokenizer->extend_fingerprint(more);
    tokenizer->take_settings(companions);
    return tokenizer;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    return make_error(ErrorCode::kEnvironment, name + ": cannot be loaded: " + e.what());
  }
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_vocab_txt(std::string_view bytes,
                                                             std::string name,
                                                             const CompanionFiles& companions) {
  try {
    DBSA_ASSIGN_OR_RETURN(TokenizerJson file, read_vocab_txt(bytes, name, companions));
    DBSA_RETURN_IF_ERROR(add_companion_tokens(companions, name, file));
    DBSA_ASSIGN_OR_RETURN(
        std::unique_ptr<Tokenizer> tokenizer,
        JsonTokenizer::assemble(file, std::string(bytes) + file.root.dump(), name));
    tokenizer->take_settings(companions);
    return tokenizer;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    return make_error(ErrorCode::kEnvironment, name + ": cannot be loaded: " + e.what());
  }
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_parts(const TokenizerJson& parts,
                                                         std::string_view identity,
                                                         std::string name,
                                                         const CompanionFiles& settings) {
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer,
                        JsonTokenizer::assemble(parts, identity, std::move(name)));
  tokenizer->take_settings(settings);
  return tokenizer;
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_sentencepiece(std::string_view bytes,
                                                                 std::string name,
                                                                 const CompanionFiles& companions) {
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer,
                        SentencePieceTokenizer::read(bytes, std::move(name), companions));
  tokenizer->take_settings(companions);
  return tokenizer;
}

Status Tokenizer::check_utf8(std::string_view text) {
  const auto bad = utf8::find_invalid(text);
  if (!bad) return {};
  return make_error(ErrorCode::kConfig, "the text is not valid UTF-8 at byte " +
                                            std::to_string(*bad) + "; convert the data to UTF-8");
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view utf8, EncodeOptions options) const {
  DBSA_RETURN_IF_ERROR(check_utf8(utf8));
  if (utf8.empty()) return std::vector<int32_t>();
  DBSA_ASSIGN_OR_RETURN(std::vector<int32_t> ids, encode_valid(utf8, options));
  const auto beyond =
      std::find_if(ids.begin(), ids.end(), [&](int32_t id) { return id >= id_limit_; });
  if (beyond == ids.end()) return ids;
  return make_error(ErrorCode::kConfig,
                    name_ + ": the text holds the token \"" +
                        decode(std::span(&*beyond, 1), {.skip_special = false}) + "\" with id " +
                        std::to_string(*beyond) + ", and the model has embeddings for ids below " +
                        std::to_string(id_limit_) +
                        " (vocab_size of config.json); remove it from the text, or use the "
                        "tokenizer that was published with the model");
}

std::string Tokenizer::clean_up(std::string text) const {
  // As transformers' clean_up_tokenization, in its order.
  constexpr std::string_view kRules[][2] = {
      {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
      {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  if (!clean_up_) return text;
  for (const auto& [from, to] : kRules) text = replace_all(text, from, to);
  return text;
}

}  // namespace dbsa
