#include "commands/tune_file.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "config/absolute_path.h"
#include "config/json_pointer.h"
#include "config/read_file.h"
#include "config/schema_check.h"
#include "config/toml_edit.h"
#include "config/toml_writer.h"
#include "sweep/tune_space.h"
#include "terminal/terminal.h"
#include "terminal/visible_text.h"

namespace dbsa::cli {
namespace {

using nlohmann::json;

std::map<std::string, json> keys_of(const TomlDocument& document) {
  std::map<std::string, json> keys;
  for (const KeyValue& setting : flattened(document)) keys[setting.key] = setting.value;
  return keys;
}

// What the file must say. A path is absolute where it would mean another file: one of --set, and
// all of them in another folder.
std::map<std::string, json> wanted_keys(const TomlDocument& chosen, const json& resolved,
                                        const std::map<std::string, json>& before,
                                        bool same_folder) {
  std::map<std::string, json> wanted = keys_of(chosen);
  for (auto& [key, value] : wanted) {
    const json::json_pointer at(pointer_of_key(key));
    const auto known = before.find(key);
    const bool kept = known != before.end() && known->second == value;
    if (!value.is_string() || (kept && same_folder) || !resolved.contains(at)) continue;
    const json& meant = resolved.at(at);
    // Only a path is another text once resolved, or the name of a plugin.
    if (meant.is_string() && meant != value && !key.ends_with(".plugin")) value = meant;
  }
  if (!same_folder) wanted["output.directory"] = resolved.at("output").at("directory");
  return wanted;
}

// Long lines are wrapped, except those that are indented.
std::string commented(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) {
    const bool as_it_is = line.empty() || line.starts_with(' ');
    for (const std::string& part : as_it_is ? std::vector{line} : wrap_text(line, 100))
      out += (part.empty() ? "#" : "# " + visible_text(part)) + "\n";
  }
  return out + "\n";
}

// Behind a byte order mark, which stays first.
std::string with_head(const std::string& head, const std::string& text) {
  const std::string mark = "\xEF\xBB\xBF";
  return text.starts_with(mark) ? mark + head + text.substr(mark.size()) : head + text;
}

}  // namespace

Result<std::string> tuned_file(Session& session, const TuneResult& result) {
  namespace fs = std::filesystem;
  const KeyValues& settings = result.candidates[result.chosen()].settings;
  DBSA_ASSIGN_OR_RETURN(const host::ResolvedPipeline chosen,
                        changed_pipeline(session.document(), settings, session.registry()));
  const std::string& path = session.document().name();
  DBSA_ASSIGN_OR_RETURN(const FileText file, read_file(path, TomlDocument::kMaxBytes));
  DBSA_ASSIGN_OR_RETURN(const TomlDocument original, TomlDocument::parse(file.text, path));
  const std::map<std::string, json> before = keys_of(original);
  const bool same_folder =
      fs::path(absolute_path(path)).parent_path() == fs::path(result.output).parent_path();
  const std::map<std::string, json> wanted =
      wanted_keys(chosen.document, chosen.json, before, same_folder);

  std::vector<TomlEdit> edits;
  json whole = json::object();
  const auto is_chosen = [&](const std::string& key) {
    return std::any_of(settings.begin(), settings.end(),
                       [&](const KeyValue& setting) { return setting.key == key; });
  };
  std::vector<std::string> notes;  // where the text cannot be kept
  for (const auto& [key, value] : wanted) {
    whole[json::json_pointer(pointer_of_key(key))] = value;
    const auto known = before.find(key);
    if (known != before.end() && known->second == value) continue;
    std::vector<std::string> comments;
    if (is_chosen(key)) {
      const std::string from = known != before.end() ? to_toml_value(known->second) : "";
      for (const std::string& line : key_comment(result, key, from))
        comments.push_back(visible_text(line));
      for (const std::string& line : comments) notes.push_back(key + ": " + line);
    }
    edits.push_back({key, value, std::move(comments)});
  }
  for (const auto& [key, value] : before)
    if (!wanted.contains(key)) edits.push_back({key, {}, {"tune: no key of what was chosen"}});

  std::vector<std::string> head = head_comment(result);
  std::string text;
  if (const std::optional<std::string> edited = edit_toml(file.text, edits)) {
    text = with_head(commented(head), *edited);
  } else {
    head.insert(head.end(), notes.begin(), notes.end());
    text = commented(head) + to_toml(whole);
  }
  DBSA_ASSIGN_OR_RETURN(TomlDocument read, TomlDocument::parse(text, result.output));
  const Result<host::ResolvedPipeline> meant =
      host::resolve_pipeline(std::move(read), session.registry());
  if (!meant.ok()) return meant.error();
  if (meant->json == chosen.json) return text;
  return Error{ErrorCode::kRun,
               path +
                   ": the chosen settings could not be written into this file; write the keys "
                   "that it sets under a [table] header each, and run the same command again",
               ""};
}

}  // namespace dbsa::cli
