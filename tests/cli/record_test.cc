// Names and totals of result records, without the program.
#include "pipeline/record/record.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/support/workspace.h"

namespace dbsa {
namespace {

QueryRecord answered(const std::string& expected, const std::string& label, double seconds) {
  QueryRecord record;
  record.query.label = expected;
  record.answer.label.text = label;
  record.answer.seconds[AnswerStep::kPrefill] = seconds;
  return record;
}

TEST(RecordTest, TimesAreUtc) {
  EXPECT_EQ(utc_time(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_stamp(1792580000), "20261021T105320Z");
}

TEST(RecordTest, NamesNeverCollide) {
  const Workspace workspace;
  const auto write = [&] {
    return write_record(workspace.path("a/b"), "/x/banking.small.toml", 0, {{"n", 1}});
  };
  const auto first = write(), second = write(), third = write();
  ASSERT_TRUE(first.ok() && second.ok() && third.ok());
  EXPECT_EQ(*first, workspace.path("a/b") + "/banking.small-19700101T000000Z.json");
  EXPECT_EQ(*second, workspace.path("a/b") + "/banking.small-19700101T000000Z-2.json");
  EXPECT_EQ(*third, workspace.path("a/b") + "/banking.small-19700101T000000Z-3.json");
  EXPECT_EQ(workspace.read("a/b/banking.small-19700101T000000Z.json"), "{\n \"n\": 1\n}\n");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(workspace.path("a/b")),
                          std::filesystem::directory_iterator()),
            3);
}

// 40 queries of 10 texts say as much as 10 queries.
TEST(RecordTest, ATextThatIsAskedAgainNarrowsNoInterval) {
  RunRecord record;
  const auto interval = [&](int64_t repeats) {
    record.queries.clear();
    for (int64_t i = 0; i < 10 * repeats; ++i) {
      QueryRecord& query = record.queries.emplace_back(answered("a", i % 10 < 7 ? "a" : "b", 1));
      query.query.text = "text " + std::to_string(i % 10);
    }
    return run_totals(record).scores;
  };
  const Scores once = interval(1), again = interval(4);
  EXPECT_EQ(once.accuracy_95.low, wilson_interval(7, 10).low);
  EXPECT_EQ(again.count, 40);
  EXPECT_EQ(again.accuracy, once.accuracy);
  EXPECT_NEAR(again.accuracy_95.low, once.accuracy_95.low, 1e-6);
  EXPECT_NEAR(again.accuracy_95.high, once.accuracy_95.high, 1e-6);
}

TEST(RecordTest, TotalsScoreLabelledQueriesOnly) {
  RunRecord record;
  record.encode.kv_bytes = 1;
  record.encode.estimate.blocks = 10;
  record.encode.blocks_encoded = 4;
  record.encode.blocks_rebuilt = 1;
  for (int i = 1; i <= 20; ++i) record.queries.push_back(answered("", "a", i));
  record.queries[0].query.label = "a";
  record.queries[1].query.label = "b";
  record.queries[2].answer.blocks_rebuilt = 2;
  record.queries[1].answer.kv_loaded = {30, 180};
  record.queries[2].answer.kv_loaded = {40, 180};
  const RunTotals totals = run_totals(record);
  EXPECT_EQ(totals.scores.count, 2);
  EXPECT_EQ(totals.scores.correct, 1);
  EXPECT_EQ(totals.request.p50, 10);
  EXPECT_EQ(totals.request.p95, 19);
  EXPECT_EQ(totals.request.mean, 10.5);
  EXPECT_EQ(totals.steps[static_cast<size_t>(AnswerStep::kDecode)].p95, 0);
  EXPECT_EQ(totals.blocks_reused, 6);
  EXPECT_EQ(totals.blocks_rebuilt, 3);
  EXPECT_EQ(totals.kv_loaded.bytes, 70u);
  EXPECT_EQ(totals.kv_loaded.all_layers_bytes, 360u);
}

TEST(RecordTest, AnErrorCountsAsWrongWhereALabelIsExpected) {
  RunRecord record;
  record.encode.labels = {"a", "b", "c"};
  record.queries = {answered("a", "a", 1), answered("b", "b", 3), answered("x", "a", 5),
                    answered("b", "", 0), answered("", "", 0)};
  for (const size_t i : {size_t{3}, size_t{4}})
    record.queries[i].error = ItemError{ItemFault::kTooLong, "q.jsonl:4: too long"};
  record.queries[1].answer.cut_tokens = 7;
  const RunTotals totals = run_totals(record);
  EXPECT_EQ(totals.scores.count, 4);
  EXPECT_EQ(totals.scores.correct, 2);
  EXPECT_EQ(totals.answered, 3);
  EXPECT_EQ(totals.truncated, 1);
  EXPECT_EQ(totals.unknown_labels, 1);
  EXPECT_EQ(totals.labels_covered, 2);
  EXPECT_EQ(totals.request.p50, 3) << "no time of what was not answered";
  // a: 2 of 3, b: 2 of 3, x: 0; an error is no label.
  EXPECT_NEAR(totals.scores.macro_f1, (2.0 / 3 + 2.0 / 3 + 0) / 3, 1e-12);
}

TEST(RecordTest, FreeTextsAreScoredAgainstAllTheirLabels) {
  RunRecord record;
  record.queries = {answered("a blue pub", "the  blue pub", 1), answered("", "ignored", 1),
                    answered("one", "three", 1)};
  record.queries[0].query.more_labels = {"the blue pub", "pub"};
  EXPECT_FALSE(run_totals(record).text_scores.has_value()) << "not decoded freely";
  record.free_decoding = true;
  RunTotals totals = run_totals(record);
  ASSERT_TRUE(totals.text_scores.has_value());
  EXPECT_EQ(totals.text_scores->exact_match, 0.5);
  EXPECT_EQ(totals.text_scores->rouge_l, 0.5);
  EXPECT_EQ(totals.scores.correct, 0) << "two spaces are not one, byte for byte";
  record.queries[0].answer.label.text = "pub";
  totals = run_totals(record);
  EXPECT_EQ(totals.scores.correct, 1) << "the last label is as right as the first";
  record.queries.resize(2);
  record.queries.erase(record.queries.begin());
  EXPECT_FALSE(run_totals(record).text_scores.has_value()) << "no labels";
}

TEST(RecordTest, TheMachineIsDescribedWithoutItsName) {
  const MachineInfo machine = machine_info();
  EXPECT_GT(machine.cores, 0);
  EXPECT_GT(machine.memory_bytes, uint64_t{1} << 20);
  EXPECT_THAT(machine.kernel, testing::StartsWith("Linux "));
  EXPECT_GT(peak_memory_bytes(), uint64_t{1} << 20);
}

}  // namespace
}  // namespace dbsa
