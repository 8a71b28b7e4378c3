// From a query's logits to a label.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "icl/label_tree.h"
#include "icl/label_trie.h"
#include "icl/trie_walk.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/query_pass.h"

namespace dbsa {

// Walks the label trie greedily. `pass` holds the query's rows, `logits` are those after the last
// of them. Each branching node that is looked at costs one pass over the tokens that lead to it
// from the nearest node already computed.
Result<Decision> decode_trie(const LabelTrie& trie, QueryPass& pass, std::vector<float> logits);

// Natural logarithm of each label's likelihood, [labels], in one pass over the whole tree.
// `logits`: those after the query's last token.
Result<std::vector<double>> score_labels(const LabelTree& tree, QueryPass& pass,
                                         std::span<const float> logits);

struct Generated {
  std::string text;
  double log_probability = 0;  // of its tokens, natural logarithm
  int64_t tokens = 0;
};

// Takes the likeliest token until the text holds `separator`, an end-of-sequence id comes, or
// max_tokens are written. The text ends before the separator, white space at both ends removed.
Result<Generated> decode_free(const Tokenizer& tokenizer, std::string_view separator,
                              std::span<const int64_t> end_ids, int64_t max_tokens, QueryPass& pass,
                              std::vector<float> logits);

}  // namespace dbsa
