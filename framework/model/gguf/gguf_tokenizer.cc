#include "model/gguf/gguf_tokenizer.h"

#include <utility>
#include <vector>

#include "model/gguf/key_reader.h"
#include "model/tokenizer/ggml_vocabulary.h"

namespace dbsa::gguf {
namespace {

constexpr const char* kJson = "tokenizer.huggingface.json";

std::optional<int64_t> token_id(KeyReader& keys, const char* name) {
  const std::string key = std::string("tokenizer.ggml.") + name;
  if (!keys.has(key)) return std::nullopt;
  return keys.integer(key, 0, 0, int64_t{UINT32_MAX});
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> read_gguf_tokenizer(const std::string& path,
                                                       std::span<const Key> all) {
  std::vector<std::string> faults;
  KeyReader keys(path, all, &faults);
  const bool has_json = keys.has(kJson);
  GgmlVocabulary vocabulary;
  vocabulary.kind =
      keys.text("tokenizer.ggml.model", has_json ? std::optional<std::string>("") : std::nullopt);
  vocabulary.pre = keys.text("tokenizer.ggml.pre", "");
  vocabulary.tokens = keys.strings("tokenizer.ggml.tokens");
  vocabulary.add_bos = keys.boolean("tokenizer.ggml.add_bos_token");
  vocabulary.add_space_prefix = keys.boolean("tokenizer.ggml.add_space_prefix");
  vocabulary.eos_id = token_id(keys, "eos_token_id");
  vocabulary.unknown_id = token_id(keys, "unknown_token_id");
  if (has_json) {
    const std::string json = keys.text(kJson, std::nullopt);
    if (!faults.empty()) return Error{ErrorCode::kEnvironment, faults[0], {}};
    CompanionFiles settings;
    settings.add_bos_token = vocabulary.add_bos;
    if (vocabulary.eos_id && static_cast<size_t>(*vocabulary.eos_id) < vocabulary.tokens.size())
      settings.eos_token = vocabulary.tokens[static_cast<size_t>(*vocabulary.eos_id)];
    return Tokenizer::from_json(json, path + ": key '" + kJson + "'", settings);
  }
  vocabulary.merges = keys.strings("tokenizer.ggml.merges");
  if (vocabulary.kind == "llama") vocabulary.scores = keys.floats("tokenizer.ggml.scores");
  for (const int32_t type : keys.integers("tokenizer.ggml.token_type"))
    vocabulary.types.push_back(static_cast<GgmlTokenType>(type));
  if (!faults.empty()) return Error{ErrorCode::kEnvironment, faults[0], {}};
  return make_ggml_tokenizer(vocabulary, path);
}

}  // namespace dbsa::gguf
