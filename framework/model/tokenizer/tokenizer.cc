#include "model/tokenizer/tokenizer.h"

#include <exception>
#include <fstream>

#include "model/tokenizer/json_tokenizer.h"
#include "model/tokenizer/make_error.h"
#include "model/tokenizer/sentencepiece_tokenizer.h"
#include "model/tokenizer/utf8.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dbsa {
namespace {

constexpr uintmax_t kMaxFileBytes = uintmax_t{1} << 30;

Result<std::string> read_file(const std::filesystem::path& path) {
  const auto fail = [&](const std::string& why) {
    return make_error(ErrorCode::kEnvironment, path.string() + ": " + why);
  };
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return fail("cannot be read: " + error.message());
  if (size > kMaxFileBytes) return fail("is larger than 1 GiB, so it is no tokenizer file");
  std::string bytes(size, '\0');
  std::ifstream in(path, std::ios::binary);
  if (!in || !in.read(bytes.data(), static_cast<std::streamsize>(size)))
    return fail("cannot be read; check its permissions");
  return bytes;
}

}  // namespace

Tokenizer::Tokenizer(std::string name, std::string_view file_bytes) : name_(std::move(name)) {
  const XXH128_hash_t hash = XXH3_128bits(file_bytes.data(), file_bytes.size());
  fingerprint_ = {hash.high64, hash.low64};
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const std::filesystem::path& model_dir) {
  const std::filesystem::path json = model_dir / "tokenizer.json";
  const std::filesystem::path model = model_dir / "tokenizer.model";
  std::error_code error;
  if (std::filesystem::exists(json, error)) {
    DBSA_ASSIGN_OR_RETURN(const std::string bytes, read_file(json));
    return from_json(bytes, json.string());
  }
  if (std::filesystem::exists(model, error)) {
    DBSA_ASSIGN_OR_RETURN(const std::string bytes, read_file(model));
    return from_sentencepiece(bytes, model.string());
  }
  return make_error(
      ErrorCode::kEnvironment,
      model_dir.string() +
          ": no tokenizer found; expected tokenizer.json or tokenizer.model in this folder");
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_json(std::string_view bytes, std::string name) {
  // Allocation and the JSON library may throw; nothing else does.
  try {
    return JsonTokenizer::read(bytes, name);
  } catch (const std::exception& e) {
    return make_error(ErrorCode::kEnvironment, name + ": cannot be loaded: " + e.what());
  }
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_sentencepiece(std::string_view bytes,
                                                                 std::string name) {
  return SentencePieceTokenizer::read(bytes, std::move(name));
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view utf8, EncodeOptions options) const {
  if (const auto bad = utf8::find_invalid(utf8)) {
    return make_error(ErrorCode::kConfig, "the text is not valid UTF-8 at byte " +
                                              std::to_string(*bad) + "; convert the data to UTF-8");
  }
  if (utf8.empty()) return std::vector<int32_t>();
  return encode_valid(utf8, options);
}

}  // namespace dbsa
