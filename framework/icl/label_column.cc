#include "icl/label_column.h"

#include <algorithm>
#include <vector>

#include "icl/csv_examples.h"
#include "icl/data_file.h"
#include "icl/field_names.h"
#include "icl/jsonl_examples.h"

namespace dbsa {
namespace {

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

std::string missing_label_column(const std::filesystem::path& path, const TextFields& text,
                                 const std::string& label_field, char delimiter) {
  const bool table = is_table(path);
  const std::string start = read_data_start(path, kMaxRecordBytes);
  if (table && delimiter == '\0') delimiter = sniff_delimiter(start, text, label_field);
  const std::vector<std::string> names = table ? csv_columns(start, delimiter) : first_keys(start);
  const bool has = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return field_key(name) == field_key(label_field);
  });
  if (has) return "";
  const std::string likely = likely_named(label_field, names, text.parts().front().field);
  const std::string one = table ? "column" : "field";
  return path.string() + " has no " + one + " " + quote_for_message(label_field) +
         ", so accuracy will not be measured; it has the " + one + "s " + quote_names(names) +
         (likely.empty()
              ? "; give it one, or leave it so where no labels are known"
              : "; did you mean " + quote_for_message(likely) + "? Rename it there, or set " +
                    "data.label_field for all data files");
}

}  // namespace dbsa
