// Blocks by k-means: what the groupers that cluster have in common.
#pragma once

#include <dbsa/sdk/block_grouper.h>

#include <functional>

#include "plugins/shared/grouping/kmeans.h"

namespace dbsa::grouping {

// Keys of the plugin's table.
struct KmeansOptions {
  int64_t iterations = 20;
  double swap_fraction = 0;  // of each block's members, exchanged with other blocks at the end
  static Result<KmeansOptions> read(const Config& config);
};

// First centroids for a number of clusters.
using Start = std::function<Result<Centroids>(int64_t clusters, Random& random)>;

// Groups the rows of `points` into blocks of block_size, one smaller where it does not divide: that
// one is last. The order of blocks and within blocks is random. Where there is nothing to cluster,
// one block or blocks of one, they are just shuffled.
Result<Blocks> group_by_kmeans(const SparseRows& points, int64_t block_size, uint64_t seed,
                               const KmeansOptions& options, const Start& start, const Host& host);

}  // namespace dbsa::grouping
