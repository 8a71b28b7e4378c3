#include "pipeline/pool/pool_manifest.h"

#define XXH_INLINE_ALL
#include <gtest/gtest.h>
#include <xxhash.h>

#include <functional>
#include <utility>

namespace dbsa {
namespace {

Pool sample_pool() {
  Pool pool;
  pool.id = "0123456789abcdef";
  pool.identity = {{"data", {{"demonstrations", "/data/train.jsonl"}}}};
  pool.kv = {{"code path", "avx2"}};
  pool.made_index = {{"retriever", {{"plugin", "dbsa.retriever.bm25"}, {"revision", 1}}}};
  pool.grouper_library = "cc";
  pool.dealt = "dd";
  pool.demonstration_rows = "dd";
  pool.label_rows = "ee";
  pool.has_prefix = true;
  pool.demonstrations = {"h0", "h1", "h2"};
  pool.demonstration_labels = {1, 0, 1};
  pool.blocks.push_back({{}, {1}, {}});
  pool.blocks.push_back({{2, 0}, {5, 6, 70000}, KvKey{{1, 2, 3}}});
  pool.blocks.push_back({{1}, {9}, KvKey{{4, 5, 6}}});
  pool.labels = {{"card arrival", {}}, {"top up", {}}};
  pool.documents_hash = "bb";
  pool.index = std::string("\0\1\2binary", 9);
  return pool;
}

void expect_equal(const Pool& a, const Pool& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.identity, b.identity);
  EXPECT_EQ(a.kv, b.kv);
  EXPECT_EQ(a.made_index, b.made_index);
  EXPECT_EQ(a.grouper_library, b.grouper_library);
  EXPECT_EQ(a.dealt, b.dealt);
  EXPECT_EQ(a.demonstration_rows, b.demonstration_rows);
  EXPECT_EQ(a.label_rows, b.label_rows);
  EXPECT_EQ(a.has_prefix, b.has_prefix);
  EXPECT_EQ(a.demonstrations, b.demonstrations);
  EXPECT_EQ(a.demonstration_labels, b.demonstration_labels);
  ASSERT_EQ(a.blocks.size(), b.blocks.size());
  for (size_t i = 0; i < a.blocks.size(); ++i) {
    EXPECT_EQ(a.blocks[i].demonstrations, b.blocks[i].demonstrations);
    EXPECT_EQ(a.blocks[i].token_ids, b.blocks[i].token_ids);
    EXPECT_EQ(a.blocks[i].key, b.blocks[i].key);
  }
  ASSERT_EQ(a.labels.size(), b.labels.size());
  for (size_t i = 0; i < a.labels.size(); ++i) EXPECT_EQ(a.labels[i].text, b.labels[i].text);
  EXPECT_EQ(a.documents_hash, b.documents_hash);
  EXPECT_EQ(a.index, b.index);
}

TEST(PoolManifest, RoundTrips) {
  const Pool pool = sample_pool();
  const auto read = decode_pool_manifest(encode_pool_manifest(pool), "x.pool");
  ASSERT_TRUE(read.ok()) << read.error().message;
  expect_equal(pool, *read);
}

TEST(PoolManifest, EveryFlippedBitAndEveryCutIsNoticed) {
  const std::string bytes = encode_pool_manifest(sample_pool());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    const auto read = decode_pool_manifest(damaged, "x.pool");
    ASSERT_FALSE(read.ok()) << "byte " << i;
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  }
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(decode_pool_manifest(bytes.substr(0, length), "x.pool").ok()) << length;
}

// Whoever forges a manifest can compute its checksum, too.
std::string sealed(std::string body) {
  body.insert(0, "DBSAPOOL");
  XXH128_canonical_t hash;
  XXH128_canonicalFromHash(&hash, XXH3_128bits(body.data(), body.size()));
  body.append(reinterpret_cast<const char*>(hash.digest), sizeof hash.digest);
  return body;
}

TEST(PoolManifest, DeepNestingDoesNotExhaustTheStack) {
  const char arrays = '\x81', texts = '\x7f', blobs = '\x5f', tags = '\xc1';
  for (const char head : {arrays, texts, blobs, tags}) {
    const auto read = decode_pool_manifest(sealed(std::string(1 << 20, head)), "x.pool");
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  }
}

// Answers look up labels and blocks of demonstrations without checking them.
TEST(PoolManifest, EveryDemonstrationHasALabelAndOneBlock) {
  const auto refusal = [](const std::function<void(Pool&)>& change) {
    Pool pool = sample_pool();
    change(pool);
    const auto read = decode_pool_manifest(encode_pool_manifest(pool), "x.pool");
    if (read.ok()) return std::string("it was taken");
    const std::string head = "x.pool: not a sound pool manifest: ";
    return read.error().message.substr(head.size(), read.error().message.find(';') - head.size());
  };
  EXPECT_EQ(refusal([](Pool& p) { p.demonstration_labels.pop_back(); }),
            "not one label for each demonstration");
  EXPECT_EQ(refusal([](Pool& p) { p.demonstration_labels[0] = 2; }), "no such label");
  EXPECT_EQ(refusal([](Pool& p) { p.demonstration_labels[0] = -1; }), "no such label");
  EXPECT_EQ(refusal([](Pool& p) { p.blocks[1].demonstrations = {2, 3}; }), "no such demonstration");
  EXPECT_EQ(refusal([](Pool& p) { p.blocks[2].demonstrations = {0}; }),
            "a demonstration in two blocks");
  EXPECT_EQ(refusal([](Pool& p) { p.blocks[1].demonstrations = {2}; }),
            "a demonstration in no block");
  EXPECT_EQ(refusal([](Pool& p) { p.blocks[2].demonstrations = {}; }),
            "a block without demonstrations");
  EXPECT_EQ(
      refusal([](Pool& p) { std::swap(p.blocks[0].demonstrations, p.blocks[2].demonstrations); }),
      "a prefix with demonstrations");
  EXPECT_EQ(refusal([](Pool& p) { p.blocks.clear(); }), "no blocks");
}

TEST(PoolManifest, SaysWhatIsWrongAndWhatToDo) {
  EXPECT_EQ(
      decode_pool_manifest("not a manifest at all, but long enough", "a/x.pool").error().message,
      "a/x.pool: not a sound pool manifest: it does not begin with DBSAPOOL; remove the file "
      "and run `dbsa-pipe encode` again (stored blocks are reused)");
}

}  // namespace
}  // namespace dbsa
