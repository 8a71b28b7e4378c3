// TomlDocument: a TOML file as JSON, with the place each value was written at.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

namespace dbsa {

// Where a key stands: a line and column of the file, from 1; or a --set option.
struct Place {
  int64_t line = 0;
  int64_t column = 0;
  std::string option = {};  // "--set selection.ratio"
  std::string file = {};    // another one than the document's own, from which the key was laid over
};

// Of a place with a file or an option: "pipelines/a.toml:14:3" or "--set selection.ratio".
std::string to_text(const Place& place);

class TomlDocument {
 public:
  // Files are small; larger ones are refused.
  static constexpr uint64_t kMaxBytes = 1 << 20;
  // Tables and arrays within each other.
  static constexpr int kMaxDepth = 16;

  // kEnvironment when the file cannot be read; kConfig, with one line "file:line:column: ..." for
  // each fault, when it is not TOML, not UTF-8, too large, too deep, or has values that JSON lacks
  // (dates, times, infinities).
  static Result<TomlDocument> load(const std::string& path);
  // `name` stands for the file in messages; its folder is what relative paths start from.
  static Result<TomlDocument> parse(std::string_view text, std::string name);
  // A document without a file: where() gives only its name, and relative paths start from `folder`.
  // kConfig when it is no object, or too deep.
  static Result<TomlDocument> from_json(nlohmann::json json, std::string name,
                                        std::filesystem::path folder);

  // Sets a value over the file's, as --set does: "selection.ratio", "0.5". The value is TOML; what
  // is not TOML is taken as a string.
  Status set(std::string_view dotted_key, std::string_view value);
  // Sets a value that stands at `place` of another file: names are the key's, {"selection",
  // "ratio"}. kConfig when they lead into something that is no table, or too deep.
  Status put(std::span<const std::string> names, nlohmann::json value, const Place& place);
  // Takes out what a JSON pointer leads to, if that is not the whole document.
  void erase(std::string_view pointer);

  const nlohmann::json& json() const { return json_; }
  const std::string& name() const { return name_; }
  const std::filesystem::path& directory() const { return directory_; }

  bool contains(std::string_view pointer) const { return places_.contains(pointer); }
  // The place of a JSON pointer, or of the nearest table around it.
  Place place(std::string_view pointer) const;
  // place() with the file it is of, for other documents.
  Place place_with_file(std::string_view pointer) const;
  // place() for people: "pipelines/a.toml:14:3" or "--set selection.ratio".
  std::string where(std::string_view pointer) const;

 private:
  void forget_places_within(const std::string& pointer);

  nlohmann::json json_ = nlohmann::json::object();
  std::string name_;
  std::filesystem::path directory_;
  bool has_lines_ = true;
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace dbsa
