// From a query's logits to a label.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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

// Where the first of the stops that the text holds begins. The text is looked at as a whole, so
// that a stop may span tokens. Cost: O(bytes) a stop.
std::optional<size_t> find_stop(std::string_view text, std::span<const std::string> stops);

// Takes the likeliest token until the text holds one of the stops, an end-of-sequence id comes, or
// max_tokens are written. The text ends before the stop, white space at both ends removed. The
// white space before an answer is written, too: a stop in it ends the answer before it begins.
Result<Generated> decode_free(const Tokenizer& tokenizer, std::span<const std::string> stops,
                              std::span<const int64_t> end_ids, int64_t max_tokens, QueryPass& pass,
                              std::vector<float> logits);

}  // namespace dbsa
