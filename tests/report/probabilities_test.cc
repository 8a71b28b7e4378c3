// What a report says of the probabilities of answers.
#include <gmock/gmock.h>

#include <cmath>

#include "report/report.h"
#include "tests/report/records.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Answers of the probabilities 0.01 to 1, in some order, of which those above `sure` are right.
json graded_record(double sure, int64_t seed = 1) {
  json record = with_identity(make_record({.seed = seed}));
  for (int64_t i = 0; i < kRecordQueries; ++i) {
    json& query = record["queries"][static_cast<size_t>((i * 37 + 5 * seed) % kRecordQueries)];
    const double probability = static_cast<double>(i + 1) / kRecordQueries;
    query["log_probability"] = std::log(probability);
    query["correct"] = probability > sure;
  }
  return record;
}

StudyInput graded_study(std::vector<ReportRun> runs) {
  StudyInput input;
  input.title = "Runs";
  input.runs = std::move(runs);
  return input;
}

// The sum over ten bins of ten of |right - sum of their probabilities| / 100.
double graded_error(double sure) {
  double error = 0;
  for (int bin = 0; bin < 10; ++bin) {
    double difference = 0;
    for (int i = 10 * bin + 1; i <= 10 * bin + 10; ++i)
      difference += (i / 100.0 > sure ? 1 : 0) - i / 100.0;
    error += std::fabs(difference) / 100;
  }
  return error;
}

TEST(ReportProbabilities, ErrorsAreMeansOverDrawsAndBinsAreOfAllOfThem) {
  const Study study = analyse_study(
      graded_study({read_run(graded_record(0.5, 1)), read_run(graded_record(0.8, 2))}));
  ASSERT_EQ(study.groups.size(), 1u);
  const ReportGroup& group = study.groups[0];
  ASSERT_TRUE(group.reliability && group.calibration_error && group.calibration_error_by_chance);
  EXPECT_EQ(group.calibration_error->count, 2);
  EXPECT_NEAR(group.calibration_error->mean, (graded_error(0.5) + graded_error(0.8)) / 2, 1e-9);
  EXPECT_GT(group.calibration_error_by_chance->mean, 0);
  EXPECT_EQ(group.reliability->answers, 2 * kRecordQueries);
  // Of the bin of 0.71 to 0.80 one draw has all right, the other none.
  EXPECT_NEAR(group.reliability->bins[7].accuracy, 0.5, 1e-9);
  EXPECT_NEAR(group.reliability->bins[7].confidence, 0.755, 1e-9);
  // Of the likeliest half all are right in one draw, and two fifths in the other.
  ASSERT_EQ(group.risk_coverage.size(), 10u);
  EXPECT_NEAR(group.risk_coverage[5].coverage, 0.5, 1e-9);
  EXPECT_NEAR(group.risk_coverage[5].accuracy, 0.7, 1e-9);
}

TEST(ReportProbabilities, ARepetitionOfADrawIsCountedOnce) {
  const Study study =
      analyse_study(graded_study({read_run(graded_record(0.5)), read_run(graded_record(0.5))}));
  EXPECT_EQ(study.groups[0].reliability->answers, kRecordQueries);
  EXPECT_EQ(study.groups[0].calibration_error->count, 1);
}

TEST(ReportProbabilities, StandInEveryFile) {
  Report report;
  report.title = "Runs";
  report.studies.push_back(analyse_study(graded_study({read_run(graded_record(0.5))})));
  const std::string text = report_markdown(report_document(report));
  EXPECT_THAT(text, HasSubstr("### Probabilities"));
  EXPECT_THAT(text, HasSubstr("calibration error"));
  EXPECT_THAT(text, HasSubstr("| 100 % | 90 % |"));
  const json group = json(report_json(report)).at("studies")[0].at("groups")[0];
  EXPECT_NEAR(group.at("reliability").at("error").at("mean").get<double>(), graded_error(0.5),
              1e-9);
  EXPECT_EQ(group.at("reliability").at("bins").size(), 10u);
  EXPECT_NEAR(group.at("reliability").at("risk_coverage")[0].at("risk").get<double>(), 0.5, 1e-9);
  EXPECT_THAT(report_csv(report), HasSubstr(",calibration_error,calibration_error_by_chance"));
  const std::vector<Plot> plots = reliability_plots(report.studies[0]);
  ASSERT_EQ(plots.size(), 1u);
  EXPECT_THAT(plots[0].script, HasSubstr("\n0.755 1\n"));
}

TEST(ReportProbabilities, FreeAnswersAndUnlabelledOnesHaveNone) {
  json free = graded_record(0.5);
  free["config"]["decoding"]["method"] = "free";
  EXPECT_FALSE(analyse_study(graded_study({read_run(free)})).groups[0].reliability);
  const Study unlabelled = analyse_study(graded_study({make_run({.accuracy = std::nullopt})}));
  EXPECT_FALSE(unlabelled.groups[0].reliability);
  Report report;
  report.studies.push_back(unlabelled);
  EXPECT_THAT(report_markdown(report_document(report)), testing::Not(HasSubstr("Probabilities")));
  EXPECT_TRUE(reliability_plots(unlabelled).empty());
}

TEST(ReportProbabilities, AProbabilityAboveOneIsAFault) {
  json record = make_record({});
  record["queries"][3]["log_probability"] = 0.5;
  std::vector<std::string> faults;
  EXPECT_FALSE(parse_record("r.json", record.dump(), faults).has_value());
  EXPECT_THAT(faults, testing::ElementsAre(
                          "r.json: queries[3].log_probability: expected a number of at most 0, or "
                          "null, got a number 0.5"));
}

}  // namespace
}  // namespace dbsa
