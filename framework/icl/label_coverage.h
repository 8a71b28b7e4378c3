// How the labels that queries expect and those of a pool meet. A sample that holds few of the
// labels says nothing about the others, and a label that the pool lacks cannot be answered.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "icl/dataset.h"

namespace dbsa {

class LabelCoverage {
 public:
  // labels: of the pool, in Unicode form C and byte order. They outlive this object.
  explicit LabelCoverage(std::span<const std::string> labels)
      : labels_(labels), expected_(labels.size()) {}

  void add(const Example& query);

  int64_t labels() const { return static_cast<int64_t>(labels_.size()); }  // of the pool
  int64_t covered() const { return covered_; }    // of these, the ones that a query expects
  int64_t labelled() const { return labelled_; }  // queries that expect a label
  int64_t unknown() const { return unknown_; }  // queries that expect only labels beyond the pool's

  // What to warn of: "3 of 200 queries expect a label that no demonstration has, such as ...", and
  // "100 queries expect 3 of the 77 labels ..." for fewer than half of those that there could be.
  // name: the file of the queries. labels_given: the pool's labels come from data.labels, too.
  std::vector<std::string> warnings(const std::string& name, bool labels_given) const;

 private:
  std::string look_alike(const std::string& label) const;

  std::span<const std::string> labels_;
  std::vector<bool> expected_;  // of each label
  int64_t covered_ = 0, labelled_ = 0, unknown_ = 0;
  std::map<std::string, int64_t, std::less<>> unknown_lines_;  // the first line of each
};

}  // namespace dbsa
