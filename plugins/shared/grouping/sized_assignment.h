// Assigning items to clusters of given sizes, at the least cost.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dbsa::grouping {

// The cluster of each item, such that cluster c gets exactly sizes[c] items and the sum of
// costs[item][cluster] is least. costs: [items, clusters] row-major, in [0, 2^42]; the sizes are
// >= 0 and sum to the number of items. Whole numbers make the optimum exact and the same on every
// machine.
//
// A minimum-cost flow by successive shortest paths (Edmonds, Karp 1972) over the clusters: the
// length of the edge a -> b is the least that moving one of a's items to b costs. It starts at each
// item's cheapest cluster, so it has to move only what is too many there. Cost: O(items x
// clusters), and for each item too many up to O(clusters^2), in practice far less. Memory: 4 bytes
// x clusters^2.
std::vector<int32_t> assign_to_sizes(std::span<const int64_t> costs,
                                     std::span<const int64_t> sizes);

}  // namespace dbsa::grouping
