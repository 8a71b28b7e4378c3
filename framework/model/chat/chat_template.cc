#include "model/chat/chat_template.h"

#include <utility>

#include "model/chat/parser.h"
#include "model/chat/render.h"

namespace dbsa {
namespace {

Error in_template(const std::string& name, Error error) {
  error.message = name + ":" + error.message;
  return error;
}

}  // namespace

ChatTemplate::ChatTemplate(std::string source, std::string name,
                           std::unique_ptr<const jinja::Node> root)
    : source_(std::move(source)), name_(std::move(name)), root_(std::move(root)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string source, std::string name) {
  Result<std::unique_ptr<jinja::Node>> root = jinja::parse_template(source);
  if (!root.ok()) return in_template(name, std::move(root).error());
  return ChatTemplate(std::move(source), std::move(name), std::move(root).value());
}

Result<std::string> ChatTemplate::render(std::span<const ChatMessage> messages,
                                         const ChatContext& context) const {
  jinja::List list;
  for (const ChatMessage& message : messages)
    list.emplace_back(jinja::Map{{"role", message.role}, {"content", message.content}});
  jinja::Map names = {{"messages", jinja::Value(std::move(list))},
                      {"tools", jinja::None()},
                      {"documents", jinja::None()},
                      {"add_generation_prompt", context.add_generation_prompt}};
  if (context.bos_token) names.emplace_back("bos_token", *context.bos_token);
  if (context.eos_token) names.emplace_back("eos_token", *context.eos_token);
  Result<std::string> text = jinja::render(*root_, names);
  if (!text.ok()) return in_template(name_, std::move(text).error());
  return text;
}

}  // namespace dbsa
