#include "commands/item_errors.h"

#include "terminal/units.h"

namespace dbsa::cli {

Status ItemErrors::add(const ItemError& error) {
  ++errors_;
  const bool of_plugin = error.fault == ItemFault::kPlugin;
  const Error as_error = {of_plugin ? ErrorCode::kPlugin : ErrorCode::kConfig, error.message, ""};
  if (of_plugin && !first_plugin_error_) first_plugin_error_ = as_error;
  plugin_errors_ += of_plugin ? 1 : 0;
  if (on_error_ == OnError::kFail) return as_error;
  if (answered_ == 0 && plugin_errors_ == kGiveUp) return *first_plugin_error_;
  return {};
}

Status ItemErrors::status(const std::string& noun) const {
  if (answered_ == 0 && first_plugin_error_) return *first_plugin_error_;
  if (errors_ == 0) return {};
  const int64_t all = answered_ + errors_;
  return Error{ErrorCode::kConfig,
               human_count(errors_) + " of " +
                   (noun == "query" ? counted_queries(all) : counted(all, noun)) +
                   (errors_ == 1 ? " was" : " were") + " not answered",
               ""};
}

}  // namespace dbsa::cli
