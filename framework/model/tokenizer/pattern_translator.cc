// translate_pattern: a parser for the part of Oniguruma's Ruby syntax that PCRE2 reads alike.
#include "model/tokenizer/make_error.h"
#include "model/tokenizer/split_regex.h"
#include "text/utf8.h"

#include <array>
#include <cstdio>
#include <optional>

namespace dbsa {
namespace {

constexpr size_t kMaxPatternBytes = 16 * 1024;
constexpr int kMaxGroups = 64;
constexpr std::string_view kWhiteSpace =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
    "\\x{205f}\\x{3000}";
constexpr std::array<std::string_view, 37> kCategories = {
    "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd", "Nl",
    "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk",
    "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Cn", "Co", "Cs"};

std::string code_point(char32_t c) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "\\x{%x}", static_cast<unsigned>(c));
  return buffer;
}

bool is_ascii_letter(char32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  Result<std::string> run() {
    if (pattern_.size() > kMaxPatternBytes) return unsupported("a pattern of more than 16 KiB");
    if (utf8::find_invalid(pattern_)) return unsupported("invalid UTF-8");
    while (pos_ < pattern_.size()) DBSA_RETURN_IF_ERROR(element());
    if (!groups_.empty()) return unsupported("a group that is not closed");
    return std::move(out_);
  }

 private:
  Error unsupported(std::string_view what) const {
    return make_error(ErrorCode::kConfig, "the regular expression \"" + std::string(pattern_) +
                                              "\" uses " + std::string(what) + " at byte " +
                                              std::to_string(pos_) + ", which is not supported");
  }
  bool take(std::string_view text) {
    if (pattern_.substr(pos_).substr(0, text.size()) != text) return false;
    pos_ += text.size();
    return true;
  }
  bool ignores_case() const { return !groups_.empty() && groups_.back(); }

  Status element() {
    switch (pattern_[pos_]) {
      case '(':
        return open_group();
      case ')':
        if (groups_.empty()) return unsupported("a closing bracket without its group");
        groups_.pop_back();
        folded_.clear();
        ++pos_;
        out_ += ')';
        return quantifier();
      case '|':
        ++pos_;
        folded_.clear();
        out_ += '|';
        return {};
      case '[':
        if (ignores_case()) return unsupported("a class inside (?i:");
        DBSA_RETURN_IF_ERROR(character_class());
        return quantifier();
      case '.':
        ++pos_;
        out_ += '.';
        return quantifier();
      case '\\': {
        DBSA_ASSIGN_OR_RETURN(const std::optional<char32_t> literal, escape(false));
        if (literal) return add_literal(*literal);
        if (ignores_case()) return unsupported("a class inside (?i:");
        return quantifier();
      }
      case '^':
      case '$':
        return unsupported("an anchor");
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        return unsupported(std::string("an unescaped '") + pattern_[pos_] + "'");
      default:
        return add_literal(utf8::next(pattern_, pos_));
    }
  }

  Status open_group() {
    if (groups_.size() >= kMaxGroups) return unsupported("more than 64 nested groups");
    const bool outer = ignores_case();
    folded_.clear();
    for (const std::string_view head : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (take(head)) {
        groups_.push_back(outer);
        out_ += head;
        return {};
      }
    }
    if (take("(?i:")) {
      groups_.push_back(true);
      out_ += "(?i:";
      return {};
    }
    if (pattern_.substr(pos_).starts_with("(?") || pattern_.substr(pos_).starts_with("(*"))
      return unsupported("a group option");
    ++pos_;
    groups_.push_back(outer);
    out_ += "(?:";
    return {};
  }

  // Oniguruma folds "ss" to U+00DF and so on, PCRE2 one character at a time; such literals and
  // those beyond ASCII letters are refused where case is ignored.
  Status add_literal(char32_t c) {
    if (ignores_case()) {
      if (c >= 0x80) return unsupported("a character beyond ASCII inside (?i:");
      folded_ += static_cast<char>(is_ascii_letter(c) ? c | 0x20 : c);
      for (const std::string_view pair : {"ss", "st", "ff", "fi", "fl"}) {
        if (folded_.ends_with(pair))
          return unsupported("a pair that folds to one letter inside (?i:");
      }
    }
    out_ += code_point(c);
    return quantifier();
  }

  Status quantifier() {
    if (pos_ >= pattern_.size()) return {};
    const char c = pattern_[pos_];
    if (c == '*' || c == '+' || c == '?') {
      out_ += c;
      ++pos_;
      if (pos_ < pattern_.size() && (pattern_[pos_] == '?' || pattern_[pos_] == '+'))
        out_ += pattern_[pos_++];
    } else if (c == '{') {
      DBSA_RETURN_IF_ERROR(interval());
    } else {
      return {};
    }
    folded_.clear();
    if (pos_ < pattern_.size() &&
        std::string_view("*+?{").find(pattern_[pos_]) != std::string_view::npos)
      return unsupported("a quantifier of a quantifier");
    return {};
  }

  // {n}, {n,} and {n,m}. A '?' or '+' behind it means different things and is caught above.
  Status interval() {
    size_t end = pos_ + 1;
    const auto digits = [&] {
      const size_t first = end;
      while (end < pattern_.size() && pattern_[end] >= '0' && pattern_[end] <= '9') ++end;
      return end - first;
    };
    const size_t low = digits();
    size_t high = 0;
    if (end < pattern_.size() && pattern_[end] == ',') {
      ++end;
      high = digits();
    }
    if (low == 0 || low > 3 || high > 3 || end >= pattern_.size() || pattern_[end] != '}')
      return unsupported("an unescaped '{'");
    out_.append(pattern_, pos_, end + 1 - pos_);
    pos_ = end + 1;
    return {};
  }

  Status character_class() {
    ++pos_;
    out_ += '[';
    if (take("^")) out_ += '^';
    char32_t last = 0;  // the literal before, where it may begin a range
    bool may_range = false;
    for (bool at_start = true;; at_start = false) {
      if (pos_ >= pattern_.size()) return unsupported("a class that is not closed");
      const std::string_view rest = pattern_.substr(pos_);
      if (rest[0] == ']') {
        if (at_start) return unsupported("an empty class");
        break;
      }
      if (rest[0] == '[') return unsupported("a class inside a class");
      if (rest.starts_with("&&")) return unsupported("a class operation");
      const bool at_edge = at_start || rest.substr(1).starts_with(']');
      if (rest[0] == '-' && !at_edge) {
        if (!may_range) {
          return unsupported("a '-' that is neither a range nor at an end of the class");
        }
        DBSA_RETURN_IF_ERROR(range(last));
        may_range = false;
        continue;
      }
      DBSA_ASSIGN_OR_RETURN(may_range, class_member(last));
      if (may_range) out_ += code_point(last);
    }
    ++pos_;
    out_ += ']';
    return {};
  }

  // True and the character for a literal; false for a class, which is written to the output.
  Result<bool> class_member(char32_t& literal) {
    if (pattern_[pos_] != '\\') {
      literal = utf8::next(pattern_, pos_);
      return true;
    }
    DBSA_ASSIGN_OR_RETURN(const std::optional<char32_t> escaped, escape(true));
    if (escaped) literal = *escaped;
    return escaped.has_value();
  }

  Status range(char32_t low) {
    ++pos_;
    char32_t high = 0;
    if (pattern_[pos_] == '\\') {
      DBSA_ASSIGN_OR_RETURN(const std::optional<char32_t> literal, escape(true));
      if (!literal) return unsupported("a range to a class");
      high = *literal;
    } else if (pattern_[pos_] == '[') {
      return unsupported("a class inside a class");
    } else {
      high = utf8::next(pattern_, pos_);
    }
    if (high < low) return unsupported("a range whose end lies before its start");
    out_ += '-' + code_point(high);
    return {};
  }

  // One escape. A literal is returned; a class is written to the output.
  Result<std::optional<char32_t>> escape(bool in_class) {
    const size_t start = pos_++;
    if (pos_ >= pattern_.size()) return unsupported("a backslash at the end");
    const char c = pattern_[pos_];
    const auto literal = [&](char32_t value) {
      ++pos_;
      return Result<std::optional<char32_t>>(std::optional<char32_t>(value));
    };
    switch (c) {
      case 'r':
        return literal('\r');
      case 'n':
        return literal('\n');
      case 't':
        return literal('\t');
      case 'f':
        return literal('\f');
      case 'u':
      case 'x':
        return hex_escape(c == 'u' ? 4 : 2, start);
      case 'd':
        out_ += "\\p{Nd}";
        break;
      case 's':
        out_ += in_class ? std::string(kWhiteSpace) : "[" + std::string(kWhiteSpace) + "]";
        break;
      case 'S':
        if (in_class) return fail_at(start, "\\S inside a class");
        out_ += "[^" + std::string(kWhiteSpace) + "]";
        break;
      case 'p':
      case 'P':
        return property(start);
      default:
        if (static_cast<unsigned char>(c) < 0x80 && !is_ascii_letter(static_cast<char32_t>(c)) &&
            !(c >= '0' && c <= '9') && c > ' ')
          return literal(static_cast<char32_t>(c));
        return fail_at(start, std::string("the escape \\") + c);
    }
    ++pos_;
    return std::optional<char32_t>();
  }

  Error fail_at(size_t at, const std::string& what) {
    pos_ = at;
    return unsupported(what);
  }

  Result<std::optional<char32_t>> hex_escape(size_t digits, size_t start) {
    char32_t value = 0;
    for (size_t i = 1; i <= digits; ++i) {
      const char c = pos_ + i < pattern_.size() ? pattern_[pos_ + i] : ' ';
      const size_t digit =
          std::string_view("0123456789abcdef")
              .find(is_ascii_letter(static_cast<unsigned char>(c)) ? static_cast<char>(c | 0x20)
                                                                   : c);
      if (digit == std::string_view::npos) return fail_at(start, "an incomplete escape");
      value = value * 16 + static_cast<char32_t>(digit);
    }
    if (value >= 0xD800 && value <= 0xDFFF) return fail_at(start, "a surrogate");
    if (digits == 2 && value >= 0x80) return fail_at(start, "a byte beyond ASCII");
    pos_ += digits + 1;
    return std::optional<char32_t>(value);
  }

  Result<std::optional<char32_t>> property(size_t start) {
    const std::string_view rest = pattern_.substr(pos_ + 1);
    const size_t end = rest.find('}');
    if (!rest.starts_with('{') || end == std::string_view::npos)
      return fail_at(start, "an incomplete \\p{...}");
    std::string_view name = rest.substr(1, end - 1);
    bool negated = pattern_[pos_] == 'P';
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    bool known = false;
    for (const std::string_view category : kCategories) known |= category == name;
    if (!known) return fail_at(start, "the property \\p{" + std::string(name) + "}");
    out_ += (negated ? "\\P{" : "\\p{") + std::string(name) + "}";
    pos_ += end + 2;
    return std::optional<char32_t>();
  }

  std::string_view pattern_;
  size_t pos_ = 0;
  std::string out_;
  std::string folded_;        // the literals just read, lower case, where case is ignored
  std::vector<bool> groups_;  // of each open group: is case ignored
};

}  // namespace

Result<std::string> translate_pattern(std::string_view pattern) {
  return Translator(pattern).run();
}

}  // namespace dbsa
