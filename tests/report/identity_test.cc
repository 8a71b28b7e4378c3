// Which runs are one group, and what a report says where runs of one name are not.
#include <gmock/gmock.h>

#include "report/report.h"
#include "report/study.h"
#include "tests/report/records.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Study study_of(const std::vector<json>& records, bool is_sweep = false) {
  StudyInput input;
  input.title = "Runs";
  input.is_sweep = is_sweep;
  for (const json& record : records) input.runs.push_back(read_run(record));
  return analyse_study(std::move(input));
}

// With identities, whose records differ in seeds only.
std::vector<json> draws(int64_t count, const IdentityWords& words = {}) {
  std::vector<json> records;
  for (int64_t seed = 1; seed <= count; ++seed)
    records.push_back(with_identity(make_record({.seed = seed}), words));
  return records;
}

TEST(ReportIdentity, TenDrawsOfOneFileAreOneGroup) {
  const Study study = study_of(draws(10));
  ASSERT_EQ(study.groups.size(), 1u);
  EXPECT_EQ(study.groups[0].draws, 10);
  EXPECT_EQ(study.groups[0].accuracy->covers, (Covers{true, true}));
  EXPECT_THAT(study.notes, ElementsAre());
}

TEST(ReportIdentity, TheSameDrawTwiceIsOneDraw) {
  std::vector<json> records = draws(2);
  records.push_back(records[0]);
  const Study study = study_of(records);
  EXPECT_EQ(study.groups[0].runs.size(), 3u);
  EXPECT_EQ(study.groups[0].draws, 2);
}

// Each input that changed splits the runs, and is named with both hashes.
TEST(ReportIdentity, OtherInputsAreOtherGroups) {
  struct Case {
    IdentityWords words;
    const char* name;
  };
  const std::vector<Case> cases = {{{.model = "m2"}, "model"},
                                   {{.demonstrations = "d2"}, "demonstrations"},
                                   {{.queries = "q2"}, "queries"}};
  for (const Case& changed : cases) {
    std::vector<json> records = draws(2);
    for (const json& record : draws(2, changed.words)) records.push_back(record);
    const Study study = study_of(records);
    ASSERT_EQ(study.groups.size(), 2u) << changed.name;
    EXPECT_EQ(study.groups[0].draws, 2);
    const auto value = [&](size_t i) { return study.groups[i].values.at(changed.name); };
    EXPECT_EQ(study.groups[0].name, std::string(changed.name) + " " + value(0));
    EXPECT_NE(study.groups[0].name, study.groups[1].name);
    EXPECT_THAT(study.notes,
                ElementsAre("Split: bank is 2 groups, because its runs do not answer the same "
                            "question in the same way: " +
                            std::string(changed.name) + " " + value(0) + " / " + value(1) + "."));
  }
}

TEST(ReportIdentity, ARevisionIsNamedByItsNumber) {
  json second = with_identity(make_record({.seed = 2}), {.retriever = "bm25 2"});
  second["plugins"][2]["revision"] = 2;
  const Study study = study_of({with_identity(make_record({.seed = 1})), second}, true);
  ASSERT_EQ(study.groups.size(), 2u);
  EXPECT_EQ(study.groups[1].name, "retriever revision 2");
  EXPECT_THAT(study.notes, ElementsAre(HasSubstr("way: retriever revision 1 / 2.")));
  EXPECT_FALSE(study.numeric);  // a revision is no quantity
}

TEST(ReportIdentity, AStageWithoutANamedDifferenceIsNamedByItsHash) {
  const Study study = study_of({with_identity(make_record({})),
                                with_identity(make_record({}), {.retriever = "bm25 other"})});
  ASSERT_EQ(study.groups.size(), 2u);
  EXPECT_THAT(study.notes, ElementsAre(HasSubstr("way: retriever ")));
}

TEST(ReportIdentity, ADifferenceOfAConfigurationIsNamedByItsKeyAndValues) {
  json first = make_record({}), second = make_record({});
  first["config"]["prompt"]["input_prefix"] = "q: ";
  second["config"]["prompt"]["input_prefix"] = "r: ";
  const Study study = study_of({with_identity(first), with_identity(second)}, true);
  EXPECT_THAT(study.notes, ElementsAre(HasSubstr("way: prompt.input_prefix q:  / r: .")));
}

TEST(ReportIdentity, AnIdentityThatNothingExplainsIsNamedItself) {
  json other = with_identity(make_record({}));
  other["identity"]["group"] = "ffff0000";
  const Study study = study_of({with_identity(make_record({})), other});
  ASSERT_EQ(study.groups.size(), 2u);
  EXPECT_THAT(study.notes, ElementsAre(HasSubstr("way: identity ")));
  EXPECT_EQ(study.groups[1].values.at("identity"), "ffff..");
}

TEST(ReportIdentity, AnAxisOfThatNameKeepsIt) {
  StudyInput input;
  input.is_sweep = true;
  input.axes = {{"queries", {"many"}, false}};
  for (const char* queries : {"a", "b"})
    input.runs.push_back(
        read_run(with_identity(make_record({}), {.queries = queries}), {{"queries", "many"}}));
  const Study study = analyse_study(std::move(input));
  ASSERT_EQ(study.groups.size(), 2u);
  EXPECT_EQ(study.groups[0].values.at("queries"), "many");
  EXPECT_TRUE(study.groups[0].values.contains("queries found"));
}

TEST(ReportIdentity, ShortHashesTellTheirHashesApart) {
  EXPECT_THAT(short_hashes({"abcdef01", "abcd9999", "abcdef01", "x"}),
              ElementsAre("abcde..", "abcd9..", "abcde..", "x"));
}

// ---- against a baseline
// --------------------------------------------------------------------------

StudyInput methods() {
  StudyInput input;
  input.is_sweep = true;
  input.axes = {{"method", {"dense", "DBSA"}, false}};
  input.baseline = AxisValues{{"method", "dense"}};
  return input;
}

TEST(ReportIdentity, ABaselineOfOtherQueriesIsNone) {
  StudyInput input = methods();
  input.runs = {read_run(with_identity(make_record({})), {{"method", "dense"}}),
                read_run(with_identity(make_record({})), {{"method", "DBSA"}}),
                read_run(with_identity(make_record({}), {.queries = "q2"}), {{"method", "DBSA"}})};
  const Study study = analyse_study(std::move(input));
  ASSERT_EQ(study.groups.size(), 3u);
  EXPECT_TRUE(study.groups[1].accuracy_difference);
  EXPECT_FALSE(study.groups[2].accuracy_difference);
}

TEST(ReportIdentity, ABaselineOfAnotherRevisionIsOne) {
  StudyInput input = methods();
  json second = with_identity(make_record({}), {.retriever = "bm25 2"});
  second["plugins"][2]["revision"] = 2;
  input.runs = {read_run(with_identity(make_record({})), {{"method", "dense"}}),
                read_run(with_identity(make_record({})), {{"method", "DBSA"}}),
                read_run(second, {{"method", "DBSA"}})};
  const Study study = analyse_study(std::move(input));
  ASSERT_EQ(study.groups.size(), 3u);
  EXPECT_TRUE(study.groups[2].accuracy_difference);
}

// ---- records of an earlier version
// ---------------------------------------------------------------

constexpr const char* kEarlier =
    "written by an earlier version, without an identity. What they say of configuration, model, "
    "plugins, demonstrations and queries groups them";

TEST(ReportIdentity, WithoutIdentitiesDrawsAreOneGroupAndTheReportSaysSo) {
  const Study study = study_of({make_record({.seed = 1}), make_record({.seed = 2})});
  ASSERT_EQ(study.groups.size(), 1u);
  EXPECT_EQ(study.groups[0].draws, 2);
  EXPECT_THAT(study.notes, ElementsAre(HasSubstr(std::string("2 records were ") + kEarlier)));
}

TEST(ReportIdentity, WithoutIdentitiesWhatRecordsSayKeepsThemApart) {
  const json same = make_record({});
  const auto changed = [&](const char* pointer, const json& value) {
    json record = same;
    record[json::json_pointer(pointer)] = value;
    return record;
  };
  const std::string hash(32, 'f');
  for (const json& other :
       {changed("/encode/demonstrations_hash", hash), changed("/model/fingerprint", hash),
        changed("/model/tokenizer", "u"), changed("/plugins/2/revision", 2),
        changed("/plugins/1/id", "acme.mask.self"), changed("/queries/5/text", "another text"),
        changed("/queries/5/expected", "beta")}) {
    const Study study = study_of({same, other});
    EXPECT_EQ(study.groups.size(), 2u) << json::diff(same, other);
    EXPECT_EQ(study.notes.size(), 2u);
  }
  // Labels of the drawn demonstrations are part of the draw; those of a file are not.
  EXPECT_EQ(study_of({same, changed("/encode/label_names/0", "gamma")}).groups.size(), 1u);
  json given = same;
  given["config"]["data"]["labels"] = "/data/labels.txt";
  json other = given;
  other["encode"]["label_names"][0] = "gamma";
  EXPECT_EQ(study_of({given, other}).groups.size(), 2u);
}

TEST(ReportIdentity, WithoutADrawEveryRunHasTheSameDemonstrations) {
  json first = make_record({.seed = 1}), second = make_record({.seed = 2});
  for (json* record : {&first, &second}) (*record)["config"]["data"]["demonstration_count"] = 0;
  EXPECT_EQ(study_of({first, second}).groups.size(), 2u);  // their hashes differ
  second["encode"]["demonstrations_hash"] = first["encode"]["demonstrations_hash"];
  EXPECT_EQ(study_of({first, second}).groups.size(), 1u);
}

// ---- libraries, validity
// -------------------------------------------------------------------------

TEST(ReportIdentity, TwoLibrariesOfOneRevisionAreOneGroupAndNamed) {
  std::vector<json> records = draws(2);
  records[1]["plugins"][2]["library_hash"] = "abcdef" + std::string(26, '0');
  const Study study = study_of(records);
  EXPECT_EQ(study.groups.size(), 1u);
  EXPECT_THAT(study.notes,
              ElementsAre("Libraries: bank: runs used 2 libraries of dbsa.retriever.x revision 1: "
                          "0000.. and abcd... One revision says that they answer alike."));
}

TEST(ReportIdentity, ValidityIsALineForEachGroup) {
  std::vector<json> records = draws(2);
  records[0]["validity"] = {{"queries_in_demonstrations", 3},
                            {"texts_with_two_labels", 1},
                            {"duplicates", 0},
                            {"near_equal_labels", 2},
                            {"duplicate_queries", 228},
                            {"queries_with_two_labels", 1},
                            {"near_expected_labels", 9},
                            {"warnings", {"said in other words"}}};
  records[0]["totals"]["queries"] = 100;
  records[0]["totals"]["items"]["labels_covered"] = 3;
  records[0]["encode"]["label_names"] = std::vector<std::string>(77, "label");
  records[1]["validity"] = {{"queries_in_demonstrations", 5}, {"duplicates", 1}};
  const Study study = study_of(records);
  EXPECT_THAT(
      study.notes,
      ElementsAre("Warning: bank: 5 queries are also demonstrations; 1 text has two labels; "
                  "1 duplicate demonstration; 2 labels are nearly equal to another; 228 queries "
                  "repeat another; "
                  "1 text expects two labels; 9 queries expect a label that is nearly one of the "
                  "pool; the 100 queries cover "
                  "3 of 77 labels."));
  records[0]["totals"]["items"]["labels_covered"] = 77;
  records[0]["validity"] = {{"queries_in_demonstrations", 0}};
  records[1]["validity"] = nullptr;
  EXPECT_THAT(study_of(records).notes, ElementsAre());
}

TEST(ReportIdentity, WhatRunsWarnedOfIsToldOnce) {
  std::vector<json> records = draws(2);
  records[0]["validity"] = {{"duplicates", 1}, {"warnings", {"counted above"}}};
  records[0]["warnings"] = {"counted above", "no BOS", "draw 1 only"};
  records[1]["warnings"] = {"no BOS"};
  // Warnings say it of the queries that were labelled.
  records[0]["totals"]["items"]["labels_covered"] = 3;
  records[0]["encode"]["label_names"] = std::vector<std::string>(77, "label");
  EXPECT_THAT(study_of(records).notes,
              ElementsAre("Warning: bank: 1 duplicate demonstration.", "Warning: bank: no BOS.",
                          "Warning: bank: draw 1 only."));
  records[1]["config"]["selection"]["ratio"] = 0.5;
  records[1]["identity"]["group"] = "another";
  EXPECT_THAT(study_of(records).notes, testing::Contains("Warning: all groups: no BOS."));
  std::vector<std::string> many;
  for (int i = 0; i < 25; ++i) many.push_back("warning " + std::to_string(i));
  records[0]["warnings"] = many;
  EXPECT_THAT(study_of(records).notes,
              testing::Contains("Warning: runs gave 6 other warnings; the records have them."));
}

TEST(ReportIdentity, QueriesWithoutAnAnswerAreCounted) {
  std::vector<json> records = draws(2);
  for (const size_t query : {4, 9})
    records[1]["queries"][query] = {
        {"line", query + 1},
        {"text", records[1]["queries"][query]["text"]},
        {"expected", "alpha"},
        {"correct", false},
        {"error", {{"code", "too_long"}, {"message", "expected a shorter text"}}}};
  EXPECT_THAT(study_of(records).notes,
              ElementsAre("Warning: bank: 2 of 200 queries have no answer, which counts as wrong; "
                          "the records say why."));
}

TEST(ReportIdentity, FaultsOfIdentityAndValidity) {
  json record = with_identity(make_record({}));
  record["identity"]["group"] = 7;
  record["identity"]["inputs"]["queries"] = 1;
  record["validity"] = {{"duplicates", "many"}};
  std::vector<std::string> faults;
  EXPECT_FALSE(parse_record("r.json", record.dump(), faults));
  EXPECT_THAT(faults,
              ElementsAre("r.json: identity.group: expected a string, got an integer 7",
                          "r.json: identity.inputs: expected an object of strings and null, got an "
                          "object",
                          "r.json: validity.duplicates: expected an integer >= 0, got a string "
                          "\"many\""));
}

// ---- matching queries
// -----------------------------------------------------------------------------------

json with_lines_moved(json record) {
  for (json& query : record["queries"]) query["line"] = query["line"].get<int64_t>() + 1;
  return record;
}

TEST(ReportIdentity, QueriesAreMatchedByTextNotByLine) {
  StudyInput input = methods();
  for (int64_t seed = 1; seed <= 3; ++seed) {
    const double request = 0.01 * static_cast<double>(seed);
    input.runs.push_back(
        read_run(with_identity(make_record({.seed = seed})), {{"method", "dense"}}));
    input.runs.push_back(
        read_run(with_lines_moved(with_identity(make_record({.seed = seed, .request = request}))),
                 {{"method", "DBSA"}}));
  }
  const Study study = analyse_study(std::move(input));
  ASSERT_EQ(study.groups.size(), 2u);
  EXPECT_TRUE(study.groups[1].accuracy_difference->value.interval);
  EXPECT_TRUE(study.groups[1].request_ratio->value.interval);
  // Records without an identity, too.
  EXPECT_EQ(study_of({make_record({}), with_lines_moved(make_record({}))}).groups.size(), 1u);
}

TEST(ReportIdentity, TheNthOfEqualQueriesIsTheNthOfAnotherRun) {
  json record = make_record({});
  for (size_t i : {1, 2, 3}) record["queries"][i]["text"] = record["queries"][0]["text"];
  record["queries"][3]["expected"] = "beta";
  const ReportRun run = read_run(record), moved = read_run(with_lines_moved(record));
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(run.answers[i].query, moved.answers[i].query);
    EXPECT_EQ(run.answers[i].text == run.answers[0].text, i < 4);
    for (size_t k = 0; k < i; ++k) EXPECT_NE(run.answers[i].query, run.answers[k].query);
  }
  std::swap(record["queries"][2], record["queries"][3]);
  EXPECT_EQ(read_run(record).answers[2].query, run.answers[3].query);
}

TEST(ReportIdentity, ATextCountsOnceAsAQueryInIntervals) {
  json doubled = with_identity(make_record({}));
  const json once = doubled["queries"];
  for (const json& query : once) doubled["queries"].push_back(query);
  doubled["totals"]["queries"] = 2 * kRecordQueries;
  doubled["totals"]["labelled"] = 2 * kRecordQueries;
  const Study one = study_of({with_identity(make_record({}))}), two = study_of({doubled});
  const Interval expected = *one.groups[0].accuracy->interval;
  const Interval found = *two.groups[0].accuracy->interval;
  EXPECT_DOUBLE_EQ(found.low, expected.low);
  EXPECT_DOUBLE_EQ(found.high, expected.high);
  EXPECT_NEAR(two.groups[0].request_mean.interval->high, one.groups[0].request_mean.interval->high,
              1e-9);
}

// ---- queries that could not be answered
// ----------------------------------------------------------

json with_error(json record, bool counted) {
  json& query = record["queries"][0];
  query = {{"line", query.at("line")},
           {"text", query.at("text")},
           {"expected", "alpha"},
           {"correct", nullptr},
           {"error", {{"message", "too long"}}}};
  if (!counted) record["totals"]["labelled"] = kRecordQueries - 1;
  return record;
}

TEST(ReportIdentity, AnErrorCountsAsWrongWhereTheTotalsCountIt) {
  const ReportRun counted = read_run(with_error(make_record({}), true));
  EXPECT_EQ(counted.answers[0].correct, false);
  EXPECT_FALSE(counted.answers[0].seconds);
  EXPECT_NEAR(counted.selected_tokens, 200, 2);
  const ReportRun left_out = read_run(with_error(make_record({}), false));
  EXPECT_FALSE(left_out.answers[0].correct);
  // Runs with and without it are still paired over the other queries.
  StudyInput input = methods();
  for (int64_t seed = 1; seed <= 3; ++seed) {
    input.runs.push_back(
        read_run(with_identity(make_record({.seed = seed})), {{"method", "dense"}}));
    input.runs.push_back(read_run(
        with_identity(with_error(
            make_record({.seed = seed, .request = 0.01 * static_cast<double>(seed)}), false)),
        {{"method", "DBSA"}}));
  }
  const Study study = analyse_study(std::move(input));
  EXPECT_TRUE(study.groups.at(1).accuracy_difference->value.interval);
  EXPECT_TRUE(study.groups.at(1).request_ratio->value.interval);
}

TEST(ReportIdentity, TheReportForProgramsSaysAllOfIt) {
  std::vector<json> records = draws(2);
  records.push_back(with_identity(make_record({}), {.queries = "q2"}));
  records[0]["validity"] = {{"duplicates", 4}};
  Report report{"T", {study_of(records)}, {}, {"a.json: damaged"}};
  const json out = report_json(report);
  EXPECT_EQ(out.at("left_out"), json({"a.json: damaged"}));
  const json& study = out.at("studies")[0];
  EXPECT_EQ(study.at("axes").back().at("name"), "queries");
  EXPECT_EQ(study.at("axes").back().at("identity"), true);
  EXPECT_EQ(study.at("notes").size(), 2u);
  const json& group = study.at("groups")[0];
  EXPECT_EQ(group.at("draws"), 2);
  EXPECT_EQ(group.at("accuracy").at("covers"), "queries");
  EXPECT_EQ(group.at("validity").at("duplicates"), 4);
  EXPECT_EQ(group.at("identity").at("recorded"), true);
  EXPECT_EQ(group.at("identity").at("stages").at("retriever").at("revision"), 1);
  EXPECT_THAT(
      report_markdown(report_document(report)),
      HasSubstr("‡ Fewer than three draws: this interval covers the choice of queries only."));
  EXPECT_THAT(report_markdown(report_document({"T", {study_of(draws(3))}, {}, {}})),
              Not(HasSubstr("Fewer than three draws:")));
}

}  // namespace
}  // namespace dbsa
