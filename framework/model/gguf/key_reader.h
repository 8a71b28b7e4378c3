// Reads keys of a GGUF file one by one and collects every fault, so that all are reported at once.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/gguf/gguf_value.h"

namespace dbsa::gguf {

class KeyReader {
 public:
  // path: of the file, for messages; keys: ascending by name. All must outlive it.
  KeyReader(const std::string& path, std::span<const Key> keys, std::vector<std::string>* faults)
      : path_(path), keys_(keys), faults_(faults) {}

  // nullptr if absent. Counts as read.
  const Key* field(const std::string& name);
  bool has(const std::string& name) const { return find_key(keys_, name) != nullptr; }

  // A value of the wrong type or range is a fault, and the default (or the least value) is returned
  // so that reading continues. Without a default the key is required.
  int64_t integer(const std::string& name, std::optional<int64_t> fallback, int64_t least,
                  int64_t most);
  double number(const std::string& name, std::optional<double> fallback, double above);
  std::optional<bool> boolean(const std::string& name);
  std::string text(const std::string& name, std::optional<std::string> fallback);
  // None where the key is absent.
  std::vector<std::string_view> strings(const std::string& name);
  std::vector<float> floats(const std::string& name);
  std::vector<int32_t> integers(const std::string& name);
  std::vector<bool> booleans(const std::string& name);

  // "file: key 'name', byte N: what".
  void fault(const std::string& name, const std::string& what);
  // Every key with this prefix that was neither read nor is listed becomes a fault.
  void refuse_unread(std::string_view prefix, std::string_view harmless, const std::string& fix);

 private:
  void wrong(const Key& key, const std::string& expected);
  void missing(const std::string& name, const std::string& expected);
  const Array* array(const std::string& name, ValueType type, const char* expected);

  const std::string& path_;
  std::span<const Key> keys_;
  std::vector<std::string>* faults_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace dbsa::gguf
