// Successive halving: which of many candidates is best, within a time.
//
// Queries come in slices. All candidates answer the first ones; the better half of them answers the
// next slice, and so on, until one is left. Candidate 0, the start, answers every slice and is
// never dropped. A candidate that has answered a slice is never asked for it again.
//
// Who is best of many by the same queries looks better there than it is. So what is left is
// compared with the start once more, by slices that have chosen nothing.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace dbsa {

// A candidate's answers to one slice.
struct SliceAnswers {
  std::vector<char> right;   // [queries of the slice] 1: right
  double once_seconds = 0;   // start of a process and the like: the next slice takes them again
  double query_seconds = 0;  // of each query
};

struct SliceOutcome {
  enum class Kind { kAnswered, kFailed, kNoTime } kind = Kind::kNoTime;
  SliceAnswers answers;  // kAnswered
  std::string failure;   // kFailed: why the candidate cannot run at all
};

struct Candidate {
  std::vector<char> right;                     // of all slices that it has answered, in order
  size_t slices = 0;                           // how many
  double once_seconds = 0, query_seconds = 0;  // of the last slice
  std::string failure;                         // "": none
  bool failed() const { return !failure.empty(); }
};

// Right answers among the first `queries`.
int64_t count_right(const Candidate& candidate, size_t queries);

struct HalvingRound {
  size_t queries = 0;              // answered by each so far
  std::vector<size_t> candidates;  // that have, best first
};

struct HalvingTask {
  std::vector<int64_t> slices;  // queries in each, not empty
  // Answers a slice by a candidate, ending before `until` on the clock of `seconds`. An error ends
  // it all.
  std::function<Result<SliceOutcome>(size_t candidate, size_t slice, double until)> answer;
  // Seconds since the start.
  std::function<double()> seconds;
  // Called once, when all candidates have answered the first slices: the number of candidates to
  // add, which catch up before any is dropped. round: queries that all those compared have
  // answered.
  std::function<size_t(const std::vector<Candidate>& candidates, size_t round)> more = {};
  // Called before each round with the candidates that it is between.
  std::function<void(size_t round, const std::vector<size_t>& candidates)> round_begins = {};
  std::function<void(const HalvingRound& round, const std::vector<Candidate>& candidates)>
      round_ends = {};
};

struct HalvingResult {
  std::vector<Candidate> candidates;
  std::vector<HalvingRound> rounds;
  size_t best = 0;           // 0: no other candidate was ahead of the start
  bool out_of_time = false;  // before one was left, or before all were tried
};

// Tries candidates 0 ... count - 1 until `until` seconds. kRun where the start itself fails.
Result<HalvingResult> halve(const HalvingTask& task, size_t count, double until);

// Lets candidates answer slices in turn, each slice by all of them, while there is time for a whole
// turn. Slices that only some have answered are left out. Costs of earlier slices say what a turn
// takes. kRun where one of them fails.
struct Confirmation {
  std::vector<std::vector<char>> right;  // [candidates][queries]
  size_t slices = 0;
};
Result<Confirmation> confirm(const HalvingTask& task, const std::vector<size_t>& candidates,
                             std::vector<Candidate> costs, double until);

}  // namespace dbsa
