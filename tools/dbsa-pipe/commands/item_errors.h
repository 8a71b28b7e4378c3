// Queries without an answer: counted, and what they mean for the command.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <string>

#include "icl/item_error.h"
#include "pipeline/settings/settings.h"

namespace dbsa::cli {

class ItemErrors {
 public:
  explicit ItemErrors(OnError on_error) : on_error_(on_error) {}

  void add_answer() { ++answered_; }
  // An error where this one ends the command: under data.on_error = "fail", and where a plugin has
  // failed for each of the first queries. kPlugin, or kConfig.
  Status add(const ItemError& error);

  int64_t answered() const { return answered_; }
  int64_t count() const { return errors_; }
  // kPlugin where a plugin has failed and no query has an answer; else kConfig where any query has
  // none: "3 of 200 queries were not answered". noun: "line".
  Status status(const std::string& noun) const;

 private:
  // So many failures of a plugin and no answer are no fault of the queries.
  static constexpr int64_t kGiveUp = 16;

  OnError on_error_;
  int64_t answered_ = 0, errors_ = 0, plugin_errors_ = 0;
  std::optional<Error> first_plugin_error_;
};

}  // namespace dbsa::cli
