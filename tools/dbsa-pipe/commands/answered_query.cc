#include "commands/answered_query.h"

#include <cmath>

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

}  // namespace dbsa::cli
