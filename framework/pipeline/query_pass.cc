#include "pipeline/query_pass.h"

#include <algorithm>

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

Result<std::vector<float>> QueryPass::extend(std::span<const int32_t> ids, int64_t wanted) {
  if (ids.empty() || wanted < 1 || wanted > static_cast<int64_t>(ids.size()) ||
      length_ + static_cast<int64_t>(ids.size()) > kv_.tokens())
    return Error{ErrorCode::kInvalidArgument, "a query pass was extended past its capacity", ""};
  std::vector<float> logits;
  const auto count = static_cast<int64_t>(ids.size());
  for (int64_t first = 0; first < count;) {
    if (services_->cancelled()) return Error{ErrorCode::kCancelled, "stopped while answering", ""};
    const int64_t rows = std::min(chunk_tokens_, count - first);
    ForwardInput input;
    RowRange range;
    range.rows = rows;
    range.kv = &kv_;
    range.first_token = length_;
    range.segments = selected_segments();
    range.segments.push_back(
        {sizeof(dbsa_segment), DBSA_SEGMENT_CAUSAL, kv_.get(), 0, length_ + rows, start_, 0});
    input.ranges.push_back(std::move(range));
    std::vector<int64_t> logit_rows;
    for (int64_t i = 0; i < rows; ++i) {
      input.ids.push_back(ids[static_cast<size_t>(first + i)]);
      input.positions.push_back(static_cast<int32_t>(start_ + length_ + i));
      if (first + i >= count - wanted) logit_rows.push_back(i);
    }
    DBSA_ASSIGN_OR_RETURN(const std::vector<float> some, compute(input, logit_rows));
    logits.insert(logits.end(), some.begin(), some.end());
    length_ += rows;
    first += rows;
  }
  return logits;
}

Result<std::vector<float>> QueryPass::compute(const ForwardInput& input,
                                              std::span<const int64_t> logit_rows) {
  const Stopwatch watch;
  DBSA_ASSIGN_OR_RETURN(
      ForwardOutput output,
      forward_->run(input, logit_rows, [this](int32_t layer) { return verify(layer); }));
  away_seconds_ += watch.seconds() - output.seconds;
  return std::move(output.logits);
}

std::vector<dbsa_segment> QueryPass::selected_segments() const {
  std::vector<dbsa_segment> segments;
  for (const Selected& s : selected_)
    segments.push_back(
        {sizeof(dbsa_segment), DBSA_SEGMENT_FULL, s.block->kv().get(), 0, s.tokens, s.start, 0});
  return segments;
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

Status QueryPass::extend_tree(std::span<const TreeToken> rows, const TreeSink& sink) {
  if (length_ + static_cast<int64_t>(rows.size()) > kv_.tokens())
    return Error{ErrorCode::kInvalidArgument, "a query pass was extended past its capacity", ""};
  const auto chunk = static_cast<size_t>(chunk_tokens_);
  for (size_t first = 0; first < rows.size();) {
    if (services_->cancelled()) return Error{ErrorCode::kCancelled, "stopped while answering", ""};
    const size_t end = std::min(rows.size(), first + chunk);
    ForwardInput input;
    std::vector<int64_t> logit_rows;
    for (size_t begin = first; begin < end;) {
      size_t stop = begin + 1;
      while (stop < end && rows[stop].parent == static_cast<int32_t>(stop) - 1) ++stop;
      add_tree_run(rows, begin, stop, input);
      for (; begin < stop; ++begin) logit_rows.push_back(static_cast<int64_t>(begin - first));
    }
    DBSA_ASSIGN_OR_RETURN(const std::vector<float> logits, compute(input, logit_rows));
    const size_t vocabulary = logits.size() / logit_rows.size();
    for (size_t i = first; i < end; ++i)
      DBSA_RETURN_IF_ERROR(sink(static_cast<int32_t>(i),
                                std::span(logits).subspan((i - first) * vocabulary, vocabulary)));
    first = end;
  }
  return {};
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
