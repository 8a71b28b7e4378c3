// Mask pattern `causal`: key k is visible to query q iff k <= q. Dense attention, as intervals.
#include <dbsa/sdk/mask_pattern.h>

namespace dbsa {
namespace {

class Causal final : public MaskPattern {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<Causal>> create(Host, const Config&) {
    return std::make_unique<Causal>();
  }

  Result<std::vector<Visible>> visible(std::span<const int64_t> block_lengths,
                                       int64_t block) const override {
    std::vector<Visible> segments;
    segments.reserve(block + 1);
    for (int64_t b = 0; b < block; ++b)
      segments.push_back({b, 0, block_lengths[b], DBSA_SEGMENT_FULL, 0});
    segments.push_back({block, 0, block_lengths[block], DBSA_SEGMENT_CAUSAL, 0});
    return segments;
  }
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::Causal);
