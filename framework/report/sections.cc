#include "report/sections.h"

#include <algorithm>

#include "report/text.h"

namespace dbsa {
namespace {

constexpr const char* kQueriesOnly = " ‡";

std::string ends_text(const Interval& interval, int digits, bool is_share) {
  const auto text = [&](double value) {
    return is_share ? fixed(value, digits) : significant(value, digits);
  };
  return text(interval.low) + (interval.low < 0 ? " to " : "–") + text(interval.high);
}

ReportCell comparison_cell(const std::optional<Comparison>& comparison, bool is_share) {
  if (!comparison) return {kNoFigure};
  const Summary& value = comparison->value;
  std::string text =
      is_share ? (value.mean > 0 ? "+" : "") + fixed(value.mean, 3) : significant(value.mean, 3);
  if (value.interval) text += " (" + ends_text(*value.interval, 3, is_share) + ")";
  return {text + (comparison->paired ? "" : " †") + (queries_only(value) ? kQueriesOnly : "")};
}

}  // namespace

GroupTable::GroupTable(const Study& study) : study_(study) {
  for (const SweepAxis& axis : study.input.axes)
    if (axis.values.size() > 1) axes_.push_back(&axis);
  if (axes_.empty()) table_.columns.push_back({"group"});
  for (const SweepAxis* axis : axes_) table_.columns.push_back({axis->name});
}

void GroupTable::add(size_t group, std::vector<ReportCell> cells) {
  const ReportGroup& added = study_.groups[group];
  std::vector<ReportCell> row;
  if (axes_.empty()) row.push_back({added.name});
  for (const SweepAxis* axis : axes_) {
    const auto value = added.values.find(axis->name);
    row.push_back({value == added.values.end() ? kNoFigure : value->second});
  }
  if (study_.methods > 1) row.front().method = added.method;
  for (ReportCell& cell : cells) row.push_back(std::move(cell));
  table_.rows.push_back(std::move(row));
}

bool queries_only(const std::optional<Summary>& summary) {
  return summary && summary->interval && !summary->covers.rows;
}

std::string interval_text(const std::optional<Summary>& summary, int digits, bool is_share) {
  if (!summary || !summary->interval) return kNoFigure;
  return ends_text(*summary->interval, digits, is_share) +
         (queries_only(summary) ? kQueriesOnly : "");
}

// Says what the mark means, if any of the intervals has it.
void explain_queries_only(bool any, ReportSection& section) {
  if (any)
    section.parts.emplace_back(
        "‡ Fewer than three draws: this interval covers the choice of queries only. It does not "
        "speak for other draws of demonstrations.");
}

namespace {

std::string p_text(double p) { return p < 0.001 ? "<0.001" : fixed(p, 3); }

// McNemar's counts and probabilities.
void add_test(const std::optional<Comparison>& difference, std::vector<ReportCell>& row) {
  const std::optional<PairedTest> test = difference ? difference->test : std::nullopt;
  if (!test) {
    row.resize(row.size() + 4, {kNoFigure});
    return;
  }
  row.push_back({grouped(static_cast<double>(test->better))});
  row.push_back({grouped(static_cast<double>(test->worse))});
  row.push_back({p_text(test->p)});
  row.push_back({p_text(test->p_holm), test->p_holm < 0.05});
}

}  // namespace

std::optional<ReportSection> baseline_section(const Study& study) {
  if (!study.input.baseline) return {};
  ReportSection section{3, "Against the baseline", {}};
  GroupTable table(study);
  for (const char* title : {"accuracy, difference", "better", "worse", "p", "p (Holm)",
                            "request time, ratio", "setup, in requests"})
    table.column(title);
  bool unpaired = false, few_draws = false, tested = false;
  for (size_t i = 0; i < study.groups.size(); ++i) {
    const ReportGroup& group = study.groups[i];
    if (group.is_baseline || (!group.accuracy_difference && !group.request_ratio)) continue;
    for (const auto* comparison :
         {&group.accuracy_difference, &group.request_ratio, &group.setup_ratio})
      if (*comparison) {
        unpaired = unpaired || !(*comparison)->paired;
        few_draws = few_draws || queries_only((*comparison)->value);
      }
    tested = tested || (group.accuracy_difference && group.accuracy_difference->test);
    std::vector<ReportCell> row = {comparison_cell(group.accuracy_difference, true)};
    add_test(group.accuracy_difference, row);
    row.push_back(comparison_cell(group.request_ratio, false));
    row.push_back(comparison_cell(group.setup_ratio, false));
    table.add(i, std::move(row));
  }
  std::string name;
  for (const auto& [axis, value] : *study.input.baseline)
    name += (name.empty() ? "" : ", ") + axis + " = " + value;
  section.parts.emplace_back(
      "Against the group with " + name +
      " and the same values of all other axes, with 95 % intervals. Accuracy: the difference; "
      "above "
      "0 this group is better. Times: the ratio; below 1 this group is faster. Setup is given in "
      "requests of that group (one such request = 1).");
  if (table.empty())
    section.parts.emplace_back("No group has a baseline that ran.");
  else
    section.parts.emplace_back(table.take());
  if (tested)
    section.parts.emplace_back(
        "better, worse: queries that this group, or the baseline, answered rightly more often; p: "
        "McNemar's exact test of these, which speaks for other queries, not for other draws; "
        "p (Holm): adjusted for all groups that are compared with the same baseline, bold below "
        "0.05.");
  if (unpaired)
    section.parts.emplace_back("† Ratio of means: no runs share a seed, so none could be paired.");
  explain_queries_only(few_draws, section);
  return section;
}

std::optional<ReportSection> published_section(const Study& study) {
  if (study.published.empty()) return {};
  ReportSection section{3, "Beside published figures", {}};
  GroupTable table(study);
  table.text_column("figure");
  for (const char* title : {"ours", "95 %", "published", "difference"}) table.column(title);
  table.text_column("source");
  for (const PublishedRow& row : study.published) {
    const std::string figure = row.figure.metric == "accuracy"        ? "accuracy"
                               : row.figure.metric == "request_ratio" ? "request time, ratio"
                                                                      : "setup, in requests";
    const bool share = row.figure.metric == "accuracy";
    const auto text = [&](double value) { return share ? fixed(value, 3) : significant(value, 3); };
    const double difference = row.ours ? row.ours->mean - row.figure.value : 0;
    table.add(row.group, {{figure},
                          {row.ours ? text(row.ours->mean) : kNoFigure},
                          {interval_text(row.ours, share ? 3 : 2, share)},
                          {text(row.figure.value)},
                          {row.ours ? (difference > 0 ? "+" : "") + text(difference) : kNoFigure},
                          {row.figure.source}});
  }
  section.parts.emplace_back(table.take());
  explain_queries_only(std::any_of(study.published.begin(), study.published.end(),
                                   [](const PublishedRow& row) { return queries_only(row.ours); }),
                       section);
  return section;
}

std::optional<ReportSection> lost_section(const Study& study) {
  if (study.input.lost.empty()) return {};
  ReportSection section{3, "Failed and missing", {}};
  ReportTable table;
  table.columns = {{"cell"}, {"run", true}, {"exit code", true}, {"what happened"}};
  for (const LostCell& cell : study.input.lost)
    table.rows.push_back({{cell.name},
                          {std::to_string(cell.run)},
                          {cell.exit_code ? std::to_string(*cell.exit_code) : kNoFigure},
                          {cell.message.empty() ? "has not run" : cell.message}});
  section.parts.emplace_back(std::move(table));
  return section;
}

ReportSection left_out_section(const Report& report) {
  ReportSection section{2, "Left out", {"These files are damaged or cannot be read:"}};
  ReportTable table;
  table.columns = {{"what is wrong"}};
  for (const std::string& line : report.left_out) table.rows.push_back({{line}});
  section.parts.emplace_back(std::move(table));
  return section;
}

}  // namespace dbsa
