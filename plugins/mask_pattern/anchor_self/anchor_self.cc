// Mask pattern `anchor_self`: key k is visible to query q iff k <= q and (same block, or
// block(k) < anchor_blocks).
#include <dbsa/sdk/mask_pattern.h>

#include <algorithm>

namespace dbsa {
namespace {

class AnchorSelf final : public MaskPattern {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<AnchorSelf>> create(Host, const Config& config) {
    DBSA_ASSIGN_OR_RETURN(const int64_t anchors, config.get<int64_t>("anchor_blocks"));
    return std::make_unique<AnchorSelf>(anchors);
  }

  explicit AnchorSelf(int64_t anchors) : anchor_blocks_(anchors) {}

  Result<std::vector<Visible>> visible(std::span<const int64_t> block_lengths,
                                       int64_t block) const override {
    std::vector<Visible> segments;
    for (int64_t b = 0; b < std::min(anchor_blocks_, block); ++b)
      segments.push_back({b, 0, block_lengths[b], DBSA_SEGMENT_FULL, 0});
    segments.push_back({block, 0, block_lengths[block], DBSA_SEGMENT_CAUSAL, 0});
    return segments;
  }

  int64_t anchor_blocks() const override { return anchor_blocks_; }

 private:
  int64_t anchor_blocks_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::AnchorSelf);
