#include "sweep/tune_split.h"

#include <gmock/gmock.h>

#include <set>

#include "tests/support/workspace.h"

namespace dbsa {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TuneSplitTest : public testing::Test {
 protected:
  DataSettings data(int count, const std::string& more = "") {
    std::string lines;
    for (int i = 0; i < count; ++i)
      lines += R"({"text": "t)" + std::to_string(i) + R"(", "label": "l)" + std::to_string(i % 3) +
               "\"}\n";
    DataSettings out;
    out.demonstrations = workspace_.write("pool.jsonl", lines + more);
    out.text = "text";
    out.label_field = "label";
    return out;
  }
  static std::set<std::string> texts(const std::vector<Example>& examples) {
    std::set<std::string> out;
    for (const Example& example : examples) out.insert(example.text);
    return out;
  }
  Workspace workspace_;
};

TEST_F(TuneSplitTest, HoldsAFifthOfThePoolOut) {
  const Result<TuneSplit> split = split_for_tuning(data(100), 1, {});
  ASSERT_TRUE(split.ok()) << split.error().message;
  EXPECT_TRUE(split->from_pool);
  EXPECT_EQ(split->pool.size(), 80u);
  EXPECT_EQ(split->queries.size(), 20u);
  std::set<std::string> all = texts(split->pool);
  all.merge(texts(split->queries));
  EXPECT_EQ(all.size(), 100u);
  EXPECT_THAT(split->labels, ElementsAre("l0", "l1", "l2"));
  EXPECT_EQ(texts(split_for_tuning(data(100), 1, {})->queries), texts(split->queries));
  EXPECT_NE(texts(split_for_tuning(data(100), 2, {})->queries), texts(split->queries));
}

TEST_F(TuneSplitTest, TakesWhatTheDrawLeavesOutWhereThatIsEnough) {
  DataSettings settings = data(1000);
  settings.demonstration_count = 100;
  settings.seed = 3;
  const Result<TuneSplit> split = split_for_tuning(settings, 1, {});
  ASSERT_TRUE(split.ok());
  EXPECT_FALSE(split->from_pool);
  EXPECT_EQ(split->pool,
            *draw(*load_dataset(settings.demonstrations, "text", "label", LabelPolicy::kRequired),
                  100, 3));
  EXPECT_EQ(split->queries.size(), 900u);
  EXPECT_EQ(split_for_tuning(settings, 1, 50)->queries.size(), 50u);
  settings.demonstration_count = 700;
  EXPECT_TRUE(split_for_tuning(settings, 1, {})->from_pool);
}

TEST_F(TuneSplitTest, NoQueryIsInThePoolOrComesTwice) {
  std::string again;
  for (int i = 0; i < 100; ++i)
    again += R"({"text": "t)" + std::to_string(i) + R"(", "label": "l0"})" + "\n";
  const Result<TuneSplit> split = split_for_tuning(data(100, again), 1, {});
  ASSERT_TRUE(split.ok());
  const std::set<std::string> pool = texts(split->pool);
  for (const Example& query : split->queries) EXPECT_FALSE(pool.contains(query.text));
  EXPECT_EQ(texts(split->queries).size(), split->queries.size());
}

TEST_F(TuneSplitTest, RefusesTooFew) {
  const Result<TuneSplit> few = split_for_tuning(data(60), 1, {});
  ASSERT_FALSE(few.ok());
  EXPECT_THAT(few.error().message, HasSubstr("expected at least 80 demonstrations, a fifth of them "
                                             "to try settings on, found 60"));
  EXPECT_EQ(
      split_for_tuning(data(60), 1, 60).error().message,
      "--held-out: must be below the number of demonstrations that are left for the pool, 60, "
      "got 60");
  EXPECT_TRUE(split_for_tuning(data(60), 1, 30).ok());
}

TEST(SliceSizes, DoubleWhatIsKnown) {
  EXPECT_THAT(slice_sizes(20), ElementsAre(20));
  EXPECT_THAT(slice_sizes(47), ElementsAre(47));
  EXPECT_THAT(slice_sizes(48), ElementsAre(32, 16));
  EXPECT_THAT(slice_sizes(300), ElementsAre(32, 32, 64, 172));
  EXPECT_THAT(slice_sizes(1000), ElementsAre(32, 32, 64, 128, 256, 488));
}

TEST(ToJsonLines, KeepsAllLabels) {
  EXPECT_EQ(
      to_json_lines({{"a \"b\"", "x", 1, {}}, {"c", "y", 2, {"z"}}}, {}),
      "{\"text\":\"a \\\"b\\\"\",\"label\":\"x\"}\n{\"text\":\"c\",\"label\":[\"y\",\"z\"]}\n");
}

}  // namespace
}  // namespace dbsa
