#include "commands/answered_query.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "icl/example_check.h"
#include "pipeline/record/record.h"
#include "terminal/units.h"
#include "text/utf8.h"

namespace dbsa::cli {

using nlohmann::ordered_json;

ordered_json answered_to_json(const Example& example, const Answer& answer,
                              const std::vector<std::string>& labels) {
  ordered_json out = ordered_json::object();
  const bool labelled = !example.label.empty();
  out["text"] = example.text;
  out["expected"] = labelled ? ordered_json(example.label) : ordered_json(nullptr);
  out["correct"] =
      labelled ? ordered_json(is_right(example, answer.label.text)) : ordered_json(nullptr);
  out.update(answer_to_json(answer));
  ordered_json& scores = out["label_log_probabilities"];
  if (scores.is_array() && scores.size() == labels.size()) {
    ordered_json named = ordered_json::object();
    for (size_t i = 0; i < labels.size(); ++i) named[labels[i]] = std::move(scores[i]);
    scores = std::move(named);
  }
  return out;
}

Status check_text(const std::string& option, const std::string& text) {
  if (is_blank(text))
    return Error{ErrorCode::kConfig, option + " is empty or white space; give the text to label",
                 ""};
  if (utf8::find_invalid(text))
    return Error{ErrorCode::kConfig, option + " is not UTF-8; give it in UTF-8", ""};
  return {};
}

std::string percent(double log_probability) { return human_ratio(std::exp(log_probability)); }

std::string meaning_of_percent(const Pipeline& pipeline) {
  const DecodingSettings& decoding = pipeline.settings().decoding;
  if (decoding.method == DecodingMethod::kFree) return "of the text among all texts";
  if (decoding.method == DecodingMethod::kVote)
    return "of the chosen demonstrations that have the label";
  std::string text =
      "of the probability of all " +
      counted(static_cast<int64_t>(pipeline.pool().labels.size()), "label") +
      (decoding.method == DecodingMethod::kLikelihood ? ", by their likelihoods" : ", by tokens");
  if (decoding.scorer != LabelScorer::kSum) text += " after decoding.scorer";
  const std::optional<Calibration>& calibration = pipeline.calibration();
  const double temperature = calibration ? calibration->temperature : decoding.temperature;
  std::array<char, 48> number = {};
  std::snprintf(number.data(), number.size(), "; temperature %.3g", temperature);
  if (decoding.fit_temperature || temperature != 1) text += number.data();
  if (decoding.fit_confidence) text += "; a curve of confidence";
  if (decoding.fit_temperature || decoding.fit_confidence)
    text += ", fitted on " + counted(calibration->answered, "held-out demonstration");
  return text;
}

}  // namespace dbsa::cli
