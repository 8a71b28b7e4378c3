// What the prompt's own texts and the data have in common, so that a model cannot tell them apart,
// or free decoding ends within an answer.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "icl/dataset.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// A sentence for each: demonstrations whose text has the separator or a prefix of the prompt; under
// free decoding labels that hold a text which ends answers, and labels of more tokens than an
// answer may have. labels: of the pool.
// Cost: O(bytes), and the tokenisation of the labels.
std::vector<std::string> prompt_doubts(const Settings& settings,
                                       std::span<const Example> demonstrations,
                                       std::span<const std::string> labels,
                                       const Tokenizer& tokenizer);

}  // namespace dbsa
