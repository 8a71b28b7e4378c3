#include "model/chat/lexer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "text/utf8.h"

namespace dbsa::jinja {
namespace {

constexpr std::string_view kBlanks = " \t\r\v\f";
constexpr std::string_view kSpace = " \t\r\n\v\f";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> read() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag();
      add_text(tag);
      if (tag == source_.npos) break;
      const char kind = source_[tag + 1];
      move_to(tag + 2);
      if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
      DBSA_RETURN_IF_ERROR(kind == '#' ? skip_comment() : read_tag(kind == '%'));
    }
    tokens_.push_back({TokenKind::kEnd, "", line_});
    return std::move(tokens_);
  }

 private:
  size_t next_tag() const {
    for (size_t at = source_.find('{', at_); at != source_.npos && at + 1 < source_.size();
         at = source_.find('{', at + 1))
      if (const char c = source_[at + 1]; c == '{' || c == '%' || c == '#') return at;
    return source_.npos;
  }

  void move_to(size_t at) {
    line_ += std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                        source_.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    at_ = at;
  }

  // The text up to a tag, or to the end.
  void add_text(size_t tag) {
    std::string_view text = source_.substr(at_, tag - at_);
    const int64_t line = line_;
    if (tag != source_.npos) {
      const char kind = source_[tag + 1];
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
      if (sign == '-') {
        text = text.substr(0, text.find_last_not_of(kSpace) + 1);
      } else if (sign != '+' && kind != '{') {
        const size_t begin = text.rfind('\n') + 1;  // npos + 1 = 0
        if ((begin > 0 || line_starts_) && text.find_first_not_of(kBlanks, begin) == text.npos)
          text = text.substr(0, begin);
      }
    }
    if (!text.empty()) tokens_.push_back({TokenKind::kText, std::string(text), line});
    move_to(std::min(tag, source_.size()));
  }

  // Behind the end of a tag whose brace has this sign before it.
  void leave_tag(char sign, bool trims) {
    line_starts_ = false;
    if (sign == '-') {
      move_to(std::min(source_.find_first_not_of(kSpace, at_), source_.size()));
      line_starts_ = source_[at_ - 1] == '\n';
    } else if (trims && sign != '+' && at_ < source_.size() && source_[at_] == '\n') {
      move_to(at_ + 1);
      line_starts_ = true;
    }
  }

  Status skip_comment() {
    const size_t end = source_.find("#}", at_);
    if (end == source_.npos) return fault_at(line_, "the comment is not closed; write #}");
    const char sign = end > at_ ? source_[end - 1] : ' ';
    move_to(end + 2);
    leave_tag(sign, true);
    return {};
  }

  Status read_tag(bool block) {
    tokens_.push_back({block ? TokenKind::kBlockBegin : TokenKind::kOutputBegin, "", line_});
    const int64_t line = line_;
    const std::string_view close = block ? "%}" : "}}";
    int depth = 0;  // of brackets; a brace of a map is no end
    while (true) {
      move_to(std::min(source_.find_first_not_of(kSpace, at_), source_.size()));
      if (at_ == source_.size())
        return fault_at(line, "the tag is not closed; write " + std::string(close));
      const std::string_view rest = source_.substr(at_);
      const bool signed_end =
          (rest[0] == '-' || rest[0] == '+') && rest.substr(1).starts_with(close);
      if (depth == 0 && (signed_end || rest.starts_with(close))) {
        tokens_.push_back({block ? TokenKind::kBlockEnd : TokenKind::kOutputEnd, "", line_});
        at_ += signed_end ? 3 : 2;
        leave_tag(signed_end ? rest[0] : ' ', block);
        return {};
      }
      DBSA_RETURN_IF_ERROR(read_token(depth));
    }
  }

  Status read_token(int& depth) {
    const char c = source_[at_];
    if (starts_name(c)) {
      size_t end = at_ + 1;
      while (end < source_.size() && (starts_name(source_[end]) || is_digit(source_[end]))) ++end;
      add(TokenKind::kName, end);
      return {};
    }
    if (is_digit(c)) return read_number();
    if (c == '\'' || c == '"') return read_string(c);
    constexpr std::array<std::string_view, 25> kOperators = {
        "==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "(",
        ")",  "[",  "]",  "{",  "}",  ",",  ":", ".", "|", "<", ">", "="};
    for (const std::string_view word : kOperators)
      if (source_.substr(at_).starts_with(word)) {
        if (word == "(" || word == "[" || word == "{") ++depth;
        if (word == ")" || word == "]" || word == "}") --depth;
        if (depth < 0) return fault_at(line_, "\"" + std::string(word) + "\" closes nothing");
        add(TokenKind::kOperator, at_ + word.size());
        return {};
      }
    return fault_at(line_, "a character inside a tag that Jinja does not have");
  }

  void add(TokenKind kind, size_t end) {
    tokens_.push_back({kind, std::string(source_.substr(at_, end - at_)), line_});
    at_ = end;
  }

  Status read_number() {
    size_t end = at_;
    const auto skip_digits = [&] {
      while (end < source_.size() && is_digit(source_[end])) ++end;
    };
    skip_digits();
    const bool real = end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1]);
    if (real) {
      ++end;
      skip_digits();
    }
    if (end < source_.size() && starts_name(source_[end]))
      return fault_at(line_, "a number that is followed by a letter");
    if (end - at_ > 18) return fault_at(line_, "a number of more than 18 digits");
    add(real ? TokenKind::kReal : TokenKind::kInteger, end);
    return {};
  }

  // Four or two hexadecimal digits at `at`.
  std::optional<char32_t> read_hex(size_t at, size_t digits) const {
    if (at + digits > source_.size()) return std::nullopt;
    char32_t code = 0;
    for (const char c : source_.substr(at, digits)) {
      const int digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return std::nullopt;
      code = code * 16 + static_cast<char32_t>(digit);
    }
    if (code == 0 || (code >= 0xD800 && code < 0xE000)) return std::nullopt;
    return code;
  }

  Status read_string(char quote) {
    Token token = {TokenKind::kString, "", line_};
    for (size_t at = at_ + 1; at < source_.size(); ++at) {
      const char c = source_[at];
      if (c == quote) {
        move_to(at + 1);
        tokens_.push_back(std::move(token));
        return {};
      }
      if (c != '\\' || at + 1 == source_.size()) {
        token.text += c;
        continue;
      }
      const char escaped = source_[++at];
      constexpr std::string_view kFrom = "ntr'\"\\bfav\n", kTo = "\n\t\r'\"\\\b\f\a\v";
      if (const size_t found = kFrom.find(escaped); found != kFrom.npos) {
        if (escaped != '\n') token.text += kTo[found];
      } else if (escaped == 'x' || escaped == 'u') {
        const size_t digits = escaped == 'x' ? 2 : 4;
        const auto code = read_hex(at + 1, digits);
        if (!code)
          return fault_at(token.line, "an escape in a string that stands for no character");
        utf8::append(token.text, *code);
        at += digits;
      } else {
        token.text += {'\\', escaped};
      }
    }
    return fault_at(token.line, "the string is not closed");
  }

  std::string_view source_;
  size_t at_ = 0;
  int64_t line_ = 1;
  bool line_starts_ = true;  // what was read last ends a line
  std::vector<Token> tokens_;
};

}  // namespace

Error fault_at(int64_t line, const std::string& what) {
  return Error{ErrorCode::kConfig, std::to_string(line) + ": " + what, ""};
}

Result<std::vector<Token>> read_tokens(std::string_view source) {
  std::string text;  // with LF for CRLF and CR
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r')
      text += source[i];
    else if (!source.substr(i + 1).starts_with('\n'))
      text += '\n';
  }
  if (text.ends_with('\n')) text.pop_back();
  return Lexer(text).read();
}

}  // namespace dbsa::jinja
