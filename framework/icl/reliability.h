// How far the probabilities of answers can be believed, and what is gained by not answering where
// they are low.
//
// Answers of equal probability that an edge parts share their accuracy on both sides of it: nothing
// here depends on the order of the queries.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dbsa {

// An answer with a known right one.
struct Confidence {
  double probability = 0;  // of the answer
  bool right = false;
};

struct ReliabilityBin {
  int64_t answers = 0;
  double low = 0, high = 0;  // least and greatest probability
  double confidence = 0;     // mean probability
  double accuracy = 0;
};

inline constexpr int64_t kReliabilityBins = 10;

struct Reliability {
  int64_t answers = 0;
  // The expected calibration error over kReliabilityBins bins of equal mass: the mean, by answers,
  // of |accuracy - confidence|.
  double error = 0;
  // What it would be on average if every answer were right with exactly its probability: only
  // chance, at this number of answers.
  double error_by_chance = 0;
  std::vector<ReliabilityBin> bins;  // ascending; fewer where there are fewer answers
};

// Nothing without answers. Cost: O(n log n), and for bins of up to some thousand answers the square
// of their number.
std::optional<Reliability> measure_reliability(std::span<const Confidence> answers);

struct CoveragePoint {
  double coverage = 0;           // share of the answers that are given, the likeliest
  int64_t answers = 0;           // their number
  double least_probability = 0;  // of them
  double accuracy = 0;           // of them; 1 less it is the risk
};

// From all answers to a tenth of them, in tenths. None without answers.
std::vector<CoveragePoint> risk_coverage(std::span<const Confidence> answers);

}  // namespace dbsa
