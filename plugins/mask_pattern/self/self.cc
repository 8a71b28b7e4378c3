// Mask pattern `self`: key k is visible to query q iff k <= q and both are in one block.
#include <dbsa/sdk/mask_pattern.h>

namespace dbsa {
namespace {

class Self final : public MaskPattern {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<Self>> create(Host, const Config&) {
    return std::make_unique<Self>();
  }

  Result<std::vector<Visible>> visible(std::span<const int64_t> block_lengths,
                                       int64_t block) const override {
    return std::vector<Visible>{{block, 0, block_lengths[block], DBSA_SEGMENT_CAUSAL, 0}};
  }
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::Self);
