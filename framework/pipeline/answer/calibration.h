// What a pool's held-out demonstrations (data.held_out) say of the probabilities of answers: the
// temperature (decoding.fit_temperature), the curve of confidence (decoding.fit_confidence), and
// the labels' mean probabilities (decoding.scorer = "batch"). They are answered once, and the
// result is kept with the pool (kept_calibration.h) under a hash of all that it depends on.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "icl/confidence_curve.h"
#include "icl/label_scorer.h"

namespace dbsa {

struct Calibration {
  double temperature = 1;
  std::optional<ConfidenceCurve> curve;  // after the temperature
  std::vector<double> log_prior;         // [labels] under `batch`, see label_scorer.h; else empty
  int64_t held_out = 0;                  // demonstrations
  int64_t answered = 0;                  // of these, the ones that could be; it is made of them
  // Expected calibration errors over the held-out answers, see reliability.h: with temperature 1,
  // and with this one and the curve.
  double error_before = 0, error_after = 0;
  bool operator==(const Calibration&) const = default;
};

// What the model says of all labels behind a query, [labels]. likelihood: the scorer's scores, the
// log-likelihoods under `batch`; trie: log-probabilities at temperature 1.
struct LabelEvidence {
  std::vector<double> scores;
};

// A held-out demonstration that could be answered.
struct HeldOut {
  LabelEvidence evidence;
  int32_t label = 0;  // the right one
};

// What is fitted. temperature: what it is where fit_temperature is false.
struct CalibrationRule {
  bool fit_temperature = false;
  double temperature = 1;
  bool fit_confidence = false;
};
// held_out: at least one. scoring: of `batch`; nullptr: scores are taken as they are. `held_out` of
// the result is not filled in.
Calibration make_calibration(const LabelScoring* scoring, const CalibrationRule& rule,
                             std::span<const HeldOut> held_out);

// {"slope", "offset"}, or null
nlohmann::ordered_json curve_to_json(const std::optional<ConfidenceCurve>& curve);

// identity: 32 hexadecimal digits.
std::string calibration_text(const Calibration& calibration, const std::string& identity);
// kCorrupt for text that calibration_text did not write, or wrote for another identity or number of
// labels; name: of the pool.
Result<Calibration> parse_calibration(std::string_view text, const std::string& name,
                                      const std::string& identity, size_t labels);

}  // namespace dbsa
