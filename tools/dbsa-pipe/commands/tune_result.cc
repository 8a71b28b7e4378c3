#include "commands/tune_result.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "icl/intervals.h"
#include "session.h"
#include "terminal/units.h"

namespace dbsa::cli {
namespace {

using nlohmann::ordered_json;

std::vector<LayoutCell> cells_of(const std::vector<char>& right, size_t queries) {
  std::vector<LayoutCell> cells;
  for (size_t i = 0; i < queries; ++i) cells.push_back({0, i, right[i] != 0 ? 1.0 : 0.0, 1});
  return cells;
}

double mean_of(const std::vector<LayoutCell>& cells) {
  double sum = 0;
  for (const LayoutCell& cell : cells) sum += cell.value;
  return cells.empty() ? 0 : sum / static_cast<double>(cells.size());
}

template <typename... Numbers>
std::string formatted(const char* format, Numbers... numbers) {
  std::array<char, 160> text = {};
  std::snprintf(text.data(), text.size(), format, numbers...);
  return text.data();
}

ordered_json to_json(const Interval& interval) { return {interval.low, interval.high}; }

ordered_json figure_json(const TuneFigure& figure) {
  return {{"queries", figure.queries},
          {"correct", figure.correct},
          {"accuracy", figure.accuracy},
          {"accuracy_95", to_json(figure.interval)}};
}

ordered_json difference_json(const std::optional<TuneDifference>& difference) {
  if (!difference) return nullptr;
  return {{"mean", difference->mean}, {"interval_95", to_json(difference->interval)}};
}

ordered_json candidate_json(const TuneResult& result, size_t index) {
  const Candidate& candidate = result.halving.candidates[index];
  ordered_json settings = ordered_json::object();
  for (const KeyValue& setting : result.candidates[index].settings)
    settings[setting.key] = setting.value;
  ordered_json out = {{"name", result.candidates[index].name}, {"settings", std::move(settings)}};
  out["state"] = candidate.failed() ? "failed" : candidate.right.empty() ? "not_tried" : "answered";
  if (candidate.failed()) out["failure"] = candidate.failure;
  if (candidate.right.empty()) return out;
  out["answers"] = figure_json(figure_of(candidate.right));
  out["query_seconds"] = candidate.query_seconds;
  if (index > 0)
    out["difference"] =
        difference_json(difference_of(candidate.right, result.halving.candidates[0].right));
  return out;
}

// How many candidates were not tried, or could not run.
size_t count_state(const TuneResult& result, bool failed) {
  return static_cast<size_t>(std::count_if(
      result.halving.candidates.begin(), result.halving.candidates.end(),
      [&](const Candidate& c) { return failed ? c.failed() : !c.failed() && c.right.empty(); }));
}

// Its first line, without the place in a candidate's own file, which goes with the folder.
std::string why(const TuneResult& result, const Candidate& candidate) {
  std::string line = candidate.failure.substr(0, candidate.failure.find('\n'));
  const size_t place = line.starts_with(result.directory) ? line.find(": ") : line.npos;
  return place == line.npos ? line : line.substr(place + 2);
}

std::vector<std::string> not_tried_lines(const TuneResult& result) {
  std::string not_tried;
  std::vector<std::string> lines;
  for (size_t i = 0; i < result.candidates.size(); ++i) {
    const Candidate& candidate = result.halving.candidates[i];
    const std::string& name = result.candidates[i].name;
    if (candidate.failed())
      lines.push_back("Could not run: " + name + ": " + why(result, candidate));
    else if (candidate.right.empty())
      not_tried += (not_tried.empty() ? "" : "; ") + name;
  }
  if (!not_tried.empty()) lines.insert(lines.begin(), "Not tried, for lack of time: " + not_tried);
  return lines;
}

}  // namespace

TuneFigure figure_of(const std::vector<char>& right) {
  TuneFigure figure;
  figure.queries = static_cast<int64_t>(right.size());
  figure.correct = std::count(right.begin(), right.end(), 1);
  if (!right.empty())
    figure.accuracy = static_cast<double>(figure.correct) / static_cast<double>(right.size());
  figure.interval = wilson_interval(figure.correct, figure.queries);
  return figure;
}

std::optional<TuneDifference> difference_of(const std::vector<char>& own,
                                            const std::vector<char>& base) {
  const size_t queries = std::min(own.size(), base.size());
  const std::vector<LayoutCell> own_cells = cells_of(own, queries);
  const std::vector<LayoutCell> base_cells = cells_of(base, queries);
  const double mean = mean_of(own_cells), base_mean = mean_of(base_cells);
  const auto interval = difference_interval({mean, own_cells}, {base_mean, base_cells});
  if (!interval) return {};
  return TuneDifference{mean - base_mean, interval->interval};
}

std::string figure_text(const TuneFigure& figure) {
  return formatted("%.1f %% right (95 %%: %.1f to %.1f)", 100 * figure.accuracy,
                   100 * figure.interval.low, 100 * figure.interval.high);
}

std::string difference_text(const TuneDifference& difference) {
  return formatted("%+.1f points (95 %%: %+.1f to %+.1f)", 100 * difference.mean,
                   100 * difference.interval.low, 100 * difference.interval.high);
}

size_t TuneResult::tried() const {
  return halving.candidates.size() - count_state(*this, true) - count_state(*this, false);
}

size_t TuneResult::chosen() const {
  if (halving.best == 0) return 0;
  const auto difference = difference_of(best_right, start_right);
  return difference && difference->interval.low > 0 ? halving.best : 0;
}

std::string TuneResult::reason() const {
  if (halving.best == 0)
    return "No other settings were ahead of the start file's on the queries that they were tried "
           "on, so the start file's settings are kept.";
  const std::string& best = candidates[halving.best].name;
  if (start_right.empty())
    return "There was no time to confirm what was ahead (" + best +
           "), so the start file's settings are kept.";
  if (chosen() != 0) return "The settings (" + best + ") are better than the start file's.";
  return "What was ahead (" + best +
         ") is not better than the start file beyond chance on the queries of the confirmation, so "
         "the start file's settings are kept.";
}

std::vector<std::string> TuneResult::linear_lines() const {
  if (!linear) return {"No linear classifier: " + no_linear};
  const std::vector<char>& own = chosen() != 0 ? best_right : start_right;
  std::vector<char> same = linear->right;
  if (!own.empty()) same.resize(own.size());
  std::vector<std::string> lines = {"TF-IDF + logistic regression, trained on the same " +
                                    human_count(pool) +
                                    " demonstrations: " + figure_text(figure_of(same)) + " of " +
                                    counted_queries(static_cast<int64_t>(same.size())) + "."};
  const auto difference = difference_of(own, same);
  if (!difference) return lines;
  const std::string by = difference_text(*difference);
  if (difference->interval.low > 0)
    lines.push_back("This pipeline is better than that: by " + by + ".");
  else if (difference->interval.high < 0)
    lines.push_back("That is better than this pipeline, whose difference is " + by +
                    ", and it costs next to nothing: use it for this data.");
  else
    lines.push_back("Neither is better beyond chance: this pipeline's difference is " + by +
                    ", and the linear classifier costs next to nothing.");
  return lines;
}

ordered_json tune_to_json(const TuneResult& result) {
  ordered_json out = {{"schema_version", 1},
                      {"pipeline", result.pipeline},
                      {"output", result.output},
                      {"directory", result.directory},
                      {"minutes", result.minutes},
                      {"seconds", result.seconds},
                      {"out_of_time", result.halving.out_of_time},
                      {"seed", result.seed},
                      {"demonstrations", result.pool},
                      {"queries_from_pool", result.from_pool},
                      {"selection_queries", result.selection_queries},
                      {"confirmation_queries", result.confirmation_queries}};
  out["candidates"] = ordered_json::array();
  for (size_t i = 0; i < result.candidates.size(); ++i)
    out["candidates"].push_back(candidate_json(result, i));
  out["rounds"] = ordered_json::array();
  for (const HalvingRound& round : result.halving.rounds) {
    ordered_json names = ordered_json::array();
    for (const size_t candidate : round.candidates)
      names.push_back(result.candidates[candidate].name);
    out["rounds"].push_back({{"queries", round.queries}, {"candidates", std::move(names)}});
  }
  out["best"] = result.candidates[result.halving.best].name;
  out["chosen"] = result.candidates[result.chosen()].name;
  out["reason"] = result.reason();
  ordered_json& confirmed = out["confirmation"] = nullptr;
  if (!result.start_right.empty()) {
    confirmed = {
        {"start", figure_json(figure_of(result.start_right))},
        {"best", nullptr},
        {"difference", difference_json(difference_of(result.best_right, result.start_right))}};
    if (!result.best_right.empty()) confirmed["best"] = figure_json(figure_of(result.best_right));
  }
  out["linear"] = nullptr;
  if (!result.linear) {
    out["no_linear"] = result.no_linear;
    return out;
  }
  const std::vector<char>& own = result.chosen() != 0 ? result.best_right : result.start_right;
  std::vector<char> same = result.linear->right;
  if (!own.empty()) same.resize(own.size());
  out["linear"] = {{"penalty", result.linear->penalty},
                   {"answers", figure_json(figure_of(same))},
                   {"difference", difference_json(difference_of(own, same))}};
  return out;
}

void print_tune(const TuneResult& result, Terminal& terminal) {
  terminal.out("");
  Table table({{"queries", Table::Align::kRight},
               {"accuracy", Table::Align::kRight},
               {"95 %"},
               {"against the start"},
               {"s/query", Table::Align::kRight},
               {"settings"}});
  std::vector<size_t> order;
  for (size_t i = 0; i < result.candidates.size(); ++i)
    if (!result.halving.candidates[i].right.empty()) order.push_back(i);
  // Those that came farthest first; of them the better.
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const std::vector<char>&one = result.halving.candidates[a].right,
          &other = result.halving.candidates[b].right;
    if (one.size() != other.size()) return one.size() > other.size();
    return figure_of(one).correct > figure_of(other).correct;
  });
  for (const size_t i : order) {
    const Candidate& candidate = result.halving.candidates[i];
    const TuneFigure figure = figure_of(candidate.right);
    const auto difference =
        i == 0 ? std::nullopt : difference_of(candidate.right, result.halving.candidates[0].right);
    table.add({human_count(figure.queries), formatted("%.1f %%", 100 * figure.accuracy),
               formatted("%.1f to %.1f", 100 * figure.interval.low, 100 * figure.interval.high),
               difference ? difference_text(*difference) : "-",
               formatted("%.3f", candidate.query_seconds), result.candidates[i].name});
  }
  table.print(terminal);
  terminal.out("");
  for (const std::string& line : not_tried_lines(result)) terminal.out(line);
  if (!result.start_right.empty()) {
    terminal.out("confirmed on " +
                 counted_queries(static_cast<int64_t>(result.start_right.size())) +
                 " that chose nothing:");
    terminal.out("  start      " + figure_text(figure_of(result.start_right)));
    if (!result.best_right.empty()) {
      terminal.out("  best       " + figure_text(figure_of(result.best_right)));
      if (const auto difference = difference_of(result.best_right, result.start_right))
        terminal.out("  difference " + difference_text(*difference));
    }
  }
  terminal.out(terminal.out_style(Style::kBold, result.reason()));
  for (const std::string& line : result.linear_lines()) terminal.out(line);
  terminal.out("\npipeline     " + shown_path(result.output));
  terminal.out("records      " + shown_path(result.directory) +
               "  (with a store; it may be removed)");
}

std::vector<std::string> head_comment(const TuneResult& result) {
  std::vector<std::string> lines = {"Written by dbsa-pipe tune on " + result.date + ":",
                                    "  " + result.command, "", result.reason(), ""};
  const size_t queries = result.halving.candidates[0].right.size();
  lines.push_back("Chosen from " + counted(static_cast<int64_t>(result.tried()), "candidate") +
                  ", this file's old settings among them, by up to " +
                  human_count(static_cast<int64_t>(queries)) + " demonstrations that the pool (" +
                  human_count(result.pool) + " demonstrations) did not have.");
  if (!result.start_right.empty()) {
    lines.push_back("Then, on " + human_count(static_cast<int64_t>(result.start_right.size())) +
                    " other demonstrations, which had chosen nothing:");
    lines.push_back("  the start file  " + figure_text(figure_of(result.start_right)));
    if (!result.best_right.empty()) {
      lines.push_back("  the best        " + figure_text(figure_of(result.best_right)));
      if (const auto difference = difference_of(result.best_right, result.start_right))
        lines.push_back("  the difference  " + difference_text(*difference));
    }
  }
  for (const std::string& line : result.linear_lines()) lines.push_back(line);
  lines.emplace_back("Intervals cover the choice of queries, not that of demonstrations.");
  for (const std::string& line : not_tried_lines(result)) lines.push_back(line);
  return lines;
}

std::vector<std::string> key_comment(const TuneResult& result, const std::string& key,
                                     const std::string& from) {
  std::vector<std::string> lines = {"tune: " + (from.empty() ? "was not set" : "was " + from)};
  const KeyValues& chosen = result.candidates[result.chosen()].settings;
  const auto own = std::find_if(chosen.begin(), chosen.end(),
                                [&](const KeyValue& setting) { return setting.key == key; });
  if (own == chosen.end()) return lines;
  for (size_t i = 1; i < result.candidates.size(); ++i) {
    const KeyValues& settings = result.candidates[i].settings;
    if (settings.size() != 1 || settings[0].key != key || settings[0].value != own->value) continue;
    const std::vector<char>& right = result.halving.candidates[i].right;
    const auto difference = difference_of(right, result.halving.candidates[0].right);
    if (!difference) continue;
    lines[0] += "; this change alone: " + difference_text(*difference) + " on " +
                counted_queries(static_cast<int64_t>(right.size())) + ",";
    lines.emplace_back("which it was chosen by: expect less on others");
  }
  return lines;
}

}  // namespace dbsa::cli
