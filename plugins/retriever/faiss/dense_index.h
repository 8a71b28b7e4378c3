// DenseIndex: an index of faiss over embeddings.
#pragma once

#include <dbsa/sdk/retriever.h>
#include <faiss/Index.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa::dense {

struct IndexOptions {
  std::string factory;            // faiss's index_factory string
  std::string search_parameters;  // as faiss::ParameterSpace reads them, or empty
  int64_t width = 0;              // values in an embedding
};

class DenseIndex {
 public:
  // kConfig at /index for a string outside the families of plugin.toml. faiss itself takes more,
  // and ends the process on some of it ("PQ0", "HNSW1").
  static Status check(const std::string& factory);

  // An index without documents. kConfig at /index or /search_parameters for what faiss refuses.
  static Result<DenseIndex> create(const IndexOptions& options);

  // kConfig at /index where so many documents are too few to train with.
  Status check_count(int64_t documents) const;

  // Trains where that is needed, and adds. vectors: [count, width]. kConfig at /index where there
  // are too few to train with, or what is learned from them is not finite.
  Status add(const std::vector<float>& vectors);

  // Little-endian bytes with a checksum, see index_arrays.h. parse returns kCorrupt for bytes that
  // serialize cannot have written; no search in what it returns goes out of bounds, whoever wrote
  // the bytes.
  Result<std::string> serialize() const;
  static Result<DenseIndex> parse(std::string_view bytes, const IndexOptions& options);

  // The best `count`, fewer where the index finds fewer; ties by the lower id. vector: [width].
  Result<std::vector<Hit>> search(const std::vector<float>& vector, int64_t count) const;

 private:
  Status tune();

  IndexOptions options_;
  std::unique_ptr<::faiss::Index> index_;
};

}  // namespace dbsa::dense
