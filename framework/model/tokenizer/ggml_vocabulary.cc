#include "model/tokenizer/ggml_vocabulary.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/tokenizer/json_tokenizer.h"
#include "model/tokenizer/make_error.h"
#include "model/tokenizer/score_tokenizer.h"
#include "model/tokenizer/token_cutter.h"
#include "model/tokenizer/token_table.h"
#include "model/tokenizer/tokenizer_json.h"
#include "text/utf8.h"

namespace dbsa {
namespace {

using nlohmann::json;

// How the `gpt2` kind splits a text, by the name in tokenizer.ggml.pre.
struct PreTokenizerKind {
  std::string_view name;
  const char* first;    // a regular expression whose matches are pieces; nullptr: none
  const char* pattern;  // the same, of what the first leaves; nullptr: GPT-2's
  bool whole;           // a piece that is a token is taken whole, before any merge
  bool bos;
};

constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Of the models' tokenizer.json. llama.cpp takes letters outside ASCII for both capital and small.
constexpr const char* kGpt4oPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr PreTokenizerKind kPreTokenizers[] = {
    {"gpt-2", nullptr, nullptr, false, false},
    {"smollm", R"(\p{N})", nullptr, false, false},
    {"llama-bpe", nullptr, kLlama3Pattern, true, true},
    {"llama3", nullptr, kLlama3Pattern, true, true},
    {"llama-v3", nullptr, kLlama3Pattern, true, true},
    {"qwen2", nullptr, kQwen2Pattern, false, false},
    {"deepseek-r1-qwen", nullptr, kQwen2Pattern, false, false},
    {"smaug-bpe", nullptr, kLlama3Pattern, false, false},
    {"dbrx", nullptr, kLlama3Pattern, false, false},
    {"gpt-4o", nullptr, kGpt4oPattern, false, false},
    {"olmo", nullptr, nullptr, false, false},
    {"refact", R"(\p{N})", nullptr, false, false},
};

json split_step(const char* pattern) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", pattern}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

json pre_tokenizer_json(const PreTokenizerKind& kind) {
  json steps = json::array();
  if (kind.first != nullptr) steps.push_back(split_step(kind.first));
  if (kind.pattern != nullptr) steps.push_back(split_step(kind.pattern));
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", kind.pattern == nullptr}});
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

GgmlTokenType type_of(const GgmlVocabulary& vocabulary, size_t id) {
  return vocabulary.types.empty() ? GgmlTokenType::kNormal : vocabulary.types[id];
}

Result<const PreTokenizerKind*> find_pre_tokenizer(const std::string& name,
                                                   const std::string& pre) {
  std::string known;
  for (const PreTokenizerKind& kind : kPreTokenizers) {
    if (kind.name == pre) return &kind;
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  const std::string found = pre.empty() ? "none" : "\"" + pre + "\"";
  return make_error(ErrorCode::kConfig,
                    name + ": key 'tokenizer.ggml.pre': expected one of " + known + ", found " +
                        found + "; " +
                        (pre.empty() || pre == "default"
                             ? "how the model splits texts is not said: fetch a newer conversion"
                             : "use the model as a Hugging Face folder"));
}

Status check_tokens(const GgmlVocabulary& vocabulary, const std::string& name) {
  const auto fault = [&](const std::string& key, const std::string& what) {
    return make_error(ErrorCode::kEnvironment, name + ": key 'tokenizer.ggml." + key +
                                                   "': " + what + "; fetch the file again");
  };
  const size_t count = vocabulary.tokens.size();
  if (count == 0 || count > static_cast<size_t>(TokenTable::kMaxId) + 1)
    return fault("tokens", "expected 1 to " + std::to_string(TokenTable::kMaxId + 1) +
                               " tokens, found " + std::to_string(count));
  const auto check_size = [&](const char* key, size_t size) -> Status {
    if (size == count) return {};
    return fault(key, "expected one element for each of " + std::to_string(count) +
                          " tokens, found " + std::to_string(size));
  };
  if (!vocabulary.types.empty())
    DBSA_RETURN_IF_ERROR(check_size("token_type", vocabulary.types.size()));
  if (vocabulary.kind == "llama")
    DBSA_RETURN_IF_ERROR(check_size("scores", vocabulary.scores.size()));
  for (size_t id = 0; id < count; ++id) {
    const std::string_view token = vocabulary.tokens[id];
    const std::string place = "token " + std::to_string(id) + ": expected ";
    if (utf8::find_invalid(token)) return fault("tokens", place + "UTF-8, found other bytes");
    const GgmlTokenType type = type_of(vocabulary, id);
    const bool looked_for = type == GgmlTokenType::kControl ||
                            type == GgmlTokenType::kUserDefined || type == GgmlTokenType::kUnknown;
    if (looked_for && token.empty()) return fault("tokens", place + "a text, found none");
    if (looked_for && vocabulary.kind == "llama" && token.size() > TokenCutter::kMaxBytes)
      return fault("tokens", place + "at most " + std::to_string(TokenCutter::kMaxBytes) +
                                 " bytes for a token that texts are searched for, found " +
                                 std::to_string(token.size()));
    if (type < GgmlTokenType::kNormal || type > GgmlTokenType::kByte)
      return fault("token_type", place + "a type from 1 to 6, found " +
                                     std::to_string(static_cast<int32_t>(type)));
    if (vocabulary.kind == "llama" && !std::isfinite(vocabulary.scores[id]))
      return fault("scores", place + "a number, found one that is none");
  }
  return {};
}

std::vector<std::pair<std::string, int64_t>> table_of(const GgmlVocabulary& vocabulary) {
  std::vector<std::pair<std::string, int64_t>> table;
  table.reserve(vocabulary.tokens.size());
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id)
    table.emplace_back(vocabulary.tokens[id], static_cast<int64_t>(id));
  return table;
}

Result<TokenizerJson> byte_level_json(const GgmlVocabulary& vocabulary, const std::string& name,
                                      const PreTokenizerKind& pre) {
  TokenizerJson file;
  file.vocab = table_of(vocabulary);
  file.has_vocab = file.has_merges = true;
  file.merges.reserve(vocabulary.merges.size());
  for (size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const std::string_view merge = vocabulary.merges[i];
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || utf8::find_invalid(merge))
      return make_error(ErrorCode::kEnvironment,
                        name + ": key 'tokenizer.ggml.merges': merge " + std::to_string(i) +
                            ": expected two tokens with a space between; fetch the file again");
    file.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  json added = json::array();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const GgmlTokenType type = type_of(vocabulary, id);
    if (type != GgmlTokenType::kControl && type != GgmlTokenType::kUserDefined) continue;
    added.push_back({{"id", id},
                     {"content", vocabulary.tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", type == GgmlTokenType::kControl}});
  }
  file.root = {{"version", "1.0"},
               {"added_tokens", std::move(added)},
               {"pre_tokenizer", pre_tokenizer_json(pre)},
               {"decoder",
                {{"type", "ByteLevel"},
                 {"add_prefix_space", false},
                 {"trim_offsets", true},
                 {"use_regex", true}}},
               {"model", {{"type", "BPE"}, {"ignore_merges", pre.whole}}}};
  return file;
}

void append(std::string& bytes, std::string_view text) {
  const uint64_t size = text.size();
  bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
  bytes += text;
}

template <typename T>
void append(std::string& bytes, const std::vector<T>& values) {
  append(bytes,
         std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)));
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_ggml_tokenizer(const GgmlVocabulary& vocabulary,
                                                       const std::string& name) {
  // Allocation and the JSON library may throw; nothing else does.
  try {
    if (vocabulary.kind != "gpt2" && vocabulary.kind != "llama")
      return make_error(ErrorCode::kConfig, name +
                                                ": key 'tokenizer.ggml.model': expected gpt2 or "
                                                "llama, found \"" +
                                                vocabulary.kind +
                                                "\"; use the model as a Hugging Face folder");
    CompanionFiles settings;
    const PreTokenizerKind* pre = nullptr;
    if (vocabulary.kind == "gpt2") {
      DBSA_ASSIGN_OR_RETURN(pre, find_pre_tokenizer(name, vocabulary.pre));
    }
    DBSA_RETURN_IF_ERROR(check_tokens(vocabulary, name));
    settings.add_bos_token = vocabulary.add_bos.value_or(pre == nullptr || pre->bos);
    const auto count = static_cast<int64_t>(vocabulary.tokens.size());
    if (vocabulary.eos_id && *vocabulary.eos_id >= 0 && *vocabulary.eos_id < count)
      settings.eos_token = vocabulary.tokens[static_cast<size_t>(*vocabulary.eos_id)];
    if (pre == nullptr) return ScoreTokenizer::make(vocabulary, name, settings);
    DBSA_ASSIGN_OR_RETURN(const TokenizerJson file, byte_level_json(vocabulary, name, *pre));
    return Tokenizer::from_parts(file, ggml_identity(vocabulary), name, settings);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    return make_error(ErrorCode::kEnvironment, name + ": cannot be loaded: " + e.what());
  }
}

std::string ggml_identity(const GgmlVocabulary& vocabulary) {
  std::string bytes = "ggml 1\n";
  append(bytes, vocabulary.kind);
  append(bytes, vocabulary.kind == "gpt2" ? vocabulary.pre : "");
  append(bytes, vocabulary.add_space_prefix.value_or(vocabulary.kind == "llama") ? "1" : "0");
  for (const std::string_view token : vocabulary.tokens) append(bytes, token);
  append(bytes, vocabulary.types);
  append(bytes, vocabulary.scores);
  for (const std::string_view merge : vocabulary.merges) append(bytes, merge);
  return bytes;
}

}  // namespace dbsa
