#include "model/tokenizer/companion_tokens.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "model/tokenizer/make_error.h"
#include "model/tokenizer/token_table.h"

namespace dbsa {
namespace {

using nlohmann::json;

// The added tokens of a tokenizer.json as far as they are well formed; reading it tells the rest.
std::vector<AddedToken> listed_tokens(const json& root) {
  std::vector<AddedToken> tokens;
  const json list = member(root, "added_tokens");
  if (!list.is_array()) return tokens;
  for (const json& entry : list) {
    if (!entry.is_object()) continue;
    const json id = member(entry, "id"), content = member(entry, "content");
    if (!id.is_number_integer() || !content.is_string()) continue;
    const int64_t number = id.get<int64_t>();
    if (number < 0 || number > TokenTable::kMaxId) continue;
    AddedToken token;
    token.id = static_cast<int32_t>(number);
    token.content = content.get<std::string>();
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// Gives tokens that a tokenizer.json lists the flags of tokenizer_config.json, as transformers
// does; a token stays special. Returns those that changed, as JSON.
std::string update_listed(const CompanionFiles& companions, json& root) {
  const auto list = root.find("added_tokens");
  if (list == root.end() || !list->is_array()) return "";
  std::unordered_map<std::string_view, const AddedToken*> flags;
  std::unordered_set<std::string_view> special;
  for (const CompanionToken& token : companions.added)
    if (token.has_flags) flags.emplace(token.token.content, &token.token);
  for (const CompanionToken& token : companions.special) special.insert(token.token.content);
  std::string changed;
  for (json& entry : *list) {
    if (!entry.is_object() || !member(entry, "content").is_string()) continue;
    const json before = entry;
    const std::string& content = entry["content"].get_ref<const std::string&>();
    const bool was_special = member(entry, "special") == true;
    bool is_special = was_special || special.contains(content);
    if (const auto it = flags.find(content); it != flags.end()) {
      is_special = is_special || it->second->special;
      entry["single_word"] = it->second->single_word;
      entry["lstrip"] = it->second->lstrip;
      entry["rstrip"] = it->second->rstrip;
      entry["normalized"] = it->second->normalized;
    }
    if (is_special) entry["special"] = true;
    if (entry != before) changed += entry.dump(-1, ' ', true, json::error_handler_t::replace);
  }
  return changed;
}

}  // namespace

Result<std::vector<AddedToken>> resolve_companions(const CompanionFiles& companions,
                                                   const KnownTokens& known,
                                                   const std::string& name) {
  std::unordered_map<std::string, int32_t> by_text;
  std::unordered_map<int32_t, std::string> by_id;
  int32_t next = known.next_id;
  for (const AddedToken& token : known.added) {
    by_text.emplace(token.content, token.id);
    by_id.emplace(token.id, token.content);
    next = std::max(next, token.id + 1);
  }
  std::vector<AddedToken> out;
  const auto take = [&](const CompanionToken& companion) -> Status {
    AddedToken token = companion.token;
    if (by_text.contains(token.content)) {
      for (AddedToken& taken : out)
        if (taken.content == token.content) taken.special = taken.special || token.special;
      return {};
    }
    if (const std::optional<int32_t> id = known.id(token.content)) {
      token.id = *id;
    } else if (token.id < 0) {
      // A new id has no trained embedding: what begins every text must be there.
      if (token.content == companions.bos_token)
        return make_error(ErrorCode::kEnvironment,
                          companion.file + ": bos_token: expected a token of " + name +
                              ", found \"" + token.content +
                              "\", which has no id; take all tokenizer files from one version of "
                              "the model");
      token.id = next;
    } else {
      std::optional<std::string> other;
      if (const auto it = by_id.find(token.id); it != by_id.end()) other = it->second;
      if (!other && !known.may_rename) other = known.text(token.id);
      if (other)
        return make_error(ErrorCode::kEnvironment,
                          companion.file + ": token \"" + token.content + "\" has the id " +
                              std::to_string(token.id) + ", which " + name + " gives to \"" +
                              *other +
                              "\"; take all tokenizer files from one version of the model");
    }
    if (token.id > TokenTable::kMaxId)
      return make_error(ErrorCode::kEnvironment,
                        companion.file + ": there is no free id for the token \"" + token.content +
                            "\"; ids lie between 0 and " + std::to_string(TokenTable::kMaxId));
    by_text.emplace(token.content, token.id);
    by_id.emplace(token.id, token.content);
    next = std::max(next, token.id + 1);
    out.push_back(std::move(token));
    return {};
  };
  for (const CompanionToken& token : companions.added) DBSA_RETURN_IF_ERROR(take(token));
  for (const CompanionToken& token : companions.special) DBSA_RETURN_IF_ERROR(take(token));
  return out;
}

json added_token_json(const AddedToken& token) {
  return {{"id", token.id},          {"content", token.content}, {"single_word", token.single_word},
          {"lstrip", token.lstrip},  {"rstrip", token.rstrip},   {"normalized", token.normalized},
          {"special", token.special}};
}

Result<std::string> add_companion_tokens(const CompanionFiles& companions, const std::string& name,
                                         TokenizerJson& file) {
  const std::string changed = update_listed(companions, file.root);
  KnownTokens known;
  known.added = listed_tokens(file.root);
  const auto is_listed = [&](const CompanionToken& token) {
    return std::any_of(known.added.begin(), known.added.end(), [&](const AddedToken& listed) {
      return listed.content == token.token.content;
    });
  };
  // The tables below are made for the few folders that need them.
  if (std::all_of(companions.added.begin(), companions.added.end(), is_listed) &&
      std::all_of(companions.special.begin(), companions.special.end(), is_listed))
    return changed;
  std::unordered_map<std::string_view, int64_t> ids;
  std::unordered_map<int64_t, std::string_view> texts;
  for (const auto& [text, id] : file.vocab) {
    ids.emplace(text, id);
    texts.emplace(id, text);
    if (id >= 0 && id < TokenTable::kMaxId)
      known.next_id = std::max(known.next_id, static_cast<int32_t>(id) + 1);
  }
  known.id = [&](const std::string& text) {
    const auto it = ids.find(text);
    const bool found = it != ids.end() && it->second >= 0 && it->second <= TokenTable::kMaxId;
    return found ? std::optional<int32_t>(static_cast<int32_t>(it->second)) : std::nullopt;
  };
  known.text = [&](int32_t id) {
    const auto it = texts.find(id);
    return it == texts.end() ? std::nullopt : std::optional<std::string>(it->second);
  };
  DBSA_ASSIGN_OR_RETURN(const std::vector<AddedToken> tokens,
                        resolve_companions(companions, known, name));
  json added = json::array();
  for (const AddedToken& token : tokens) added.push_back(added_token_json(token));
  if (!file.root.contains("added_tokens") || file.root["added_tokens"].is_null())
    file.root["added_tokens"] = json::array();
  json& list = file.root["added_tokens"];
  if (!list.is_array() || added.empty()) return changed;
  list.insert(list.end(), added.begin(), added.end());
  return changed + added.dump(-1, ' ', true, json::error_handler_t::replace);
}

}  // namespace dbsa
