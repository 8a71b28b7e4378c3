// From a query to its label.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "icl/label_score.h"
#include "icl/label_trie.h"
#include "icl/likelihood_tree.h"
#include "icl/trie_reading.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/answer/query_pass.h"

namespace dbsa {

// All four append the query's ids to the pass.

// Notes what a walk sees. `label`: one that is to be read to its end, no matter what the walk
// needs; -1: none.
struct TrieNotes {
  TrieReading reading;
  int32_t label = -1;
};

// The likeliest label and the second likeliest (BestFirstWalk). Each request of the walk is one
// pass over its tokens, the first one together with the query. notes: may be nullptr.
Result<Decision> decode_best_first(const LabelTrie& trie, QueryPass& pass,
                                   std::span<const int32_t> query, TrieNotes* notes);

// All labels, read to their ends in one pass.
Result<TrieReading> read_trie(const LabelTrie& trie, QueryPass& pass,
                              std::span<const int32_t> query);

// Walks the label trie greedily (GreedyWalk). Each branching node that is looked at costs one pass
// over the tokens that lead to it from the nearest node already computed.
Result<Decision> decode_greedily(const LabelTrie& trie, QueryPass& pass,
                                 std::span<const int32_t> query, TrieNotes* notes);

// The edges of the tree, for its log_likelihoods and read_label, in one pass.
Result<std::vector<double>> decode_likelihood(const LikelihoodTree& tree, QueryPass& pass,
                                              std::span<const int32_t> query);

struct Generated {
  std::string text;
  double log_probability = 0;  // the sum of those of its tokens
  // That were taken, among the whole vocabulary; what ends the answer, and a stop, included.
  std::vector<ReadToken> tokens;
};

// Where the first of the stops that the text holds begins. The text is looked at as a whole, so
// that a stop may span tokens. Cost: O(bytes) a stop.
std::optional<size_t> find_stop(std::string_view text, std::span<const std::string> stops);

// The text of the ids before the first stop, or nothing where they hold none. Stops are looked for
// in the text with special tokens written out, so that one may be or hold a special token
// ("<|im_end|>"); the result is without them. Cost: O(bytes) a stop, and where one is found
// decoding for each token behind it.
std::optional<std::string> text_before_stop(const Tokenizer& tokenizer,
                                            std::span<const int32_t> ids,
                                            std::span<const std::string> stops);

// Takes the likeliest token behind the query until the text holds one of the stops, an
// end-of-sequence id comes, or max_tokens are written. The text ends before the stop, white space
// at both ends removed, cleaned up as the model's folder says. The white space before an answer is
// written, too: a stop in it ends the answer before it begins.
Result<Generated> decode_free(const Tokenizer& tokenizer, std::span<const std::string> stops,
                              std::span<const int64_t> end_ids, int64_t max_tokens, QueryPass& pass,
                              std::span<const int32_t> query);

// The log-probability of exactly these tokens behind the query, among the whole vocabulary. The
// query's ids need not be in the pass.
Result<double> score_tokens(std::span<const int32_t> ids, QueryPass& pass,
                            std::span<const int32_t> query);

}  // namespace dbsa
