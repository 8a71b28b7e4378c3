// Saved indexes of faiss with right checksums and any bytes: refused with what is wrong, or
// searched without harm.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include "tests/plugins/forged_index.h"
#include "tests/support/sanitized.h"

namespace dbsa::testing {
namespace {

constexpr int64_t kForgedDocuments = 300;

dense::DenseIndex made_index(const dense::IndexOptions& options, int64_t count, uint64_t seed) {
  Random random(seed);
  Result<dense::DenseIndex> index = dense::DenseIndex::create(options);
  EXPECT_TRUE(index.ok()) << index.error().message;
  const Status added = index->add(random_vectors(random, count, options.width));
  EXPECT_TRUE(added.ok()) << added.error().message;
  return std::move(index).value();
}

std::string saved_index(const dense::IndexOptions& options, int64_t count = kForgedDocuments) {
  const Result<std::string> bytes = made_index(options, count, 11).serialize();
  EXPECT_TRUE(bytes.ok()) << bytes.error().message;
  return *bytes;
}

template <typename T>
T any_of(Random& random, const std::vector<T>& values) {
  return values[random.below(values.size())];
}

// One change to what follows the header, or to the number of documents.
void forge(Random& random, std::string& bytes) {
  using Limits = std::numeric_limits<float>;
  const size_t begin = kFaissHeader + 4;  // in or shortly behind the factory string
  const auto at = [&](size_t size) { return begin + random.below(bytes.size() - begin - size); };
  const auto word_at = [&] { return at(12) / 4 * 4 + random.below(4); };  // at any alignment
  switch (random.below(9)) {
    case 0: {
      char& byte = bytes[at(1)];
      byte = static_cast<char>(byte ^ (1 << random.below(8)));
      break;
    }
    case 1:
      put(bytes, word_at(),
          any_of<int32_t>(random, {-1, -2, 0, 1, 2, 15, kForgedDocuments - 1, kForgedDocuments,
                                   1000000, INT32_MAX, INT32_MIN}));
      break;
    case 2:
      put(bytes, word_at(),
          any_of<int64_t>(random,
                          {-1, 0, kForgedDocuments, INT64_MAX, INT64_MIN, int64_t{1} << 40}));
      break;
    case 3:
      put(bytes, word_at(),
          any_of<float>(random, {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity(),
                                 Limits::max(), Limits::lowest(), 1e6F, -1e6F, Limits::min()}));
      break;
    case 4: {  // swapped: ids, levels, links
      const size_t one = word_at();
      const size_t other = word_at();
      for (size_t i = 0; i < 4; ++i) std::swap(bytes[one + i], bytes[other + i]);
      break;
    }
    case 5: {  // copied, such as links of one document to another
      const size_t size = 4 + 4 * random.below(16);
      if (bytes.size() < begin + 2 * size + 8) break;
      const std::string part = bytes.substr(at(size), size);
      bytes.replace(at(size), size, part);
      break;
    }
    case 6: {
      const size_t size = std::min<size_t>(64, bytes.size() - begin - 8);
      const size_t from = at(size);
      for (size_t i = 0; i < size; ++i) bytes[from + i] = static_cast<char>(random.below(256));
      break;
    }
    case 7:
      bytes.resize(bytes.size() - 1 - random.below(8));
      if (random.below(2) == 0) bytes.append(1 + random.below(16), '\xff');
      break;
    default:
      put(bytes, kFaissDocuments,
          any_of<uint64_t>(random, {0, 1, kForgedDocuments - 1, kForgedDocuments + 1, INT32_MAX,
                                    UINT64_MAX, uint64_t{1} << 32}));
  }
}

// Whether the bytes are taken; what is taken answers as an index does.
bool taken(const std::string& bytes, const dense::IndexOptions& options, Random& random) {
  const Result<dense::DenseIndex> index = dense::DenseIndex::parse(bytes, options);
  if (!index.ok()) {
    EXPECT_EQ(index.error().code, ErrorCode::kCorrupt) << index.error().message;
    return false;
  }
  for (const int64_t count : {1, 7, 30, 1000}) {
    const auto hits = index->search(random_vectors(random, 1, options.width), count);
    EXPECT_TRUE(hits.ok()) << hits.error().message;
    if (!hits.ok()) continue;
    std::set<int64_t> ids;
    for (const Hit& hit : *hits) {
      EXPECT_TRUE(hit.id >= 0 && hit.id < kForgedDocuments + 1) << hit.id;
      EXPECT_TRUE(ids.insert(hit.id).second) << hit.id << " twice";
      EXPECT_TRUE(std::isfinite(hit.score)) << hit.score;
    }
  }
  return true;
}

TEST(FaissForged, NeverHarmsWhoSearchesIt) {
  const uint64_t seed = 20251128;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  int refused = 0;
  int searched = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (const dense::IndexOptions& options : faiss_families()) {
    SCOPED_TRACE(options.factory);
    const std::string good = saved_index(options);
    ASSERT_EQ(sealed(good), good) << "so the test seals as the plugin does";
    ASSERT_TRUE(taken(good, options, random));
    for (int round = 0; round < (kSanitized ? 15 : 60); ++round) {
      SCOPED_TRACE(round);
      std::string bad = good;
      for (uint64_t n = 1 + random.below(3); n > 0; --n) forge(random, bad);
      (taken(sealed(bad), options, random) ? searched : refused) += 1;
    }
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(100));
  }
  std::printf("refused %d, searched %d\n", refused, searched);
  EXPECT_GE(refused + searched, 300);
  EXPECT_GE(refused, 50);
  EXPECT_GE(searched, 50);
}

// ---- what is said ----

class FaissForgedErrors : public ::testing::Test {
 protected:
  // The index that message() forges, and where its arrays begin.
  size_t use(const std::string& factory, int64_t count = 40) {
    options_ = {factory, "", 16};
    good_ = saved_index(options_, count);
    return kFaissHeader + factory.size();
  }

  template <typename T>
  std::string message(size_t at, T value) const {
    std::string bad = good_;
    put(bad, at, value);
    return message_of(bad);
  }

  std::string message_of(const std::string& bad) const {
    const auto index = dense::DenseIndex::parse(sealed(bad), options_);
    if (index.ok()) return "no error";
    EXPECT_EQ(index.error().code, ErrorCode::kCorrupt);
    return index.error().message;
  }

  dense::IndexOptions options_;
  std::string good_;
};

TEST_F(FaissForgedErrors, OfGraphs) {
  const size_t levels = use("HNSW4");
  const size_t links = levels + 40 * sizeof(int32_t);
  const size_t entry = good_.size() - 40 * 16 * sizeof(float) - sizeof(int32_t);
  EXPECT_EQ(message<int32_t>(levels + 4, 0),
            "faiss index: document 1: expected 1 to 15 levels, found 0");
  EXPECT_EQ(message<int32_t>(levels + 4, 16),
            "faiss index: document 1: expected 1 to 15 levels, found 16");
  EXPECT_EQ(message<int32_t>(links, 40),
            "faiss index: document 0: expected a link to a document below 40, found 40");
  EXPECT_EQ(message<int32_t>(links, -2),
            "faiss index: document 0: expected a link to a document below 40, found -2");
  EXPECT_EQ(message<int32_t>(links, -1), "no error");
  EXPECT_EQ(message<int32_t>(entry, 40),
            "faiss index: expected an entry point with 3 levels, found document 40");
  EXPECT_EQ(message<int32_t>(entry, -1),
            "faiss index: expected an entry point with 3 levels, found document -1");
}

// A link on an upper level to a document that is only on the lowest: followed down, it would lead
// to another document's links.
TEST_F(FaissForgedErrors, OfGraphsWhoseLinksLeadToALowerLevel) {
  const size_t levels = use("HNSW4");
  size_t links = levels + 40 * sizeof(int32_t);
  int32_t low = -1;   // a document with one level
  int32_t high = -1;  // the first with more
  size_t upper = 0;   // where its links on level 1 stand
  for (int32_t id = 0; id < 40; ++id) {
    int32_t count = 0;
    std::memcpy(&count, good_.data() + levels + 4 * static_cast<size_t>(id), sizeof count);
    if (count == 1) low = id;
    if (count > 1 && high < 0) {
      high = id;
      upper = links + 8 * sizeof(int32_t);
    }
    links += (8 + 4 * static_cast<size_t>(count - 1)) * sizeof(int32_t);
  }
  ASSERT_GE(high, 0);
  EXPECT_EQ(message(upper, low), "faiss index: document " + std::to_string(high) +
                                     ": expected a link to a document on level 1, found document " +
                                     std::to_string(low) + " with 1 levels");
}

TEST_F(FaissForgedErrors, OfInvertedLists) {
  const size_t lists = use("IVF4,Flat") + 4 * 16 * sizeof(float);
  EXPECT_EQ(message<uint32_t>(lists + 8, 4),
            "faiss index: document 2: expected a list below 4, found 4");
  EXPECT_EQ(message<int32_t>(lists, -1),
            "faiss index: document 0: expected a list below 4, found 4294967295");
  EXPECT_EQ(message(lists - 4, std::numeric_limits<float>::infinity()),
            "faiss index: value 63 of the vectors: expected a number from -1e6 to 1e6, found inf");
  EXPECT_EQ(message(lists + 40 * sizeof(uint32_t) + 12, 2e6F),
            "faiss index: value 3 of the vectors in list 0: expected a number from -1e6 to 1e6, "
            "found 2e+06");
}

TEST_F(FaissForgedErrors, OfValues) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::string range = ": expected a number from -1e6 to 1e6, found NaN";
  size_t arrays = use("Flat");
  EXPECT_EQ(message(arrays + 8, kNan), "faiss index: value 2 of the vectors" + range);
  EXPECT_EQ(message(arrays, 1e6F), "no error");
  arrays = use("SQ8");
  EXPECT_EQ(message(arrays + 4, kNan), "faiss index: value 1 of the codes' ranges" + range);
  arrays = use("PQ4x4");
  EXPECT_EQ(message(arrays, kNan), "faiss index: value 0 of the codes' centroids" + range);
  arrays = use("PCA8,Flat");
  EXPECT_EQ(message(arrays, kNan), "faiss index: value 0 of the projection" + range);
  EXPECT_EQ(message(arrays + 8 * 16 * 4, kNan),
            "faiss index: value 0 of the projection's bias" + range);
  arrays = use("SQfp16");
  EXPECT_EQ(message<uint16_t>(arrays + 2, 0x7C00),
            "faiss index: value 1 of the vectors: expected a finite number, found one that is not");
}

TEST_F(FaissForgedErrors, OfSizes) {
  const std::string wrong = "faiss index: its size does not fit its counts";
  for (const char* factory : {"Flat", "HNSW4", "IVF4,Flat", "PQ8x4fs", "IVF4,PQ8x4fs"}) {
    SCOPED_TRACE(factory);
    use(factory);
    for (const uint64_t documents : {uint64_t{0}, uint64_t{10000}, uint64_t{1} << 31, UINT64_MAX})
      EXPECT_EQ(message(kFaissDocuments, documents), wrong) << documents;
    EXPECT_EQ(message_of(good_ + "x"), wrong);
    EXPECT_EQ(message_of(good_.substr(0, good_.size() - 1)), wrong);
    EXPECT_EQ(message_of(good_.substr(0, kFaissHeader + options_.factory.size())), wrong);
  }
}

// ---- the same numbers, of honest origin ----

TEST(FaissValues, OfEmbeddingsAreFinite) {
  const dense::IndexOptions options = {"Flat", "", 4};
  auto index = dense::DenseIndex::create(options);
  ASSERT_TRUE(index.ok());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Status added = index->add({0, 1, 0, 0, 0, nan, 1, 0});
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().message,
            "value 5 of the documents' embeddings: expected a number from -1e6 to 1e6, found NaN; "
            "check the model of [embedding]");
  ASSERT_TRUE(index->add({0, 1, 0, 0}).ok());
  const auto hits = index->search({nan, 0, 0, 1}, 1);
  ASSERT_FALSE(hits.ok());
  EXPECT_EQ(hits.error().message,
            "value 0 of the query's embedding: expected a number from -1e6 to 1e6, found NaN; "
            "check the model of [embedding]");
}

// Whitening divides by how much documents differ.
TEST(FaissValues, LearnedFromEqualDocumentsAreRefused) {
  auto index = dense::DenseIndex::create({"PCAW2,Flat", "", 4});
  ASSERT_TRUE(index.ok());
  std::vector<float> equal;
  for (int i = 0; i < 20; ++i) equal.insert(equal.end(), {0, 1, 0, 0});
  const Status added = index->add(equal);
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().code, ErrorCode::kConfig);
  EXPECT_EQ(added.error().config_pointer, "/index");
  EXPECT_EQ(added.error().message,
            "index \"PCAW2,Flat\" cannot be made of 20 documents: value 0 of the projection: "
            "expected a number from -1e6 to 1e6, found NaN; they may be too alike for it: choose "
            "another index");
}

}  // namespace
}  // namespace dbsa::testing
