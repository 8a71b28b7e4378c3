// Checks of a pipeline's data that need no model: what `validate` reports and what `run` makes sure
// of before it spends time on encoding.
#pragma once

#include <dbsa/sdk/result.h>

#include <vector>

#include "icl/dataset.h"
#include "pipeline/settings.h"

namespace dbsa::cli {

struct CheckedData {
  std::vector<Example> demonstrations;  // drawn
  int64_t queries = 0;                  // that run would answer
  std::vector<std::string> labels;      // to choose from
};

// Reads demonstrations, queries and indices. All faults in one error, a line each.
Result<CheckedData> check_data(const Settings& settings);

// kConfig when the pipeline names no queries.
Status check_queries_given(const Settings& settings);

// Several errors as one: their lines in order. The code is kConfig if any is, else the first's.
class ErrorList {
 public:
  void add(const Error& error);
  void add(const Status& status) {
    if (!status.ok()) add(status.error());
  }
  bool empty() const { return !any_; }
  Status status() const;

 private:
  bool any_ = false;
  Error all_;
};

}  // namespace dbsa::cli
