#include "model/chat/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace dbsa::jinja {
namespace {

// As Python's repr() of a float: the shortest digits that read back, with ".0" where they would
// read as an integer.
std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 64> digits;
  const double size = std::fabs(value);
  const bool scientific = size != 0 && (size < 1e-4 || size >= 1e16);
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value,
                    scientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(digits.data(), end.ptr);
  if (!scientific && text.find('.') == text.npos) text += ".0";
  return text;
}

// As Python's repr() of a string, whose other characters are all printable here.
void write_quoted(const std::string& text, std::string& out) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  out += quote;
  for (const char c : text) {
    if (c == quote || c == '\\')
      out += {'\\', c};
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(c));
      out += hex;
    } else {
      out += c;
    }
  }
  out += quote;
}

void write_json_string(const std::string& text, std::string& out) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
      case '\\':
        out += {'\\', c};
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          char hex[8];
          std::snprintf(hex, sizeof hex, "\\u%04x", static_cast<unsigned>(c));
          out += hex;
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void start_line(int64_t indent, size_t level, std::string& out) {
  if (indent < 0) return;
  out += '\n';
  out.append(static_cast<size_t>(indent) * level, ' ');
}

// What would not fit is the largest number there is.
size_t sum(size_t a, size_t b) {
  return a > std::numeric_limits<size_t>::max() - b ? std::numeric_limits<size_t>::max() : a + b;
}

}  // namespace

Value::Value(std::string text) : state_(std::make_shared<const std::string>(std::move(text))) {}

Value::Value(List list) {
  size_t depth = 0, weight = 1;
  for (const Value& item : list) {
    depth = std::max(depth, item.depth());
    weight = sum(weight, item.weight());
  }
  state_ = std::make_shared<const Items>(Items{std::move(list), depth + 1, weight});
}

Value::Value(Map map) {
  size_t depth = 0, weight = 1;
  for (const auto& [key, value] : map) {
    depth = std::max(depth, value.depth());
    weight = sum(weight, sum(value.weight(), 1 + key.size() / 16));
  }
  state_ = std::make_shared<const Members>(Members{std::move(map), depth + 1, weight});
}

Value Value::make_namespace(Map attributes) {
  Value value;
  value.state_ = std::make_shared<Namespace>(Namespace{std::move(attributes)});
  return value;
}

const std::string* Value::text() const {
  const auto* held = std::get_if<std::shared_ptr<const std::string>>(&state_);
  return held == nullptr ? nullptr : held->get();
}

const List* Value::list() const {
  const auto* held = std::get_if<std::shared_ptr<const Items>>(&state_);
  return held == nullptr ? nullptr : &(*held)->list;
}

const Map* Value::map() const {
  const auto* held = std::get_if<std::shared_ptr<const Members>>(&state_);
  return held == nullptr ? nullptr : &(*held)->map;
}

Namespace* Value::as_namespace() const {
  const auto* held = std::get_if<std::shared_ptr<Namespace>>(&state_);
  return held == nullptr ? nullptr : held->get();
}

std::optional<int64_t> Value::as_integer() const {
  if (const int64_t* value = integer()) return *value;
  if (const bool* value = boolean()) return *value ? 1 : 0;
  return std::nullopt;
}

std::optional<double> Value::as_number() const {
  if (const double* value = real()) return *value;
  if (const auto value = as_integer()) return static_cast<double>(*value);
  return std::nullopt;
}

bool Value::is_true() const {
  if (is_none() || is_undefined()) return false;
  if (const auto number = as_number()) return *number != 0;
  if (text() != nullptr) return !text()->empty();
  if (list() != nullptr) return !list()->empty();
  if (map() != nullptr) return !map()->empty();
  return true;
}

size_t Value::depth() const {
  if (const auto* held = std::get_if<std::shared_ptr<const Items>>(&state_)) return (*held)->depth;
  if (const auto* held = std::get_if<std::shared_ptr<const Members>>(&state_))
    return (*held)->depth;
  return 0;
}

size_t Value::weight() const {
  if (const auto* held = std::get_if<std::shared_ptr<const Items>>(&state_)) return (*held)->weight;
  if (const auto* held = std::get_if<std::shared_ptr<const Members>>(&state_))
    return (*held)->weight;
  return text() == nullptr ? 1 : 1 + text()->size() / 16;
}

const char* Value::kind() const {
  constexpr const char* kKinds[] = {
      "none",  "an undefined value", "a boolean", "an integer", "a number", "a string", "a list",
      "a map", "a namespace",        "a macro"};
  return kKinds[state_.index()];
}

std::string Value::to_text() const {
  if (text() != nullptr) return *text();
  return to_repr();
}

std::string Value::to_repr() const {
  std::string out;
  write_repr(out);
  return out;
}

void Value::write_repr(std::string& out) const {
  const char* between = "";
  if (is_none()) {
    out += "None";
  } else if (const bool* flag = boolean()) {
    out += *flag ? "True" : "False";
  } else if (const int64_t* whole = integer()) {
    out += std::to_string(*whole);
  } else if (const double* number = real()) {
    out += real_text(*number);
  } else if (text() != nullptr) {
    write_quoted(*text(), out);
  } else if (list() != nullptr) {
    out += '[';
    for (const Value& item : *list()) {
      out += std::exchange(between, ", ");
      item.write_repr(out);
    }
    out += ']';
  } else if (map() != nullptr) {
    out += '{';
    for (const auto& [key, value] : *map()) {
      out += std::exchange(between, ", ");
      write_quoted(key, out);
      out += ": ";
      value.write_repr(out);
    }
    out += '}';
  }
}

std::optional<std::string> Value::to_json(int64_t indent) const {
  std::string out;
  if (!write_json(indent, 1, out)) return std::nullopt;
  return out;
}

bool Value::write_json(int64_t indent, size_t level, std::string& out) const {
  const char* const comma = indent < 0 ? ", " : ",";
  const char* between = "";
  if (is_none()) {
    out += "null";
  } else if (const bool* flag = boolean()) {
    out += *flag ? "true" : "false";
  } else if (integer() != nullptr) {
    out += to_repr();
  } else if (const double* number = real()) {
    if (!std::isfinite(*number)) return false;
    out += real_text(*number);
  } else if (text() != nullptr) {
    write_json_string(*text(), out);
  } else if (list() != nullptr) {
    out += '[';
    for (const Value& item : *list()) {
      out += std::exchange(between, comma);
      start_line(indent, level, out);
      if (!item.write_json(indent, level + 1, out)) return false;
    }
    if (!list()->empty()) start_line(indent, level - 1, out);
    out += ']';
  } else if (map() != nullptr) {
    out += '{';
    for (const auto& [key, value] : *map()) {
      out += std::exchange(between, comma);
      start_line(indent, level, out);
      write_json_string(key, out);
      out += ": ";
      if (!value.write_json(indent, level + 1, out)) return false;
    }
    if (!map()->empty()) start_line(indent, level - 1, out);
    out += '}';
  } else {
    return false;
  }
  return true;
}

const Value* find_member(const Map& map, std::string_view key) {
  const auto found =
      std::find_if(map.begin(), map.end(), [&](const auto& member) { return member.first == key; });
  return found == map.end() ? nullptr : &found->second;
}

bool equal(const Value& a, const Value& b) {
  if (const auto x = a.as_integer(), y = b.as_integer(); x && y) return *x == *y;
  if (const auto x = a.as_number(), y = b.as_number(); x && y) return *x == *y;
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.text() != nullptr && b.text() != nullptr) return *a.text() == *b.text();
  if (a.list() != nullptr && b.list() != nullptr)
    return std::equal(a.list()->begin(), a.list()->end(), b.list()->begin(), b.list()->end(),
                      [](const Value& x, const Value& y) { return equal(x, y); });
  if (a.map() != nullptr && b.map() != nullptr) {
    if (a.map()->size() != b.map()->size()) return false;
    return std::all_of(a.map()->begin(), a.map()->end(), [&](const auto& member) {
      const Value* other = find_member(*b.map(), member.first);
      return other != nullptr && equal(member.second, *other);
    });
  }
  return a.as_namespace() != nullptr && a.as_namespace() == b.as_namespace();
}

std::optional<int> compare(const Value& a, const Value& b) {
  const auto of = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  if (const auto x = a.as_integer(), y = b.as_integer(); x && y) return of(*x, *y);
  if (const auto x = a.as_number(), y = b.as_number(); x && y) return of(*x, *y);
  if (a.text() != nullptr && b.text() != nullptr) return of(*a.text(), *b.text());
  return std::nullopt;
}

}  // namespace dbsa::jinja
