#include "pipeline/pool/data_rows.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "pipeline/identity/identity.h"

namespace dbsa {

Result<DataRows> read_demonstrations(const DataSettings& data) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<Example> all,
                        load_dataset(data.demonstrations, data.text, data.label_field,
                                     LabelPolicy::kRequired, data.delimiter, data.names));
  DataRows rows;
  rows.identity = hash_rows(all);
  DBSA_ASSIGN_OR_RETURN(rows.chosen, draw(all, data.demonstration_count, data.seed));
  if (data.held_out == 0) return rows;
  const auto count = static_cast<int64_t>(rows.chosen.size());
  if (data.held_out >= count)
    return Error{ErrorCode::kConfig,
                 "data.held_out: must be below the number of demonstrations, " +
                     std::to_string(count) + ", got " + std::to_string(data.held_out) +
                     "; hold fewer of them out of the pool",
                 "/data/held_out"};
  // Not the order that demonstrations are drawn in.
  constexpr uint64_t kHeldOut = 0x68656c646f7574;  // "heldout"
  std::vector<Example> pool;
  const std::vector<int64_t> held = draw_indices(count, data.held_out, data.seed ^ kHeldOut);
  for (int64_t i = 0; i < count; ++i)
    (std::binary_search(held.begin(), held.end(), i) ? rows.held_out : pool)
        .push_back(std::move(rows.chosen[static_cast<size_t>(i)]));
  rows.chosen = std::move(pool);
  return rows;
}

Result<LabelRows> read_labels(const DataSettings& data, const DataRows& demonstrations) {
  LabelRows rows;
  std::vector<Example> labelled = demonstrations.chosen;
  labelled.insert(labelled.end(), demonstrations.held_out.begin(), demonstrations.held_out.end());
  if (!data.labels.empty()) {
    // Only the label is looked at, so that a file of labels will do.
    DBSA_ASSIGN_OR_RETURN(const std::vector<Example> more,
                          load_dataset(data.labels, data.label_field, data.label_field,
                                       LabelPolicy::kRequired, data.delimiter, data.names));
    labelled.insert(labelled.end(), more.begin(), more.end());
    rows.identity = hash_rows(more);
  }
  rows.labels = label_table(labelled);
  return rows;
}

void log_table(const DataSettings& data, const std::string& path, host::HostServices& services) {
  if (!services.logs(host::LogLevel::kDebug)) return;
  const std::string text = describe_table(path, data.text, data.label_field, data.delimiter);
  if (!text.empty()) services.log(host::LogLevel::kDebug, text);
}

Result<PoolData> read_pool_data(const DataSettings& data) {
  PoolData pool;
  DBSA_ASSIGN_OR_RETURN(pool.demonstrations, read_demonstrations(data));
  DBSA_ASSIGN_OR_RETURN(pool.labels, read_labels(data, pool.demonstrations));
  return pool;
}

Result<QueryRows> read_queries(const DataSettings& data) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<Row> queries,
                        load_rows(data.queries, data.text, data.label_field, LabelPolicy::kOptional,
                                  data.delimiter, data.names));
  return choose_queries(data, queries);
}

Result<QueryRows> choose_queries(const DataSettings& data, std::span<const Row> queries) {
  QueryRows rows;
  if (std::all_of(queries.begin(), queries.end(), [](const Row& row) { return row.error; }))
    return Error{ErrorCode::kConfig, describe_faults(queries, data.queries), ""};
  rows.identity = hash_rows(queries);
  std::vector<int64_t> chosen;
  if (!data.query_indices.empty()) {
    Result<std::vector<int64_t>> indices =
        load_indices(data.query_indices, static_cast<int64_t>(queries.size()));
    if (!indices.ok()) {
      // It does not hide what is wrong with the queries.
      const std::string faults = describe_faults(queries, data.queries);
      Error error = std::move(indices).error();
      if (!faults.empty()) error.message = faults + "\n" + error.message;
      return error;
    }
    chosen = std::move(indices).value();
  } else {
    chosen.resize(queries.size());
    std::iota(chosen.begin(), chosen.end(), 0);
  }
  if (data.query_count > 0) {
    // Not the order that demonstrations are drawn in, which may come from the same file.
    constexpr uint64_t kQueries = 0x71756572696573;  // "queries"
    std::vector<int64_t> drawn;
    for (const int64_t i :
         draw_indices(static_cast<int64_t>(chosen.size()), data.query_count, data.seed ^ kQueries))
      drawn.push_back(chosen[static_cast<size_t>(i)]);
    chosen = std::move(drawn);
  }
  for (const int64_t i : chosen) rows.chosen.push_back(queries[static_cast<size_t>(i)]);
  return rows;
}

}  // namespace dbsa
