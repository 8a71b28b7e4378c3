#include "model/chat/template_files.h"

#include <nlohmann/json.hpp>

#include "config/json_text.h"
#include "config/path_kind.h"
#include "config/read_file.h"

namespace dbsa {
namespace {

constexpr uint64_t kMaxConfigBytes = uint64_t{64} << 20;
constexpr const char* kKey = "chat_template";

Result<std::string> template_text(const nlohmann::json& value, const std::string& name) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array())
    for (const nlohmann::json& one : value)
      if (one.is_object() && one.value("name", nlohmann::json()) == "default" &&
          one.contains("template") && one.at("template").is_string())
        return one.at("template").get<std::string>();
  return Error{ErrorCode::kConfig,
               name +
                   ": expected a text, or a list with one named \"default\", found neither; "
                   "fetch the file again",
               ""};
}

}  // namespace

Error no_chat_template(const std::string& name) {
  return Error{ErrorCode::kConfig,
               name +
                   ": the model has no chat template; use one that was trained on conversations "
                   "(an instruct model), or leave prompt.chat out",
               "/prompt/chat"};
}

Result<ChatTemplate> load_chat_template(const std::string& folder) {
  const std::string file = folder + "/chat_template.jinja";
  const std::string config = folder + "/tokenizer_config.json";
  DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(file));
  if (kind != PathKind::kNothing) {
    Result<FileText> text = read_file(file, kMaxConfigBytes);
    if (!text.ok()) return Error{ErrorCode::kEnvironment, text.error().message, ""};
    return ChatTemplate::parse(std::move(text->text), file);
  }
  DBSA_ASSIGN_OR_RETURN(const PathKind config_kind, path_kind(config));
  if (config_kind == PathKind::kNothing) return no_chat_template(folder);
  const Result<FileText> text = read_file(config, kMaxConfigBytes);
  if (!text.ok()) return Error{ErrorCode::kEnvironment, text.error().message, ""};
  nlohmann::json root;
  if (parse_json(text->text, root) || !root.is_object() || !root.contains(kKey) ||
      root.at(kKey).is_null())
    return no_chat_template(config);
  const std::string name = config + ": " + kKey;
  DBSA_ASSIGN_OR_RETURN(std::string source, template_text(root.at(kKey), name));
  return ChatTemplate::parse(std::move(source), name);
}

}  // namespace dbsa
