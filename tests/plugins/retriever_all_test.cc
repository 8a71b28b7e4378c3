#include "tests/plugins/retriever_under_test.h"

namespace dbsa::testing {
namespace {

TEST(RetrieverAll, RanksByIndexAndSurvivesSaving) {
  RetrieverUnderTest retriever("retriever_all", R"({"order": "index"})");
  ASSERT_EQ(retriever.index({"a", "b", "c"}), DBSA_OK);
  const std::vector<Hit> expected = {{0, 0}, {1, 0}, {2, 0}};
  EXPECT_EQ(retriever.hits("whatever", 5), expected);
  EXPECT_EQ(retriever.hits("", 2).size(), 2u);
  std::string bytes;
  ASSERT_EQ(retriever.save(bytes), DBSA_OK);
  RetrieverUnderTest other("retriever_all", R"({"order": "index"})");
  ASSERT_EQ(other.load(bytes), DBSA_OK);
  EXPECT_EQ(other.hits("", 5), expected);
}

TEST(RetrieverAll, ReversedBeginsWithTheLast) {
  RetrieverUnderTest retriever("retriever_all", R"({"order": "reversed"})");
  ASSERT_EQ(retriever.index({"a", "b", "c"}), DBSA_OK);
  const std::vector<Hit> expected = {{2, 2}, {1, 1}, {0, 0}};
  EXPECT_EQ(retriever.hits("whatever", 5), expected);
  EXPECT_EQ(retriever.hits("", 1), (std::vector<Hit>{{2, 2}}));
}

TEST(RetrieverAll, RefusesWhatItDidNotSave) {
  RetrieverUnderTest retriever("retriever_all", R"({"order": "index"})");
  ASSERT_EQ(retriever.index({"a"}), DBSA_OK);
  std::string good;
  ASSERT_EQ(retriever.save(good), DBSA_OK);
  for (const std::string& bytes : {std::string(), std::string("3"), good + "x", good + " 1",
                                   good.substr(0, good.size() - 1), std::string("dbsa") + good}) {
    EXPECT_EQ(retriever.load(bytes), DBSA_ERROR_CORRUPT) << bytes;
    std::vector<Hit> hits;
    EXPECT_EQ(retriever.query("", 1, hits), DBSA_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(retriever.message(), "there is no index to query");
    EXPECT_EQ(retriever.save(good), DBSA_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(retriever.message(), "there is no index to save");
    ASSERT_EQ(retriever.index({"a"}), DBSA_OK);
    ASSERT_EQ(retriever.save(good), DBSA_OK);
  }
}

}  // namespace
}  // namespace dbsa::testing
