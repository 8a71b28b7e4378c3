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

// The same after an edit of its last block, which a new one has taken the place of.
Pool sample_with_history() {
  Pool pool = sample_pool();
  PoolHistory& history = pool.history.emplace();
  history.edits = 2;
  history.hash = "ff";
  history.retired.push_back({{}, {7, 8}, KvKey{{9}}});
  history.order = {0, 1, 3, 2};
  const auto own = [](int64_t block, int64_t length, int64_t start) {
    return PlacedSegment{{block, 0, length, DBSA_SEGMENT_CAUSAL, 0}, start};
  };
  history.plans = {{{own(0, 1, 0)}, 0},
                   {{{{0, 0, 1, DBSA_SEGMENT_FULL, 0}, 0}, own(1, 3, 1)}, 1},
                   {{own(2, 2, 0)}, 0},
                   {{{{2, 1, 1, DBSA_SEGMENT_WINDOW, 5}, 4}, own(3, 1, 5)}, 5}};
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
  EXPECT_EQ(a.calibrations, b.calibrations);
  ASSERT_EQ(a.history.has_value(), b.history.has_value());
  EXPECT_EQ(a.keys(), b.keys());
  EXPECT_EQ(a.encoded_indices(), b.encoded_indices());
  if (!a.history) return;
  EXPECT_EQ(a.history->edits, b.history->edits);
  EXPECT_EQ(a.history->hash, b.history->hash);
  EXPECT_EQ(a.history->order, b.history->order);
  ASSERT_EQ(a.history->retired.size(), b.history->retired.size());
  for (size_t i = 0; i < a.history->retired.size(); ++i)
    EXPECT_EQ(a.history->retired[i].token_ids, b.history->retired[i].token_ids);
  ASSERT_EQ(a.history->plans.size(), b.history->plans.size());
  for (size_t i = 0; i < a.history->plans.size(); ++i) {
    const BlockPlan &one = a.history->plans[i], &other = b.history->plans[i];
    EXPECT_EQ(one.start, other.start);
    ASSERT_EQ(one.segments.size(), other.segments.size());
    for (size_t s = 0; s < one.segments.size(); ++s) {
      EXPECT_EQ(one.segments[s].visible, other.segments[s].visible);
      EXPECT_EQ(one.segments[s].start, other.segments[s].start);
    }
  }
}

TEST(PoolManifest, RoundTrips) {
  Pool calibrated = sample_pool();
  calibrated.calibrations = {{"b", "{\"temperature\": 2}\n"}, {"a", "{}"}};
  for (const Pool& pool : {sample_pool(), sample_with_history(), calibrated}) {
    const auto read = decode_pool_manifest(encode_pool_manifest(pool), "x.pool");
    ASSERT_TRUE(read.ok()) << read.error().message;
    expect_equal(pool, *read);
  }
}

TEST(PoolManifest, AHistorySaysInWhichOrderBlocksWereEncoded) {
  const Pool pool = sample_with_history();
  EXPECT_EQ(pool.encoded_indices(), (std::vector<int64_t>{0, 1, 3}));
  std::vector<std::vector<int32_t>> tokens;
  for (const PoolBlock* block : pool.encoded_blocks()) tokens.push_back(block->token_ids);
  EXPECT_EQ(tokens, (std::vector<std::vector<int32_t>>{{1}, {5, 6, 70000}, {7, 8}, {9}}));
  EXPECT_EQ(pool.keys().size(), 4u);
  EXPECT_NE(pool.line_hash(), sample_pool().line_hash());
  EXPECT_FALSE(pool.is_dealt_at_once());
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

// Encoding follows a history's plans without checking them.
TEST(PoolManifest, AHistoryIsOfItsBlocks) {
  const auto refusal = [](const std::function<void(PoolHistory&)>& change) {
    Pool pool = sample_with_history();
    change(*pool.history);
    const auto read = decode_pool_manifest(encode_pool_manifest(pool), "x.pool");
    if (read.ok()) return std::string("it was taken");
    const std::string head = "x.pool: not a sound pool manifest: ";
    return read.error().message.substr(head.size(), read.error().message.find(';') - head.size());
  };
  const std::string places = "not one place and plan for each block";
  const std::string sight = "a block that sees what is not there";
  EXPECT_EQ(refusal([](PoolHistory& h) { h.order = {0, 1, 3}; }), places);
  EXPECT_EQ(refusal([](PoolHistory& h) { h.order = {0, 1, 3, 3}; }), places);
  EXPECT_EQ(refusal([](PoolHistory& h) { h.order = {0, 1, 3, 4}; }), places);
  EXPECT_EQ(refusal([](PoolHistory& h) { h.order[0] = -1; }), places);
  EXPECT_EQ(refusal([](PoolHistory& h) { h.plans.pop_back(); }), places);
  EXPECT_EQ(refusal([](PoolHistory& h) { h.retired[0].token_ids.clear(); }), "an empty block");
  EXPECT_EQ(refusal([](PoolHistory& h) { h.order = {0, 1, 2, 3}; }), sight) << "other lengths";
  const auto plan = [&](const std::function<void(PlacedSegment&)>& change) {
    return refusal([&](PoolHistory& h) { change(h.plans[3].segments[0]); });
  };
  EXPECT_EQ(plan([](PlacedSegment& s) { s.visible.block = 4; }), sight);
  EXPECT_EQ(plan([](PlacedSegment& s) { s.visible.block = -1; }), sight);
  EXPECT_EQ(plan([](PlacedSegment& s) { s.visible.length = 2; }), sight);
  EXPECT_EQ(plan([](PlacedSegment& s) { s.visible.length = 0; }), sight);
  EXPECT_EQ(plan([](PlacedSegment& s) { s.visible.first_token = -1; }), sight);
  EXPECT_EQ(plan([](PlacedSegment& s) { s.visible.first_token = INT64_MAX; }), sight);
  EXPECT_EQ(plan([](PlacedSegment& s) { s.visible.kind = 3; }), sight);
  EXPECT_EQ(plan([](PlacedSegment& s) { s.visible.window = 0; }), sight);
  EXPECT_EQ(plan([](PlacedSegment& s) { s.start = -1; }), sight);
  EXPECT_EQ(plan([](PlacedSegment& s) { s.start = INT64_MAX; }), sight);
  EXPECT_EQ(refusal([](PoolHistory& h) { h.plans[3].segments.pop_back(); }), sight);
  EXPECT_EQ(
      refusal([](PoolHistory& h) { std::swap(h.plans[3].segments[0], h.plans[3].segments[1]); }),
      sight);
  EXPECT_EQ(
      refusal([](PoolHistory& h) { h.plans[1].segments[1].visible.kind = DBSA_SEGMENT_FULL; }),
      sight);
  EXPECT_EQ(refusal([](PoolHistory& h) { h.plans[1].start = 2; }), sight);
}

TEST(PoolManifest, SaysWhatIsWrongAndWhatToDo) {
  EXPECT_EQ(
      decode_pool_manifest("not a manifest at all, but long enough", "a/x.pool").error().message,
      "a/x.pool: not a sound pool manifest: it does not begin with DBSAPOOL; remove the file "
      "and run `dbsa-pipe encode` again (stored blocks are reused)");
}

}  // namespace
}  // namespace dbsa
