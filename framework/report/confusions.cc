// What labels are taken for what.
#include <algorithm>
#include <map>
#include <set>

#include "report/report.h"
#include "report/sections.h"
#include "report/text.h"

namespace dbsa {
namespace {

// What is shown and stays readable: labels of a matrix, confusions of a table, groups of a study.
constexpr size_t kMostLabels = 20;
constexpr size_t kMostConfusions = 20;
constexpr size_t kMostMatrices = 24;

constexpr const char* kNoAnswer = "no answer";

std::string share_text(const std::optional<double>& share) {
  return share ? fixed(*share, 3) : kNoFigure;
}

std::string given_text(const Confusion& pair) {
  return pair.given.empty() ? kNoAnswer : pair.given;
}

// Labels of the most frequent confusions, at most kMostLabels; all where they are few.
std::set<std::string> choose_labels(const std::vector<LabelScores>& labels,
                                    const std::vector<Confusion>& confusions) {
  std::set<std::string> chosen;
  if (labels.size() <= kMostLabels) {
    for (const LabelScores& label : labels) chosen.insert(label.label);
    return chosen;
  }
  for (const Confusion& pair : confusions) {
    std::set<std::string> with = chosen;
    with.insert(pair.expected);
    if (!pair.given.empty()) with.insert(pair.given);
    if (with.size() <= kMostLabels) chosen = std::move(with);
  }
  return chosen;
}

// Each label beside the one it is most often confused with, of those that are left; else the one
// with the most confusions.
std::vector<std::string> beside_confused(std::set<std::string> labels,
                                         const std::vector<Confusion>& confusions) {
  std::vector<std::string> order;
  while (!labels.empty()) {
    std::string next;
    for (const Confusion& pair : confusions) {  // the most frequent first
      const bool free = labels.contains(pair.expected) || labels.contains(pair.given);
      if (!next.empty() || !free) continue;
      if (order.empty()) next = labels.contains(pair.expected) ? pair.expected : pair.given;
      if (!order.empty() && pair.expected == order.back() && labels.contains(pair.given))
        next = pair.given;
      if (!order.empty() && pair.given == order.back() && labels.contains(pair.expected))
        next = pair.expected;
    }
    for (const Confusion& pair : confusions)
      if (next.empty() && labels.contains(pair.expected)) next = pair.expected;
    if (next.empty()) next = *labels.begin();
    labels.erase(next);
    order.push_back(std::move(next));
  }
  return order;
}

std::string percent(double share) { return fixed(100 * share, 1) + " %"; }

ReportTable confusion_table(const ConfusionMatrix& matrix,
                            const std::vector<Confusion>& confusions) {
  std::map<std::string, int64_t> expected;
  for (const LabelScores& label : matrix.labels()) expected[label.label] = label.expected;
  ReportTable table;
  table.columns = {{"expected"}, {"given"}, {"answers", true}, {"of those that expect it", true}};
  for (size_t i = 0; i < std::min(confusions.size(), kMostConfusions); ++i) {
    const Confusion& pair = confusions[i];
    const auto count = static_cast<double>(pair.count);
    table.rows.push_back({{pair.expected},
                          {given_text(pair)},
                          {grouped(count)},
                          {percent(count / static_cast<double>(expected[pair.expected]))}});
  }
  return table;
}

ReportTable label_table(const std::vector<LabelScores>& labels) {
  ReportTable table;
  table.columns = {{"label"},           {"expected", true}, {"given", true}, {"right", true},
                   {"precision", true}, {"recall", true},   {"F1", true}};
  for (const LabelScores& label : labels)
    table.rows.push_back({{label.label},
                          {grouped(static_cast<double>(label.expected))},
                          {grouped(static_cast<double>(label.given))},
                          {grouped(static_cast<double>(label.right))},
                          {share_text(label.precision)},
                          {share_text(label.recall)},
                          {fixed(label.f1, 3)}});
  return table;
}

ReportSection folded_section(const ReportGroup& group, bool has_methods) {
  const std::vector<LabelScores> labels = group.confusion.labels();
  const std::vector<Confusion> confusions = group.confusion.confusions();
  ReportSection section{4, group.name, {}, true};
  if (has_methods) section.method = group.method;
  const ReportMatrix matrix = shown_matrix(group.confusion);
  section.parts.emplace_back(
      grouped(static_cast<double>(group.confusion.answers())) + " answers, " +
      grouped(static_cast<double>(labels.size())) + " labels. Rows: what is expected; columns: " +
      "what is given, with the numbers of the rows." +
      (matrix.labels < labels.size()
           ? " Shown are the " + std::to_string(matrix.labels) +
                 " labels of the most frequent confusions; the others are counted together."
           : ""));
  section.parts.emplace_back(matrix);
  if (!confusions.empty()) {
    section.parts.emplace_back(
        confusions.size() > kMostConfusions
            ? "The " + std::to_string(kMostConfusions) + " most frequent of " +
                  grouped(static_cast<double>(confusions.size())) + " confusions:"
            : std::string("All confusions:"));
    section.parts.emplace_back(confusion_table(group.confusion, confusions));
  }
  section.parts.emplace_back(std::string("Each label:"));
  section.parts.emplace_back(label_table(labels));
  return section;
}

// All groups with a matrix; where they are many, the baselines and the best of each bundle.
std::vector<size_t> shown_groups(const Study& study) {
  std::vector<size_t> all, few;
  for (const std::vector<size_t>& bundle : study.bundles) {
    std::vector<size_t> members;
    for (const size_t i : bundle)
      if (!study.groups[i].confusion.empty()) members.push_back(i);
    if (members.empty()) continue;
    const auto accuracy = [&](size_t i) {
      return study.groups[i].accuracy ? study.groups[i].accuracy->mean : 0;
    };
    const size_t best = *std::max_element(members.begin(), members.end(), [&](size_t a, size_t b) {
      return accuracy(a) < accuracy(b);
    });
    for (const size_t i : members) {
      all.push_back(i);
      if (i == best || study.groups[i].is_baseline) few.push_back(i);
    }
  }
  std::vector<size_t>& chosen = all.size() <= kMostMatrices ? all : few;
  if (chosen.size() > kMostMatrices) chosen.resize(kMostMatrices);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace

ReportMatrix shown_matrix(const ConfusionMatrix& confusion) {
  const std::vector<LabelScores> labels = confusion.labels();
  const std::vector<Confusion> confusions = confusion.confusions();
  ReportMatrix matrix;
  matrix.rows = beside_confused(choose_labels(labels, confusions), confusions);
  matrix.labels = matrix.rows.size();
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < matrix.labels; ++i) places[matrix.rows[i]] = i;
  if (matrix.labels < labels.size()) matrix.rows.emplace_back("other labels");
  matrix.columns = matrix.rows;
  const bool unanswered = std::any_of(confusions.begin(), confusions.end(),
                                      [](const Confusion& pair) { return pair.given.empty(); });
  if (unanswered) matrix.columns.emplace_back(kNoAnswer);
  matrix.counts.assign(matrix.rows.size(), std::vector<int64_t>(matrix.columns.size()));
  const auto place = [&](const std::string& label) {
    const auto found = places.find(label);
    return found == places.end() ? matrix.labels : found->second;
  };
  for (const LabelScores& label : labels)
    matrix.counts[place(label.label)][place(label.label)] += label.right;
  for (const Confusion& pair : confusions) {
    const size_t row = place(pair.expected);
    const size_t column = pair.given.empty() ? matrix.columns.size() - 1 : place(pair.given);
    matrix.counts[row][column] += pair.count;
  }
  for (size_t row = 0; row < matrix.labels; ++row)
    for (size_t column = 0; column < matrix.labels; ++column)
      if (row != column)
        matrix.most_wrong = std::max(matrix.most_wrong, matrix.counts[row][column]);
  return matrix;
}

std::vector<ReportSection> label_sections(const Study& study) {
  std::vector<ReportSection> sections;
  GroupTable table(study);
  table.column("labels");
  table.text_column("weakest label");
  table.column("its F1");
  table.text_column("most frequent confusion");
  table.column("answers");
  for (size_t i = 0; i < study.groups.size(); ++i) {
    const ConfusionMatrix& matrix = study.groups[i].confusion;
    if (matrix.empty()) continue;
    const std::vector<LabelScores> labels = matrix.labels();
    const std::vector<Confusion> confusions = matrix.confusions();
    const auto weakest = std::min_element(
        labels.begin(), labels.end(), [](const LabelScores& a, const LabelScores& b) {
          return a.f1 < b.f1 || (a.f1 == b.f1 && a.expected > b.expected);
        });
    std::string most = kNoFigure, answers = kNoFigure;
    if (!confusions.empty()) {
      most = confusions[0].expected + " → " + given_text(confusions[0]);
      answers = grouped(static_cast<double>(confusions[0].count));
    }
    table.add(i, {{grouped(static_cast<double>(labels.size()))},
                  {weakest->label},
                  {fixed(weakest->f1, 3)},
                  {most},
                  {answers}});
  }
  if (table.empty()) return sections;
  ReportSection section{3, "Labels and confusions", {}};
  section.parts.emplace_back(
      "Over the answers of a run of each draw, all together; expected → given. The page has the "
      "confusion matrix of each group, and precision, recall and F1 of each label.");
  section.parts.emplace_back(table.take());
  const std::vector<size_t> shown = shown_groups(study);
  const auto with_matrix =
      static_cast<size_t>(std::count_if(study.groups.begin(), study.groups.end(),
                                        [](const auto& g) { return !g.confusion.empty(); }));
  if (shown.size() < with_matrix)
    section.parts.emplace_back("The page shows the matrices of " + std::to_string(shown.size()) +
                               " of " + std::to_string(with_matrix) +
                               " groups: baselines and the most accurate group of each bundle; "
                               "`report --json` has all.");
  sections.push_back(std::move(section));
  for (const size_t i : shown)
    sections.push_back(folded_section(study.groups[i], study.methods > 1));
  return sections;
}

}  // namespace dbsa
