// The rows of the data files that a pipeline names, chosen as it says.
#pragma once

#include <dbsa/sdk/result.h>

#include <span>
#include <string>
#include <vector>

#include "host/host_services.h"
#include "icl/dataset.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// A data set of a pipeline file: what it chooses of a file, and hash_rows of the whole file.
struct DataRows {
  std::vector<Example> chosen;    // of the pool
  std::vector<Example> held_out;  // data.held_out others
  std::string identity;
};
// kConfig, too, where nothing would be left for the pool.
Result<DataRows> read_demonstrations(const DataSettings& data);
// Says in the log how a table of data is separated.
void log_table(const DataSettings& data, const std::string& path, host::HostServices& services);
// Queries as they stand in the file, those with an error included: query_indices count them, too.
// query_count draws, with data.seed, and keeps the order. kConfig where none is without error.
struct QueryRows {
  std::vector<Row> chosen;
  std::string identity;
};
Result<QueryRows> read_queries(const DataSettings& data);
// The same of the rows of data.queries, which were read already.
Result<QueryRows> choose_queries(const DataSettings& data, std::span<const Row> rows);
// The labels to choose from, in byte order: those of the demonstrations, held-out ones included,
// and of data.labels.
struct LabelRows {
  std::vector<std::string> labels;
  std::string identity;  // hash_rows of data.labels, "" where there is none
};
Result<LabelRows> read_labels(const DataSettings& data, const DataRows& demonstrations);
// What a pool is made of.
struct PoolData {
  DataRows demonstrations;
  LabelRows labels;
};
Result<PoolData> read_pool_data(const DataSettings& data);

}  // namespace dbsa
