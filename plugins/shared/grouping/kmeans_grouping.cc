#include "plugins/shared/grouping/kmeans_grouping.h"

#include "plugins/shared/grouping/blocks.h"
#include "plugins/shared/grouping/exchange.h"

namespace dbsa::grouping {

Result<KmeansOptions> KmeansOptions::read(const Config& config) {
  KmeansOptions options;
  DBSA_ASSIGN_OR_RETURN(options.iterations, config.get<int64_t>("iterations"));
  DBSA_ASSIGN_OR_RETURN(options.swap_fraction, config.get<double>("swap_fraction"));
  return options;
}

Result<Blocks> group_by_kmeans(const SparseRows& points, int64_t block_size, uint64_t seed,
                               const KmeansOptions& options, const Start& start, const Host& host) {
  Random random(seed);
  const int64_t count = points.size();
  if (block_size == 1 || count <= block_size) return cut(shuffled(count, random), block_size);
  std::vector<int64_t> sizes(count / block_size, block_size);
  if (count % block_size > 0) sizes.push_back(count % block_size);
  DBSA_ASSIGN_OR_RETURN(Centroids centroids, start(static_cast<int64_t>(sizes.size()), random));
  DBSA_ASSIGN_OR_RETURN(
      const std::vector<int32_t> clusters_of,
      sized_kmeans(points, std::move(centroids), sizes, options.iterations, host));
  Blocks blocks(sizes.size());
  for (int64_t i = 0; i < count; ++i) blocks[clusters_of[i]].push_back(i);
  exchange(blocks, options.swap_fraction, random);
  shuffle_blocks(blocks, block_size, random);
  return blocks;
}

}  // namespace dbsa::grouping
