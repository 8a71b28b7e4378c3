#include "pipeline/query_pass.h"

#include <algorithm>

#include "pipeline/stopwatch.h"

namespace dbsa {

Result<QueryPass> QueryPass::begin(Llama& model, host::AttentionBackend& backend,
                                   const host::HostServices& services,
                                   std::vector<Selected> selected, int64_t start, int64_t capacity,
                                   int64_t chunk_tokens) {
  QueryPass pass(model, services, std::move(selected), start, chunk_tokens);
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
    for (const Selected& s : selected_)
      range.segments.push_back(
          {sizeof(dbsa_segment), DBSA_SEGMENT_FULL, s.block->kv().get(), 0, s.tokens, s.start, 0});
    range.segments.push_back(
        {sizeof(dbsa_segment), DBSA_SEGMENT_CAUSAL, kv_.get(), 0, length_ + rows, start_, 0});
    input.ranges.push_back(std::move(range));
    std::vector<int64_t> logit_rows;
    for (int64_t i = 0; i < rows; ++i) {
      input.ids.push_back(ids[static_cast<size_t>(first + i)]);
      input.positions.push_back(static_cast<int32_t>(start_ + length_ + i));
      if (first + i >= count - wanted) logit_rows.push_back(i);
    }
    DBSA_ASSIGN_OR_RETURN(
        const std::vector<float> some,
        model_->forward(input, logit_rows, [this](int32_t layer) { return verify(layer); }));
    logits.insert(logits.end(), some.begin(), some.end());
    length_ += rows;
    first += rows;
  }
  return logits;
}

Status QueryPass::verify(int32_t layer) {
  const Stopwatch watch;
  for (const Selected& selected : selected_) {
    if (Status status = selected.block->verify(layer); !status.ok()) {
      corrupt_ = selected.block;
      return status;
    }
  }
  verify_seconds_ += watch.seconds();
  return {};
}

}  // namespace dbsa
