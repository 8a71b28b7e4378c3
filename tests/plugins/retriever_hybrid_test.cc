// Reciprocal rank fusion against a naive one over the same retrievers.
#include <dbsa/sdk/random.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>

#include "tests/plugins/retriever_under_test.h"

namespace dbsa::testing {
namespace {

// The test's host takes a library's name for the plugin's.
constexpr const char* kBm25Plugin =
    R"({"plugin": "retriever_bm25", "k1": 1.2, "b": 0.75, "stemmer": "none", "stop_words": "none", "character_ngrams": 0})";
constexpr const char* kFlatPlugin =
    R"({"plugin": "retriever_faiss", "index": "Flat", "search_parameters": ""})";

std::string hybrid(const std::string& first, const std::string& second, int64_t constant = 60) {
  return R"({"first": )" + first + R"(, "second": )" + second + R"(, "rank_constant": )" +
         std::to_string(constant) + "}";
}

std::vector<std::string> short_documents(uint64_t seed, int count) {
  Random random(seed);
  std::vector<std::string> texts;
  for (int d = 0; d < count; ++d) {
    std::string& text = texts.emplace_back();
    for (uint64_t i = 0, n = 1 + random.below(8); i < n; ++i)
      text += std::string(1 + random.below(3), static_cast<char>('a' + random.below(12))) + " ";
  }
  return texts;
}

TEST(Hybrid, EqualsTheNaiveFusion) {
  const uint64_t seed = 20250901;
  std::cout << "seed " << seed << "\n";
  const std::vector<std::string> documents = short_documents(seed, 120);
  RetrieverUnderTest bm25("retriever_bm25", kBm25Plugin), flat("retriever_faiss", kFlatPlugin);
  ASSERT_EQ(bm25.index(documents), DBSA_OK);
  ASSERT_EQ(flat.index(documents), DBSA_OK);
  for (const int64_t constant : {0, 1, 60}) {
    RetrieverUnderTest fused("retriever_hybrid", hybrid(kBm25Plugin, kFlatPlugin, constant));
    ASSERT_EQ(fused.index(documents), DBSA_OK) << fused.message();
    for (const std::string& query : short_documents(seed + 1, 20)) {
      std::map<int64_t, double> scores;
      for (RetrieverUnderTest* part : {&bm25, &flat}) {
        const std::vector<Hit> hits = part->hits(query, 120);
        for (size_t i = 0; i < hits.size(); ++i)
          scores[hits[i].id] += 1.0 / static_cast<double>(constant + 1 + static_cast<int64_t>(i));
      }
      std::vector<Hit> expected;
      for (const auto& [id, score] : scores) expected.push_back({id, score});
      std::stable_sort(expected.begin(), expected.end(),
                       [](const Hit& a, const Hit& b) { return a.score > b.score; });
      for (const int64_t asked : {0, 1, 7, 120, 500}) {
        std::vector<Hit> best = expected;
        best.resize(std::min(best.size(), static_cast<size_t>(asked)));
        EXPECT_EQ(fused.hits(query, asked), best) << query << ", " << asked;
      }
    }
  }
}

TEST(Hybrid, GivesTheSameAnswersFromASavedIndex) {
  const std::vector<std::string> documents = short_documents(3, 40);
  for (const char* second :
       {kFlatPlugin, kBm25Plugin, R"({"plugin": "retriever_all", "order": "index"})"}) {
    RetrieverUnderTest made("retriever_hybrid", hybrid(kBm25Plugin, second));
    ASSERT_EQ(made.index(documents), DBSA_OK) << made.message();
    std::string bytes;
    ASSERT_EQ(made.save(bytes), DBSA_OK);
    RetrieverUnderTest loaded("retriever_hybrid", hybrid(kBm25Plugin, second));
    ASSERT_EQ(loaded.load(bytes), DBSA_OK) << loaded.message();
    for (const std::string& query : short_documents(4, 10))
      EXPECT_EQ(loaded.hits(query, 40), made.hits(query, 40));
    std::string again;
    ASSERT_EQ(loaded.save(again), DBSA_OK);
    EXPECT_EQ(again, bytes);
  }
}

TEST(Hybrid, RefusesEveryTruncationAndIsThenWithoutAnIndex) {
  RetrieverUnderTest retriever("retriever_hybrid", hybrid(kBm25Plugin, kFlatPlugin));
  ASSERT_EQ(retriever.index(short_documents(5, 30)), DBSA_OK);
  std::string good;
  ASSERT_EQ(retriever.save(good), DBSA_OK);
  for (size_t size = 0; size < good.size(); ++size)
    ASSERT_EQ(retriever.load(good.substr(0, size)), DBSA_ERROR_CORRUPT) << size;
  ASSERT_EQ(retriever.load(good + '\0'), DBSA_ERROR_CORRUPT);
  std::vector<Hit> hits;
  EXPECT_EQ(retriever.query("a", 1, hits), DBSA_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(retriever.message(), "there is no index to query");
  EXPECT_EQ(retriever.save(good), DBSA_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(retriever.message(), "there is no index to save");
}

TEST(Hybrid, RefusesEveryFlippedBit) {
  RetrieverUnderTest retriever("retriever_hybrid", hybrid(kBm25Plugin, kFlatPlugin));
  ASSERT_EQ(retriever.index(short_documents(5, 30)), DBSA_OK);
  std::string good;
  ASSERT_EQ(retriever.save(good), DBSA_OK);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    ASSERT_EQ(retriever.load(bad), DBSA_ERROR_CORRUPT) << "byte " << i;
  }
  EXPECT_EQ(retriever.load(good), DBSA_OK);
}

// A forged count, with a right checksum, would be paid for in memory by every query.
TEST(Hybrid, RefusesMoreDocumentsThanItTakes) {
  RetrieverUnderTest retriever("retriever_hybrid", hybrid(kBm25Plugin, kFlatPlugin));
  for (const char* count : {"4000001", "99999999999", "9223372036854775807"}) {
    const std::string body = std::string(count) + "\n0\n";
    const uint64_t sum = XXH3_64bits(body.data(), body.size());
    EXPECT_EQ(retriever.load("dbsa.retriever.hybrid 1\n" + std::to_string(sum) + "\n" + body),
              DBSA_ERROR_CORRUPT);
    EXPECT_EQ(retriever.message(),
              std::string("index: expected 0 to 4000000 documents, found ") + count);
  }
}

TEST(Hybrid, AnswersWithoutDocumentsOrMatches) {
  RetrieverUnderTest retriever("retriever_hybrid", hybrid(kBm25Plugin, kBm25Plugin));
  ASSERT_EQ(retriever.index({}), DBSA_OK);
  EXPECT_TRUE(retriever.hits("a", 5).empty());
  ASSERT_EQ(retriever.index({"a b", "c"}), DBSA_OK);
  EXPECT_TRUE(retriever.hits("nothing", 5).empty());
  const std::vector<Hit> hits = retriever.hits("c", 5);
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_EQ(hits[0], (Hit{1, 2.0 / 61}));
}

TEST(Hybrid, PassesOnWhatIsWrongWithAnInnerRetriever) {
  const dbsa_error error = PluginUnderTest::refusal(
      "retriever_hybrid", hybrid(kBm25Plugin, R"({"plugin": "retriever_faiss", "index": "PQ8",
                                           "search_parameters": ""})"));
  EXPECT_EQ(error.code, DBSA_ERROR_CONFIG);
  EXPECT_STREQ(error.config_pointer, "/second/index");
}

// Ranks are fused, so words have no scores.
TEST(Hybrid, SharesTheWordsOfWhicheverRetrieverHasAny) {
  const std::vector<std::string> documents = {"red green", "blue"};
  std::vector<SharedWord> words;
  for (const std::string& config :
       {hybrid(kBm25Plugin, kFlatPlugin), hybrid(kFlatPlugin, kBm25Plugin),
        hybrid(kBm25Plugin, kBm25Plugin)}) {
    RetrieverUnderTest retriever("retriever_hybrid", config);
    ASSERT_EQ(retriever.index(documents), DBSA_OK);
    ASSERT_EQ(retriever.shared_words("red green red pink", 0, words), DBSA_OK);
    ASSERT_EQ(words.size(), 2u);
    EXPECT_EQ(words[0].word, "green");
    EXPECT_EQ(words[1].word, "red");
    EXPECT_EQ(words[1].in_query, 2);
    EXPECT_EQ(words[1].in_document, 1);
    EXPECT_TRUE(std::isnan(words[0].score));
  }
  RetrieverUnderTest dense("retriever_hybrid", hybrid(kFlatPlugin, kFlatPlugin));
  ASSERT_EQ(dense.index(documents), DBSA_OK);
  EXPECT_EQ(dense.shared_words("red", 0, words), DBSA_ERROR_UNSUPPORTED);
}

}  // namespace
}  // namespace dbsa::testing
