#include "earlier_record.h"

#include <filesystem>
#include <optional>
#include <utility>

#include "config/json_text.h"
#include "config/read_file.h"
#include "pipeline/record/record.h"

namespace dbsa::cli {
namespace {

using nlohmann::json;

// What compares two runs of a query; the rest is most of a record.
json outcome_of(json& query) {
  json outcome = json::object();
  if (!query.is_object()) return outcome;
  for (const char* part : {"label", "error"})
    if (const auto found = query.find(part); found != query.end())
      outcome[part] = std::move(*found);
  // An answer that was withheld is still the same or another one.
  if (const auto withheld = query.find("abstained_label");
      withheld != query.end() && withheld->is_string())
    outcome["label"] = std::move(*withheld);
  return outcome;
}

}  // namespace

Result<EarlierRecord> EarlierRecord::read(const std::string& path) {
  const Result<FileText> file = read_file(path, kMaxRecordFileBytes);
  if (!file.ok() && file.error().code == ErrorCode::kNotFound)
    return Error{ErrorCode::kEnvironment, path + ": no such record", ""};
  if (!file.ok()) return file.error();
  EarlierRecord record = {path, {}, {}, {}};
  const std::optional<JsonFault> fault = parse_json(file->text, record.head);
  if (fault && fault->kind == JsonFault::Kind::kTooDeep)
    return Error{ErrorCode::kConfig,
                 path + ": is not a result record: its JSON is nested deeper than " +
                     std::to_string(kMaxJsonDepth) + " levels",
                 ""};
  if (fault || !record.head.is_object() || !record.head.contains("config") ||
      !record.head.at("config").is_object())
    return Error{ErrorCode::kConfig,
                 path + ": is not a result record: expected a JSON object with a table config", ""};
  record.config = std::move(record.head.at("config"));
  record.head.erase("config");
  const auto queries = record.head.find("queries");
  if (queries == record.head.end()) return record;
  if (queries->is_array())
    for (json& query : *queries) record.outcomes.push_back(outcome_of(query));
  record.head.erase(queries);
  return record;
}

Result<TomlDocument> EarlierRecord::pipeline() const {
  return TomlDocument::from_json(config, path, std::filesystem::path(path).parent_path());
}

}  // namespace dbsa::cli
