// Renders conversations by a chat template, for check_chat_templates.py.
//
//   dbsa-render-chat TEMPLATE < conversations.json > texts.json
//
// Standard input: a list of {"messages": [{"role", "content"}, ...], "bos_token", "eos_token",
// "add_generation_prompt"}. Standard output: a list of texts, {"error": "..."} where there is none.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "model/chat/chat_template.h"

namespace {

nlohmann::json render(const dbsa::ChatTemplate& chat, const nlohmann::json& asked) {
  std::vector<dbsa::ChatMessage> messages;
  for (const nlohmann::json& message : asked.at("messages"))
    messages.push_back({message.at("role"), message.at("content")});
  const auto text = chat.render(
      messages, {asked.at("bos_token").get<std::string>(), asked.at("eos_token").get<std::string>(),
                 asked.at("add_generation_prompt").get<bool>()});
  if (text.ok()) return *text;
  return {{"error", text.error().message}};
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    std::fputs("usage: dbsa-render-chat TEMPLATE < conversations.json\n", stderr);
    return 2;
  }
  try {
    std::ifstream file(words[1], std::ios::binary);
    std::string source{std::istreambuf_iterator<char>(file), {}};
    const auto chat = dbsa::ChatTemplate::parse(std::move(source), words[1]);
    if (!chat.ok()) {
      std::fprintf(stderr, "%s\n", chat.error().message.c_str());
      return 2;
    }
    nlohmann::json texts = nlohmann::json::array();
    for (const nlohmann::json& asked : nlohmann::json::parse(std::cin))
      texts.push_back(render(*chat, asked));
    std::cout << texts.dump() << '\n';
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "%s\n", fault.what());
    return 4;
  }
  return 0;
}
