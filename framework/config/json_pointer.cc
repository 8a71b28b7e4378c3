#include "config/json_pointer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace dbsa {
namespace {

bool is_bare(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

bool is_index(std::string_view key) {
  return !key.empty() &&
         std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string append_pointer(std::string_view pointer, std::string_view key) {
  std::string out(pointer);
  out += '/';
  for (const char c : key) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

std::string parent_pointer(std::string_view pointer) {
  const size_t slash = pointer.rfind('/');
  return std::string(pointer.substr(0, slash == std::string_view::npos ? 0 : slash));
}

std::vector<std::string> split_pointer(std::string_view pointer) {
  std::vector<std::string> keys;
  for (size_t i = 0; i < pointer.size(); ++i) {
    const char c = pointer[i];
    if (c == '/') {
      keys.emplace_back();
    } else if (!keys.empty()) {
      const bool escaped = c == '~' && i + 1 < pointer.size();
      keys.back() += escaped ? (pointer[++i] == '0' ? '~' : '/') : c;
    }
  }
  return keys;
}

std::string pointer_of_key(std::string_view dotted) {
  std::string pointer;
  for (size_t begin = 0; begin <= dotted.size();) {
    const size_t end = std::min(dotted.find('.', begin), dotted.size());
    pointer = append_pointer(pointer, dotted.substr(begin, end - begin));
    begin = end + 1;
  }
  return pointer;
}

std::string dotted_name(std::string_view pointer) {
  std::string name;
  for (const std::string& key : split_pointer(pointer)) {
    if (!name.empty() && is_index(key)) {
      name += "[" + key + "]";
      continue;
    }
    if (!name.empty()) name += '.';
    name += is_bare(key) ? key
                         : nlohmann::json(key).dump(-1, ' ', false,
                                                    nlohmann::json::error_handler_t::replace);
  }
  return name;
}

void erase_at(std::string_view pointer, nlohmann::json& json) {
  const nlohmann::json::json_pointer at{std::string(pointer)};
  if (!at.empty() && json.contains(at)) json.at(at.parent_pointer()).erase(at.back());
}

}  // namespace dbsa
