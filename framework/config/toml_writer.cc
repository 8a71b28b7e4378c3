#include "config/toml_writer.h"

#include <algorithm>

namespace dbsa {
namespace {

using nlohmann::json;

// JSON's strings are TOML's except for DEL, which TOML wants escaped.
std::string string_text(const std::string& text) {
  std::string out;
  for (const char c : json(text).dump())
    if (c == '\x7F')
      out += "\\u007F";
    else
      out += c;
  return out;
}

std::string key_text(const std::string& key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  return bare ? key : string_text(key);
}

std::string value_text(const json& value) {
  if (value.is_string()) return string_text(value.get<std::string>());
  if (value.is_object()) {
    std::string out = "{";
    for (const auto& [key, item] : value.items())
      if (!item.is_null())
        out += (out.size() > 1 ? ", " : " ") + key_text(key) + " = " + value_text(item);
    return out + (out.size() > 1 ? " }" : "}");
  }
  if (!value.is_array()) return value.dump();
  std::string out = "[";
  for (const json& item : value)
    if (!item.is_null()) out += (out.size() > 1 ? ", " : "") + value_text(item);
  return out + "]";
}

void write_table(const json& table, const std::string& name, std::string& out) {
  for (const auto& [key, value] : table.items())
    if (!value.is_object() && !value.is_null())
      out += key_text(key) + " = " + value_text(value) + "\n";
  for (const auto& [key, value] : table.items()) {
    if (!value.is_object()) continue;
    const std::string path = name.empty() ? key_text(key) : name + "." + key_text(key);
    out += (out.empty() ? "" : "\n") + ("[" + path + "]\n");
    write_table(value, path, out);
  }
}

}  // namespace

std::string to_toml(const json& value) {
  std::string out;
  write_table(value, "", out);
  return out;
}

std::string to_toml_value(const json& value) { return value_text(value); }

}  // namespace dbsa
