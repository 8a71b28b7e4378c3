// What the records of a sweep's cells warn of, so that a sweep of many cells says it once.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sweep/sweep.h"

namespace dbsa::cli {

class SweepWarnings {
 public:
  struct Warning {
    std::string text;
    std::string cell;  // the first that has it
    int64_t cells = 0;
  };

  // record: of the cell, `queries` may be missing. cells: how many share it.
  template <typename Json>
  void add(const SweepCell& cell, int64_t cells, const Json& record) {
    const typename Json::json_pointer errors("/totals/items/errors"), texts("/warnings");
    if (record.contains(errors) && record.at(errors).is_number_integer() && record.at(errors) > 0)
      with_errors_ += cells;
    if (!record.contains(texts) || !record.at(texts).is_array()) return;
    for (const auto& text : record.at(texts))
      if (text.is_string()) add(text.template get<std::string>(), cell.name(), cells);
  }

  // Cells whose record has queries without an answer.
  int64_t with_errors() const { return with_errors_; }
  // Each text once, in the order of the first cells.
  const std::vector<Warning>& all() const { return warnings_; }

 private:
  void add(const std::string& text, const std::string& cell, int64_t cells) {
    const auto [known, is_new] = places_.emplace(text, warnings_.size());
    if (is_new) warnings_.push_back({text, cell, 0});
    warnings_[known->second].cells += cells;
  }

  std::vector<Warning> warnings_;
  std::map<std::string, size_t> places_;  // of texts in warnings_
  int64_t with_errors_ = 0;
};

}  // namespace dbsa::cli
