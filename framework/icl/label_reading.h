// LabelReading: what a decoding has seen of one label, token by token.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace dbsa {

struct ReadToken {
  int32_t token = 0;
  // Natural logarithm, among what the decoding compares the token with; nothing where it has not
  // looked.
  std::optional<double> log_probability;
};

struct LabelReading {
  std::vector<ReadToken> tokens = {};  // none where no model was asked
  // As Answer's: of the label among all labels; nothing where the decoding did not follow it to its
  // end.
  std::optional<double> log_probability = {};
  // What bounds it then: the log-probability of its beginning, as far as that is known.
  double at_most = 0;
  // likelihood only: of the label's text, before all labels are made to sum to one.
  std::optional<double> log_likelihood = {};
  // vote only: demonstrations with this label in the selected blocks.
  std::optional<int64_t> votes = {};
};

}  // namespace dbsa
