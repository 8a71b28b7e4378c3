#include "pipeline/answer/calibration.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "config/json_text.h"
#include "icl/reliability.h"
#include "icl/temperature.h"

namespace dbsa {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kCalibrationVersion = 2;

// Of answers with this temperature and curve.
double error_at(std::span<const ScoredAnswer> answers, double temperature,
                const std::optional<ConfidenceCurve>& curve) {
  std::vector<Confidence> confidences;
  for (const ScoredAnswer& answer : answers) {
    std::vector<double> scores = log_softmax(answer.scores, temperature);
    if (curve) apply_confidence_curve(*curve, scores);
    confidences.push_back(
        {std::exp(*std::max_element(scores.begin(), scores.end())), answer.right});
  }
  const std::optional<Reliability> measured = measure_reliability(confidences);
  return measured ? measured->error : 0;
}

Error unsound(const std::string& name, const std::string& what) {
  return Error{ErrorCode::kCorrupt,
               name + ": not a sound calibration: " + what +
                   "; run `dbsa-pipe encode` again (stored blocks are reused)",
               ""};
}

// Throws what nlohmann throws.
Calibration read_fields(const json& value) {
  Calibration calibration;
  calibration.temperature = value.at("temperature").get<double>();
  if (const json& curve = value.at("curve"); !curve.is_null())
    calibration.curve = {curve.at("slope").get<double>(), curve.at("offset").get<double>()};
  calibration.log_prior = value.at("log_prior").get<std::vector<double>>();
  calibration.held_out = value.at("held_out").get<int64_t>();
  calibration.answered = value.at("answered").get<int64_t>();
  calibration.error_before = value.at("error_before").get<double>();
  calibration.error_after = value.at("error_after").get<double>();
  return calibration;
}

std::string fault_of(const Calibration& calibration, size_t labels) {
  const auto is_share = [](double value) { return value >= 0 && value <= 1; };
  if (!(calibration.temperature >= kLeastTemperature &&
        calibration.temperature <= kMostTemperature))
    return "its temperature is out of range";
  if (calibration.curve &&
      !(calibration.curve->slope >= 0 && std::isfinite(calibration.curve->slope) &&
        std::isfinite(calibration.curve->offset)))
    return "its curve is none";
  if (!calibration.log_prior.empty() && calibration.log_prior.size() != labels)
    return "it has " + std::to_string(calibration.log_prior.size()) + " labels, expected " +
           std::to_string(labels);
  for (const double value : calibration.log_prior)
    if (!(std::isfinite(value) && value <= 1e-6)) return "a label's mean probability is above 1";
  if (calibration.answered < 1 || calibration.held_out < calibration.answered)
    return "its counts do not agree";
  if (!is_share(calibration.error_before) || !is_share(calibration.error_after))
    return "an error is no share";
  return "";
}

}  // namespace

Calibration make_calibration(const LabelScoring* scoring, const CalibrationRule& rule,
                             std::span<const HeldOut> held_out) {
  Calibration calibration;
  if (scoring != nullptr) {
    std::vector<std::vector<double>> sums;
    for (const HeldOut& one : held_out) sums.push_back(one.evidence.scores);
    calibration.log_prior = scoring->prior(sums);
  }
  std::vector<ScoredAnswer> answers;
  for (const HeldOut& one : held_out) {
    std::vector<double> scores = scoring != nullptr
                                     ? scoring->scores(one.evidence.scores, calibration.log_prior)
                                     : one.evidence.scores;
    const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
    answers.push_back({std::move(scores), best == one.label});
  }
  calibration.temperature = rule.fit_temperature ? fit_temperature(answers) : rule.temperature;
  if (rule.fit_confidence)
    calibration.curve = fit_confidence_curve(answers, calibration.temperature);
  calibration.answered = static_cast<int64_t>(held_out.size());
  calibration.error_before = error_at(answers, 1, std::nullopt);
  calibration.error_after = error_at(answers, calibration.temperature, calibration.curve);
  return calibration;
}

ordered_json curve_to_json(const std::optional<ConfidenceCurve>& curve) {
  if (!curve) return nullptr;
  return {{"slope", curve->slope}, {"offset", curve->offset}};
}

std::string calibration_text(const Calibration& calibration, const std::string& identity) {
  const ordered_json out = {
      {"calibration", kCalibrationVersion},     {"identity", identity},
      {"temperature", calibration.temperature}, {"curve", curve_to_json(calibration.curve)},
      {"log_prior", calibration.log_prior},     {"held_out", calibration.held_out},
      {"answered", calibration.answered},       {"error_before", calibration.error_before},
      {"error_after", calibration.error_after}};
  return out.dump(1) + "\n";
}

Result<Calibration> parse_calibration(std::string_view text, const std::string& name,
                                      const std::string& identity, size_t labels) {
  json value;
  if (parse_json(text, value) || !value.is_object()) return unsound(name, "it is no JSON object");
  if (value.value("calibration", json()) != kCalibrationVersion)
    return unsound(name, "it is of another version");
  if (value.value("identity", json()) != identity)
    return unsound(name, "it is that of another pool or other settings");
  try {
    Calibration calibration = read_fields(value);
    if (const std::string fault = fault_of(calibration, labels); !fault.empty())
      return unsound(name, fault);
    return calibration;
  } catch (const json::exception&) {
    return unsound(name, "a field is missing or not of its type");
  }
}

}  // namespace dbsa
