#include "pipeline/kv_error.h"

#include <algorithm>
#include <cmath>

namespace dbsa {
namespace {

class Changes {
 public:
  void add(double quantised, double reference) {
    if (!std::isfinite(quantised) || !std::isfinite(reference)) return;
    const double change = std::fabs(quantised - reference);
    ++count_;
    sum_ += change;
    max_ = std::max(max_, change);
  }
  void finish(KvError& error) const {
    error.log_probabilities = count_;
    error.mean = count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
    error.max = max_;
  }

 private:
  int64_t count_ = 0;
  double sum_ = 0, max_ = 0;
};

std::vector<AnswerLabel> named_labels(const Answer& answer) {
  std::vector<AnswerLabel> labels = {answer.label};
  if (answer.runner_up) labels.push_back(*answer.runner_up);
  return labels;
}

}  // namespace

KvError compare_answers(std::span<const Answer> quantised, std::span<const Answer> reference) {
  KvError error;
  Changes changes;
  for (size_t i = 0; i < std::min(quantised.size(), reference.size()); ++i) {
    const Answer& a = quantised[i];
    const Answer& b = reference[i];
    ++error.queries;
    error.labels_changed += a.label.text != b.label.text;
    if (!a.label_log_probabilities.empty() &&
        a.label_log_probabilities.size() == b.label_log_probabilities.size()) {
      for (size_t label = 0; label < a.label_log_probabilities.size(); ++label)
        changes.add(a.label_log_probabilities[label], b.label_log_probabilities[label]);
      continue;
    }
    for (const AnswerLabel& label : named_labels(a))
      for (const AnswerLabel& same : named_labels(b))
        if (label.text == same.text) changes.add(label.log_probability, same.log_probability);
  }
  changes.finish(error);
  return error;
}

}  // namespace dbsa
