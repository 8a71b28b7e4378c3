#include "tests/bad_input/bad_input.h"

#include <cstdint>
#include <cstring>
#include <filesystem>

namespace dbsa {
namespace {

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
}

}  // namespace

std::string BadInput::shortened(std::string text) const {
  std::string workspace = path();
  if (workspace.ends_with('/')) workspace.pop_back();
  replace_all(text, workspace, "$W");
  replace_all(text, std::filesystem::canonical(DBSA_PLUGIN_DIR).string(), "$P");
  replace_all(text, std::filesystem::canonical(DBSA_BAD_PLUGIN_DIR).string(), "$B");
  return text;
}

std::string BadInput::say(const std::string& command, const Words& more) const {
  Words words = {command, path("pipeline.toml"), "--quiet"};
  words.insert(words.end(), more.begin(), more.end());
  const ProcessResult result = cli(words);
  EXPECT_EQ(result.out, "") << command;
  return "exit " + std::to_string(result.exit_code) + "\n" + shortened(result.error);
}

void BadInput::expect_refusal(const std::string& said, const Words& more) const {
  EXPECT_EQ(say("validate", more), said);
  EXPECT_EQ(say("run", more), said);
  EXPECT_FALSE(std::filesystem::exists(path("store/packs")));
  std::error_code absent;
  EXPECT_EQ(std::filesystem::directory_iterator(path("runs"), absent),
            std::filesystem::directory_iterator());
}

BadInput::Words BadInput::set(const std::vector<std::string>& values) {
  Words words;
  for (const std::string& value : values) words.insert(words.end(), {"--set", value});
  return words;
}

BadInput::Words BadInput::with_bad_plugins(const std::vector<std::string>& values) {
  Words words = set(values);
  words.insert(words.end(), {"--plugin-path", DBSA_BAD_PLUGIN_DIR});
  return words;
}

void BadInput::edit_config(const std::function<void(nlohmann::json&)>& edit) const {
  nlohmann::json config = nlohmann::json::parse(workspace_.read("model/config.json"));
  edit(config);
  workspace_.write("model/config.json", config.dump(1));
}

void BadInput::edit_weights(const std::function<void(std::string&)>& edit) const {
  std::string bytes = workspace_.read("model/model.safetensors");
  edit(bytes);
  workspace_.write("model/model.safetensors", bytes);
}

void BadInput::edit_header(const std::function<void(nlohmann::json&)>& edit) const {
  edit_weights([&](std::string& bytes) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    nlohmann::json header = nlohmann::json::parse(bytes.substr(sizeof length, length));
    edit(header);
    std::string text = header.dump();
    while ((text.size() + sizeof length) % 64 != 0) text += ' ';
    const uint64_t now = text.size();
    std::string head(sizeof now, '\0');
    std::memcpy(head.data(), &now, sizeof now);
    bytes = head + text + bytes.substr(sizeof length + length);
  });
}

}  // namespace dbsa
