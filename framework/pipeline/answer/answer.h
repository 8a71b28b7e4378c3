// What a query is answered with.
#pragma once

#include <dbsa/sdk/kv_store.h>

#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "icl/item_error.h"

namespace dbsa {

// What a request does, in this order; how records, reports and messages call it.
enum class AnswerStep {
  kRetrieve,  // retriever and selection
  kLoad,      // store look-up and import
  kVerify,    // checksums of planes not read before in this process
  kPrefill,   // the query's tokens and rows
  kDecode,    // the label
  kRebuild,   // encoding blocks that were damaged or gone
};
inline constexpr std::array<const char*, 6> kAnswerSteps = {"retrieve", "load",   "verify",
                                                            "prefill",  "decode", "rebuild"};

// Seconds of one request in each step.
struct AnswerTimings {
  std::array<double, kAnswerSteps.size()> steps = {};
  double& operator[](AnswerStep step) { return steps[static_cast<size_t>(step)]; }
  double operator[](AnswerStep step) const { return steps[static_cast<size_t>(step)]; }
  double total() const { return std::accumulate(steps.begin(), steps.end(), 0.0); }
};

struct AnswerLabel {
  std::string text;
  // Natural logarithm. trie, greedy_trie and likelihood: of the label among all labels, after
  // scorer and temperature; vote: of its share of the votes; free: of the generated text.
  double log_probability = 0;
};

struct AnswerBlock {
  int64_t block = 0;            // index in the pool
  std::optional<double> score;  // the retriever's; none for anchors and fill
  int64_t start = 0;            // position of its first token in the answer plan
  int64_t tokens = 0;
  KvKey key;  // of its keys and values
};

// Stored keys and values that the rows of a query read: layers with a window leave out the blocks
// beyond it.
struct KvLoaded {
  uint64_t bytes = 0;             // whole planes, also those that an earlier query had read
  uint64_t all_layers_bytes = 0;  // of the selected blocks
};

struct Answer {
  AnswerLabel label;
  std::optional<AnswerLabel> runner_up;  // not under free; with two labels or more
  bool abstained = false;  // the label is withheld: its probability is below decoding.abstain_below
  // likelihood only: log-probability of each of the pool's labels among them all, in their order.
  std::vector<double> label_log_probabilities;
  std::vector<AnswerBlock> blocks;  // in prompt order
  int64_t selected_tokens = 0;
  int64_t query_tokens = 0;
  int64_t cut_tokens = 0;      // of the text, left out of query_tokens (data.truncate)
  int64_t blocks_rebuilt = 0;  // damaged or gone, and encoded again
  KvLoaded kv_loaded;          // nothing where no stored block is used
  AnswerTimings seconds;
};

// What became of a query. Its own error says nothing about the others.
using Outcome = std::variant<Answer, ItemError>;

}  // namespace dbsa
