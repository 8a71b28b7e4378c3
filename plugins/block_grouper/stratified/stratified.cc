// Block grouper `stratified`: every block has about the same share of every label.
//
// The smaller block, where there is one, is filled first, label by label. What is left fills the
// full blocks exactly: laid out label by label and dealt in turns, so that each label, a run of
// neighbours, comes to any two full blocks equally often, give or take one.
#include <algorithm>
#include <numeric>

#include "plugins/shared/grouping/blocks.h"

namespace dbsa {
namespace {

using Strata = std::vector<std::vector<int64_t>>;  // demonstrations by label

// Every label's demonstrations, and the labels, in random order.
Strata shuffled_strata(const std::vector<int64_t>& labels, Random& random) {
  Strata strata;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (static_cast<size_t>(labels[i]) >= strata.size()) strata.resize(labels[i] + 1);
    strata[labels[i]].push_back(static_cast<int64_t>(i));
  }
  for (auto& stratum : strata) random.shuffle(std::span(stratum));
  random.shuffle(std::span(strata));
  return strata;
}

// How many of each label the smaller block gets, `rest` in all, of full + 1 blocks.
//
// A label of n demonstrations differs by at most one between all blocks iff this one gets
// n / (full + 1), rounded down or up. Where `rest` is too small for even the rounded down ones,
// each gets its share of the block's size instead, n x rest / count, rounded likewise.
std::vector<int64_t> smaller_block(const Strata& strata, int64_t full, int64_t rest,
                                   int64_t count) {
  std::vector<int64_t> counts(strata.size());
  std::vector<int64_t> remainders(strata.size());
  const auto share = [&](int64_t numerator, int64_t denominator) {
    for (size_t l = 0; l < strata.size(); ++l) {
      const int64_t scaled = static_cast<int64_t>(strata[l].size()) * numerator;
      counts[l] = scaled / denominator;
      remainders[l] = scaled % denominator;
    }
    return std::accumulate(counts.begin(), counts.end(), int64_t{0});
  };
  int64_t filled = share(1, full + 1);
  if (filled > rest) filled = share(rest, count);
  // The largest remainders are rounded up. There are enough that are not 0: the shares sum to
  // `rest` or more.
  std::vector<size_t> by_remainder(strata.size());
  std::iota(by_remainder.begin(), by_remainder.end(), size_t{0});
  std::stable_sort(by_remainder.begin(), by_remainder.end(),
                   [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  for (size_t i = 0; filled < rest; ++i, ++filled) ++counts[by_remainder[i]];
  return counts;
}

Blocks deal(Strata strata, int64_t count, int64_t block_size) {
  const int64_t full = count / block_size;
  const int64_t rest = count % block_size;
  Blocks blocks(full + (rest > 0 ? 1 : 0));
  if (rest > 0) {
    const std::vector<int64_t> counts = smaller_block(strata, full, rest, count);
    for (size_t l = 0; l < strata.size(); ++l)
      for (int64_t i = 0; i < counts[l]; ++i) {
        blocks.back().push_back(strata[l].back());
        strata[l].pop_back();
      }
  }
  int64_t next = 0;
  for (const auto& stratum : strata)
    for (const int64_t demonstration : stratum) blocks[next++ % full].push_back(demonstration);
  return blocks;
}

class Stratified final : public BlockGrouper {
 public:
  static constexpr uint32_t kRevision = 1;
  static Result<std::unique_ptr<Stratified>> create(Host, const Config& config) {
    DBSA_ASSIGN_OR_RETURN(const bool balanced, config.get<bool>("balanced_lengths"));
    return std::make_unique<Stratified>(balanced);
  }

  explicit Stratified(bool balanced) : balanced_lengths_(balanced) {}

  Result<Blocks> group(const Demonstrations& demonstrations, int64_t block_size,
                       uint64_t seed) override {
    DBSA_RETURN_IF_ERROR(grouping::check_block_size(block_size));
    const int64_t count = demonstrations.size();
    Random random(seed);
    if (count <= block_size) return grouping::cut(grouping::shuffled(count, random), block_size);
    const std::vector<int64_t> labels = grouping::number_labels(demonstrations.labels);
    Blocks blocks = deal(shuffled_strata(labels, random), count, block_size);
    if (balanced_lengths_)
      grouping::even_out(std::span(blocks).first(count / block_size), demonstrations.token_counts,
                         labels);
    grouping::shuffle_blocks(blocks, block_size, random);
    return blocks;
  }

 private:
  bool balanced_lengths_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::Stratified);
