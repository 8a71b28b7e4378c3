// A model's chat template: how a conversation is written for it.
//
// Templates are programs in Jinja that come with models, in tokenizer_config.json,
// chat_template.jinja or GGUF files. They are read as hostile: a bounded subset of Jinja
// (parser.h), rendered within bounds of depth, steps and bytes (budget.h). What is rendered equals
// what transformers renders, without tools and documents.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <optional>
#include <span>
#include <string>

namespace dbsa {

namespace jinja {
struct Node;
}

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

// What a template may ask for besides the messages.
struct ChatContext {
  std::optional<std::string> bos_token, eos_token;  // nothing: the tokenizer has none
  bool add_generation_prompt = false;
};

class ChatTemplate {
 public:
  // name: for messages, such as "DIR/tokenizer_config.json: chat_template". kConfig "NAME:LINE:
  // what", with what is not known by its name.
  static Result<ChatTemplate> parse(std::string source, std::string name);

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // kConfig likewise, also for what the template refuses by raise_exception. Any thread.
  Result<std::string> render(std::span<const ChatMessage> messages,
                             const ChatContext& context) const;

  const std::string& source() const { return source_; }
  const std::string& name() const { return name_; }

 private:
  ChatTemplate(std::string source, std::string name, std::unique_ptr<const jinja::Node> root);

  std::string source_, name_;
  std::unique_ptr<const jinja::Node> root_;
};

}  // namespace dbsa
