#include "checks.h"

#include <utility>

#include "pipeline/engine.h"

namespace dbsa::cli {
namespace {

// Queries as run takes them; labels are checked where the demonstrations could be read.
Result<int64_t> check_queries(const Settings& settings, const std::vector<std::string>* labels) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<Example> queries, read_queries(settings.data));
  if (labels != nullptr && settings.decoding.method != DecodingMethod::kFree)
    DBSA_RETURN_IF_ERROR(
        check_query_labels(queries, *labels, settings.data.queries, !settings.data.labels.empty()));
  return static_cast<int64_t>(queries.size());
}

}  // namespace

Result<CheckedData> check_data(const Settings& settings) {
  const DataSettings& data = settings.data;
  CheckedData checked;
  ErrorList faults;
  Result<std::vector<Example>> demonstrations = read_demonstrations(data);
  if (demonstrations.ok())
    checked.demonstrations = std::move(demonstrations).value();
  else
    faults.add(demonstrations.error());
  Result<std::vector<std::string>> labels = read_labels(data, checked.demonstrations);
  if (!labels.ok()) faults.add(labels.error());
  const bool have_labels = faults.empty();
  if (have_labels) checked.labels = std::move(labels).value();
  if (!data.queries.empty()) {
    const Result<int64_t> queries =
        check_queries(settings, have_labels ? &checked.labels : nullptr);
    if (queries.ok())
      checked.queries = *queries;
    else
      faults.add(queries.error());
  }
  DBSA_RETURN_IF_ERROR(faults.status());
  return checked;
}

Status check_queries_given(const Settings& settings) {
  if (!settings.data.queries.empty()) return {};
  return Error{ErrorCode::kConfig,
               "no queries given; name a .jsonl or .csv file here, or use `dbsa-pipe query`",
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
