// The random retriever: distinct documents, the same for a query and seed, evenly spread.
#include "tests/plugins/retriever_under_test.h"

#include <set>

namespace dbsa::testing {
namespace {

std::vector<int64_t> ids(const std::vector<Hit>& hits) {
  std::vector<int64_t> result;
  for (const Hit& hit : hits) result.push_back(hit.id);
  return result;
}

TEST(RetrieverRandom, RanksDistinctDocumentsByFallingScores) {
  RetrieverUnderTest retriever("retriever_random", R"({"seed": 0})");
  ASSERT_EQ(retriever.index(std::vector<std::string>(100, "x")), DBSA_OK);
  const std::vector<Hit> all = retriever.hits("what", 1000);
  ASSERT_EQ(all.size(), 100u);
  std::set<int64_t> seen;
  for (size_t i = 0; i < all.size(); ++i) {
    seen.insert(all[i].id);
    EXPECT_GT(all[i].score, 0);
    EXPECT_LE(all[i].score, 1);
    if (i == 0) continue;
    EXPECT_LT(all[i].score, all[i - 1].score);
  }
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(*seen.rbegin(), 99);
  for (const int64_t count : {0, 1, 16, 99})
    EXPECT_EQ(retriever.hits("what", count), std::vector<Hit>(all.begin(), all.begin() + count));
}

TEST(RetrieverRandom, IsTheSameOnEveryMachine) {
  RetrieverUnderTest retriever("retriever_random", R"({"seed": 0})");
  ASSERT_EQ(retriever.index(std::vector<std::string>(10, "x")), DBSA_OK);
  EXPECT_EQ(ids(retriever.hits("where is my card?", 4)), (std::vector<int64_t>{4, 6, 5, 2}));
  EXPECT_EQ(ids(retriever.hits("", 4)), (std::vector<int64_t>{9, 2, 4, 1}));
  RetrieverUnderTest other("retriever_random", R"({"seed": 9223372036854775807})");
  ASSERT_EQ(other.index(std::vector<std::string>(10, "x")), DBSA_OK);
  EXPECT_EQ(ids(other.hits("where is my card?", 4)), (std::vector<int64_t>{8, 9, 3, 6}));
}

// 4000 draws of one of 10 documents: 400 each, with a standard deviation of 19.
TEST(RetrieverRandom, DrawsEveryDocumentEquallyOften) {
  RetrieverUnderTest retriever("retriever_random", R"({"seed": 3})");
  ASSERT_EQ(retriever.index(std::vector<std::string>(10, "x")), DBSA_OK);
  std::vector<int> drawn(10, 0);
  for (int i = 0; i < 4000; ++i) ++drawn[retriever.hits("query " + std::to_string(i), 1).at(0).id];
  for (const int n : drawn) EXPECT_NEAR(n, 400, 5 * 19);
}

TEST(RetrieverRandom, SurvivesSavingAndRefusesOtherBytes) {
  RetrieverUnderTest retriever("retriever_random", R"({"seed": 3})");
  ASSERT_EQ(retriever.index({"a", "b", "c"}), DBSA_OK);
  std::string good;
  ASSERT_EQ(retriever.save(good), DBSA_OK);
  RetrieverUnderTest other("retriever_random", R"({"seed": 3})");
  ASSERT_EQ(other.load(good), DBSA_OK);
  EXPECT_EQ(other.hits("q", 3), retriever.hits("q", 3));
  for (const std::string& bytes :
       {std::string(), std::string("3"), good + "x", good.substr(0, good.size() - 1),
        std::string("dbsa.retriever.all 1\n3"), std::string("dbsa.retriever.random 1\n-3"),
        std::string("dbsa.retriever.random 1\n03")}) {
    EXPECT_EQ(other.load(bytes), DBSA_ERROR_CORRUPT) << bytes;
    EXPECT_EQ(other.message(), "not an index of this retriever");
    std::vector<Hit> hits;
    EXPECT_EQ(other.query("q", 1, hits), DBSA_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(other.message(), "there is no index to query");
    EXPECT_EQ(other.save(good), DBSA_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(other.message(), "there is no index to save");
  }
}

// A forged count would be paid for in memory by every query.
TEST(RetrieverRandom, RefusesMoreDocumentsThanItTakes) {
  RetrieverUnderTest retriever("retriever_random", R"({"seed": 3})");
  for (const char* count : {"4000001", "99999999999", "9223372036854775807"}) {
    EXPECT_EQ(retriever.load(std::string("dbsa.retriever.random 1\n") + count), DBSA_ERROR_CORRUPT);
    EXPECT_EQ(retriever.message(),
              std::string("index: expected 0 to 4000000 documents, found ") + count);
  }
  ASSERT_EQ(retriever.load("dbsa.retriever.random 1\n4000000"), DBSA_OK);
  EXPECT_EQ(retriever.hits("q", 3).size(), 3u);
}

TEST(RetrieverRandom, NeedsAWholeSeed) {
  const dbsa_error error = PluginUnderTest::refusal("retriever_random", R"({"seed": -1})");
  EXPECT_STREQ(error.message, "seed has the wrong type or sign, got -1");
  EXPECT_STREQ(error.config_pointer, "/seed");
}

}  // namespace
}  // namespace dbsa::testing
