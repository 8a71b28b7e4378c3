// Grouping, pairing, comparing.
#include "report/study.h"

#include <gmock/gmock.h>

#include "tests/report/records.h"

namespace dbsa {
namespace {

using testing::ElementsAre;

StudyInput loose(std::vector<ReportRun> runs) {
  StudyInput input;
  input.title = "Runs";
  input.runs = std::move(runs);
  return input;
}

StudyInput sweep(std::vector<ReportRun> runs) {
  StudyInput input = loose(std::move(runs));
  input.is_sweep = true;
  input.axes = {{"method", {"dense", "DBSA"}, false}, {"set", {"trec", "nlu"}, false}};
  input.baseline = AxisValues{{"method", "dense"}};
  return input;
}

AxisValues cell(const std::string& method, const std::string& set) {
  return {{"method", method}, {"set", set}};
}

std::vector<std::string> names_of(const Study& study) {
  std::vector<std::string> names;
  for (const ReportGroup& group : study.groups) names.push_back(group.name);
  return names;
}

TEST(ReportStudy, LooseRecordsAreGroupedByWhatIsNoSeedAndNoFolder) {
  // make_record gives each seed another store, and each mask another folder for records.
  const Study study = analyse_study(loose({make_run({.seed = 1, .demonstrations = 1000}),
                                           make_run({.seed = 1, .demonstrations = 200}),
                                           make_run({.seed = 2, .demonstrations = 1000}),
                                           make_run({.demonstrations = 200, .mask = "self"})}));
  EXPECT_THAT(names_of(study), ElementsAre("data.demonstration_count=200, mask_pattern=dbsa",
                                           "data.demonstration_count=200, mask_pattern=self",
                                           "data.demonstration_count=1000, mask_pattern=dbsa"));
  EXPECT_EQ(study.groups[2].runs.size(), 2u);
}

// No name of a key means anything where the record says which keys tell no groups apart.
TEST(ReportStudy, RecordsSayWhichKeysAreOutsideOfGroups) {
  const auto record = [](int64_t draw, const std::string& where) {
    json made = with_identity(make_record({}));
    made["config"]["retriever"]["draw"] = draw;
    made["config"]["kv_store"]["path"] = where;
    made["identity"]["outside_group"] = {"output.directory", "data.seed", "block_grouper.seed",
                                         "retriever.draw"};
    return read_run(made);
  };
  const Study study = analyse_study(loose({record(1, "/a"), record(2, "/a"), record(3, "/b")}));
  EXPECT_THAT(names_of(study), ElementsAre("kv_store.path=a", "kv_store.path=b"));
}

TEST(ReportStudy, ASingleGroupIsNamedAfterItsPipeline) {
  const Study study = analyse_study(loose({make_run({.seed = 1}), make_run({.seed = 2})}));
  EXPECT_THAT(names_of(study), ElementsAre("bank"));
  EXPECT_FALSE(study.numeric);
}

TEST(ReportStudy, WhatAPluginImpliesNamesNoGroup) {
  ReportRun dbsa = make_run({}), self = make_run({.mask = "self"});
  dbsa.config["mask_pattern"]["anchor_blocks"] = 1;
  const Study study = analyse_study(loose({dbsa, self}));
  EXPECT_THAT(names_of(study), ElementsAre("mask_pattern=dbsa", "mask_pattern=self"));
}

TEST(ReportStudy, PathsAreShownByTheLastPartsThatTellThemApart) {
  ReportRun trec = make_run({}), nlu = make_run({});
  trec.config["data"]["demonstrations"] = "/data/trec/train.jsonl";
  nlu.config["data"]["demonstrations"] = "/data/nlu/train.jsonl";
  const Study study = analyse_study(loose({trec, nlu}));
  EXPECT_THAT(names_of(study), ElementsAre("data.demonstrations=nlu/train.jsonl",
                                           "data.demonstrations=trec/train.jsonl"));
}

TEST(ReportStudy, ASingleRunHasWilsonsInterval) {
  const Study one = analyse_study(loose({make_run({.accuracy = 0.5})}));
  EXPECT_NEAR(one.groups[0].accuracy->interval->low, wilson_interval(50, 100).low, 1e-12);
  EXPECT_EQ(one.groups[0].accuracy->covers, (Covers{false, true}));
}

// Runs that agree have the spread of their queries, not none.
TEST(ReportStudy, EqualAccuraciesOfDrawsHaveAnInterval) {
  for (const int64_t draws : {2, 3, 5}) {
    std::vector<ReportRun> runs;
    for (int64_t seed = 1; seed <= draws; ++seed)
      runs.push_back(make_run({.accuracy = 0.5, .seed = seed}));
    const Study study = analyse_study(loose(runs));
    const Summary& accuracy = *study.groups.at(0).accuracy;
    EXPECT_EQ(accuracy.deviation, 0);
    EXPECT_LT(accuracy.interval->low, 0.47);
    EXPECT_GT(accuracy.interval->high, 0.53);
    EXPECT_EQ(accuracy.covers, (Covers{draws >= 3, true}));
  }
}

TEST(ReportStudy, RunsOfEqualSeedsAreOneDrawAndManyTimings) {
  const Study repeated = analyse_study(loose(
      {make_run({.accuracy = 0.5, .request = 1}), make_run({.accuracy = 0.5, .request = 3})}));
  const ReportGroup& one = repeated.groups.at(0);
  EXPECT_EQ(one.runs.size(), 2u);
  EXPECT_EQ(one.accuracy->count, 1);
  EXPECT_NEAR(one.accuracy->interval->low, wilson_interval(50, 100).low, 1e-12);
  EXPECT_FALSE(one.accuracy->deviation);
  EXPECT_EQ(one.request_mean.count, 2);
  EXPECT_EQ(one.request_mean.mean, 2);

  // Three draws, of which one was run twice: 0.4, 0.5 and 0.6.
  const Study drawn = analyse_study(
      loose({make_run({.accuracy = 0.4, .seed = 1}), make_run({.accuracy = 0.45, .seed = 2}),
             make_run({.accuracy = 0.6, .seed = 3}), make_run({.accuracy = 0.55, .seed = 2})}));
  EXPECT_EQ(drawn.groups[0].accuracy->count, 3);
  EXPECT_NEAR(drawn.groups[0].accuracy->mean, 0.5, 1e-12);
  EXPECT_NEAR(*drawn.groups[0].accuracy->deviation, 0.1, 1e-12);
}

TEST(ReportStudy, ARetrieverThatDrawsMakesADraw) {
  nlohmann::json first = make_record({.accuracy = 0.4}), second = make_record({.accuracy = 0.6});
  second["config"]["retriever"]["seed"] = 1;
  const Study study = analyse_study(loose({read_run(first), read_run(second)}));
  ASSERT_EQ(study.groups.size(), 1u);
  EXPECT_EQ(study.groups[0].accuracy->count, 2);
}

TEST(ReportStudy, ADifferenceOfAccuraciesIsOfDraws) {
  const Study study =
      analyse_study(sweep({make_run({.accuracy = 0.5, .seed = 1}, cell("dense", "trec")),
                           make_run({.accuracy = 0.5, .seed = 1}, cell("dense", "trec")),
                           make_run({.accuracy = 0.4, .seed = 1}, cell("DBSA", "trec")),
                           make_run({.accuracy = 0.4, .seed = 1}, cell("DBSA", "trec"))}));
  const ReportGroup& group = study.groups.at(1);
  const Summary& difference = group.accuracy_difference->value;
  EXPECT_EQ(difference.count, 1);
  EXPECT_NEAR(difference.mean, -0.1, 1e-12);
  EXPECT_EQ(difference.covers, (Covers{false, true}));
  // All that is right here is right there: narrower than two separate samples would allow.
  EXPECT_GT(difference.interval->low, -0.19);
  EXPECT_LT(difference.interval->high, -0.03);
  EXPECT_EQ(group.request_ratio->value.count, 2);
}

TEST(ReportStudy, ComparisonsArePairedBySeedWithinTheOtherAxes) {
  const Study study = analyse_study(sweep(
      {make_run({.accuracy = 0.5, .seed = 1, .request = 2}, cell("dense", "trec")),
       make_run({.accuracy = 0.8, .seed = 2, .request = 4}, cell("dense", "trec")),
       make_run({.accuracy = 0.9, .seed = 9}, cell("dense", "nlu")),
       make_run({.accuracy = 0.4, .seed = 2, .request = 2, .setup = 12}, cell("DBSA", "trec")),
       make_run({.accuracy = 0.5, .seed = 1, .request = 3, .setup = 10}, cell("DBSA", "trec")),
       make_run({.accuracy = 0.3, .seed = 8}, cell("DBSA", "nlu"))}));
  EXPECT_THAT(names_of(study),
              ElementsAre("dense · trec", "dense · nlu", "DBSA · trec", "DBSA · nlu"));
  EXPECT_TRUE(study.groups[0].is_baseline);
  EXPECT_FALSE(study.groups[0].accuracy_difference);
  const ReportGroup& trec = study.groups[2];
  EXPECT_TRUE(trec.accuracy_difference->paired);
  EXPECT_NEAR(trec.accuracy_difference->value.mean, -0.2, 1e-12);  // of 0 and -0.4
  EXPECT_NEAR(trec.request_ratio->value.mean, 5.0 / 6, 1e-12);     // of 2 + 3 and 4 + 2
  EXPECT_NEAR(trec.setup_ratio->value.mean, 22.0 / 6, 1e-12);
  EXPECT_FALSE(trec.setup_ratio->value.interval);  // two runs
  const ReportGroup& nlu = study.groups[3];
  EXPECT_FALSE(nlu.accuracy_difference->paired);  // seeds 8 and 9
  EXPECT_NEAR(nlu.accuracy_difference->value.mean, -0.6, 1e-12);
  EXPECT_FALSE(nlu.accuracy_difference->value.interval);
}

// Times that differ wildly from run to run.
TEST(ReportStudy, IntervalsOfTimesAndRatiosArePositive) {
  std::vector<ReportRun> runs;
  for (int64_t seed = 1; seed <= 3; ++seed) {
    runs.push_back(make_run({.seed = seed, .request = seed == 2 ? 5 : 0.01, .setup = 1},
                            cell("dense", "trec")));
    runs.push_back(
        make_run({.seed = seed, .request = seed == 3 ? 1 : 0.01, .setup = seed == 1 ? 50 : 0.1},
                 cell("DBSA", "trec")));
  }
  const Study study = analyse_study(sweep(std::move(runs)));
  const ReportGroup& group = study.groups.at(1);
  for (const Summary& summary : {group.request_ratio->value, group.setup_ratio->value, group.setup,
                                 group.request_mean, group.request_p50, group.request_p95}) {
    ASSERT_TRUE(summary.interval);
    EXPECT_GT(summary.interval->low, 0);
    EXPECT_LT(summary.interval->low, summary.mean);
    EXPECT_GT(summary.interval->high, summary.mean);
  }
}

TEST(ReportStudy, SetupIsOfRunsThatFoundNothingInTheStore) {
  const Study study = analyse_study(loose(
      {make_run({.seed = 1, .setup = 8}), make_run({.seed = 2, .setup = 0.1, .blocks_reused = 10}),
       make_run({.demonstrations = 7, .setup = 0.1, .blocks_reused = 10})}));
  EXPECT_TRUE(study.groups[0].setup_reused);
  EXPECT_EQ(study.groups[0].setup.mean, 0.1);
  EXPECT_FALSE(study.groups[1].setup_reused);
  EXPECT_EQ(study.groups[1].setup.mean, 8);
}

TEST(ReportStudy, BreakEvenIsSoughtWithinBundles) {
  const auto slow = [](const char* set) {
    return make_run({.request = 0.04, .setup = 1}, cell("dense", set));
  };
  const auto quick = [](const char* set) {
    return make_run({.request = 0.01, .setup = 4}, cell("DBSA", set));
  };
  const Study study = analyse_study(sweep({slow("trec"), quick("trec"), slow("nlu")}));
  EXPECT_EQ(study.bundles.size(), 2u);
  ASSERT_EQ(study.break_even.size(), 1u);
  EXPECT_EQ(study.groups[study.break_even[0].hasty].name, "dense · trec");
  EXPECT_EQ(study.groups[study.break_even[0].patient].name, "DBSA · trec");
  EXPECT_NEAR(study.break_even[0].at.requests, 100, 1e-9);
}

TEST(ReportStudy, PublishedFiguresStandBesideEveryGroupOfTheirCell) {
  StudyInput input = sweep({make_run({.accuracy = 0.5}, cell("dense", "trec")),
                            make_run({.accuracy = 0.4}, cell("DBSA", "trec")),
                            make_run({.accuracy = 0.3}, cell("DBSA", "nlu"))});
  input.published = {{{{"method", "DBSA"}}, "accuracy", 0.9, "Table 1"},
                     {{{"method", "DBSA"}, {"set", "trec"}}, "request_ratio", 0.1, "Table 2"}};
  const Study study = analyse_study(std::move(input));
  ASSERT_EQ(study.published.size(), 3u);
  EXPECT_EQ(study.published[0].ours->mean, 0.4);
  EXPECT_EQ(study.published[1].ours->mean, 0.3);
  EXPECT_EQ(study.published[2].ours->mean, 1);
}

TEST(ReportStudy, TheNumericAxisIsTheOneThatGrows) {
  std::vector<ReportRun> runs;
  for (const char* mask : {"dbsa", "self"})
    for (const int64_t size : {1000, 200, 50})
      runs.push_back(make_run({.demonstrations = size, .mask = mask}));
  const Study study = analyse_study(loose(std::move(runs)));
  ASSERT_TRUE(study.numeric);
  EXPECT_EQ(study.numeric->axis, "data.demonstration_count");
  EXPECT_EQ(study.numeric->label, "demonstrations in the pool");
  ASSERT_EQ(study.numeric->series.size(), 2u);
  std::vector<double> x;
  for (const size_t group : study.numeric->series[0]) x.push_back(study.numeric->x[group]);
  EXPECT_THAT(x, ElementsAre(50, 200, 1000));
  EXPECT_EQ(study.bundles.size(), 3u);  // methods are compared at equal sizes
}

TEST(ReportStudy, WordsAreNoNumericAxis) {
  const Study study =
      analyse_study(sweep({make_run({.demonstrations = 0}, cell("dense", "trec")),
                           make_run({.demonstrations = 500}, cell("DBSA", "trec"))}));
  EXPECT_FALSE(study.numeric);
}

TEST(ReportStudy, FurtherTotalsAreScores) {
  nlohmann::json record = make_record({.accuracy = std::nullopt});
  record["totals"]["scores"] = {{"rouge_l", 0.25}, {"chrf", {{"mean", 40.5}}}, {"note", "x"}};
  record["totals"]["exact_match"] = 0.125;
  std::vector<std::string> faults;
  const auto run = parse_record("r.json", record.dump(), faults);
  ASSERT_TRUE(run);
  const Study study = analyse_study(loose({*run}));
  const ReportGroup& group = study.groups[0];
  EXPECT_FALSE(group.accuracy);
  EXPECT_EQ(group.scores.size(), 3u);
  EXPECT_EQ(group.scores.at("rouge_l").mean, 0.25);
  EXPECT_EQ(group.scores.at("chrf").mean, 40.5);
  EXPECT_EQ(group.scores.at("exact_match").mean, 0.125);
}

// What became of the queries is no score, and one with an error has no tokens.
TEST(ReportStudy, QueriesWithAnErrorCountForAccuracyOnly) {
  nlohmann::json record = make_record({});
  record["totals"]["items"] = {{"answered", 2}, {"errors", 1}};
  record["queries"].push_back({{"line", 3},
                               {"text", ""},
                               {"expected", nullptr},
                               {"correct", nullptr},
                               {"error", {{"code", "empty_text"}, {"message", "m"}}}});
  std::vector<std::string> faults;
  const auto run = parse_record("r.json", record.dump(), faults);
  ASSERT_TRUE(run) << faults.front();
  EXPECT_EQ(run->selected_tokens, 200);
  EXPECT_TRUE(run->scores.empty());
}

TEST(ReportStudy, ValuesAreOrderedAsPeopleDo) {
  EXPECT_TRUE(value_less("9", "10"));
  EXPECT_TRUE(value_less("10", "a"));
  EXPECT_TRUE(value_less("a", "b"));
  EXPECT_FALSE(value_less("b", "2"));
}

}  // namespace
}  // namespace dbsa
