#include "pipeline/answer/query_pass.h"

#include <algorithm>
#include <cmath>

#include "config/stopwatch.h"

namespace dbsa {

Result<QueryPass> QueryPass::begin(host::AttentionBackend& backend, std::vector<Selected> selected,
                                   int64_t start, int64_t capacity, int64_t chunk_tokens) {
  QueryPass pass(backend, std::move(selected), start, chunk_tokens);
  DBSA_ASSIGN_OR_RETURN(pass.kv_, backend.kv_create(capacity));
  return pass;
}

Status QueryPass::begin_step(Step step) {
  if (step.length) {
    length_ = *step.length;
    drop_tree();
  }
  const auto tokens = static_cast<int64_t>(step.ids.size());
  if ((step.ids.empty() && step.rows.empty()) || length_ + tokens > kv_.tokens())
    return Error{ErrorCode::kInvalidArgument, "a query pass was extended past its capacity", ""};
  step_ = std::move(step);
  first_ = end_ = asked_ = 0;
  if (!step_.ids.empty()) drop_tree();
  base_ = length_;
  length_ += tokens;
  first_tree_row_ = static_cast<int32_t>(tree_.size());
  return place_rows(step_.rows);
}

// Row of the step that an ask is about, from the first of ids on.
size_t QueryPass::place(const Ask& ask) const {
  return ask.row < 0 ? step_.ids.size() - 1
                     : step_.ids.size() + static_cast<size_t>(ask.row - first_tree_row_);
}

Scheduler::Rows QueryPass::rows() {
  const std::span<const int32_t> ids = step_.ids;
  end_ = std::min(step_rows(), first_ + static_cast<size_t>(chunk_tokens_));
  input_ = {};
  size_t at = first_;
  if (at < ids.size()) {
    const size_t stop = std::min(end_, ids.size());
    add_run(ids.subspan(at, stop - at), base_ + static_cast<int64_t>(at));
    at = stop;
  }
  while (at < end_) {
    const auto begin = first_tree_row_ + static_cast<int32_t>(at - ids.size());
    const auto last = first_tree_row_ + static_cast<int32_t>(end_ - ids.size());
    int32_t stop = begin + 1;
    while (stop < last && run_begin(stop) < stop) ++stop;
    add_tree_run(begin, stop);
    at += static_cast<size_t>(stop - begin);
  }
  wanted_.clear();
  for (size_t i = asked_; i < step_.asks.size() && place(step_.asks[i]) < end_; ++i)
    wanted_.push_back({static_cast<int64_t>(place(step_.asks[i]) - first_), step_.asks[i].tokens});
  return {&input_, wanted_, [this](int32_t layer) { return verify(layer); }};
}

Status QueryPass::take(std::span<const host::TokenScores> scores, const Sink& sink) {
  DBSA_RETURN_IF_ERROR(check_scores(scores));
  for (const host::TokenScores& one : scores) DBSA_RETURN_IF_ERROR(sink(asked_++, one));
  first_ = end_;
  return {};
}

void QueryPass::drop_tree() {
  tree_.clear();
  pages_.clear();
}

Status QueryPass::place_rows(std::span<const TreeToken> rows) {
  if (rows.empty()) return {};
  int64_t slot = length_ + static_cast<int64_t>(tree_.size());
  int32_t page = -1;
  if (!pages_.empty() || slot + static_cast<int64_t>(rows.size()) > kv_.tokens()) {
    page = static_cast<int32_t>(pages_.size());
    slot = 0;
    DBSA_ASSIGN_OR_RETURN(host::Kv kv, backend_->kv_create(static_cast<int64_t>(rows.size())));
    pages_.push_back(std::move(kv));
  }
  for (const TreeToken& token : rows) tree_.push_back({token, page, slot++});
  return {};
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
    if (Status sound = selected.block->verify_content(selected.layers); !sound.ok())
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
void QueryPass::add_run(std::span<const int32_t> ids, int64_t first_token) {
  const auto rows = static_cast<int64_t>(ids.size());
  RowRange range;
  range.rows = rows;
  range.kv = &kv_;
  range.first_token = first_token;
  range.segments = selected_segments();
  range.segments.push_back(
      {sizeof(dbsa_segment), DBSA_SEGMENT_CAUSAL, kv_.get(), 0, first_token + rows, start_, 0});
  input_.ids.insert(input_.ids.end(), ids.begin(), ids.end());
  for (int64_t i = 0; i < rows; ++i)
    input_.positions.push_back(static_cast<int32_t>(start_ + first_token + i));
  input_.ranges.push_back(std::move(range));
}

// The first row of the run that a row ends: rows that stand side by side, each except the first a
// child of the one before it.
int32_t QueryPass::run_begin(int32_t row) const {
  const auto at = [&](int32_t i) -> const TreeRow& { return tree_[static_cast<size_t>(i)]; };
  while (row > 0 && at(row).token.parent == row - 1 && at(row - 1).page == at(row).page) --row;
  return row;
}

// One range: rows begin..end - 1 of a run. Such rows are one segment wherever a chunk cuts the run,
// so that a row's segments, and its bits, do not depend on that.
void QueryPass::add_tree_run(int32_t begin, int32_t end) {
  const auto at = [&](int32_t i) -> const TreeRow& { return tree_[static_cast<size_t>(i)]; };
  const auto kv_of = [&](int32_t i) -> host::Kv& {
    return at(i).page < 0 ? kv_ : pages_[static_cast<size_t>(at(i).page)];
  };
  const auto segment = [&](int32_t kind, int32_t first, int32_t stop) {
    return dbsa_segment{sizeof(dbsa_segment),
                        kind,
                        kv_of(first).get(),
                        at(first).slot,
                        stop - first,
                        start_ + length_ + at(first).token.depth,
                        0};
  };
  RowRange range;
  range.rows = end - begin;
  range.kv = &kv_of(begin);
  range.first_token = at(begin).slot;
  range.segments = selected_segments();
  range.segments.push_back(
      {sizeof(dbsa_segment), DBSA_SEGMENT_FULL, kv_.get(), 0, length_, start_, 0});
  // The rows above, from the nearest run up.
  const int32_t own = run_begin(begin);
  for (int32_t above = at(own).token.parent; above >= 0;) {
    const int32_t first = run_begin(above);
    range.segments.push_back(segment(DBSA_SEGMENT_FULL, first, above + 1));
    above = at(first).token.parent;
  }
  range.segments.push_back(segment(DBSA_SEGMENT_CAUSAL, own, end));
  for (int32_t i = begin; i < end; ++i) {
    input_.ids.push_back(at(i).token.token);
    input_.positions.push_back(static_cast<int32_t>(start_ + length_ + at(i).token.depth));
  }
  input_.ranges.push_back(std::move(range));
}

Status QueryPass::verify(int32_t layer) {
  const Stopwatch watch;
  for (const Selected& selected : selected_)
    DBSA_RETURN_IF_ERROR(selected.block->verify(layer, selected.layers));
  verify_seconds_ += watch.seconds();
  return {};
}

}  // namespace dbsa
