#include "pipeline/pool/chat_prompt.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "icl/dataset.h"

namespace dbsa {
namespace {

constexpr const char* kSpace = " \t\n\v\f\r";

std::string stripped(const std::string& text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return "";
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

std::string stripped_end(const std::string& text) {
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

Error chat_fault(const std::string& what, const std::string& key = "chat") {
  return Error{ErrorCode::kConfig, "prompt." + key + ": " + what, "/prompt/" + key};
}

Error depends(const ChatTemplate& chat, const std::string& what) {
  return chat_fault("the chat template in " + chat.name() + " " + what +
                    "; write the prompt with prompt.demonstration, prompt.head and prompt.tail");
}

// Contents that stand for those of messages. Two sets, so that a template that looks at what is in
// them is noticed.
struct Marks {
  std::string_view system, user, assistant;

  std::string user_at(size_t i) const { return std::string(user) + std::to_string(i) + "."; }
  std::string assistant_at(size_t i) const {
    return std::string(assistant) + std::to_string(i) + ".";
  }
};
constexpr Marks kMarks = {"Markofasystem.", "Markofauser", "Markofananswer"};
constexpr Marks kOtherMarks = {"7 wholly Different words", "Q: is it \"so\"? no.", "x"};

std::vector<ChatMessage> conversation(const Marks& marks, bool system, size_t answered,
                                      bool query) {
  std::vector<ChatMessage> messages;
  if (system) messages.push_back({"system", std::string(marks.system)});
  for (size_t i = 0; i < answered; ++i) {
    messages.push_back({"user", marks.user_at(i)});
    messages.push_back({"assistant", marks.assistant_at(i)});
  }
  if (query) messages.push_back({"user", marks.user_at(answered)});
  return messages;
}

// What stands around the contents of a conversation that asks for an answer.
struct Cut {
  std::string head;                  // before the first content
  std::vector<std::string> between;  // after each content; the last one asks for the answer
};

// Cuts the contents of these messages, the system's aside, out of a text.
std::optional<Cut> cut_contents(std::string_view text, const std::vector<ChatMessage>& messages) {
  Cut cut;
  size_t done = 0;
  bool first = true;
  for (const ChatMessage& message : messages) {
    if (message.role == "system") continue;
    const size_t at = text.find(message.content, done);
    if (at == text.npos) return std::nullopt;
    const std::string before(text.substr(done, at - done));
    if (std::exchange(first, false))
      cut.head = before;
    else
      cut.between.push_back(before);
    done = at + message.content.size();
  }
  cut.between.emplace_back(text.substr(done));
  return cut;
}

class Asker {
 public:
  Asker(const ChatTemplate& chat, const Tokenizer& tokenizer, bool system)
      : chat_(chat), tokenizer_(tokenizer), system_(system) {
    const auto text_of = [&](std::optional<int32_t> id) -> std::optional<std::string> {
      if (!id) return std::nullopt;
      return tokenizer.decode(std::span(&*id, 1), {.skip_special = false});
    };
    context_.bos_token = text_of(tokenizer.bos_id());
    context_.eos_token = text_of(tokenizer.eos_id());
  }

  // `answered` demonstrations, then a query where there is one.
  Result<Cut> ask(const Marks& marks, size_t answered, bool query, bool generation) {
    const std::vector<ChatMessage> messages = conversation(marks, system_, answered, query);
    context_.add_generation_prompt = generation;
    Result<std::string> text = chat_.render(messages, context_);
    if (!text.ok()) return chat_fault(text.error().message, system_ ? "system" : "chat");
    std::optional<Cut> cut = cut_contents(*text, messages);
    if (!cut) return depends(chat_, "changes or leaves out what messages hold");
    return *std::move(cut);
  }

  // How many bytes of `between` also end a conversation, no special token cut in two. What follows
  // them may begin like what ends one ("<|user|>", "<|assistant|>"): then it is up to the last line
  // or special token that both have.
  Result<size_t> answer_end(const std::string& between) {
    size_t common = between.size();
    bool any = false, whole = true;
    for (const bool generation : {false, true}) {
      const Result<Cut> cut = ask(kMarks, 1, false, generation);
      if (!cut.ok()) continue;  // some refuse to end with an answer
      any = true;
      const std::string& end = cut->between.back();
      const auto differs = std::mismatch(between.begin(), between.end(), end.begin(), end.end());
      const auto same = static_cast<size_t>(differs.first - between.begin());
      if (same < common) whole = same == end.size();
      common = std::min(common, same);
    }
    if (!any) return size_t{0};
    DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer_.encode(between));
    size_t done = 0, last = between.rfind('\n', common - (common > 0)) + 1;  // npos + 1 = 0
    for (const int32_t id : ids) {
      if (!tokenizer_.is_special(id)) continue;
      const std::string token = tokenizer_.decode(std::span(&id, 1), {.skip_special = false});
      const size_t at = between.find(token, done);
      if (at == between.npos) continue;
      done = at + token.size();
      if (at < common && common < done) common = at;
      if (done <= common) last = std::max(last, done);
    }
    return whole || last == 0 ? common : std::min(common, last);
  }

 private:
  const ChatTemplate& chat_;
  const Tokenizer& tokenizer_;
  bool system_;
  ChatContext context_;
};

// What a conversation of any length is made of.
struct Pieces {
  std::string head, middle, between;
};

Result<Pieces> read_pieces(const ChatTemplate& chat, Asker& asker) {
  constexpr size_t kMost = 3;
  std::optional<Pieces> pieces;
  for (size_t answered = kMost + 1; answered-- > 0;)
    for (const Marks* marks : {&kMarks, &kOtherMarks}) {
      DBSA_ASSIGN_OR_RETURN(Cut cut, asker.ask(*marks, answered, true, true));
      if (marks == &kOtherMarks)  // the system's text stands in the head
        for (size_t at; (at = cut.head.find(kOtherMarks.system)) != cut.head.npos;)
          cut.head.replace(at, kOtherMarks.system.size(), kMarks.system);
      if (!pieces) pieces = Pieces{cut.head, cut.between[0], cut.between[1]};
      if (cut.head != pieces->head)
        return depends(chat, "begins a conversation by how many messages it has");
      // The query ends without the white space that labels follow.
      const std::string asking = cut.between.back();
      cut.between.pop_back();
      if (stripped_end(asking) != stripped_end(pieces->middle))
        return depends(chat, "writes " + quote_for_message(asking) +
                                 " before an answer that it asks for, and " +
                                 quote_for_message(pieces->middle) + " before one that is given");
      for (size_t i = 0; i < cut.between.size(); ++i) {
        const std::string& expected = i % 2 == 0 ? pieces->middle : pieces->between;
        if (cut.between[i] != expected)
          return depends(
              chat, "writes messages by where they stand: " + quote_for_message(cut.between[i]) +
                        " and " + quote_for_message(expected));
      }
    }
  return *std::move(pieces);
}

// The head with the system's text instead of its mark, for people.
std::string with_text(std::string head, const std::string& system) {
  if (const size_t at = head.find(kMarks.system); at != head.npos && !system.empty())
    head.replace(at, kMarks.system.size(), system);
  return head;
}

// The head with the system's text in the place of its mark, as data.
Result<PromptText> with_system(const ChatTemplate& chat, const std::string& head,
                               const std::string& system) {
  if (system.empty()) return PromptText(head);
  const size_t at = head.find(kMarks.system);
  if (at == head.npos || head.find(kMarks.system, at + 1) != head.npos)
    return depends(chat, "does not write a system message once, before the first one of a user");
  return PromptText(head.substr(0, at))
      .add_data(system)
      .add(head.substr(at + kMarks.system.size()));
}

}  // namespace

Status apply_chat_template(const ChatTemplate& chat, const Tokenizer& tokenizer,
                           PromptSettings& prompt) {
  const std::string system = stripped(prompt.system);
  Asker asker(chat, tokenizer, !system.empty());
  DBSA_ASSIGN_OR_RETURN(const Pieces pieces, read_pieces(chat, asker));
  DBSA_ASSIGN_OR_RETURN(const size_t end, asker.answer_end(pieces.between));
  const std::string answer_end = pieces.between.substr(0, end);
  const std::string user_begin = pieces.between.substr(end);
  if (stripped(answer_end).empty() || stripped(pieces.middle).empty())
    return depends(chat, "writes nothing that ends a message");
  if (!pieces.head.ends_with(user_begin))
    return depends(chat, system.empty()
                             ? "begins the first message of a user in another way than later ones"
                             : "writes the system's text into the first message of a user, so that "
                               "prompt.system cannot stand apart from it");
  const std::string head = pieces.head.substr(0, pieces.head.size() - user_begin.size());
  if (head.empty() != (prompt.anchor == PromptHead::kFirstBlocks))
    return chat_fault(head.empty()
                          ? "the chat template begins no conversation with text of its own; write "
                            "anchor = \"first_blocks\""
                          : "the chat template begins every conversation with " +
                                quote_for_message(with_text(head, system)) +
                                "; write anchor = \"prefix\"",
                      "anchor");
  DBSA_ASSIGN_OR_RETURN(prompt.head, with_system(chat, head, system));
  prompt.input_prefix =
      user_begin + prompt.input_prefix.substr(std::min(
                       prompt.input_prefix.find_first_not_of(kSpace), prompt.input_prefix.size()));
  prompt.label_break = stripped_end(prompt.label_break + prompt.output_prefix);
  prompt.output_prefix = pieces.middle;
  prompt.separator = stripped_end(prompt.separator) + answer_end;
  return {};
}

}  // namespace dbsa
