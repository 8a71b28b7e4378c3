#include "pipeline/encode/encode_plan.h"

#include <algorithm>

namespace dbsa {

std::vector<int64_t> block_starts(std::span<const int64_t> lengths) {
  std::vector<int64_t> starts;
  starts.reserve(lengths.size());
  int64_t next = 0;
  for (const int64_t length : lengths) {
    starts.push_back(next);
    next += length;
  }
  return starts;
}

Result<BlockPlan> plan_block(const host::MaskPattern& mask, std::span<const int64_t> lengths,
                             std::span<const int64_t> starts, int64_t block,
                             EncodePositions positions) {
  DBSA_ASSIGN_OR_RETURN(const std::vector<Visible> visible, mask.visible(lengths, block));
  BlockPlan plan;
  plan.segments.reserve(visible.size());
  int64_t next = 0;  // packed: where the next segment stands
  for (const Visible& segment : visible) {
    if (segment.block == block) break;
    const int64_t start = positions == EncodePositions::kPacked
                              ? next
                              : starts[static_cast<size_t>(segment.block)] + segment.first_token;
    plan.segments.push_back({segment, start});
    next += segment.length;
  }
  plan.start = positions == EncodePositions::kPacked ? next : starts[static_cast<size_t>(block)];
  for (const Visible& segment : visible)
    if (segment.block == block)
      plan.segments.push_back({segment, plan.start + segment.first_token});
  return plan;
}

int64_t positions_needed(const BlockPlan& plan, int64_t block_length) {
  int64_t first = plan.start;
  for (const PlacedSegment& segment : plan.segments) {
    // A window shows no row a token farther away than its width.
    const int64_t nearest = segment.visible.kind == DBSA_SEGMENT_WINDOW
                                ? plan.start - segment.visible.window + 1
                                : segment.start;
    first = std::min(first, std::max(segment.start, nearest));
  }
  return plan.start + block_length - first;
}

}  // namespace dbsa
