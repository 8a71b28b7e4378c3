#include "commands/checks.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "config/folder_access.h"
#include "config/json_pointer.h"
#include "config/schema_check.h"
#include "host/store_keys.h"
#include "icl/label_column.h"
#include "pipeline/pipeline.h"
#include "pipeline/prompt_doubts.h"
#include "terminal/units.h"

namespace dbsa::cli {

Result<CheckedData> check_data(const Settings& settings, const InputTable* query_table) {
  const DataSettings& data = settings.data;
  CheckedData checked;
  ErrorList faults;
  Result<DataRows> demonstrations = read_demonstrations(data);
  if (demonstrations.ok())
    checked.pool.demonstrations = std::move(demonstrations).value();
  else
    faults.add(demonstrations.error());
  Result<LabelRows> labels = read_labels(data, checked.pool.demonstrations);
  if (labels.ok())
    checked.pool.labels = std::move(labels).value();
  else
    faults.add(labels.error());
  if (!data.queries.empty()) {
    Result<QueryRows> queries =
        query_table != nullptr ? choose_queries(data, query_table->rows()) : read_queries(data);
    if (queries.ok()) {
      checked.queries = std::move(queries->chosen);
      checked.query_rows = std::move(queries->identity);
    } else {
      faults.add(queries.error());
    }
  }
  // Whoever mends a file is told all of them.
  if (!faults.empty()) faults.add(query_faults(settings, checked));
  DBSA_RETURN_IF_ERROR(faults.status());
  return checked;
}

Status query_faults(const Settings& settings, const CheckedData& data) {
  std::string faults = describe_faults(data.queries, settings.data.queries);
  if (faults.empty()) return {};
  return Error{ErrorCode::kConfig, std::move(faults), ""};
}

LabelCoverage cover_labels(const CheckedData& data) {
  LabelCoverage coverage(data.labels());
  for (const Row& row : data.queries) coverage.add(row.example);
  return coverage;
}

std::vector<std::string> label_warnings(const Settings& settings, const CheckedData& data) {
  const DataSettings& files = settings.data;
  const LabelCoverage coverage = cover_labels(data);
  std::string missing;
  if (coverage.labelled() == 0 && !files.queries.empty())
    missing = missing_label_column(files.queries, files.text, files.label_field, files.delimiter);
  if (!missing.empty()) return {std::move(missing)};
  if (settings.decoding.method == DecodingMethod::kFree) return {};
  return coverage.warnings(files.queries, !files.labels.empty());
}

std::vector<std::string> data_warnings(const host::ResolvedPipeline& resolved,
                                       const Settings& settings, const CheckedData& data,
                                       const DataValidity& validity, const Tokenizer& tokenizer) {
  std::vector<std::string> warnings;
  const auto queries = static_cast<int64_t>(data.queries.size());
  if (settings.data.query_count > queries && queries > 0)
    warnings.push_back(
        resolved
            .fault("/data/query_count", "is " + human_count(settings.data.query_count) +
                                            ", and there are " + counted_queries(queries))
            .message);
  const auto add = [&](const std::vector<std::string>& more) {
    warnings.insert(warnings.end(), more.begin(), more.end());
  };
  add(dbsa::warnings(validity));
  add(label_warnings(settings, data));
  add(prompt_doubts(settings, data.demonstrations(), data.labels(), tokenizer));
  return warnings;
}

Status check_folders(const host::ResolvedPipeline& resolved, Written written) {
  if (written == Written::kNothing) return {};
  ErrorList faults;
  const auto check = [&](const std::string& pointer, const std::string& folder) {
    if (folder.empty()) return;
    if (const std::string fault = folder_fault(folder); !fault.empty())
      faults.add(resolved.fault(pointer, fault, ErrorCode::kEnvironment));
  };
  // A store that is there may have all that is needed; Pipeline::encode tells.
  const host::StoreKeys store = host::store_keys(resolved);
  std::error_code failed;
  if (store.is_folder && !std::filesystem::is_directory(store.location, failed))
    check(store.location_pointer, store.location);
  if (written == Written::kStoreAndRecord)
    check("/output/directory", resolved.json.at("output").value("directory", ""));
  return faults.status();
}

std::vector<std::string> find_idle_keys(const host::ResolvedPipeline& resolved) {
  // A key, and what another one must be for it to count.
  struct Key {
    const char* pointer;
    const char* other;
    const char* value;
  };
  static constexpr std::array<Key, 7> kKeys = {
      {{"/decoding/max_tokens", "/decoding/method", "free"},
       {"/decoding/stop", "/decoding/method", "free"},
       {"/decoding/content_free", "/decoding/scorer", "contextual"},
       {"/embedding/path", "/embedding/method", "sentence_transformer"},
       {"/embedding/layer", "/embedding/method", "llm_hidden"},
       {"/retriever/block_score", "/retriever/unit", "demonstration"},
       {"/model/kv_error_queries", "/model/kv_dtype", "int8"}}};
  static constexpr const char* kDataFiles[] = {"demonstrations", "queries", "labels"};
  std::vector<std::string> idle;
  const auto at = [](const nlohmann::json& json, const std::string& pointer) {
    const nlohmann::json::json_pointer found(pointer);
    return json.contains(found) ? json.at(found) : nlohmann::json();
  };
  for (const Key& key : kKeys) {
    const nlohmann::json value = at(resolved.json, key.other);
    const nlohmann::json given = at(resolved.document.json(), key.pointer);
    const std::vector<std::string> names = split_pointer(key.pointer);
    const nlohmann::json usual =
        at(pipeline_schema(), "/properties/" + names[0] + "/properties/" + names[1] + "/default");
    if (value == key.value || given.is_null() || given == usual) continue;
    idle.push_back(resolved
                       .fault(key.pointer, "has no effect with " + dotted_name(key.other) + " = " +
                                               value.dump() + ", only with \"" + key.value + "\"")
                       .message);
  }
  if (resolved.json.at("block_grouper").at("edits") == "append" &&
      !host::store_keys(resolved).keeps())
    idle.push_back(resolved
                       .fault("/block_grouper/edits",
                              "has no effect: this store is not kept between runs, so each run has "
                              "the blocks of a new store, as with \"in_place\"")
                       .message);
  const nlohmann::json& data = resolved.json.at("data");
  if (resolved.json.at("prompt").at("demonstration") != "" && data.at("text_field") != "text")
    idle.push_back(
        resolved
            .fault("/data/text_field", "has no effect: prompt.demonstration names a text's fields")
            .message);
  const bool no_table = std::none_of(std::begin(kDataFiles), std::end(kDataFiles),
                                     [&](auto key) { return is_table(data.value(key, "")); });
  if (no_table && at(resolved.document.json(), "/data/delimiter").is_string() &&
      data.at("delimiter") != "auto")
    idle.push_back(
        resolved.fault("/data/delimiter", "has no effect: no data file is a .csv or .tsv file")
            .message);
  return idle;
}

Status check_queries_given(const Settings& settings) {
  if (!settings.data.queries.empty()) return {};
  return Error{ErrorCode::kConfig,
               "no queries given; name a .jsonl, .csv or .tsv file here, or use `dbsa-pipe query`",
               "/data/queries"};
}

void ErrorList::add(const Error& error) {
  if (!any_) {
    all_ = error;
    any_ = true;
    return;
  }
  if (error.code == ErrorCode::kConfig) all_.code = ErrorCode::kConfig;
  all_.message += "\n" + error.message;
}

Status ErrorList::status() const {
  if (!any_) return {};
  return all_;
}

}  // namespace dbsa::cli
