// Mask pattern `dbsa` (arXiv 2503.08640): key k is visible to query q iff k <= q and (same block,
// or block(k) < anchor_blocks, or block(k) >= block(q) - previous_blocks).
#include <dbsa/sdk/mask_pattern.h>

#include <algorithm>

namespace dbsa {
namespace {

class DynamicBlockSparse final : public MaskPattern {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<DynamicBlockSparse>> create(Host, const Config& config) {
    DBSA_ASSIGN_OR_RETURN(const int64_t anchors, config.get<int64_t>("anchor_blocks"));
    DBSA_ASSIGN_OR_RETURN(const int64_t previous, config.get<int64_t>("previous_blocks"));
    return std::make_unique<DynamicBlockSparse>(anchors, previous);
  }

  DynamicBlockSparse(int64_t anchors, int64_t previous)
      : anchor_blocks_(anchors), previous_blocks_(previous) {}

  Result<std::vector<Visible>> visible(std::span<const int64_t> block_lengths,
                                       int64_t block) const override {
    // [0, anchor_end) and [previous_begin, block) do not overlap.
    const int64_t anchor_end = std::min(anchor_blocks_, block);
    const int64_t previous_begin = std::max(anchor_end, block - previous_blocks_);
    std::vector<Visible> segments;
    segments.reserve(anchor_end + block - previous_begin + 1);
    const auto see = [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b)
        segments.push_back({b, 0, block_lengths[b], DBSA_SEGMENT_FULL, 0});
    };
    see(0, anchor_end);
    see(previous_begin, block);
    segments.push_back({block, 0, block_lengths[block], DBSA_SEGMENT_CAUSAL, 0});
    return segments;
  }

  int64_t anchor_blocks() const override { return anchor_blocks_; }

 private:
  int64_t anchor_blocks_;
  int64_t previous_blocks_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::DynamicBlockSparse);
