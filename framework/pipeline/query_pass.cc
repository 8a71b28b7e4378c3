#include "pipeline/query_pass.h"

#include <algorithm>
#include <cmath>

#include "pipeline/stopwatch.h"

namespace dbsa {

Result<QueryPass> QueryPass::begin(Forward& forward, host::AttentionBackend& backend,
                                   const host::HostServices& services,
                                   std::vector<Selected> selected, int64_t start, int64_t capacity,
                                   int64_t chunk_tokens) {
  QueryPass pass(forward, services, std::move(selected), start, chunk_tokens);
  DBSA_ASSIGN_OR_RETURN(pass.kv_, backend.kv_create(capacity));
  return pass;
}

Result<host::TokenScores> QueryPass::extend(std::span<const int32_t> ids,
                                            std::span<const int32_t> asked) {
  host::TokenScores last;
  DBSA_RETURN_IF_ERROR(extend(ids, asked, nullptr, [&](int32_t, host::TokenScores scores) {
    last = std::move(scores);
    return Status();
  }));
  return last;
}

Result<std::vector<double>> QueryPass::extend(std::span<const int32_t> ids, const LabelTree& tree) {
  std::vector<double> edges = tree.make_edges();
  DBSA_RETURN_IF_ERROR(
      extend(ids, tree.next_tokens(-1), &tree, [&](int32_t row, const host::TokenScores& scores) {
        return tree.supply(row, scores.values, edges);
      }));
  return tree.log_likelihoods(edges);
}

Status QueryPass::extend(std::span<const int32_t> ids, std::span<const int32_t> asked,
                         const LabelTree* tree, const Sink& sink) {
  const Stopwatch watch;
  const double before = verify_seconds_ + away_seconds_;
  const std::span<const TreeToken> rows = tree ? tree->rows() : std::span<const TreeToken>();
  const size_t count = ids.size() + rows.size();
  if (ids.empty() || length_ + static_cast<int64_t>(count) > kv_.tokens())
    return Error{ErrorCode::kInvalidArgument, "a query pass was extended past its capacity", ""};
  const int64_t base = length_;
  length_ += static_cast<int64_t>(ids.size());
  const auto chunk = static_cast<size_t>(chunk_tokens_);
  for (size_t first = 0; first < count;) {
    if (services_->cancelled()) return Error{ErrorCode::kCancelled, "stopped while answering", ""};
    const size_t end = std::min(count, first + chunk);
    ForwardInput input;
    std::vector<ScoreAsk> asks;
    std::vector<int32_t> asking;  // row of the tree, -1: the last of ids
    const auto ask = [&](int32_t row, size_t of_chunk, std::span<const int32_t> tokens) {
      asks.push_back({static_cast<int64_t>(of_chunk), tokens});
      asking.push_back(row);
    };
    size_t at = first;
    if (at < ids.size()) {
      const size_t stop = std::min(end, ids.size());
      add_run(ids.subspan(at, stop - at), base + static_cast<int64_t>(at), input);
      if (stop == ids.size()) ask(-1, stop - 1 - first, asked);
      at = stop;
    }
    while (at < end) {
      const size_t begin = at - ids.size();
      size_t stop = begin + 1;
      while (ids.size() + stop < end && rows[stop].parent == static_cast<int32_t>(stop) - 1) ++stop;
      add_tree_run(rows, begin, stop, input);
      for (; at < ids.size() + stop; ++at) {
        const auto row = static_cast<int32_t>(at - ids.size());
        ask(row, at - first, tree->next_tokens(row));
      }
    }
    DBSA_ASSIGN_OR_RETURN(std::vector<host::TokenScores> scores, compute(input, asks));
    for (size_t i = 0; i < scores.size(); ++i)
      DBSA_RETURN_IF_ERROR(sink(asking[i], std::move(scores[i])));
    first = end;
  }
  if (!first_seconds_)
    first_seconds_ = watch.seconds() - (verify_seconds_ + away_seconds_ - before);
  return {};
}

Result<std::vector<host::TokenScores>> QueryPass::compute(const ForwardInput& input,
                                                          std::span<const ScoreAsk> asks) {
  const Stopwatch watch;
  DBSA_ASSIGN_OR_RETURN(ForwardOutput output, forward_->run(input, asks, [this](int32_t layer) {
    return verify(layer);
  }));
  away_seconds_ += watch.seconds() - output.seconds;
  DBSA_RETURN_IF_ERROR(check_scores(output.scores));
  return std::move(output.scores);
}

// Scores that are not finite may be the doing of a stored block.
Status QueryPass::check_scores(std::span<const host::TokenScores> scores) {
  const auto finite = [](const host::TokenScores& one) {
    return std::isfinite(one.best_value) &&
           std::all_of(one.values.begin(), one.values.end(),
                       [](double value) { return std::isfinite(value); });
  };
  if (std::all_of(scores.begin(), scores.end(), finite)) return {};
  for (const Selected& selected : selected_)
    if (Status sound = selected.block->verify_content(); !sound.ok())
      return Error{sound.error().code,
                   "block " + selected.block->key().hex() + ": " + sound.error().message, ""};
  return {};
}

std::vector<dbsa_segment> QueryPass::selected_segments() const {
  std::vector<dbsa_segment> segments;
  for (const Selected& s : selected_)
    segments.push_back(
        {sizeof(dbsa_segment), DBSA_SEGMENT_FULL, s.block->kv().get(), 0, s.tokens, s.start, 0});
  return segments;
}

// One range: tokens first_token.. of the live KV, which see those before them.
void QueryPass::add_run(std::span<const int32_t> ids, int64_t first_token, ForwardInput& input) {
  const auto rows = static_cast<int64_t>(ids.size());
  RowRange range;
  range.rows = rows;
  range.kv = &kv_;
  range.first_token = first_token;
  range.segments = selected_segments();
  range.segments.push_back(
      {sizeof(dbsa_segment), DBSA_SEGMENT_CAUSAL, kv_.get(), 0, first_token + rows, start_, 0});
  input.ids.insert(input.ids.end(), ids.begin(), ids.end());
  for (int64_t i = 0; i < rows; ++i)
    input.positions.push_back(static_cast<int32_t>(start_ + first_token + i));
  input.ranges.push_back(std::move(range));
}

// One range: rows begin..end - 1, each but the first a child of the one before it. Token i of the
// tree stands in slot length_ + i of the live KV, whatever its position. A run of such rows is one
// segment wherever a chunk cuts it, so that a row's segments, and its bits, do not depend on that.
void QueryPass::add_tree_run(std::span<const TreeToken> rows, size_t begin, size_t end,
                             ForwardInput& input) {
  const auto segment = [&](int32_t kind, int64_t first, int64_t length, int64_t depth) {
    return dbsa_segment{sizeof(dbsa_segment),     kind, kv_.get(), length_ + first, length,
                        start_ + length_ + depth, 0};
  };
  RowRange range;
  range.rows = static_cast<int64_t>(end - begin);
  range.kv = &kv_;
  range.first_token = length_ + static_cast<int64_t>(begin);
  range.segments = selected_segments();
  range.segments.push_back(
      {sizeof(dbsa_segment), DBSA_SEGMENT_FULL, kv_.get(), 0, length_, start_, 0});
  const auto run_begin = [&](int32_t row) {
    while (row > 0 && rows[static_cast<size_t>(row)].parent == row - 1) --row;
    return row;
  };
  // The rows above, from the nearest run up.
  const int32_t own = run_begin(static_cast<int32_t>(begin));
  for (int32_t above = rows[static_cast<size_t>(own)].parent; above >= 0;) {
    const int32_t first = run_begin(above);
    range.segments.push_back(segment(DBSA_SEGMENT_FULL, first, above - first + 1,
                                     rows[static_cast<size_t>(first)].depth));
    above = rows[static_cast<size_t>(first)].parent;
  }
  range.segments.push_back(segment(DBSA_SEGMENT_CAUSAL, own, static_cast<int64_t>(end) - own,
                                   rows[static_cast<size_t>(own)].depth));
  for (size_t i = begin; i < end; ++i) {
    input.ids.push_back(rows[i].token);
    input.positions.push_back(static_cast<int32_t>(start_ + length_ + rows[i].depth));
  }
  input.ranges.push_back(std::move(range));
}

Status QueryPass::verify(int32_t layer) {
  const Stopwatch watch;
  for (const Selected& selected : selected_) {
    DBSA_RETURN_IF_ERROR(selected.block->verify(layer));
  }
  verify_seconds_ += watch.seconds();
  return {};
}

}  // namespace dbsa
