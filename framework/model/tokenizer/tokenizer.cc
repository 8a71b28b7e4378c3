#include "model/tokenizer/tokenizer.h"

#include <exception>

#include "config/path_kind.h"
#include "config/read_file.h"
#include "model/tokenizer/json_tokenizer.h"
#include "model/tokenizer/make_error.h"
#include "model/tokenizer/sentencepiece_tokenizer.h"
#include "model/tokenizer/utf8.h"
#include "model/tokenizer/vocab_txt.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dbsa {
namespace {

// The largest published ones have some 35 MB.
constexpr uint64_t kMaxFileBytes = 256 << 20;

Result<std::string> tokenizer_bytes(const std::filesystem::path& path) {
  Result<FileText> file = read_file(path.string(), kMaxFileBytes);
  if (file.ok()) return std::move(file->text);
  return make_error(ErrorCode::kEnvironment, file.error().message);
}

}  // namespace

Tokenizer::Tokenizer(std::string name, std::string_view file_bytes) : name_(std::move(name)) {
  const XXH128_hash_t hash = XXH3_128bits(file_bytes.data(), file_bytes.size());
  fingerprint_ = {hash.high64, hash.low64};
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const std::filesystem::path& model_dir) {
  const std::filesystem::path json = model_dir / "tokenizer.json";
  const std::filesystem::path model = model_dir / "tokenizer.model";
  DBSA_ASSIGN_OR_RETURN(const PathKind json_kind, path_kind(json.string()));
  if (json_kind != PathKind::kNothing) {
    DBSA_ASSIGN_OR_RETURN(const std::string bytes, tokenizer_bytes(json));
    return from_json(bytes, json.string());
  }
  DBSA_ASSIGN_OR_RETURN(const PathKind model_kind, path_kind(model.string()));
  if (model_kind != PathKind::kNothing) {
    DBSA_ASSIGN_OR_RETURN(const std::string bytes, tokenizer_bytes(model));
    return from_sentencepiece(bytes, model.string());
  }
  const std::filesystem::path vocab = model_dir / "vocab.txt";
  DBSA_ASSIGN_OR_RETURN(const PathKind vocab_kind, path_kind(vocab.string()));
  if (vocab_kind != PathKind::kNothing) {
    const std::filesystem::path config = model_dir / "tokenizer_config.json";
    DBSA_ASSIGN_OR_RETURN(const std::string bytes, tokenizer_bytes(vocab));
    std::string config_bytes;
    DBSA_ASSIGN_OR_RETURN(const PathKind config_kind, path_kind(config.string()));
    if (config_kind != PathKind::kNothing) {
      DBSA_ASSIGN_OR_RETURN(config_bytes, tokenizer_bytes(config));
    }
    return from_vocab_txt(bytes, vocab.string(), config_bytes, config.string());
  }
  return make_error(ErrorCode::kEnvironment, model_dir.string() +
                                                 ": no tokenizer found; expected tokenizer.json, "
                                                 "tokenizer.model or vocab.txt in this folder");
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_json(std::string_view bytes, std::string name) {
  // Allocation and the JSON library may throw; nothing else does.
  try {
    return JsonTokenizer::read(bytes, name);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    return make_error(ErrorCode::kEnvironment, name + ": cannot be loaded: " + e.what());
  }
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_vocab_txt(std::string_view bytes,
                                                             std::string name,
                                                             std::string_view config,
                                                             const std::string& config_name) {
  try {
    DBSA_ASSIGN_OR_RETURN(const TokenizerJson file,
                          read_vocab_txt(bytes, name, config, config_name));
    return JsonTokenizer::assemble(file, std::string(bytes) + file.root.dump(), name);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    return make_error(ErrorCode::kEnvironment, name + ": cannot be loaded: " + e.what());
  }
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_sentencepiece(std::string_view bytes,
                                                                 std::string name) {
  return SentencePieceTokenizer::read(bytes, std::move(name));
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
  return encode_valid(utf8, options);
}

}  // namespace dbsa
