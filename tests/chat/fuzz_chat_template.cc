// Feeds any bytes to the reader of chat templates, and renders what is one: an error with its line,
// or a text within the bounds, soon.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "model/chat/budget.h"
#include "model/chat/chat_template.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

bool has_line(const std::string& message) {
  return message.starts_with("template:") && message.size() > 10 && message[9] >= '1' &&
         message[9] <= '9';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto chat =
      dbsa::ChatTemplate::parse(std::string(reinterpret_cast<const char*>(data), size), "template");
  if (!chat.ok()) {
    require(has_line(chat.error().message));
    return 0;
  }
  const std::vector<dbsa::ChatMessage> messages = {
      {"system", "Be brief."}, {"user", "caf\xC3\xA9 au lait"}, {"assistant", " a b "}};
  for (const bool generation : {false, true}) {
    const auto text = chat->render(messages, {"<s>", {}, generation});
    if (text.ok())
      require(text->size() <= dbsa::jinja::kMaxOutputBytes);
    else
      require(has_line(text.error().message));
  }
  return 0;
}
