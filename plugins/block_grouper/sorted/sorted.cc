// Block grouper `sorted`: demonstrations by label, cut into blocks.
#include <algorithm>
#include <numeric>

#include "plugins/shared/grouping/blocks.h"

namespace dbsa {
namespace {

class Sorted final : public BlockGrouper {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<Sorted>> create(Host, const Config&) {
    return std::make_unique<Sorted>();
  }

  Result<Blocks> group(const Demonstrations& demonstrations, int64_t block_size,
                       uint64_t) override {
    DBSA_RETURN_IF_ERROR(grouping::check_block_size(block_size));
    const std::vector<int64_t> labels = grouping::number_labels(demonstrations.labels);
    std::vector<int64_t> order(labels.size());
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return labels[a] < labels[b]; });
    return grouping::cut(order, block_size);
  }
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::Sorted);
