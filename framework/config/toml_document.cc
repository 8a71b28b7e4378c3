#include "config/toml_document.h"

// Deeper values are refused by the parser itself.
#define TOML_MAX_NESTED_VALUES 16
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "config/faults.h"
#include "config/json_pointer.h"
#include "config/schema_check.h"

namespace dbsa {
namespace {

using nlohmann::json;
static_assert(TOML_MAX_NESTED_VALUES == TomlDocument::kMaxDepth);

// Looks at what stands outside strings and comments before toml++ 3.3 does, for two things it does
// not survive:
// - keys and headers with many dots nest tables without any bound, and those are freed recursively;
// - a character that is not ASCII there, which is never TOML, runs into undefined behaviour.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // "line:column: what is wrong", or "".
  std::string fault() {
    constexpr int kMostDots = 64;
    int dots = 0;
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // a byte order mark
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skip_string(c);
      } else if (c == '#') {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
      } else if (static_cast<unsigned char>(c) >= 0x80) {
        return place() + "only ASCII may stand outside strings and comments";
      } else if (c == '.') {
        if (++dots > kMostDots) return place() + "a key has too many dots";
      } else if (std::strchr("=,{}[]\n", c) != nullptr) {
        dots = 0;
      }
    }
    return "";
  }

 private:
  // From the first quote to the last one, or to the end of the line where there is none.
  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool multi_line = text_.substr(at_, 3) == three;
    at_ += multi_line ? 3 : 1;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\\' && quote == '"') {
        ++at_;
      } else if (!multi_line && (c == '\n' || c == quote)) {
        return;
      } else if (c == quote && text_.substr(at_, 3) == three) {
        at_ += 2;
        // Up to two quotes before the closing ones belong to the text.
        for (int i = 0; i < 2 && at_ + 1 < text_.size() && text_[at_ + 1] == quote; ++i) ++at_;
        return;
      }
    }
  }

  std::string place() const {
    int64_t line = 1;
    int64_t column = 1;
    for (const char c : text_.substr(0, at_)) {
      if (c == '\n') {
        ++line;
        column = 1;
      } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {  // not inside a character
        ++column;
      }
    }
    return std::to_string(line) + ":" + std::to_string(column) + ": ";
  }

  std::string_view text_;
  size_t at_ = 0;
};

bool is_utf8(std::string_view text) {
  try {
    return !json(text).dump().empty();
  } catch (const json::exception&) {
    return false;
  }
}

Place place_of(const toml::source_region& region) {
  return {static_cast<int64_t>(region.begin.line), static_cast<int64_t>(region.begin.column), ""};
}

// Turns toml++ nodes into JSON and notes where they stand.
class Converter {
 public:
  std::map<std::string, Place, std::less<>> places;
  Faults faults;

  json convert(const toml::node& node, const std::string& pointer, int depth) {
    if (depth > TomlDocument::kMaxDepth) {
      faults.add(pointer,
                 "is nested more than " + std::to_string(TomlDocument::kMaxDepth) + " levels deep");
      return nullptr;
    }
    switch (node.type()) {
      case toml::node_type::table:
        return convert_table(*node.as_table(), pointer, depth);
      case toml::node_type::array:
        return convert_array(*node.as_array(), pointer, depth);
      case toml::node_type::string:
        return node.as_string()->get();
      case toml::node_type::integer:
        return node.as_integer()->get();
      case toml::node_type::boolean:
        return node.as_boolean()->get();
      case toml::node_type::floating_point:
        if (std::isfinite(node.as_floating_point()->get())) return node.as_floating_point()->get();
        faults.add(pointer, "must be a finite number");
        return nullptr;
      default:
        faults.add(pointer, "must not be a date or time; write it as a string");
        return nullptr;
    }
  }

 private:
  json convert_table(const toml::table& table, const std::string& pointer, int depth) {
    json out = json::object();
    for (const auto& [key, node] : table) {
      const std::string at = append_pointer(pointer, key.str());
      places[at] = place_of(key.source());
      out[std::string(key.str())] = convert(node, at, depth + 1);
    }
    return out;
  }

  json convert_array(const toml::array& array, const std::string& pointer, int depth) {
    json out = json::array();
    for (const toml::node& node : array) {
      const std::string at = append_pointer(pointer, std::to_string(out.size()));
      places[at] = place_of(node.source());
      out.push_back(convert(node, at, depth + 1));
    }
    return out;
  }
};

}  // namespace

Result<TomlDocument> TomlDocument::load(const std::string& path) {
  const auto unreadable = [&](const std::string& why) {
    return Error{ErrorCode::kEnvironment, path + ": cannot read: " + why, ""};
  };
  std::error_code failure;
  if (std::filesystem::is_directory(path, failure)) return unreadable("is a directory");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return unreadable(std::strerror(errno));
  std::string text;
  char part[1 << 14];
  while (text.size() <= kMaxBytes && (file.read(part, sizeof part) || file.gcount() > 0))
    text.append(part, static_cast<size_t>(file.gcount()));
  if (file.bad()) return unreadable(std::strerror(errno));
  return parse(text, path);
}

Result<TomlDocument> TomlDocument::parse(std::string_view text, std::string name) {
  if (text.size() > kMaxBytes)
    return Error{ErrorCode::kConfig, name + ": larger than " + std::to_string(kMaxBytes) + " bytes",
                 ""};
  if (const std::string fault = Scanner(text).fault(); !fault.empty())
    return Error{ErrorCode::kConfig, name + ":" + fault, ""};
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    std::string what(error.description());
    if (const size_t macro = what.find(" (TOML_"); macro != std::string::npos) what.resize(macro);
    const Place place = place_of(error.source());
    return Error{
        ErrorCode::kConfig,
        name + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + ": " + what,
        ""};
  }
  TomlDocument document;
  document.name_ = std::move(name);
  Converter converter;
  document.json_ = converter.convert(parsed.table(), "", 0);
  document.places_ = std::move(converter.places);
  DBSA_RETURN_IF_ERROR(converter.faults.status(document));
  return document;
}

Status TomlDocument::set(std::string_view dotted_key, std::string_view value) {
  if (!is_utf8(dotted_key) || !is_utf8(value))
    return Error{ErrorCode::kConfig, "--set: the key and the value must be UTF-8 text", ""};
  const std::string option = "--set " + std::string(dotted_key);
  const auto fault = [&](const std::string& what) {
    return Error{ErrorCode::kConfig, option + ": " + what, ""};
  };
  std::vector<std::string> keys(1);
  for (const char c : dotted_key) {
    if (c == '.')
      keys.emplace_back();
    else
      keys.back() += c;
  }
  for (const std::string& key : keys)
    if (key.empty()) return fault("the key must be names joined by dots, like selection.ratio");
  if (keys.size() > static_cast<size_t>(kMaxDepth)) return fault("the key has too many dots");

  // The value on its own, under a name no pipeline has; a second key in it is no value.
  nlohmann::json parsed = std::string(value);
  if (Result<TomlDocument> alone = parse("value = " + std::string(value), option);
      alone.ok() && alone->json().size() == 1)
    parsed = alone->json().at("value");

  nlohmann::json* table = &json_;
  std::string pointer;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!table->is_object()) return fault(dotted_name(pointer) + " is not a table");
    pointer = append_pointer(pointer, keys[i]);
    if (i + 1 == keys.size()) {
      (*table)[keys[i]] = std::move(parsed);
      std::erase_if(places_, [&](const auto& entry) {  // of what it replaces
        return entry.first.starts_with(pointer + "/");
      });
      places_[pointer] = {0, 0, option};
    } else {
      if (!table->contains(keys[i])) {
        (*table)[keys[i]] = nlohmann::json::object();
        places_[pointer] = {0, 0, option};
      }
      table = &(*table)[keys[i]];
    }
  }
  return {};
}

Place TomlDocument::place(std::string_view pointer) const {
  for (std::string at(pointer); !at.empty(); at = parent_pointer(at))
    if (const auto found = places_.find(at); found != places_.end()) return found->second;
  return {1, 1, ""};
}

std::string TomlDocument::where(std::string_view pointer) const {
  const Place at = place(pointer);
  if (!at.option.empty()) return at.option;
  return name_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
}

}  // namespace dbsa
