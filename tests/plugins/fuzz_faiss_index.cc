// Feeds saved indexes of every family that the plugin `faiss` knows, with right checksums, to its
// reader, and searches what it takes. The first byte chooses a family; what follows replaces parts
// of an index that the plugin wrote, or all of its arrays. fuzz_seeds/ has small whole ones.

#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "tests/plugins/forged_index.h"

namespace {

using dbsa::dense::DenseIndex;
using dbsa::dense::IndexOptions;

constexpr int64_t kFuzzDocuments = 260;  // enough for the 256 centroids of PQ4

struct Family {
  IndexOptions options;
  std::string saved;
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = [] {
    std::vector<Family> made;
    for (const IndexOptions& options : dbsa::testing::faiss_families()) {
      dbsa::Random random(1);
      auto index = DenseIndex::create(options);
      if (!index.ok() ||
          !index->add(dbsa::testing::random_vectors(random, kFuzzDocuments, options.width)).ok())
        std::abort();
      const auto saved = index->serialize();
      if (!saved.ok() || !DenseIndex::parse(*saved, options).ok()) std::abort();
      made.push_back({options, *saved});
    }
    return made;
  }();
  return all;
}

void use(const std::string& bytes, const IndexOptions& options) {
  const auto index = DenseIndex::parse(bytes, options);
  if (!index.ok()) return;
  std::vector<float> query(static_cast<size_t>(options.width), 0.25F);
  for (const int64_t count : {1, 40, 1000}) {
    const auto hits = index->search(query, count);
    if (!hits.ok()) std::abort();
    for (const dbsa::Hit& hit : *hits)
      if (hit.id < 0 || !std::isfinite(hit.score)) std::abort();
    query[0] = -2;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const Family& family = families()[data[0] % families().size()];
  const size_t arrays = dbsa::testing::kFaissHeader + family.options.factory.size();
  const bool whole = data[1] == 0;
  data += 2;
  size -= 2;
  std::string bytes = family.saved;
  if (whole) {  // the number of documents, and arrays
    if (size < 1) return 0;
    bytes.resize(arrays);
    dbsa::testing::put<uint64_t>(bytes, dbsa::testing::kFaissDocuments, data[0]);
    bytes.append(reinterpret_cast<const char*>(data + 1), size - 1);
  } else {  // four bytes at a time: where, and what
    for (; size >= 8; data += 8, size -= 8) {
      uint32_t at = 0;
      std::memcpy(&at, data, sizeof at);
      // Documents count, or anything behind the factory string.
      const size_t room = bytes.size() - arrays - 3;
      const size_t offset = at == 0 ? dbsa::testing::kFaissDocuments : arrays + at % room;
      std::memcpy(bytes.data() + offset, data + 4, 4);
    }
  }
  use(dbsa::testing::sealed(bytes), family.options);
  return 0;
}
