// Reads a JSON object field by field and collects every fault, so that all are reported at once.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

// The largest value that any dimension of a model may have.
inline constexpr int64_t kMaxDimension = int64_t{1} << 31;

// Reads and parses a JSON file. Fails with kEnvironment, naming the byte of a syntax error.
Result<nlohmann::json> read_json_file(const std::string& path);
// The same for text that is at hand; file is the name for messages.
Result<nlohmann::json> read_json_text(const std::string& file, std::string_view text);

class JsonReader {
 public:
  // object must be a JSON object and outlive the reader, as must faults. pointer: the object's own
  // JSON pointer, "" for the whole file.
  JsonReader(const nlohmann::json& object, std::string file, std::string pointer,
             std::vector<std::string>* faults);

  // The field, or nullptr if it is absent or null. Counts as read.
  const nlohmann::json* field(const std::string& key);
  bool has(const std::string& key) const { return object_->contains(key); }

  // A value of the wrong type or range is a fault, and the default (or the least value) is returned
  // so that reading continues. Without a default the field is required.
  int64_t integer(const std::string& key, std::optional<int64_t> fallback, int64_t least,
                  int64_t most);
  double number(const std::string& key, std::optional<double> fallback, double above);
  bool boolean(const std::string& key, bool fallback);
  std::string text(const std::string& key, std::optional<std::string> fallback);

  // The field must be absent, null or equal to this value.
  void expect(const std::string& key, const nlohmann::json& value, const std::string& fix);
  void fault(const std::string& key, const std::string& what);
  // Every key that was neither read nor is listed becomes a fault.
  void refuse_unread(std::span<const std::string_view> harmless, const std::string& fix);

  const std::string& file() const { return file_; }
  std::string pointer(const std::string& key) const;
  std::vector<std::string>* faults() const { return faults_; }

 private:
  void wrong(const std::string& key, const std::string& expected, const nlohmann::json& found);

  const nlohmann::json* object_;
  std::string file_, pointer_;
  std::vector<std::string>* faults_;
  std::set<std::string, std::less<>> read_;
};

// A value as compact JSON, cut to a length fit for a message.
std::string json_excerpt(const nlohmann::json& value);

}  // namespace dbsa
