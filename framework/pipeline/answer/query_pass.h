// The rows of one query: a live KV behind the selected blocks, extended token by token or many at a
// time. Selected blocks are seen in full, in place, at the positions given; the query's own rows
// are causal.
//
// The same object serves the query's prefill and what follows: truncate() goes back to an earlier
// length, so that another continuation can be tried.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "host/host_services.h"
#include "icl/tree_token.h"
#include "model/decoder/decoder.h"
#include "pipeline/answer/forward_batch.h"
#include "pipeline/encode/block_cache.h"

namespace dbsa {

class QueryPass {
 public:
  struct Selected {
    std::shared_ptr<OpenBlock> block;
    int64_t tokens = 0;
    int64_t start = 0;  // position of its token 0
    LayerSet layers;    // that read it, from the query's first row on
  };

  // capacity: tokens that the query may grow to; rows of a tree find room beyond it, too. start:
  // position of its first token.
  static Result<QueryPass> begin(Forward& forward, host::AttentionBackend& backend,
                                 const host::HostServices& services, std::vector<Selected> selected,
                                 int64_t start, int64_t capacity, int64_t chunk_tokens);

  // Appends tokens; the scores of what may follow the last of them, at `asked`. Stored planes that
  // their layer reads are verified ahead of it: kCorrupt when one does not match, or when scores
  // are not finite and a stored number is not either; the pass is then of no use. kCancelled
  // between two chunks.
  Result<host::TokenScores> extend(std::span<const int32_t> ids, std::span<const int32_t> asked);

  // Appends tokens, and rows to the tree of tokens behind the last one; all are computed together.
  // A row sees the selected blocks, the tokens, and the rows above it, its parent being a row of
  // this call or an earlier one; rows are numbered through the calls. Tokens that are appended
  // later, and truncate(), drop the tree. sink gets the scores at what is asked for after a row,
  // in the order of asks. Errors as above, and those of sink.
  struct TreeAsk {
    int32_t row = -1;  // of the tree, of this call; -1: the last of ids
    std::span<const int32_t> tokens;
  };
  using Sink = std::function<Status(const TreeAsk& ask, host::TokenScores scores)>;
  Status extend(std::span<const int32_t> ids, std::span<const TreeToken> rows,
                std::span<const TreeAsk> asks, const Sink& sink);  // asks: ascending rows

  // Forgets the tokens from `length` on.
  void truncate(int64_t length) {
    length_ = length;
    drop_tree();
  }
  int64_t length() const { return length_; }

  // Time spent on the first call of extend(), for this query only and without verifying.
  double first_seconds() const { return first_seconds_.value_or(0); }
  // Time spent verifying planes so far.
  double verify_seconds() const { return verify_seconds_; }
  // Time that went to other queries so far, while this one's rows were computed with theirs.
  double away_seconds() const { return away_seconds_; }

 private:
  QueryPass(Forward& forward, host::AttentionBackend& backend, const host::HostServices& services,
            std::vector<Selected> selected, int64_t start, int64_t chunk_tokens)
      : forward_(&forward),
        backend_(&backend),
        services_(&services),
        selected_(std::move(selected)),
        start_(start),
        chunk_tokens_(chunk_tokens) {}
  Status verify(int32_t layer);
  Status check_scores(std::span<const host::TokenScores> scores);
  Result<std::vector<host::TokenScores>> compute(const ForwardInput& input,
                                                 std::span<const ScoreAsk> asks);
  std::vector<dbsa_segment> selected_segments() const;
  void add_run(std::span<const int32_t> ids, int64_t first_token, ForwardInput& input);
  Status place_rows(std::span<const TreeToken> rows);
  void drop_tree();
  int32_t run_begin(int32_t row) const;
  void add_tree_run(int32_t begin, int32_t end, ForwardInput& input);

  Forward* forward_;
  host::AttentionBackend* backend_;
  const host::HostServices* services_;
  std::vector<Selected> selected_;
  int64_t start_;
  int64_t chunk_tokens_;
  host::Kv kv_;
  int64_t length_ = 0;
  // The tree's rows lie in kv_ behind the tokens; those of a call that do not fit, in a page.
  struct TreeRow {
    TreeToken token;
    int32_t page;  // -1: kv_
    int64_t slot;  // index in it
  };
  std::vector<TreeRow> tree_;
  std::vector<host::Kv> pages_;
  std::optional<double> first_seconds_;
  double verify_seconds_ = 0;
  double away_seconds_ = 0;
};

}  // namespace dbsa
