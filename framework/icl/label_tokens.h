// Token ids of labels, as they follow the query.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "icl/prompt.h"
#include "icl/tokenization.h"

namespace dbsa {

struct LabelTokens {
  std::vector<int32_t> ids;         // of the label, the space before it included
  std::vector<int32_t> terminator;  // of the separator after it; may be empty
};

// For each label the ids that a demonstration with it shows after the output prefix: the ids of
// lead + gap + label + separator (see label_lead, label_gap) minus the leading ids of just lead,
// cut before the separator. A token that spans the cut belongs to the label. With the usual output
// prefixes, which end in one space, this is rstrip(output_prefix) + " " + label + separator.
//
// The cut is found from the end: the terminator is the longest run of last tokens whose text lies
// within the separator. So nothing at the start (a sentencepiece dummy prefix) matters to it.
//
// A tokenizer may rewrite the separator (a sentencepiece model that makes spaces of line ends);
// what is left of it then counts as part of each label, and the terminator is empty.
//
// kConfig naming the label when the ids of the lead do not begin the whole's, so that the query
// would end in other tokens than demonstrations show, or when nothing is left of the label.
Result<std::vector<LabelTokens>> tokenize_labels(std::span<const std::string> labels,
                                                 const PromptFormat& format,
                                                 const Tokenize& tokenize,
                                                 const Detokenize& detokenize);

}  // namespace dbsa
