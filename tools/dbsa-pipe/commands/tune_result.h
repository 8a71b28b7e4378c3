// What `tune` found, for people, for programs, and for the comments of the file that it writes.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "commands/tune_cells.h"
#include "icl/metrics.h"
#include "sweep/halving.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

struct TuneFigure {
  int64_t queries = 0, correct = 0;
  double accuracy = 0;
  Interval interval;  // 95 %, over other queries
};
TuneFigure figure_of(const std::vector<char>& right);

struct TuneDifference {
  double mean = 0;
  Interval interval;  // 95 %, paired by query
};
// Of own - base over the first queries that both have answered; none for no query.
std::optional<TuneDifference> difference_of(const std::vector<char>& own,
                                            const std::vector<char>& base);

struct LinearBaseline {
  double penalty = 0;
  std::vector<char> right;  // [confirmation queries]
};

struct TuneResult {
  std::string pipeline;  // the start file
  std::string command;   // that made this
  std::string date;      // UTC
  std::string output, directory;
  double minutes = 0, seconds = 0;
  uint64_t seed = 0;
  int64_t pool = 0, selection_queries = 0, confirmation_queries = 0;
  bool from_pool = false;
  std::vector<TuneCandidate> candidates;  // the start first
  HalvingResult halving;
  std::vector<char> start_right,
      best_right;  // [confirmed queries]; best: empty where it is the start
  std::optional<LinearBaseline> linear;
  std::string no_linear;  // why there is none

  size_t tried() const;  // candidates with an answer
  // The best candidate where it is confirmed to be better than the start, else 0.
  size_t chosen() const;
  std::string reason() const;  // why that one, one sentence
  // What the linear classifier reaches, and which is better, one sentence each.
  std::vector<std::string> linear_lines() const;
};

std::string figure_text(const TuneFigure& figure);  // "72.4 % right (95 %: 68.5 to 76.0)"
std::string difference_text(
    const TuneDifference& difference);  // "+6.4 points (95 %: +3.2 to +9.7)"

nlohmann::ordered_json tune_to_json(const TuneResult& result);
void print_tune(const TuneResult& result, Terminal& terminal);
// The lines of the head comment of the new file.
std::vector<std::string> head_comment(const TuneResult& result);
// What a changed key's comment says of it. from: its value in the start file, as TOML, "" for none.
std::vector<std::string> key_comment(const TuneResult& result, const std::string& key,
                                     const std::string& from);

}  // namespace dbsa::cli
