// Which demonstrations `tune` answers, and which are the pool meanwhile.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "icl/dataset.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

struct TuneSplit {
  std::vector<Example> pool;     // in the order of the file
  std::vector<Example> queries;  // in a random order, of other texts than the pool's, each once
  std::vector<std::string>
      labels;              // that may come out: of all drawn demonstrations and data.labels
  bool from_pool = false;  // the queries are missing in the pool; else they were not drawn into it
};

// The queries are demonstrations of the file that data.demonstration_count leaves out, where these
// are enough; else a fifth of those it draws, which the pool then lacks. Never of data.queries.
// At most 2,000; count: how many, instead. kConfig for too few.
Result<TuneSplit> split_for_tuning(const DataSettings& data, uint64_t seed,
                                   std::optional<int64_t> count);

// Sizes of slices of `queries`: 32, 32, 64, 128 and so on, each as many as all before it; the last
// one takes the rest.
std::vector<int64_t> slice_sizes(int64_t queries);

// Examples as JSON Lines with the fields text and label, which has codes where there are any.
std::string to_json_lines(const std::vector<Example>& examples, const LabelNames& names);

}  // namespace dbsa
