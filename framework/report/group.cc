// Figures of a group.
#include <set>

#include "report/study.h"

namespace dbsa {
namespace {

template <typename Value>
std::vector<double> values_over_runs(const std::vector<ReportRun>& runs, Value value) {
  std::vector<double> values;
  for (const ReportRun& run : runs) values.push_back(value(run));
  return values;
}

template <typename Value>
std::optional<Summary> summary_over_draws(const std::vector<ReportRun>& runs, Value value) {
  std::vector<double> values;
  for (const Draw& draw : draws_of(runs, value)) values.push_back(draw.value);
  return summarize(values);
}

Summary time_of(const std::vector<ReportRun>& runs, double ReportRun::*field) {
  return *summarize_positive(
      values_over_runs(runs, [&](const ReportRun& run) { return run.*field; }));
}

double mean_of(const std::vector<ReportRun>& runs, double ReportRun::*field) {
  return time_of(runs, field).mean;
}

std::optional<Summary> accuracy_of(const std::vector<ReportRun>& runs) {
  const auto accuracy = [](const ReportRun& run) { return run.accuracy; };
  std::optional<Summary> summary = summary_over_draws(runs, accuracy);
  if (!summary) return {};
  const std::vector<Draw> draws = draws_of(runs, accuracy);
  std::vector<LayoutCell> cells;
  for (size_t row = 0; row < draws.size(); ++row)
    for (const LayoutCell& cell : cells_of(correct_answers(draws[row]), row)) cells.push_back(cell);
  set_interval(*summary, accuracy_interval(summary->mean, cells));
  return summary;
}

// The mean time of a request: over runs and, where the records have its times, over queries.
Summary request_time_of(const std::vector<ReportRun>& runs) {
  Summary summary = time_of(runs, &ReportRun::request_mean);
  std::vector<LayoutCell> cells;
  for (size_t row = 0; row < runs.size(); ++row)
    for (const LayoutCell& cell : cells_of(answer_seconds(runs[row]), row)) cells.push_back(cell);
  cells = relative_deviations(std::move(cells));
  if (!cells.empty()) {
    summary.interval.reset();
    set_interval(summary, positive_interval(summary.mean, cells));
  }
  return summary;
}

Summary setup_of(const std::vector<ReportRun>& runs, bool& reused) {
  std::vector<double> whole, all;
  for (const ReportRun& run : runs) {
    all.push_back(run.setup);
    if (!run.reused) whole.push_back(run.setup);
  }
  reused = whole.empty();
  return *summarize_positive(reused ? all : whole);
}

void add_confidences(const ReportRun& run, std::vector<Confidence>& answers) {
  for (const ReportAnswer& answer : run.answers)
    if (answer.correct && answer.probability)
      answers.push_back({*answer.probability, *answer.correct});
}

// The error of each run, not that of all answers together: chance makes less of more answers.
void fill_reliability(ReportGroup& group) {
  std::map<const ReportRun*, Reliability> measured;
  for (const ReportRun& run : group.runs) {
    std::vector<Confidence> answers;
    add_confidences(run, answers);
    if (auto one = measure_reliability(answers)) measured[&run] = *std::move(one);
  }
  const auto figure = [&](double Reliability::*field) {
    return [&measured, field](const ReportRun& run) {
      const auto found = measured.find(&run);
      return found == measured.end() ? std::nullopt : std::optional(found->second.*field);
    };
  };
  group.calibration_error = summary_over_draws(group.runs, figure(&Reliability::error));
  group.calibration_error_by_chance =
      summary_over_draws(group.runs, figure(&Reliability::error_by_chance));
  std::vector<Confidence> answers;
  for (const Draw& draw : draws_of(group.runs, figure(&Reliability::error)))
    add_confidences(*draw.runs.front(), answers);
  group.reliability = measure_reliability(answers);
  group.risk_coverage = risk_coverage(answers);
}

// The answers of a run of each draw, as for reliability.
void fill_confusion(ReportGroup& group) {
  const auto answers = [](const ReportRun& run) {
    return run.confusion.empty() ? std::nullopt
                                 : std::optional(static_cast<double>(run.confusion.answers()));
  };
  for (const Draw& draw : draws_of(group.runs, answers))
    group.confusion.add(draw.runs.front()->confusion);
}

}  // namespace

QueryValues correct_answers(const Draw& draw) {
  QueryValues shares;
  std::map<uint64_t, double> counts;  // of runs
  for (const ReportRun* run : draw.runs)
    for (const ReportAnswer& answer : run->answers)
      if (answer.correct) {
        TextValue& share = shares[answer.query];
        share.text = answer.text;
        share.value += *answer.correct ? 1 : 0;
        counts[answer.query] += 1;
      }
  for (auto& [query, share] : shares) share.value /= counts[query];
  return shares;
}

QueryValues answer_seconds(const ReportRun& run) {
  QueryValues seconds;
  for (const ReportAnswer& answer : run.answers)
    if (answer.seconds) seconds[answer.query] = {answer.text, *answer.seconds};
  return seconds;
}

std::vector<LayoutCell> cells_of(const QueryValues& values, size_t row) {
  std::map<uint64_t, LayoutCell> texts;
  for (const auto& [query, value] : values) {
    LayoutCell& cell =
        texts.try_emplace(value.text, LayoutCell{row, value.text, 0, 0}).first->second;
    cell.value += value.value;
    cell.weight += 1;
  }
  std::vector<LayoutCell> cells;
  for (auto& [text, cell] : texts) {
    cell.value /= cell.weight;
    cells.push_back(cell);
  }
  return cells;
}

std::vector<LayoutCell> relative_deviations(std::vector<LayoutCell> cells) {
  double sum = 0, weights = 0;
  for (const LayoutCell& cell : cells) {
    sum += cell.weight * cell.value;
    weights += cell.weight;
  }
  if (sum <= 0) return {};
  for (LayoutCell& cell : cells) cell.value = cell.value / (sum / weights) - 1;
  return cells;
}

void fill_statistics(ReportGroup& group) {
  const std::vector<ReportRun>& runs = group.runs;
  group.draws = static_cast<int64_t>(
      draws_of(runs, [](const ReportRun&) { return std::optional(0.0); }).size());
  group.accuracy = accuracy_of(runs);
  group.macro_f1 = summary_over_draws(runs, [](const ReportRun& run) { return run.macro_f1; });
  std::set<std::string> names;
  for (const ReportRun& run : runs)
    for (const auto& [name, value] : run.scores) names.insert(name);
  for (const std::string& name : names)
    group.scores[name] = *summary_over_draws(runs, [&](const ReportRun& run) {
      const auto it = run.scores.find(name);
      return it == run.scores.end() ? std::nullopt : std::optional(it->second);
    });
  fill_reliability(group);
  fill_confusion(group);
  group.request_mean = request_time_of(runs);
  group.request_p50 = time_of(runs, &ReportRun::request_p50);
  group.request_p95 = time_of(runs, &ReportRun::request_p95);
  for (size_t stage = 0; stage < kAnswerSteps.size(); ++stage)
    for (const ReportRun& run : runs)
      group.stages[stage] += run.stages[stage] / static_cast<double>(runs.size());
  group.setup = setup_of(runs, group.setup_reused);
  group.kv_bytes = mean_of(runs, &ReportRun::kv_bytes);
  group.peak_memory_bytes = mean_of(runs, &ReportRun::peak_memory_bytes);
  group.demonstrations = mean_of(runs, &ReportRun::demonstrations);
  group.blocks = mean_of(runs, &ReportRun::blocks);
  group.tokens = mean_of(runs, &ReportRun::tokens);
  group.selected_tokens = mean_of(runs, &ReportRun::selected_tokens);
}

}  // namespace dbsa
