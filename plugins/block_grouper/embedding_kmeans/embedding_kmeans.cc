// Block grouper `embedding_kmeans`: size-constrained k-means over the embeddings of the inputs.
#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>

#include <limits>

#include "plugins/shared/faiss/guarded.h"
#include "plugins/shared/grouping/blocks.h"
#include "plugins/shared/grouping/kmeans_grouping.h"

namespace dbsa {
namespace {

// vectors: [count, width]
grouping::SparseRows rows_of(const std::vector<float>& vectors, int64_t width) {
  grouping::SparseRows rows;
  rows.columns = width;
  for (size_t begin = 0; begin < vectors.size(); begin += static_cast<size_t>(width)) {
    for (int64_t i = 0; i < width; ++i) rows.add(static_cast<int32_t>(i), vectors[begin + i]);
    rows.end_unit_row();
  }
  return rows;
}

// The centres of plain k-means from the given ones, for any sizes of its clusters.
grouping::Centroids plain_kmeans(const std::vector<float>& vectors, int64_t width,
                                 grouping::Centroids centroids, int64_t iterations) {
  ::faiss::ClusteringParameters parameters;
  parameters.niter = static_cast<int>(iterations);
  parameters.min_points_per_centroid = 1;                                // or it prints a warning
  parameters.max_points_per_centroid = std::numeric_limits<int>::max();  // no sampling
  const int64_t clusters = static_cast<int64_t>(centroids.size()) / width;
  ::faiss::Clustering clustering(static_cast<int>(width), static_cast<int>(clusters), parameters);
  clustering.centroids.resize(centroids.size());  // [clusters, width], ours are [width, clusters]
  for (int64_t c = 0; c < clusters; ++c)
    for (int64_t i = 0; i < width; ++i)
      clustering.centroids[c * width + i] = static_cast<float>(centroids[i * clusters + c]);
  ::faiss::IndexFlatL2 nearest(width);
  clustering.train(static_cast<int64_t>(vectors.size()) / width, vectors.data(), nearest);
  for (int64_t c = 0; c < clusters; ++c)
    for (int64_t i = 0; i < width; ++i)
      centroids[i * clusters + c] = clustering.centroids[c * width + i];
  return centroids;
}

class EmbeddingKmeans final : public BlockGrouper {
 public:
  static constexpr uint32_t kRevision = 1;

  static Result<std::unique_ptr<EmbeddingKmeans>> create(Host host, const Config& config) {
    if (host.embedding_width() < 1)
      return Error{ErrorCode::kConfig,
                   "needs embeddings: add a table [embedding] to the pipeline file", ""};
    DBSA_ASSIGN_OR_RETURN(const auto options, grouping::KmeansOptions::read(config));
    return std::make_unique<EmbeddingKmeans>(host, options);
  }

  EmbeddingKmeans(Host host, const grouping::KmeansOptions& options)
      : host_(host), options_(options) {}

  Result<Blocks> group(const Demonstrations& demonstrations, int64_t block_size,
                       uint64_t seed) override {
    DBSA_RETURN_IF_ERROR(grouping::check_block_size(block_size));
    DBSA_ASSIGN_OR_RETURN(const std::vector<float> vectors,
                          host_.embed(demonstrations.texts.abi()));
    const int64_t width = host_.embedding_width();
    const grouping::SparseRows rows = rows_of(vectors, width);
    const auto start = [&](int64_t clusters, Random& random) {
      return dense::guarded(
          ErrorCode::kRun, "", "faiss could not cluster", [&]() -> Result<grouping::Centroids> {
            return plain_kmeans(vectors, width, grouping::spread_centroids(rows, clusters, random),
                                options_.iterations);
          });
    };
    return grouping::group_by_kmeans(rows, block_size, seed, options_, start, host_);
  }

 private:
  Host host_;
  grouping::KmeansOptions options_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::EmbeddingKmeans);
