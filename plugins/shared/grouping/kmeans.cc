#include "plugins/shared/grouping/kmeans.h"

#include <algorithm>
#include <cmath>

#include "plugins/shared/grouping/sized_assignment.h"

namespace dbsa::grouping {
namespace {

// Squared distances become whole numbers for the flow: of points and means at most 1 long they are
// at most 4, and 2^42 with this.
constexpr double kCostScale = 1099511627776;  // 2^40

double squared_length(const SparseRows& points, int64_t row) {
  double sum = 0;
  for (int64_t p = points.ends[row]; p < points.ends[row + 1]; ++p)
    sum += points.values[p] * points.values[p];
  return sum;
}

std::vector<double> squared_lengths(const Centroids& centroids, int64_t clusters) {
  std::vector<double> lengths(clusters, 0);
  for (size_t i = 0; i < centroids.size(); i += static_cast<size_t>(clusters))
    for (int64_t c = 0; c < clusters; ++c) lengths[c] += centroids[i + c] * centroids[i + c];
  return lengths;
}

// [points, clusters] squared distances, times kCostScale.
std::vector<int64_t> distances(const SparseRows& points, const Centroids& centroids,
                               int64_t clusters, const Host& host) {
  const std::vector<double> lengths = squared_lengths(centroids, clusters);
  std::vector<int64_t> costs(points.size() * clusters);
  host.parallel_for(points.size(), 16, [&](int64_t begin, int64_t end) {
    std::vector<double> products(clusters);
    for (int64_t row = begin; row < end; ++row) {
      std::fill(products.begin(), products.end(), 0.0);
      for (int64_t p = points.ends[row]; p < points.ends[row + 1]; ++p) {
        const double value = points.values[p];
        const double* column = centroids.data() + int64_t{points.indices[p]} * clusters;
        for (int64_t c = 0; c < clusters; ++c) products[c] += value * column[c];
      }
      const double length = squared_length(points, row);
      for (int64_t c = 0; c < clusters; ++c)
        costs[row * clusters + c] =
            std::llround(kCostScale * std::clamp(length - 2 * products[c] + lengths[c], 0.0, 4.0));
    }
  });
  return costs;
}

Centroids means(const SparseRows& points, const std::vector<int32_t>& clusters_of,
                std::span<const int64_t> sizes) {
  const auto clusters = static_cast<int64_t>(sizes.size());
  Centroids centroids(points.columns * clusters, 0);
  for (int64_t row = 0; row < points.size(); ++row)
    for (int64_t p = points.ends[row]; p < points.ends[row + 1]; ++p)
      centroids[points.indices[p] * clusters + clusters_of[row]] += points.values[p];
  for (size_t i = 0; i < centroids.size(); ++i)
    centroids[i] /= static_cast<double>(sizes[i % sizes.size()]);
  return centroids;
}

// Swaps the centroid that fewest points are nearest to with the last one.
void put_least_popular_last(const std::vector<int64_t>& costs, int64_t clusters,
                            Centroids& centroids) {
  std::vector<int64_t> popularity(clusters, 0);
  for (auto row = costs.begin(); row != costs.end(); row += clusters)
    ++popularity[std::min_element(row, row + clusters) - row];
  const int64_t least = std::min_element(popularity.begin(), popularity.end()) - popularity.begin();
  for (auto column = centroids.begin(); column != centroids.end(); column += clusters)
    std::swap(column[least], column[clusters - 1]);
}

}  // namespace

void SparseRows::end_unit_row() {
  const int64_t begin = ends.back();
  ends.push_back(static_cast<int64_t>(values.size()));
  const double length = std::sqrt(squared_length(*this, size() - 1));
  if (length > 0)
    for (int64_t p = begin; p < ends.back(); ++p) values[p] /= length;
}

Centroids spread_centroids(const SparseRows& points, int64_t clusters, Random& random) {
  Centroids centroids(points.columns * clusters, 0);
  std::vector<double> left(points.size(), 4);  // squared distance from the nearest so far
  std::vector<double> dense(points.columns, 0);
  for (int64_t c = 0; c < clusters; ++c) {
    double total = 0;
    for (const double d : left) total += d;
    // 53 bits of the draw, so that it is the same number everywhere.
    double draw = total * static_cast<double>(random.next() >> 11) * 0x1p-53;
    int64_t chosen = -1;
    for (int64_t row = 0; row < points.size() && draw >= 0; ++row) {
      if (left[row] <= 0) continue;
      chosen = row;
      draw -= left[row];
    }
    if (chosen < 0) chosen = static_cast<int64_t>(random.below(points.size()));  // all are taken
    std::fill(dense.begin(), dense.end(), 0.0);
    for (int64_t p = points.ends[chosen]; p < points.ends[chosen + 1]; ++p) {
      dense[points.indices[p]] = points.values[p];
      centroids[points.indices[p] * clusters + c] = points.values[p];
    }
    const double length = squared_length(points, chosen);
    for (int64_t row = 0; row < points.size(); ++row) {
      double product = 0;
      for (int64_t p = points.ends[row]; p < points.ends[row + 1]; ++p)
        product += points.values[p] * dense[points.indices[p]];
      const double distance = squared_length(points, row) + length - 2 * product;
      left[row] = std::min(left[row], distance > 1e-12 ? distance : 0);
    }
  }
  return centroids;
}

Result<std::vector<int32_t>> sized_kmeans(const SparseRows& points, Centroids centroids,
                                          std::span<const int64_t> sizes, int64_t iterations,
                                          const Host& host) {
  const auto clusters = static_cast<int64_t>(sizes.size());
  put_least_popular_last(distances(points, centroids, clusters, host), clusters, centroids);
  std::vector<int32_t> clusters_of;
  for (int64_t i = 0; i < iterations; ++i) {
    if (host.cancelled()) return Error{ErrorCode::kCancelled, "cancelled", ""};
    std::vector<int32_t> now = assign_to_sizes(distances(points, centroids, clusters, host), sizes);
    if (now == clusters_of) break;
    clusters_of = std::move(now);
    centroids = means(points, clusters_of, sizes);
  }
  return clusters_of;
}

}  // namespace dbsa::grouping
