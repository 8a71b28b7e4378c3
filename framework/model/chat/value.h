// Values of chat templates: what Jinja's expressions come to, with Python's meaning.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace dbsa::jinja {

class Value;
struct Node;

struct None {
  bool operator==(const None&) const = default;
};
// A name or an attribute that is not there: empty as text and in loops, false, and an error
// elsewhere.
struct Undefined {
  std::string name;
  bool operator==(const Undefined&) const { return true; }
};
// Lists and tuples.
using List = std::vector<Value>;
// In the order of insertion; keys are strings.
using Map = std::vector<std::pair<std::string, Value>>;
// `namespace()`, whose attributes `set` may change. It stands in no list, map or other namespace,
// so that no value holds itself.
struct Namespace {
  Map attributes;
};
struct Macro {
  const Node* node = nullptr;
};

class Value {
 public:
  Value() : state_(None()) {}
  Value(None none) : state_(none) {}                            // NOLINT: implicit
  Value(Undefined undefined) : state_(std::move(undefined)) {}  // NOLINT: implicit
  Value(bool value) : state_(value) {}                          // NOLINT: implicit
  Value(int64_t value) : state_(value) {}                       // NOLINT: implicit
  Value(double value) : state_(value) {}                        // NOLINT: implicit
  Value(std::string text);                                      // NOLINT: implicit
  Value(const char* text) : Value(std::string(text)) {}         // NOLINT: implicit
  Value(List list);                                             // NOLINT: implicit
  Value(Map map);                                               // NOLINT: implicit
  Value(Macro macro) : state_(macro) {}                         // NOLINT: implicit
  static Value make_namespace(Map attributes);

  bool is_none() const { return std::holds_alternative<None>(state_); }
  bool is_undefined() const { return std::holds_alternative<Undefined>(state_); }
  bool is_string() const { return text() != nullptr; }

  // nullptr where the value is of another kind.
  const Undefined* undefined() const { return std::get_if<Undefined>(&state_); }
  const bool* boolean() const { return std::get_if<bool>(&state_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&state_); }
  const double* real() const { return std::get_if<double>(&state_); }
  const std::string* text() const;
  const List* list() const;
  const Map* map() const;
  Namespace* as_namespace() const;
  const Macro* macro() const { return std::get_if<Macro>(&state_); }

  // Booleans count as 0 and 1; nothing where the value is no whole number, or no number.
  std::optional<int64_t> as_integer() const;
  std::optional<double> as_number() const;

  bool is_true() const;
  // How deep lists and maps are nested in it; 0 for other values.
  size_t depth() const;
  // How many values it holds, and a 16th of the bytes of their texts: what it costs to write or to
  // compare it. One that holds another twice counts it twice.
  size_t weight() const;
  // "a string", "a list", ...
  const char* kind() const;

  // As Python's str() and repr(). Strings come as they are, or in quotes.
  std::string to_text() const;
  std::string to_repr() const;
  // As json.dumps(ensure_ascii=False) writes it; indent: spaces for each level, -1 for one line.
  // Nothing for what JSON does not have.
  std::optional<std::string> to_json(int64_t indent) const;

 private:
  struct Items {
    List list;
    size_t depth = 0, weight = 0;
  };
  struct Members {
    Map map;
    size_t depth = 0, weight = 0;
  };
  void write_repr(std::string& out) const;
  bool write_json(int64_t indent, size_t level, std::string& out) const;

  std::variant<None, Undefined, bool, int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const Items>, std::shared_ptr<const Members>,
               std::shared_ptr<Namespace>, Macro>
      state_;
};

// The value under a key, or nullptr.
const Value* find_member(const Map& map, std::string_view key);

// As Python's ==: numbers and booleans by value, lists and maps by content.
bool equal(const Value& a, const Value& b);
// Less than zero, zero, more; nothing where Python would not compare them.
std::optional<int> compare(const Value& a, const Value& b);

}  // namespace dbsa::jinja
