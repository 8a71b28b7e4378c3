// From a query to its label: what a pass computes for each way of decoding, step by step.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "icl/best_first_walk.h"
#include "icl/greedy_walk.h"
#include "icl/label_score.h"
#include "icl/label_trie.h"
#include "icl/likelihood_tree.h"
#include "icl/trie_reading.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/answer/query_pass.h"

namespace dbsa {

// What is done with one QueryPass: steps, each made of what the ones before it gave. What a
// decoding borrows outlives it.
class Decoding {
 public:
  virtual ~Decoding() = default;
  // The next step; nothing once it is done.
  virtual std::optional<QueryPass::Step> next() = 0;
  // The scores at one of the step's asks; all of them, in order, before the next step.
  virtual Status take(size_t ask, const host::TokenScores& scores) = 0;
};

// Notes what a walk sees. `label`: one that is to be read to its end, no matter what the walk
// needs; -1: none.
struct TrieNotes {
  TrieReading reading;
  int32_t label = -1;
};

// Nodes of a trie as rows behind a query, each computed once.
class TrieRows {
 public:
  TrieRows(const LabelTrie& trie, std::span<const int32_t> query)
      : trie_(trie), query_(query), row_of_(static_cast<size_t>(trie.size()), -1) {}

  bool has(int32_t node) const { return row_of_[static_cast<size_t>(node)] >= 0; }
  // One step over some nodes: ascending, the root first of all, those above them computed before or
  // among them. Asks after those that branch.
  QueryPass::Step step(std::span<const int32_t> nodes);
  // The node that an ask of the last step is about.
  int32_t node(size_t ask) const { return asking_[ask]; }

 private:
  const LabelTrie& trie_;
  std::span<const int32_t> query_;
  std::vector<int32_t> row_of_;  // [nodes]; -1: none
  int32_t row_count_ = 0;
  std::vector<int32_t> asking_;
};

// The likeliest label and the second likeliest (BestFirstWalk). Each request of the walk is one
// step over its tokens, the first one together with the query. notes: may be nullptr.
class BestFirstDecoding final : public Decoding {
 public:
  BestFirstDecoding(const LabelTrie& trie, std::span<const int32_t> query, TrieNotes* notes)
      : trie_(trie), walk_(trie), rows_(trie, query), notes_(notes) {}
  std::optional<QueryPass::Step> next() override;
  Status take(size_t ask, const host::TokenScores& scores) override;
  const Decision& decision() const { return walk_.decision(); }

 private:
  const LabelTrie& trie_;
  BestFirstWalk walk_;
  TrieRows rows_;
  TrieNotes* notes_;
  bool walking_ = true;
};

// All labels, read to their ends in one step.
class WholeTrieDecoding final : public Decoding {
 public:
  WholeTrieDecoding(const LabelTrie& trie, std::span<const int32_t> query)
      : trie_(trie), reading_(trie), rows_(trie, query) {}
  std::optional<QueryPass::Step> next() override;
  Status take(size_t ask, const host::TokenScores& scores) override;
  const TrieReading& reading() const { return reading_; }

 private:
  const LabelTrie& trie_;
  TrieReading reading_;
  TrieRows rows_;
  bool begun_ = false;
};

// Walks the label trie greedily (GreedyWalk). Each branching node that is looked at costs one step
// over the tokens that lead to it from the nearest node already computed. notes: may be nullptr.
class GreedyDecoding final : public Decoding {
 public:
  GreedyDecoding(const LabelTrie& trie, std::span<const int32_t> query, TrieNotes* notes)
      : trie_(trie), query_(query), walk_(trie), notes_(notes) {}
  std::optional<QueryPass::Step> next() override;
  Status take(size_t ask, const host::TokenScores& scores) override;
  const Decision& decision() const { return walk_.decision(); }

 private:
  QueryPass::Step step_to(int32_t node);

  const LabelTrie& trie_;
  std::span<const int32_t> query_;
  GreedyWalk walk_;
  TrieNotes* notes_;
  std::vector<int32_t> written_;              // in the pass
  std::optional<std::vector<int32_t>> rest_;  // of the label to be read, once the walk is done
  size_t read_ = 0;                           // of them
  int32_t node_ = 0;                          // that the step is about
};

// The edges of the tree, for its log_likelihoods and read_label, in one step.
class LikelihoodDecoding final : public Decoding {
 public:
  // length: of the pass, to go back to it first.
  LikelihoodDecoding(const LikelihoodTree& tree, std::span<const int32_t> query,
                     std::optional<int64_t> length = {})
      : tree_(tree), query_(query), length_(length), edges_(tree.make_edges()) {}
  std::optional<QueryPass::Step> next() override;
  Status take(size_t ask, const host::TokenScores& scores) override;
  const std::vector<double>& edges() const { return edges_; }

 private:
  const LikelihoodTree& tree_;
  std::span<const int32_t> query_;
  std::optional<int64_t> length_;
  std::vector<double> edges_;
  bool begun_ = false;
};

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

// What free decoding ends at.
struct FreeLimits {
  std::vector<std::string> stops;
  std::span<const int64_t> end_ids;
  int64_t max_tokens = 0;
};

// Takes the likeliest token behind the query until the text holds one of the stops, an
// end-of-sequence id comes, or max_tokens are written. The text ends before the stop, white space
// at both ends removed, cleaned up as the model's folder says. The white space before an answer is
// written, too: a stop in it ends the answer before it begins.
class FreeDecoding final : public Decoding {
 public:
  FreeDecoding(const Tokenizer& tokenizer, FreeLimits limits, std::span<const int32_t> query)
      : tokenizer_(tokenizer), limits_(std::move(limits)), query_(query) {}
  std::optional<QueryPass::Step> next() override;
  Status take(size_t ask, const host::TokenScores& scores) override;
  Generated generated() const;

 private:
  const Tokenizer& tokenizer_;
  const FreeLimits limits_;
  std::span<const int32_t> query_;
  std::vector<int32_t> ids_;
  std::vector<ReadToken> tokens_;
  double log_probability_ = 0;
  std::optional<std::string> stopped_;  // the text before a stop
  bool done_ = false;
};

// The log-probability of exactly these tokens behind the query, among the whole vocabulary. Begins
// with an empty pass.
class TokenScoring final : public Decoding {
 public:
  TokenScoring(std::vector<int32_t> ids, std::span<const int32_t> query)
      : ids_(std::move(ids)), query_(query) {}
  std::optional<QueryPass::Step> next() override;
  Status take(size_t ask, const host::TokenScores& scores) override;
  double log_probability() const { return sum_; }

 private:
  std::vector<int32_t> ids_;
  std::span<const int32_t> query_;
  size_t scored_ = 0;
  double sum_ = 0;
};

}  // namespace dbsa
