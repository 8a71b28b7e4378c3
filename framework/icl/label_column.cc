#include "icl/label_column.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include "icl/csv_examples.h"
#include "icl/dataset.h"
#include "icl/field_names.h"
#include "icl/jsonl_examples.h"

namespace dbsa {
namespace {

std::string read_start(const std::filesystem::path& path) {
  std::string start(kMaxRecordBytes, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  if (start.starts_with("\xEF\xBB\xBF")) start.erase(0, 3);
  return start;
}

// The keys of the first objects, each once.
std::vector<std::string> first_keys(std::string_view text) {
  constexpr int kLines = 20;
  std::vector<std::string> keys;
  for (int line = 0; line < kLines && !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const Result<nlohmann::json> object = parse_data_json(text.substr(0, end), "", 1);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!object.ok() || !object->is_object()) continue;
    for (const auto& [key, value] : object->items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  return keys;
}

}  // namespace

std::string missing_label_column(const std::filesystem::path& path, const std::string& text_field,
                                 const std::string& label_field, char delimiter) {
  const bool table = is_table(path);
  const std::string start = read_start(path);
  if (table && delimiter == '\0') delimiter = sniff_delimiter(start, text_field, label_field);
  const std::vector<std::string> names = table ? csv_columns(start, delimiter) : first_keys(start);
  const bool has = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return field_key(name) == field_key(label_field);
  });
  if (has) return "";
  const std::string likely = likely_named(label_field, names, text_field);
  const std::string one = table ? "column" : "field";
  return path.string() + " has no " + one + " " + quote_for_message(label_field) +
         ", so accuracy will not be measured; it has the " + one + "s " + quote_names(names) +
         (likely.empty()
              ? "; give it one, or leave it so where no labels are known"
              : "; did you mean " + quote_for_message(likely) + "? Rename it there, or set " +
                    "data.label_field for all data files");
}

}  // namespace dbsa
