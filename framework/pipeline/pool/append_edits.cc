#include "pipeline/pool/append_edits.h"

#include <algorithm>
#include <utility>

namespace dbsa {
namespace {

constexpr int64_t kNone = -1;

// A block that was encoded, or will be.
struct Encoded {
  std::span<const int32_t> token_ids;
  BlockPlan plan;
  int64_t wanted = kNone;  // index of the wanted block that it is; none: it is retired
};

// Where each wanted block stands among the encoded ones; kNone for one that is new or other than it
// was, or that becomes an anchor, which it was not encoded as.
std::vector<int64_t> match_blocks(int64_t fixed, const EncodedBlocks& before,
                                  std::span<const WantedBlock> wanted) {
  std::vector<int64_t> indices(wanted.size(), kNone);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto place = static_cast<int64_t>(i);
    if (!wanted[i].source || (place < fixed && *wanted[i].source != place)) continue;
    const int64_t index = before.indices[static_cast<size_t>(*wanted[i].source)];
    if (std::ranges::equal(wanted[i].token_ids, before.token_ids[static_cast<size_t>(index)]))
      indices[i] = index;
  }
  return indices;
}

// Plans the wanted blocks that are not encoded yet, behind those that stand before them.
Status plan_new(const host::MaskPattern& mask, EncodePositions positions,
                std::span<const WantedBlock> wanted, std::span<const int64_t> line,
                std::vector<int64_t>& indices, std::vector<Encoded>& all) {
  std::vector<int64_t> lengths;
  for (const int64_t i : line)
    lengths.push_back(static_cast<int64_t>(wanted[static_cast<size_t>(i)].token_ids.size()));
  const std::vector<int64_t> starts = block_starts(lengths);
  for (size_t place = 0; place < line.size(); ++place) {
    const auto i = static_cast<size_t>(line[place]);
    if (indices[i] != kNone) continue;
    indices[i] = static_cast<int64_t>(all.size());
    DBSA_ASSIGN_OR_RETURN(
        BlockPlan plan, plan_block(mask, lengths, starts, static_cast<int64_t>(place), positions));
    for (PlacedSegment& segment : plan.segments) {
      int64_t& block = segment.visible.block;
      block = indices[static_cast<size_t>(line[static_cast<size_t>(block)])];
    }
    all.push_back({wanted[i].token_ids, std::move(plan), line[place]});
  }
  return {};
}

// Whether a query may be given the block, or one that is has seen it, itself or through others.
std::vector<bool> needed_blocks(std::span<const Encoded> all) {
  std::vector<bool> needed(all.size(), false);
  for (size_t i = all.size(); i-- > 0;) {
    needed[i] = needed[i] || all[i].wanted != kNone;
    if (!needed[i]) continue;
    for (const PlacedSegment& segment : all[i].plan.segments)
      needed[static_cast<size_t>(segment.visible.block)] = true;
  }
  return needed;
}

PoolHistory history_of(std::span<Encoded> all, std::span<const int64_t> line) {
  std::vector<int64_t> place_of(line.size());
  for (size_t place = 0; place < line.size(); ++place)
    place_of[static_cast<size_t>(line[place])] = static_cast<int64_t>(place);
  const std::vector<bool> needed = needed_blocks(all);
  std::vector<int64_t> index_of(all.size(), kNone);
  PoolHistory history;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!needed[i]) continue;
    index_of[i] = static_cast<int64_t>(history.order.size());
    if (all[i].wanted != kNone) {
      history.order.push_back(place_of[static_cast<size_t>(all[i].wanted)]);
    } else {
      history.order.push_back(static_cast<int64_t>(line.size() + history.retired.size()));
      history.retired.push_back({{}, {all[i].token_ids.begin(), all[i].token_ids.end()}, {}});
    }
    for (PlacedSegment& segment : all[i].plan.segments)
      segment.visible.block = index_of[static_cast<size_t>(segment.visible.block)];
    history.plans.push_back(std::move(all[i].plan));
  }
  return history;
}

}  // namespace

Result<AppendedEdits> append_edits(const host::MaskPattern& mask, EncodePositions positions,
                                   int64_t fixed, const EncodedBlocks& before,
                                   std::span<const WantedBlock> wanted) {
  std::vector<Encoded> all;
  for (size_t i = 0; i < before.plans.size(); ++i)
    all.push_back({before.token_ids[i], before.plans[i], kNone});
  std::vector<int64_t> indices = match_blocks(fixed, before, wanted);
  AppendedEdits edits;
  std::vector<int64_t> moved;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto place = static_cast<int64_t>(i);
    if (indices[i] != kNone) all[static_cast<size_t>(indices[i])].wanted = place;
    (indices[i] != kNone || place < fixed ? edits.line : moved).push_back(place);
  }
  edits.line.insert(edits.line.end(), moved.begin(), moved.end());
  DBSA_RETURN_IF_ERROR(plan_new(mask, positions, wanted, edits.line, indices, all));
  edits.history = history_of(all, edits.line);
  return edits;
}

}  // namespace dbsa
