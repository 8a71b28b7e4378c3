#include "model/tokenizer/companion_files.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_set>
#include <utility>

#include "config/json_text.h"
#include "config/path_kind.h"
#include "config/read_file.h"
#include "model/tokenizer/make_error.h"
#include "model/tokenizer/token_table.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxCompanionBytes = 64 << 20;

// In the order in which transformers adds those that have no id yet.
constexpr const char* kNamedTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};
constexpr const char* kTokenLists[] = {"additional_special_tokens", "extra_special_tokens"};

Error wrong_value(const std::string& file, const std::string& key, const std::string& expected,
                  const json& found) {
  std::string text = found.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > 100) text = text.substr(0, 97) + "...";
  return make_error(ErrorCode::kEnvironment, file + ": " + key + ": expected " + expected +
                                                 ", found " + text + "; fetch the file again");
}

// The object in a file of the folder; an empty one where the file is not there.
Result<json> read_object(const fs::path& path) {
  DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(path.string()));
  if (kind == PathKind::kNothing) return json(json::object());
  const Result<FileText> file = read_file(path.string(), kMaxCompanionBytes);
  if (!file.ok()) return make_error(ErrorCode::kEnvironment, file.error().message);
  json value;
  if (parse_json(file->text, value) || !value.is_object())
    return make_error(
        ErrorCode::kEnvironment,
        path.string() + ": expected a JSON object; the file is damaged: fetch it again");
  return value;
}

Result<bool> read_flag(const std::string& file, const json& object, const char* key,
                       bool fallback) {
  const auto value = object.find(key);
  if (value == object.end() || value->is_null()) return fallback;
  if (!value->is_boolean()) return wrong_value(file, key, "true or false", *value);
  return value->get<bool>();
}

// A token: its text, or an object with the text under "content" and flags.
Result<AddedToken> read_token(const std::string& file, const std::string& key, const json& value,
                              bool special) {
  AddedToken token;
  token.id = -1;
  token.special = special;
  const json* content = &value;
  if (value.is_object() && value.contains("content")) content = &value["content"];
  if (!content->is_string() || content->get_ref<const std::string&>().empty())
    return wrong_value(file, key, "the text of a token", value);
  token.content = content->get<std::string>();
  if (!value.is_object()) return token;
  DBSA_ASSIGN_OR_RETURN(token.special, read_flag(file, value, "special", special));
  DBSA_ASSIGN_OR_RETURN(token.single_word, read_flag(file, value, "single_word", false));
  DBSA_ASSIGN_OR_RETURN(token.lstrip, read_flag(file, value, "lstrip", false));
  DBSA_ASSIGN_OR_RETURN(token.rstrip, read_flag(file, value, "rstrip", false));
  DBSA_ASSIGN_OR_RETURN(token.normalized, read_flag(file, value, "normalized", !token.special));
  return token;
}

Result<int32_t> check_token_id(const std::string& file, const std::string& key, const json& found,
                               int64_t id) {
  if (id < 0 || id > TokenTable::kMaxId)
    return wrong_value(file, key, "an id from 0 to " + std::to_string(TokenTable::kMaxId), found);
  return static_cast<int32_t>(id);
}

// {"302": {"content": "<|im_start|>", ...}, ...}
Status read_decoder(const std::string& file, const json& config, CompanionFiles& out) {
  const std::string name = "added_tokens_decoder";
  const auto decoder = config.find(name);
  if (decoder == config.end() || decoder->is_null()) return {};
  if (!decoder->is_object())
    return wrong_value(file, name, "an object from ids to tokens", *decoder);
  for (const auto& [digits, value] : decoder->items()) {
    int64_t id = -1;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    if (failed != std::errc() || end != digits.data() + digits.size()) id = -1;
    const std::string key = name + "." + digits;
    DBSA_ASSIGN_OR_RETURN(const int32_t checked, check_token_id(file, key, json(digits), id));
    DBSA_ASSIGN_OR_RETURN(AddedToken token, read_token(file, key, value, false));
    token.id = checked;
    out.added.push_back({std::move(token), file, true});
  }
  return {};
}

// The special tokens that a file names by their text, unless a file before it named that one.
Status read_special(const std::string& file, const json& object, std::set<std::string>& named,
                    CompanionFiles& out) {
  for (const char* key : kNamedTokens) {
    const auto value = object.find(key);
    if (value == object.end() || value->is_null()) continue;
    if (!named.insert(key).second) continue;
    DBSA_ASSIGN_OR_RETURN(AddedToken token, read_token(file, key, *value, true));
    token.special = true;
    if (std::string_view(key) == "bos_token") out.bos_token = token.content;
    if (std::string_view(key) == "eos_token") out.eos_token = token.content;
    out.special.push_back({std::move(token), file, false});
  }
  for (const char* key : kTokenLists) {
    const auto value = object.find(key);
    if (value == object.end() || value->is_null()) continue;
    if (!value->is_array() && !value->is_object())
      return wrong_value(file, key, "a list of tokens", *value);
    if (!named.insert(key).second) continue;
    for (const json& item : *value) {
      DBSA_ASSIGN_OR_RETURN(AddedToken token, read_token(file, key, item, true));
      token.special = true;
      out.special.push_back({std::move(token), file, false});
    }
  }
  return {};
}

// {"<|im_start|>": 302, ...}: what tokenizer_config.json does not list.
Status read_added_map(const std::string& file, const json& object, CompanionFiles& out) {
  std::unordered_set<std::string> texts, special;
  std::unordered_set<int32_t> ids;
  for (const CompanionToken& known : out.added) {
    texts.insert(known.token.content);
    ids.insert(known.token.id);
  }
  for (const CompanionToken& known : out.special) special.insert(known.token.content);
  for (const auto& [text, value] : object.items()) {
    if (!value.is_number_integer()) return wrong_value(file, text, "the token's id", value);
    DBSA_ASSIGN_OR_RETURN(const int32_t id,
                          check_token_id(file, text, value, value.get<int64_t>()));
    if (text.empty() || texts.contains(text) || !ids.insert(id).second) continue;
    AddedToken token;
    token.id = id;
    token.content = text;
    token.special = special.contains(text);
    token.normalized = !token.special;
    out.added.push_back({std::move(token), file, false});
  }
  return {};
}

}  // namespace

Result<CompanionFiles> read_companion_files(const fs::path& folder) {
  CompanionFiles out;
  const std::string config_file = (folder / "tokenizer_config.json").string();
  const std::string map_file = (folder / "special_tokens_map.json").string();
  const std::string added_file = (folder / "added_tokens.json").string();
  DBSA_ASSIGN_OR_RETURN(const json config, read_object(config_file));
  DBSA_ASSIGN_OR_RETURN(const json map, read_object(map_file));
  DBSA_ASSIGN_OR_RETURN(const json added, read_object(added_file));

  if (!config.empty()) out.config = config.dump(-1, ' ', true, json::error_handler_t::replace);
  out.config_file = config_file;
  if (const auto value = config.find("add_bos_token"); value != config.end() && !value->is_null()) {
    DBSA_ASSIGN_OR_RETURN(out.add_bos_token,
                          read_flag(config_file, config, "add_bos_token", false));
  }
  DBSA_ASSIGN_OR_RETURN(out.legacy, read_flag(config_file, config, "legacy", true));
  DBSA_ASSIGN_OR_RETURN(out.add_prefix_space,
                        read_flag(config_file, config, "add_prefix_space", true));
  DBSA_ASSIGN_OR_RETURN(out.clean_up_tokenization_spaces,
                        read_flag(config_file, config, "clean_up_tokenization_spaces", false));
  std::set<std::string> named;
  DBSA_RETURN_IF_ERROR(read_decoder(config_file, config, out));
  DBSA_RETURN_IF_ERROR(read_special(config_file, config, named, out));
  DBSA_RETURN_IF_ERROR(read_special(map_file, map, named, out));
  DBSA_RETURN_IF_ERROR(read_added_map(added_file, added, out));
  return out;
}

}  // namespace dbsa
