// The rows of one query: a live KV behind the selected blocks, extended token by token or many at a
// time. Selected blocks are seen in full, in place, at the positions given; the query's own rows
// are causal.
//
// The same object serves the query's prefill and what follows: a step may go back to an earlier
// length, so that another continuation can be tried. A step is computed in chunks:
//
//   DBSA_RETURN_IF_ERROR(pass.begin_step(step));
//   while (pass.in_step()) { compute pass.rows(); DBSA_RETURN_IF_ERROR(pass.take(scores, sink)); }
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "icl/tree_token.h"
#include "model/decoder/scheduler.h"
#include "pipeline/encode/block_cache.h"

namespace dbsa {

// One user at a time. Does not move between rows() and take().
class QueryPass {
 public:
  struct Selected {
    std::shared_ptr<OpenBlock> block;
    int64_t tokens = 0;
    int64_t start = 0;  // position of its token 0
    LayerSet layers;    // in which the query's rows, and those behind them, read it
  };

  // capacity: tokens that the query may grow to; rows of a tree find room beyond it, too. start:
  // position of its first token.
  static Result<QueryPass> begin(host::AttentionBackend& backend, std::vector<Selected> selected,
                                 int64_t start, int64_t capacity, int64_t chunk_tokens);

  // The scores of what may follow a row: the likeliest token, and these.
  struct Ask {
    int32_t row = -1;  // of the tree, of this step; -1: the last of ids
    std::vector<int32_t> tokens;
  };
  // Tokens that are appended, and rows of the tree of tokens behind the last one. A row sees the
  // selected blocks, the tokens, and the rows above it, its parent being a row of this step or an
  // earlier one; rows are numbered through the steps. Tokens drop the tree.
  struct Step {
    std::optional<int64_t> length;  // go back to it first; drops the tree, too
    std::vector<int32_t> ids;
    std::vector<TreeToken> rows;
    std::vector<Ask> asks;  // ascending rows
  };
  // kInvalidArgument for a step without rows, or past the capacity.
  Status begin_step(Step step);
  bool in_step() const { return first_ < step_rows(); }

  // The next chunk of the step. Stored planes that a layer reads are verified ahead of it:
  // kCorrupt when one does not match; the pass is then of no use.
  Scheduler::Rows rows();
  // What it gave. sink gets the scores with the ask's index in the step. kCorrupt, too, when scores
  // are not finite and a stored number is not either; and the errors of sink.
  using Sink = std::function<Status(size_t ask, const host::TokenScores& scores)>;
  Status take(std::span<const host::TokenScores> scores, const Sink& sink);

  // Time spent verifying planes so far.
  double verify_seconds() const { return verify_seconds_; }

 private:
  QueryPass(host::AttentionBackend& backend, std::vector<Selected> selected, int64_t start,
            int64_t chunk_tokens)
      : backend_(&backend),
        selected_(std::move(selected)),
        start_(start),
        chunk_tokens_(chunk_tokens) {}
  size_t step_rows() const { return step_.ids.size() + step_.rows.size(); }
  size_t place(const Ask& ask) const;
  Status verify(int32_t layer);
  Status check_scores(std::span<const host::TokenScores> scores);
  std::vector<dbsa_segment> selected_segments() const;
  void add_run(std::span<const int32_t> ids, int64_t first_token);
  Status place_rows(std::span<const TreeToken> rows);
  void drop_tree();
  int32_t run_begin(int32_t row) const;
  void add_tree_run(int32_t begin, int32_t end);

  host::AttentionBackend* backend_;
  std::vector<Selected> selected_;
  int64_t start_;
  int64_t chunk_tokens_;
  host::Kv kv_;
  int64_t length_ = 0;
  // The tree's rows lie in kv_ behind the tokens; those of a step that do not fit, in a page.
  struct TreeRow {
    TreeToken token;
    int32_t page;  // -1: kv_
    int64_t slot;  // index in it
  };
  std::vector<TreeRow> tree_;
  std::vector<host::Kv> pages_;
  // The step that is computed: tokens before it, its first row in the tree, rows and asks that are
  // done, and the chunk at hand.
  Step step_;
  int64_t base_ = 0;
  int32_t first_tree_row_ = 0;
  size_t first_ = 0, end_ = 0;
  size_t asked_ = 0;
  ForwardInput input_;
  std::vector<ScoreAsk> wanted_;
  double verify_seconds_ = 0;
};

}  // namespace dbsa
