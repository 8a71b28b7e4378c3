// Probabilities as the program shows them: scorer, temperature, calibration, abstention.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "tests/cli/cli_fixture.h"
#include "tests/cli/schema_judge.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class ConfidenceTest : public CliTest {
 protected:
  Words with(Words words, const Words& settings) const {
    for (const std::string& setting : settings) {
      words.emplace_back("--set");
      words.push_back(setting);
    }
    return words;
  }
  const Words fitted_ = {"data.held_out=12", "decoding.fit_temperature=true"};
};

TEST_F(ConfidenceTest, ARunSaysHowFarItsProbabilitiesCanBeBelieved) {
  const std::string pipeline = make_pipeline(36, 40);
  const ProcessResult result = cli({"run", pipeline});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, ContainsRegex("\ncalibration  0\\.[0-9]{4} expected calibration error; a "
                                        "calibrated model: 0\\.[0-9]{4}\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("abstained")));
  const json record = only_record();
  EXPECT_EQ(schema_faults("results.schema.json", record), "");
  EXPECT_EQ(record.at("encode").at("calibration"), nullptr);
  EXPECT_EQ(record.at("totals").at("abstention"), nullptr);
  const json& reliability = record.at("totals").at("reliability");
  EXPECT_EQ(reliability.at("answers"), 40);
  ASSERT_EQ(reliability.at("bins").size(), 10u);
  // Of the record's own answers.
  std::vector<std::pair<double, double>> answers;
  for (const json& query : record.at("queries"))
    answers.emplace_back(std::exp(query.at("log_probability").get<double>()),
                         query.at("correct").get<bool>() ? 1 : 0);
  std::sort(answers.begin(), answers.end());
  double error = 0;
  for (size_t bin = 0; bin < 10; ++bin) {
    double difference = 0;
    for (size_t i = 4 * bin; i < 4 * bin + 4; ++i)
      difference += answers[i].second - answers[i].first;
    error += std::fabs(difference) / 40;
  }
  EXPECT_NEAR(reliability.at("error").get<double>(), error, 1e-9);
  const json& points = record.at("totals").at("risk_coverage");
  ASSERT_EQ(points.size(), 10u);
  EXPECT_EQ(points[0].at("accuracy"), record.at("totals").at("accuracy"));
  EXPECT_EQ(points[9].at("answers"), 4);
}

TEST_F(ConfidenceTest, ATemperatureIsFittedOnceAndFoundByQueries) {
  const std::string pipeline = make_pipeline(36, 5);
  const ProcessResult encoded = cli(with({"encode", pipeline, "--json"}, fitted_));
  ASSERT_EQ(encoded.exit_code, 0) << encoded.error;
  EXPECT_THAT(encoded.error,
              ContainsRegex("\ncalibrated temperature [0-9.]+, calibration error 0\\.[0-9]{3} "
                            "\\(0\\.[0-9]{3} before\\) on 12 held-out demonstrations\n"));
  const json made = json::parse(encoded.out).at("calibration");
  EXPECT_EQ(made.at("held_out"), 12);
  EXPECT_EQ(made.at("reused"), false);

  const ProcessResult run = cli(with({"run", pipeline}, fitted_));
  ASSERT_EQ(run.exit_code, 0) << run.error;
  EXPECT_THAT(run.error, HasSubstr("on 12 held-out demonstrations, found in the store\n"));
  const json record = only_record();
  EXPECT_EQ(schema_faults("results.schema.json", record), "");
  EXPECT_EQ(record.at("encode").at("calibration").at("temperature"), made.at("temperature"));
  EXPECT_EQ(record.at("encode").at("demonstrations"), 24);

  const std::string text = record.at("queries")[0].at("text");
  const ProcessResult told = cli(with({"query", pipeline, text, "--json"}, fitted_));
  ASSERT_EQ(told.exit_code, 0) << told.error;
  EXPECT_EQ(json::parse(told.out).at("log_probability"),
            record.at("queries")[0].at("log_probability"));
  const ProcessResult other =
      cli(with({"query", pipeline, text},
               {"data.held_out=12", "decoding.fit_temperature=true", "selection.ratio=0.9"}));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.error, HasSubstr("--set decoding.fit_temperature: this pool's held-out "
                                     "demonstrations were not answered with these settings ("));
}

TEST_F(ConfidenceTest, ATerminalSaysWhatThePercentageIs) {
  const std::string pipeline = make_pipeline(36, 5);
  ASSERT_EQ(cli(with({"encode", pipeline, "--quiet"}, fitted_)).exit_code, 0);
  const auto shown = [&](const Words& settings) {
    const ProcessResult result =
        cli(with({"query", pipeline, "card lost"}, settings), {.terminal = true});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    return result.out;
  };
  EXPECT_THAT(shown(fitted_),
              ContainsRegex("\\(percent\\)  of the probability of all 4 labels, by tokens; "
                            "temperature [0-9.]+, fitted on 12 held-out demonstrations\r?\n"));
  EXPECT_THAT(shown({"data.held_out=12", "decoding.method=likelihood", "decoding.scorer=per_byte",
                     "decoding.temperature=2"}),
              HasSubstr("of the probability of all 4 labels, by their likelihoods after "
                        "decoding.scorer; temperature 2"));
  EXPECT_THAT(shown({"data.held_out=12", "decoding.method=vote"}),
              HasSubstr("of the chosen demonstrations that have the label"));
  EXPECT_THAT(shown({"data.held_out=12", "decoding.method=free"}),
              HasSubstr("of the text among all texts"));
}

TEST_F(ConfidenceTest, AnswersBelowTheThresholdAreWithheldAndCounted) {
  const std::string pipeline = make_pipeline(24, 40);
  ASSERT_EQ(cli({"run", pipeline, "--quiet", "--output", path("all")}).exit_code, 0);
  const ProcessResult all = cli({"run", pipeline, "--json", "--output", path("all")});
  const json totals = json::parse(all.out).at("totals");
  const json& half = totals.at("risk_coverage")[5];
  const std::string threshold = "decoding.abstain_below=" + half.at("least_probability").dump();
  const ProcessResult result = cli(with({"run", pipeline}, {threshold}));
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, ContainsRegex("\nabstained    20 of 40 answers, below 0\\.[0-9]+; "
                                        "accuracy of the rest [01]\\.[0-9]{4} \\(95 %: "));
  const json record = only_record();
  EXPECT_EQ(schema_faults("results.schema.json", record), "");
  EXPECT_EQ(record.at("totals").at("accuracy"), totals.at("accuracy")) << "as if all were given";
  const json& abstention = record.at("totals").at("abstention");
  EXPECT_EQ(abstention.at("abstained"), 20);
  EXPECT_EQ(abstention.at("coverage"), 0.5);
  EXPECT_EQ(abstention.at("labelled"), 20);
  EXPECT_NEAR(abstention.at("accuracy").get<double>(), half.at("accuracy").get<double>(), 1e-12);
  int64_t withheld = 0, correct = 0;
  for (const json& query : record.at("queries")) {
    const bool abstained = query.at("label").is_null();
    EXPECT_EQ(abstained, query.at("abstained_label").is_string());
    withheld += abstained ? 1 : 0;
    correct += !abstained && query.at("correct").get<bool>() ? 1 : 0;
  }
  EXPECT_EQ(withheld, 20);
  EXPECT_EQ(correct, abstention.at("correct"));

  // The label stands apart in every output, and a repetition still knows it.
  const auto told = [&](const json& query, const Words& options) {
    Words words = {"query", pipeline, query.at("text").get<std::string>()};
    words.insert(words.end(), options.begin(), options.end());
    return cli(with(words, {threshold})).out;
  };
  for (const json& query : record.at("queries")) {
    const std::string plain = told(query, {});
    if (query.at("label").is_null()) {
      EXPECT_TRUE(plain.starts_with("\t")) << plain;
      EXPECT_TRUE(plain.ends_with("\t" + query.at("abstained_label").get<std::string>() + "\n"))
          << plain;
      EXPECT_EQ(json::parse(told(query, {"--json"})).at("abstained_label"),
                query.at("abstained_label"));
      break;
    }
  }
  std::string path_of_record;
  for (const auto& entry : std::filesystem::directory_iterator(path("runs")))
    path_of_record = entry.path().string();
  const ProcessResult again = cli({"run", "--record", path_of_record, "--output", path("again")});
  EXPECT_EQ(again.exit_code, 0) << again.error;
  EXPECT_THAT(again.out, HasSubstr("repeated     40 of 40 answers"));
}

TEST_F(ConfidenceTest, TextsWithoutAScorerAreAWarning) {
  const std::string pipeline = make_pipeline();
  EXPECT_EQ(cli({"validate", pipeline, "--set", "decoding.content_free=[\"x\"]"}).error,
            "warning: --set decoding.content_free: has no effect with decoding.scorer = \"sum\", "
            "only with \"contextual\"\n");
}

TEST_F(ConfidenceTest, ValidateFindsWhatCannotBeScoredOrHeldOut) {
  const std::string pipeline = make_pipeline();
  ProcessResult result = cli({"validate", pipeline, "--set", "decoding.scorer=pmi"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error,
              HasSubstr("--set decoding.scorer: \"pmi\" needs the likelihood of every "
                        "label, which method = \"trie\" does not have"));
  result = cli({"validate", pipeline, "--set", "data.held_out=24"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, HasSubstr("--set data.held_out: must be below the number of "
                                      "demonstrations, 24, got 24"));
}

}  // namespace
}  // namespace dbsa
