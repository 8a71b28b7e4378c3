#include "model/chat/builtins.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "text/utf8.h"

namespace dbsa::jinja {
namespace {

bool is_space(char32_t c) {
  return utf8::is_white_space(c) || (c >= 0x1C && c <= 0x1F);  // as Python's str.isspace
}

// The characters of a text.
std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> all;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = utf8::length(text[at]);
    all.push_back(text.substr(at, bytes));
    at += bytes;
  }
  return all;
}

// Whether a character goes: one of `which`, or white space where none are given.
bool is_stripped(std::string_view character, const std::string* which) {
  if (which != nullptr) return which->find(character) != which->npos;
  size_t at = 0;
  return is_space(utf8::next(character, at));
}

std::string strip(std::string_view text, const std::string* which, bool left, bool right) {
  while (left && !text.empty()) {
    const size_t bytes = utf8::length(text.front());
    if (!is_stripped(text.substr(0, bytes), which)) break;
    text.remove_prefix(bytes);
  }
  while (right && !text.empty()) {
    size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!is_stripped(text.substr(begin), which)) break;
    text = text.substr(0, begin);
  }
  return std::string(text);
}

Error wrong_kind(const std::string& what, const char* expected, const Value& found,
                 const Budget& budget) {
  if (found.is_undefined())
    return budget.fault(what + ": expected " + expected + ", and \"" + found.undefined()->name +
                        "\" is not defined");
  return budget.fault(what + ": expected " + expected + ", found " + found.kind());
}

Result<Value> new_text(std::string text, Budget& budget) {
  DBSA_RETURN_IF_ERROR(budget.take_bytes(text.size()));
  return Value(std::move(text));
}

// Arguments of a filter or a method, by place or by name.
class Reader {
 public:
  Reader(std::string name, const Arguments& arguments, const Budget& budget)
      : name_(std::move(name)), arguments_(arguments), budget_(budget) {}

  const Value* find(size_t place, std::string_view name) const {
    if (place < arguments_.values.size()) return &arguments_.values[place];
    return find_member(arguments_.named, name);
  }
  // The text, or nullptr where it is not given or none.
  Result<const std::string*> text(size_t place, std::string_view name) const {
    const Value* value = find(place, name);
    if (value == nullptr || value->is_none()) return static_cast<const std::string*>(nullptr);
    if (value->text() == nullptr) return wrong_kind(name_, "a string", *value, budget_);
    return value->text();
  }
  Result<std::string> needed_text(size_t place, std::string_view name) const {
    DBSA_ASSIGN_OR_RETURN(const std::string* found, text(place, name));
    if (found == nullptr)
      return budget_.fault(name_ + ": the argument \"" + std::string(name) + "\" is missing");
    return *found;
  }
  Result<int64_t> integer(size_t place, std::string_view name, int64_t fallback) const {
    const Value* value = find(place, name);
    if (value == nullptr || value->is_none()) return fallback;
    const auto number = value->as_integer();
    if (!number) return wrong_kind(name_, "an integer", *value, budget_);
    return *number;
  }
  bool flag(size_t place, std::string_view name) const {
    const Value* value = find(place, name);
    return value != nullptr && value->is_true();
  }
  // At most `places` arguments, and names among these.
  Status check(size_t places, std::initializer_list<std::string_view> names) const {
    if (arguments_.values.size() > places)
      return budget_.fault(name_ + ": more arguments than are known");
    for (const auto& [name, value] : arguments_.named)
      if (std::find(names.begin(), names.end(), name) == names.end())
        return budget_.fault(name_ + ": the argument \"" + name + "\" is not known");
    return {};
  }

 private:
  std::string name_;
  const Arguments& arguments_;
  const Budget& budget_;
};

Result<std::string> replaced(std::string_view text, const std::string& from, const std::string& to,
                             int64_t most, Budget& budget) {
  std::string out;
  DBSA_RETURN_IF_ERROR(budget.take_search(text.size(), from.size()));
  if (from.empty()) return budget.fault("replace: the text to replace is empty");
  for (size_t at = 0;;) {
    const size_t found = most == 0 ? text.npos : text.find(from, at);
    if (found == text.npos) {
      out += text.substr(at);
      DBSA_RETURN_IF_ERROR(budget.take_bytes(out.size()));
      return out;
    }
    out += text.substr(at, found - at);
    out += to;
    if (out.size() > kMaxOutputBytes) DBSA_RETURN_IF_ERROR(budget.take_bytes(out.size()));
    at = found + from.size();
    if (most > 0) --most;
  }
}

Result<List> split(std::string_view text, const std::string* separator, int64_t most,
                   Budget& budget) {
  DBSA_RETURN_IF_ERROR(
      budget.take_search(text.size(), separator == nullptr ? 0 : separator->size()));
  if (separator != nullptr && separator->empty()) return budget.fault("split: an empty separator");
  List parts;
  const auto add = [&](std::string_view part) -> Status {
    parts.emplace_back(std::string(part));
    return budget.take(1);
  };
  while (separator != nullptr) {
    const size_t found =
        most >= 0 && static_cast<int64_t>(parts.size()) >= most ? text.npos : text.find(*separator);
    DBSA_RETURN_IF_ERROR(add(text.substr(0, found)));
    if (found == text.npos) return parts;
    text.remove_prefix(found + separator->size());
  }
  // Runs of white space separate, and there is none at the ends.
  while (true) {
    const std::string rest = strip(text, nullptr, true, false);
    text.remove_prefix(text.size() - rest.size());
    DBSA_RETURN_IF_ERROR(budget.take_bytes(text.size()));
    if (text.empty()) return parts;
    size_t end = 0;
    const bool last = most >= 0 && static_cast<int64_t>(parts.size()) >= most;
    while (end < text.size()) {
      size_t next = end;
      if (!last && is_space(utf8::next(text, next))) break;
      end = next;
    }
    DBSA_RETURN_IF_ERROR(add(text.substr(0, end)));
    text.remove_prefix(end);
  }
}

// Upper or lower case, of ASCII's letters: of others, texts have none in templates.
Result<std::string> cased(std::string text, bool upper, const Budget& budget) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x80)
      return budget.fault("upper and lower case are known of ASCII's letters only");
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (!upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

Value pairs_of(const Map& map) {
  List pairs;
  for (const auto& [key, value] : map) pairs.emplace_back(List{Value(key), value});
  return Value(std::move(pairs));
}

Result<Value> length_of(const Value& value, Budget& budget) {
  DBSA_ASSIGN_OR_RETURN(const List items, items_of(value, budget));
  return Value(static_cast<int64_t>(items.size()));
}

Result<Value> joined(const Value& value, const Reader& reader, Budget& budget) {
  DBSA_RETURN_IF_ERROR(reader.check(2, {"d", "attribute"}));
  DBSA_ASSIGN_OR_RETURN(const std::string* between, reader.text(0, "d"));
  const Value* attribute = reader.find(1, "attribute");
  DBSA_ASSIGN_OR_RETURN(const List items, items_of(value, budget));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    DBSA_RETURN_IF_ERROR(budget.take_value(items[i]));
    if (i > 0 && between != nullptr) out += *between;
    if (attribute != nullptr) {
      DBSA_ASSIGN_OR_RETURN(const Value part, item_of(items[i], *attribute, budget));
      DBSA_RETURN_IF_ERROR(budget.take_value(part));
      out += part.to_text();
    } else {
      out += items[i].to_text();
    }
    DBSA_RETURN_IF_ERROR(budget.take_bytes(out.size() > kMaxOutputBytes ? out.size() : 0));
  }
  return new_text(std::move(out), budget);
}

// select, reject: by a test of the items; selectattr, rejectattr: of their attributes.
Result<Value> selected(const std::string& name, const Value& value, const Arguments& arguments,
                       Budget& budget) {
  const bool keep = name.starts_with("select");
  const bool by_attribute = name.ends_with("attr");
  std::vector<Value> rest = arguments.values;
  if (!arguments.named.empty()) return budget.fault(name + ": named arguments are not known");
  std::optional<Value> attribute;
  if (by_attribute) {
    if (rest.empty()) return budget.fault(name + ": expected the name of an attribute");
    attribute = rest.front();
    rest.erase(rest.begin());
  }
  std::string test;
  if (!rest.empty()) {
    if (rest.front().text() == nullptr) return budget.fault(name + ": expected the name of a test");
    test = *rest.front().text();
    rest.erase(rest.begin());
  }
  List kept;
  if (value.is_none()) return Value(std::move(kept));  // as Jinja
  DBSA_ASSIGN_OR_RETURN(const List items, items_of(value, budget));
  for (const Value& item : items) {
    Value looked_at = item;
    if (attribute) {
      DBSA_ASSIGN_OR_RETURN(looked_at, item_of(item, *attribute, budget));
    }
    bool passes = looked_at.is_true();
    if (!test.empty()) {
      DBSA_ASSIGN_OR_RETURN(passes, apply_test(test, looked_at, rest, budget));
    }
    if (passes == keep) kept.push_back(item);
  }
  return Value(std::move(kept));
}

Result<Value> mapped(const Value& value, const Arguments& arguments, Budget& budget) {
  if (value.is_none()) return Value(List());  // as Jinja
  DBSA_ASSIGN_OR_RETURN(const List items, items_of(value, budget));
  List out;
  const Value* attribute = find_member(arguments.named, "attribute");
  const Value* fallback = find_member(arguments.named, "default");
  if (attribute == nullptr &&
      (arguments.values.empty() || arguments.values.front().text() == nullptr))
    return budget.fault("map: expected an attribute or the name of a filter");
  Arguments rest = arguments;
  if (attribute == nullptr) rest.values.erase(rest.values.begin());
  for (const Value& item : items) {
    if (attribute == nullptr) {
      DBSA_ASSIGN_OR_RETURN(out.emplace_back(),
                            apply_filter(*arguments.values.front().text(), item, rest, budget));
      continue;
    }
    DBSA_ASSIGN_OR_RETURN(Value part, item_of(item, *attribute, budget));
    if (part.is_undefined() && fallback != nullptr) part = *fallback;
    out.push_back(std::move(part));
  }
  return checked_list(std::move(out), budget);
}

Result<Value> json_of(const Value& value, const Reader& reader, Budget& budget) {
  DBSA_RETURN_IF_ERROR(reader.check(1, {"indent", "ensure_ascii", "separators", "sort_keys"}));
  for (const char* name : {"separators", "sort_keys", "ensure_ascii"})
    if (reader.flag(9, name))
      return budget.fault("tojson: the argument \"" + std::string(name) + "\" is not known");
  DBSA_ASSIGN_OR_RETURN(const int64_t indent, reader.integer(0, "indent", -1));
  if (indent > 16) return budget.fault("tojson: an indent of more than 16");
  const size_t blanks = indent > 0 ? static_cast<size_t>(indent) * value.depth() / 16 : 0;
  DBSA_RETURN_IF_ERROR(budget.take_value(value));
  if (blanks > 0) DBSA_RETURN_IF_ERROR(budget.take(value.weight() * blanks));  // below 2^64 by now
  std::optional<std::string> text = value.to_json(indent);
  if (!text) return wrong_kind("tojson", "values that JSON has", value, budget);
  return new_text(std::move(*text), budget);
}

Result<Value> to_integer(const Value& value, Budget& budget) {
  if (const auto number = value.as_integer()) return Value(*number);
  if (const double* real = value.real(); real != nullptr && std::fabs(*real) < 1e18)
    return Value(static_cast<int64_t>(*real));
  if (value.text() == nullptr) return Value(int64_t{0});
  const std::string text = strip(*value.text(), nullptr, true, true);
  int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed == std::errc() && end == text.data() + text.size()) return Value(number);
  return budget.fault("int: the text is no whole number");
}

Result<Value> indented(const std::string& text, const Reader& reader, Budget& budget) {
  DBSA_RETURN_IF_ERROR(reader.check(3, {"width", "first", "blank"}));
  DBSA_ASSIGN_OR_RETURN(const int64_t width, reader.integer(0, "width", 4));
  if (width < 0 || width > 64) return budget.fault("indent: a width that is not 0 to 64");
  const std::string blanks(static_cast<size_t>(width), ' ');
  const bool blank = reader.flag(2, "blank");
  std::string out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (begin > 0 ? blank || end > begin : reader.flag(1, "first")) out += blanks;
    out += text.substr(begin, end - begin);
    if (end < text.size()) out += '\n';
    if (out.size() > kMaxOutputBytes) break;  // which the budget refuses
    begin = end + 1;
  }
  return new_text(std::move(out), budget);
}

Result<Value> sorted_pairs(const Value& value, Budget& budget) {
  if (value.map() == nullptr) return wrong_kind("dictsort", "a map", value, budget);
  Map map = *value.map();
  DBSA_RETURN_IF_ERROR(budget.take(8 * map.size()));
  std::vector<std::pair<std::string, size_t>> order;
  for (size_t i = 0; i < map.size(); ++i) {
    DBSA_ASSIGN_OR_RETURN(std::string key, cased(map[i].first, false, budget));
    order.emplace_back(std::move(key), i);
  }
  std::sort(order.begin(), order.end());
  Map sorted;
  for (const auto& [key, index] : order) sorted.push_back(map[index]);
  return pairs_of(sorted);
}

// Filters of texts; nothing where the name is none.
Result<std::optional<Value>> text_filter(const std::string& name, const Value& value,
                                         const Arguments& arguments, Budget& budget) {
  const Reader reader(name, arguments, budget);
  const std::optional<Value> none;
  const bool known = name == "trim" || name == "lower" || name == "upper" || name == "replace" ||
                     name == "indent" || name == "capitalize";
  if (!known) return none;
  // Jinja makes texts of other values.
  if (value.is_undefined() && name != "trim") return wrong_kind(name, "a string", value, budget);
  DBSA_RETURN_IF_ERROR(budget.take_value(value));
  const std::string text = value.is_undefined() ? "" : value.to_text();
  DBSA_RETURN_IF_ERROR(budget.take_bytes(text.size()));
  if (name == "indent") {
    DBSA_ASSIGN_OR_RETURN(Value out, indented(text, reader, budget));
    return std::optional(std::move(out));
  }
  std::string out;
  if (name == "trim") {
    DBSA_RETURN_IF_ERROR(reader.check(1, {"chars"}));
    DBSA_ASSIGN_OR_RETURN(const std::string* which, reader.text(0, "chars"));
    DBSA_RETURN_IF_ERROR(budget.take_search(text.size(), which == nullptr ? 0 : which->size()));
    out = strip(text, which, true, true);
  } else if (name == "replace") {
    DBSA_RETURN_IF_ERROR(reader.check(3, {"old", "new", "count"}));
    DBSA_ASSIGN_OR_RETURN(const std::string from, reader.needed_text(0, "old"));
    DBSA_ASSIGN_OR_RETURN(const std::string to, reader.needed_text(1, "new"));
    DBSA_ASSIGN_OR_RETURN(const int64_t most, reader.integer(2, "count", -1));
    DBSA_ASSIGN_OR_RETURN(out, replaced(text, from, to, most, budget));
  } else {
    DBSA_RETURN_IF_ERROR(reader.check(0, {}));
    DBSA_ASSIGN_OR_RETURN(out, cased(text, name == "upper", budget));
    if (name == "capitalize" && !out.empty()) {
      DBSA_ASSIGN_OR_RETURN(const std::string first, cased(out.substr(0, 1), true, budget));
      out.replace(0, 1, first);
    }
  }
  return std::optional(Value(std::move(out)));
}

}  // namespace

Result<Value> checked_list(List list, Budget& budget) {
  DBSA_RETURN_IF_ERROR(budget.take(list.size()));
  for (const Value& item : list)
    if (item.as_namespace() != nullptr || item.macro() != nullptr)
      return budget.fault(std::string("a list cannot hold ") + item.kind());
  Value value(std::move(list));
  if (value.depth() > kMaxValueDepth)
    return budget.fault("a list nested deeper than " + std::to_string(kMaxValueDepth) + " levels");
  return value;
}

Result<Value> checked_map(Map map, Budget& budget) {
  DBSA_RETURN_IF_ERROR(budget.take(map.size()));
  if (map.size() > kMaxMembers)
    return budget.fault("a map of more than " + std::to_string(kMaxMembers) + " members");
  for (const auto& [key, item] : map)
    if (item.as_namespace() != nullptr || item.macro() != nullptr)
      return budget.fault(std::string("a map cannot hold ") + item.kind());
  Value value(std::move(map));
  if (value.depth() > kMaxValueDepth)
    return budget.fault("a map nested deeper than " + std::to_string(kMaxValueDepth) + " levels");
  return value;
}

Result<List> items_of(const Value& value, Budget& budget) {
  List items;
  if (value.list() != nullptr) {
    DBSA_RETURN_IF_ERROR(budget.take(value.list()->size()));
    items = *value.list();
  } else if (value.text() != nullptr) {
    DBSA_RETURN_IF_ERROR(budget.take(value.text()->size()));
    for (const std::string_view character : characters(*value.text()))
      items.emplace_back(std::string(character));
  } else if (value.map() != nullptr) {
    DBSA_RETURN_IF_ERROR(budget.take(value.map()->size()));
    for (const auto& [key, member] : *value.map()) items.emplace_back(key);
  } else if (!value.is_undefined()) {
    return budget.fault(std::string("expected a list, found ") + value.kind());
  }
  return items;
}

Result<Value> item_of(const Value& value, const Value& key, Budget& budget) {
  DBSA_RETURN_IF_ERROR(budget.take(1));
  DBSA_RETURN_IF_ERROR(budget.take_value(key));
  const Value missing(Undefined{key.to_text()});
  if (value.is_undefined())
    return budget.fault("\"" + value.undefined()->name + "\" is not defined, so it has no item " +
                        key.to_repr());
  if (value.map() != nullptr || value.as_namespace() != nullptr) {
    if (key.text() == nullptr) return missing;
    const Map& map = value.map() != nullptr ? *value.map() : value.as_namespace()->attributes;
    DBSA_RETURN_IF_ERROR(budget.take(map.size() / 8));
    const Value* found = find_member(map, *key.text());
    return found == nullptr ? missing : *found;
  }
  const auto index = key.as_integer();
  if (!index) return missing;
  const auto at = [&](size_t size) -> std::optional<size_t> {
    const int64_t place = *index < 0 ? *index + static_cast<int64_t>(size) : *index;
    if (place < 0 || place >= static_cast<int64_t>(size)) return std::nullopt;
    return static_cast<size_t>(place);
  };
  if (value.list() != nullptr) {
    const auto place = at(value.list()->size());
    return place ? (*value.list())[*place] : missing;
  }
  if (value.text() == nullptr) return missing;
  DBSA_RETURN_IF_ERROR(budget.take_bytes(value.text()->size()));
  const std::vector<std::string_view> all = characters(*value.text());
  const auto place = at(all.size());
  return place ? Value(std::string(all[*place])) : missing;
}

Result<Value> slice_of(const Value& value, const Value& begin, const Value& end, const Value& step,
                       Budget& budget) {
  const bool is_text = value.text() != nullptr;
  if (!is_text && value.list() == nullptr)
    return wrong_kind("a slice", "a list or a string", value, budget);
  DBSA_ASSIGN_OR_RETURN(const List items, items_of(value, budget));
  const auto size = static_cast<int64_t>(items.size());
  for (const Value* bound : {&begin, &end, &step})
    if (!bound->is_none() && !bound->as_integer())
      return wrong_kind("a slice", "integers", *bound, budget);
  const int64_t by = step.is_none() ? 1 : *step.as_integer();
  if (by == 0) return budget.fault("a slice with a step of 0");
  const auto place = [&](const Value& bound, int64_t otherwise) {
    if (bound.is_none()) return otherwise;
    int64_t at = *bound.as_integer();
    if (at < 0) at = std::max<int64_t>(at, -size) + size - (at < -size ? 1 : 0);
    return by > 0 ? std::clamp<int64_t>(at, 0, size) : std::clamp<int64_t>(at, -1, size - 1);
  };
  const int64_t first = place(begin, by > 0 ? 0 : size - 1);
  const int64_t last = place(end, by > 0 ? size : -1);
  List kept;
  std::string text;
  for (int64_t at = first; by > 0 ? at < last : at > last;) {
    const Value& item = items[static_cast<size_t>(at)];
    if (is_text)
      text += *item.text();
    else
      kept.push_back(item);
    if (by > size || by < -size) break;
    at += by;
  }
  if (is_text) return Value(std::move(text));
  return Value(std::move(kept));
}

Result<bool> compared(const Value& a, const Value& b, Budget& budget) {
  DBSA_RETURN_IF_ERROR(budget.take(std::min(a.weight(), b.weight())));
  return equal(a, b);
}

Result<bool> contains(const Value& value, const Value& item, Budget& budget) {
  if (value.text() != nullptr) {
    if (item.text() == nullptr) return wrong_kind("in", "a string on its left", item, budget);
    DBSA_RETURN_IF_ERROR(budget.take_search(value.text()->size(), item.text()->size()));
    return value.text()->find(*item.text()) != std::string::npos;
  }
  if (value.map() != nullptr) {
    DBSA_RETURN_IF_ERROR(budget.take(value.map()->size() / 8));
    return item.text() != nullptr && find_member(*value.map(), *item.text()) != nullptr;
  }
  DBSA_ASSIGN_OR_RETURN(const List items, items_of(value, budget));
  for (const Value& one : items) {
    DBSA_ASSIGN_OR_RETURN(const bool same, compared(one, item, budget));
    if (same) return true;
  }
  return false;
}

Result<Value> arithmetic(const std::string& operation, const Value& a, const Value& b,
                         Budget& budget) {
  const auto mismatch = [&] {
    for (const Value* side : {&a, &b})
      if (side->is_undefined())
        return budget.fault("\"" + side->undefined()->name + "\" is not defined, so " + operation +
                            " cannot use it");
    return budget.fault("the operator " + operation + " does not take " + a.kind() + " and " +
                        b.kind());
  };
  if (operation == "+" && a.text() != nullptr && b.text() != nullptr) {
    DBSA_RETURN_IF_ERROR(budget.take_bytes(a.text()->size() + b.text()->size()));
    return Value(*a.text() + *b.text());
  }
  if (operation == "+" && a.list() != nullptr && b.list() != nullptr) {
    List all = *a.list();
    all.insert(all.end(), b.list()->begin(), b.list()->end());
    return checked_list(std::move(all), budget);
  }
  if (operation == "*" && a.text() != nullptr && b.as_integer()) {
    const int64_t times = std::max<int64_t>(*b.as_integer(), 0);
    const size_t bytes = a.text()->size();
    if (bytes > 0 && static_cast<size_t>(times) > kMaxOutputBytes / bytes)
      return budget.take_bytes(kMaxOutputBytes + 1).error();
    DBSA_RETURN_IF_ERROR(budget.take_bytes(bytes * static_cast<size_t>(times)));
    std::string text;
    for (int64_t i = 0; bytes > 0 && i < times; ++i) text += *a.text();
    return Value(std::move(text));
  }
  const auto x = a.as_integer(), y = b.as_integer();
  const auto too_large = [&] { return budget.fault("a number that is too large"); };
  if (x && y && operation != "/") {
    int64_t out = 0;
    if (operation == "+" && __builtin_add_overflow(*x, *y, &out)) return too_large();
    if (operation == "-" && __builtin_sub_overflow(*x, *y, &out)) return too_large();
    if (operation == "*" && __builtin_mul_overflow(*x, *y, &out)) return too_large();
    if (operation == "//" || operation == "%") {
      if (*y == 0) return budget.fault("a division by 0");
      if (*y == -1) {
        if (*x == std::numeric_limits<int64_t>::min()) return too_large();
        return Value(operation == "%" ? int64_t{0} : -*x);
      }
      // Python rounds down.
      const int64_t rest = *x % *y;
      const bool down = rest != 0 && (rest < 0) != (*y < 0);
      out = operation == "%" ? rest + (down ? *y : 0) : *x / *y - (down ? 1 : 0);
    }
    return Value(out);
  }
  const auto p = a.as_number(), q = b.as_number();
  if (!p || !q || operation == "%" || operation == "//") return mismatch();
  if (operation == "/" && *q == 0) return budget.fault("a division by 0");
  return Value(operation == "+"   ? *p + *q
               : operation == "-" ? *p - *q
               : operation == "*" ? *p * *q
                                  : *p / *q);
}

Result<Value> apply_filter(const std::string& name, const Value& value, const Arguments& arguments,
                           Budget& budget) {
  DBSA_RETURN_IF_ERROR(budget.take(1));
  const Reader reader(name, arguments, budget);
  DBSA_ASSIGN_OR_RETURN(std::optional<Value> text, text_filter(name, value, arguments, budget));
  if (text) return *std::move(text);
  if (name == "length" || name == "count") return length_of(value, budget);
  if (name == "string" || name == "safe") {
    if (value.is_undefined()) return Value("");
    DBSA_RETURN_IF_ERROR(budget.take_value(value));
    return new_text(value.to_text(), budget);
  }
  if (name == "default" || name == "d") {
    DBSA_RETURN_IF_ERROR(reader.check(2, {"default_value", "boolean"}));
    const Value* fallback = reader.find(0, "default_value");
    const bool replaces = value.is_undefined() || (reader.flag(1, "boolean") && !value.is_true());
    return !replaces ? value : fallback == nullptr ? Value("") : *fallback;
  }
  if (name == "tojson") return json_of(value, reader, budget);
  if (name == "join") return joined(value, reader, budget);
  if (name == "items") {
    if (value.is_undefined()) return Value(List());
    return call_method(value, "items", {}, budget);
  }
  if (name == "dictsort") return sorted_pairs(value, budget);
  if (name == "list") {
    DBSA_ASSIGN_OR_RETURN(List items, items_of(value, budget));
    return Value(std::move(items));
  }
  if (name == "first" || name == "last") {
    DBSA_ASSIGN_OR_RETURN(const List items, items_of(value, budget));
    if (items.empty()) return Value(Undefined{name});
    return name == "first" ? items.front() : items.back();
  }
  if (name == "reverse") {
    if (value.text() == nullptr && value.list() == nullptr)
      return wrong_kind(name, "a list or a string", value, budget);
    return slice_of(value, None(), None(), int64_t{-1}, budget);
  }
  if (name == "int") return to_integer(value, budget);
  if (name == "map") return mapped(value, arguments, budget);
  if (name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr")
    return selected(name, value, arguments, budget);
  return budget.fault("the filter \"" + name + "\" is not known");
}

Result<bool> apply_test(const std::string& name, const Value& value,
                        const std::vector<Value>& arguments, Budget& budget) {
  DBSA_RETURN_IF_ERROR(budget.take(1));
  const bool compares = name == "eq" || name == "equalto" || name == "==" || name == "ne" ||
                        name == "!=" || name == "in" || name == "divisibleby";
  if (arguments.size() != (compares ? 1u : 0u))
    return budget.fault("the test \"" + name + "\" takes " + (compares ? "one argument" : "none") +
                        ", found " + std::to_string(arguments.size()));
  if (name == "defined") return !value.is_undefined();
  if (name == "undefined") return value.is_undefined();
  if (name == "none") return value.is_none();
  if (name == "string") return value.text() != nullptr;
  if (name == "mapping") return value.map() != nullptr;
  if (name == "boolean") return value.boolean() != nullptr;
  if (name == "true") return value.boolean() != nullptr && *value.boolean();
  if (name == "false") return value.boolean() != nullptr && !*value.boolean();
  if (name == "integer") return value.integer() != nullptr;
  if (name == "float") return value.real() != nullptr;
  if (name == "number") return value.as_number().has_value();
  if (name == "sequence" || name == "iterable")
    return value.text() != nullptr || value.list() != nullptr || value.map() != nullptr ||
           value.is_undefined();
  if (name == "eq" || name == "equalto" || name == "==")
    return compared(value, arguments[0], budget);
  if (name == "ne" || name == "!=") {
    DBSA_ASSIGN_OR_RETURN(const bool same, compared(value, arguments[0], budget));
    return !same;
  }
  if (name == "in") return contains(arguments[0], value, budget);
  if (name == "odd" || name == "even" || name == "divisibleby") {
    const auto number = value.as_integer();
    const auto by = name == "divisibleby" ? arguments[0].as_integer() : std::optional<int64_t>(2);
    if (!number) return wrong_kind(name, "an integer", value, budget);
    if (!by || *by == 0 || *by == -1) return budget.fault(name + ": expected another divisor");
    return (*number % *by == 0) == (name != "odd");
  }
  return budget.fault("the test \"" + name + "\" is not known");
}

Result<Value> call_method(const Value& value, const std::string& name, const Arguments& arguments,
                          Budget& budget) {
  DBSA_RETURN_IF_ERROR(budget.take(1));
  const Reader reader(name, arguments, budget);
  if (value.map() != nullptr) {
    const Map& map = *value.map();
    DBSA_RETURN_IF_ERROR(budget.take(map.size()));
    if (name == "items") return pairs_of(map);
    if (name == "get") {
      DBSA_ASSIGN_OR_RETURN(const std::string key, reader.needed_text(0, "key"));
      const Value* found = find_member(map, key);
      const Value* fallback = reader.find(1, "default");
      return found != nullptr ? *found : fallback != nullptr ? *fallback : Value();
    }
    List out;
    for (const auto& [key, member] : map) out.push_back(name == "keys" ? Value(key) : member);
    if (name == "keys" || name == "values") return Value(std::move(out));
  }
  if (value.text() == nullptr)
    return value.is_undefined()
               ? budget.fault("\"" + value.undefined()->name +
                              "\" is not defined, so it has no method \"" + name + "\"")
               : budget.fault(std::string("the method \"") + name + "\" of " + value.kind() +
                              " is not known");
  const std::string& text = *value.text();
  DBSA_RETURN_IF_ERROR(budget.take_bytes(text.size()));
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    DBSA_ASSIGN_OR_RETURN(const std::string* which, reader.text(0, "chars"));
    DBSA_RETURN_IF_ERROR(budget.take_search(text.size(), which == nullptr ? 0 : which->size()));
    return Value(strip(text, which, name != "rstrip", name != "lstrip"));
  }
  if (name == "split") {
    DBSA_RETURN_IF_ERROR(reader.check(2, {"sep", "maxsplit"}));
    DBSA_ASSIGN_OR_RETURN(const std::string* separator, reader.text(0, "sep"));
    DBSA_ASSIGN_OR_RETURN(const int64_t most, reader.integer(1, "maxsplit", -1));
    DBSA_ASSIGN_OR_RETURN(List parts, split(text, separator, most, budget));
    return Value(std::move(parts));
  }
  if (name == "startswith" || name == "endswith") {
    DBSA_RETURN_IF_ERROR(reader.check(1, {}));
    const Value* given = reader.find(0, "prefix");
    if (given == nullptr) return budget.fault(name + ": the text is missing");
    const List choices = given->list() != nullptr ? *given->list() : List{*given};
    for (const Value& choice : choices) {
      if (choice.text() == nullptr) return wrong_kind(name, "a string", choice, budget);
      if (name == "startswith" ? text.starts_with(*choice.text()) : text.ends_with(*choice.text()))
        return Value(true);
    }
    return Value(false);
  }
  if (name == "replace" || name == "upper" || name == "lower" || name == "capitalize")
    return apply_filter(name, value, arguments, budget);
  return budget.fault("the method \"" + name + "\" of a string is not known");
}

}  // namespace dbsa::jinja
