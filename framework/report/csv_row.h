// Rows of the CSV files of a report (RFC 4180).
#pragma once

#include <optional>
#include <set>
#include <string>

#include "report/report.h"
#include "report/text.h"

namespace dbsa {

class CsvRow {
 public:
  void text(const std::string& value) { field(csv_field(value)); }
  void number(const std::optional<double>& value) { field(value ? exact(*value) : ""); }
  void mean(const std::optional<Summary>& value) {
    number(value ? std::optional(value->mean) : std::nullopt);
  }
  void interval(const std::optional<Summary>& value) {
    const std::optional<Interval> ends = value ? value->interval : std::nullopt;
    number(ends ? std::optional(ends->low) : std::nullopt);
    number(ends ? std::optional(ends->high) : std::nullopt);
  }
  void comparison(const std::optional<Comparison>& value) {
    const std::optional<Summary> summary = value ? std::optional(value->value) : std::nullopt;
    mean(summary);
    interval(summary);
  }
  // A field for each axis, empty where there is no value.
  void values(const std::set<std::string>& axes, const AxisValues& values) {
    for (const std::string& axis : axes) text(values.contains(axis) ? values.at(axis) : "");
  }
  std::string line() const { return line_ + "\r\n"; }

 private:
  void field(const std::string& value) {
    line_ += (first_ ? "" : ",") + value;
    first_ = false;
  }

  std::string line_;
  bool first_ = true;
};

// The axes of all studies.
inline std::set<std::string> axis_names(const Report& report) {
  std::set<std::string> names;
  for (const Study& study : report.studies)
    for (const SweepAxis& axis : study.input.axes) names.insert(axis.name);
  return names;
}

}  // namespace dbsa
