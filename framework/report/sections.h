// Parts of a report's document that several of its files make.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/report.h"

namespace dbsa {

inline constexpr const char* kNoFigure = "–";

// A table whose left columns say which group a row is of.
class GroupTable {
 public:
  explicit GroupTable(const Study& study);
  void column(const std::string& title) { table_.columns.push_back({title, true}); }
  void text_column(const std::string& title) { table_.columns.push_back({title}); }
  void add(size_t group, std::vector<ReportCell> cells);
  ReportTable take() { return std::move(table_); }
  bool empty() const { return table_.rows.empty(); }

 private:
  const Study& study_;
  std::vector<const SweepAxis*> axes_;
  ReportTable table_;
};

// "0.801–0.885", marked where it covers the choice of queries only.
std::string interval_text(const std::optional<Summary>& summary, int digits, bool is_share = true);
bool queries_only(const std::optional<Summary>& summary);
// Says what the mark means, if any interval of the section has it.
void explain_queries_only(bool any, ReportSection& section);

// Weakest labels and largest confusions, and behind them a folded section for each group.
std::vector<ReportSection> label_sections(const Study& study);
std::optional<ReportSection> baseline_section(const Study& study);
std::optional<ReportSection> published_section(const Study& study);
// Cells without a record that can be used.
std::optional<ReportSection> lost_section(const Study& study);
// Damaged files.
ReportSection left_out_section(const Report& report);

}  // namespace dbsa
