// k-means into clusters of given sizes.
#pragma once

#include <dbsa/sdk/host.h>
#include <dbsa/sdk/random.h>

#include <cstdint>
#include <span>
#include <vector>

namespace dbsa::grouping {

// A matrix by its values other than 0, row by row.
struct SparseRows {
  int64_t columns = 0;
  std::vector<int64_t> ends = {0};  // [rows + 1]: offsets in what follows
  std::vector<int32_t> indices;
  std::vector<double> values;

  int64_t size() const { return static_cast<int64_t>(ends.size()) - 1; }
  void add(int32_t column, double value) {
    indices.push_back(column);
    values.push_back(value);
  }
  // Ends the row and scales it to length 1; one without values stays so.
  void end_unit_row();
};

// [columns, clusters]: a row of points adds to all clusters' products at once.
using Centroids = std::vector<double>;

// Rows as first centroids, by k-means++ (Arthur, Vassilvitskii 2007): each drawn with a probability
// that grows with the square of its distance from those before. 1 <= clusters <= points.
Centroids spread_centroids(const SparseRows& points, int64_t clusters, Random& random);

// The cluster of each point: Lloyd's iterations, in which an exact minimum-cost flow takes the
// place of "each to the nearest", so that cluster c has sizes[c] points after every one. Neither
// step raises the sum of squared distances to the means; it ends when nothing moves or after
// `iterations`. Rows are at most 1 long. The last cluster starts from the centroid that fewest
// points are nearest to: give it the odd size. kCancelled when the user asked to stop. Cost of an
// iteration: O(values x clusters) and the flow's. Memory: 8 bytes x points x clusters.
Result<std::vector<int32_t>> sized_kmeans(const SparseRows& points, Centroids centroids,
                                          std::span<const int64_t> sizes, int64_t iterations,
                                          const Host& host);

}  // namespace dbsa::grouping
