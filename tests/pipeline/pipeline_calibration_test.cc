// data.held_out and decoding.fit_temperature: what is held out, what is fitted, and that it is
// kept.
#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <set>

#include "icl/temperature.h"
#include "pipeline/answer/calibration.h"
#include "pipeline/answer/kept_calibration.h"
#include "tests/pipeline/oracle_labels.h"
#include "tests/pipeline/pipeline_fixture.h"
#include "tests/pipeline/workspace_store.h"

namespace dbsa {
namespace {

constexpr int kHeldOut = 24;

class CalibrationTest : public PipelineTest {
 protected:
  // A pool of as many demonstrations as PipelineTest's, and kHeldOut that are held out.
  void SetUp() override {
    PipelineTest::SetUp();
    for (int i = 0; i < kHeldOut; ++i)
      add_demonstration(static_cast<size_t>(i),
                        "remark " + std::to_string(i) + " on topic " + std::to_string(i % 4),
                        i % 4);
    write_demonstrations();
  }

  static PipelineHarness::Overrides fitted(const std::string& method,
                                           PipelineHarness::Overrides more = {}) {
    PipelineHarness::Overrides settings = held(method, std::move(more));
    settings.push_back({"decoding.fit_temperature", "true"});
    return settings;
  }
  static PipelineHarness::Overrides held(const std::string& method,
                                         PipelineHarness::Overrides more = {}) {
    for (const auto& setting : settings_of({"self", 0, 0}, false)) more.push_back(setting);
    more.push_back({"data.held_out", std::to_string(kHeldOut)});
    more.push_back({"decoding.method", "\"" + method + "\""});
    return more;
  }

  Calibration calibration_of(const PipelineHarness::Overrides& settings) const {
    const EncodeReport report = encode(settings);
    if (!report.calibration) throw std::runtime_error("no calibration");
    return *report.calibration;
  }

  static std::vector<Example> held_out_of(const DataSettings& data) {
    Result<DataRows> rows = read_demonstrations(data);
    if (!rows.ok()) throw std::runtime_error(rows.error().message);
    return std::move(rows->held_out);
  }

  // The only pool of the store, as it is kept.
  Pool kept_pool(const std::string& store = "store") const {
    return WorkspaceStore(workspace_, store).only_pool();
  }
};

TEST_F(CalibrationTest, TheHeldOutAreNotInThePoolAndTheirLabelsAre) {
  auto harness = open(fitted("likelihood"));
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->estimate.demonstrations, kBlocks * kBlockSize);
  const std::vector<Example> held_out = held_out_of(harness->pipeline().settings().data);
  ASSERT_EQ(held_out.size(), static_cast<size_t>(kHeldOut));
  std::set<int64_t> lines;
  for (const std::vector<int64_t>& block : report->assignment)
    lines.insert(block.begin(), block.end());
  EXPECT_EQ(lines.size(), static_cast<size_t>(kBlocks * kBlockSize));
  for (const Example& example : held_out) EXPECT_FALSE(lines.contains(example.line));
  EXPECT_EQ(report->labels.size(), 4u);

  // The seed decides which.
  DataSettings other = harness->pipeline().settings().data;
  EXPECT_EQ(held_out_of(other), held_out);
  other.seed = 9;
  EXPECT_NE(held_out_of(other), held_out);
}

TEST_F(CalibrationTest, SomeDemonstrationsMustStayInThePool) {
  const std::string all = std::to_string(kHeldOut + kBlocks * kBlockSize);
  const auto refused = open({{"data.held_out", all}})->pipeline().encode(false, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kConfig);
  EXPECT_EQ(refused.error().config_pointer, "/data/held_out");
  EXPECT_EQ(refused.error().message, "data.held_out: must be below the number of demonstrations, " +
                                         all + ", got " + all +
                                         "; hold fewer of them out of the pool");
}

// The loss that is to be least, of what the oracle says of every label.
TEST_F(CalibrationTest, NoTemperatureSaysBetterWhichAnswersAreRight) {
  const auto oracle = reference::OracleModel::load(workspace_.path("model"));
  ASSERT_TRUE(oracle.ok());
  const auto tokenizer = Tokenizer::load(workspace_.path("model"));
  for (const std::string method : {"likelihood", "trie"}) {
    const Calibration made = calibration_of(fitted(method));
    EXPECT_EQ(made.held_out, kHeldOut);
    EXPECT_EQ(made.answered, kHeldOut);
    auto harness = open(held(method));
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    const Pool& pool = harness->pipeline().pool();
    std::vector<LabelTokens> tokens;
    std::vector<std::string> names;
    for (const PoolLabel& label : pool.labels) {
      tokens.push_back(label.tokens);
      names.push_back(label.text);
    }
    const LabelTrie trie = *LabelTrie::build(tokens, names);
    std::vector<std::pair<std::vector<double>, bool>> answers;  // scores; whether it is right
    int right = 0;
    for (const Example& example : held_out_of(harness->pipeline().settings().data)) {
      const auto told = harness->pipeline().answer(example.text);
      ASSERT_TRUE(told.ok());
      OraclePrompt prompt;
      for (const AnswerBlock& block : told->blocks)
        prompt.pieces.push_back(pool.blocks[static_cast<size_t>(block.block)].token_ids);
      prompt.query = *(*tokenizer)->encode("query: " + example.text + "\nintent:");
      prompt.piece_sees = [](size_t, size_t) { return false; };
      prompt.query_sees = [](size_t) { return true; };
      std::vector<double> scores;
      if (method == "trie")
        scores = oracle_trie_log_probabilities(*oracle, prompt, trie);
      else
        for (const LabelTokens& label : tokens)
          scores.push_back(oracle_log_likelihood(*oracle, prompt, label));
      const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
      EXPECT_EQ(names[static_cast<size_t>(best)], told->label.text);
      answers.emplace_back(scores, told->label.text == example.label);
      right += answers.back().second ? 1 : 0;
    }
    std::cout << method << ": " << made.temperature << ", " << right << " right\n";
    const auto loss = [&](double temperature) {
      double total = 0;
      for (const auto& [scores, is_right] : answers) {
        const double best = *std::max_element(scores.begin(), scores.end());
        double sum = 0;
        for (const double score : scores) sum += std::exp((score - best) / temperature);
        total -= std::log(is_right ? 1 / sum : 1 - 1 / sum);
      }
      return total;
    };
    // The pipeline's scores are not the oracle's to the last digit: kLabelTolerance says how far,
    // and no slope of -log p or -log (1 - p) by a score is steeper than 1 / T.
    const double slack = 2 * kHeldOut * kLabelTolerance / std::min(1.0, made.temperature);
    for (double temperature = 0.1; temperature <= kMostTemperature; temperature *= 1.05)
      EXPECT_GE(loss(temperature), loss(made.temperature) - slack) << method << " " << temperature;
  }
}

TEST_F(CalibrationTest, AFittedTemperatureIsTheOneThatAnswersHave) {
  for (const std::string method : {"likelihood", "trie"}) {
    auto harness = open(fitted(method));
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    const double temperature = harness->pipeline().calibration()->temperature;
    auto given = open(held(method, {{"decoding.temperature", nlohmann::json(temperature).dump()}}));
    ASSERT_TRUE(given->pipeline().encode(false, {}).ok());
    EXPECT_EQ(ask(harness->pipeline()), ask(given->pipeline())) << method;
    auto plain = open(held(method));
    ASSERT_TRUE(plain->pipeline().encode(false, {}).ok());
    EXPECT_FALSE(ask(harness->pipeline()) == ask(plain->pipeline())) << method;
    EXPECT_FALSE(plain->pipeline().calibration().has_value());
  }
}

// The likeliest label's odds by the curve, the others' shares as they were; no label changes.
TEST_F(CalibrationTest, AFittedCurveChangesTheLikeliestLabelsOdds) {
  for (const std::string method : {"likelihood", "trie"}) {
    auto plain = open(held(method));
    ASSERT_TRUE(plain->pipeline().encode(false, {}).ok());
    auto harness = open(held(method, {{"decoding.fit_confidence", "true"}}));
    const auto report = harness->pipeline().encode(false, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    ASSERT_TRUE(report->calibration.has_value());
    EXPECT_EQ(report->calibration->temperature, 1);
    ASSERT_TRUE(report->calibration->curve.has_value());
    const ConfidenceCurve curve = *report->calibration->curve;
    int changed = 0;
    for (const std::string text : {"something about topic 1", "question b", "topic 3"}) {
      const auto before = plain->pipeline().answer(text), after = harness->pipeline().answer(text);
      ASSERT_TRUE(before.ok() && after.ok());
      EXPECT_EQ(after->label.text, before->label.text);
      EXPECT_EQ(after->runner_up->text, before->runner_up->text);
      const double p = std::exp(before->label.log_probability);
      const double second = std::exp(before->runner_up->log_probability);
      const double odds =
          std::max(std::exp(curve.slope * std::log(p / (1 - p)) + curve.offset), second / (1 - p));
      EXPECT_NEAR(std::exp(after->label.log_probability), odds / (1 + odds), 1e-5) << method;
      EXPECT_NEAR(std::exp(after->runner_up->log_probability), second / (1 - p) / (1 + odds), 1e-5)
          << method;
      changed += std::abs(after->label.log_probability - before->label.log_probability) > 1e-3;
    }
    EXPECT_GT(changed, 0) << "the test shows nothing";
    // Found again by `query`, which has no data.
    auto again = open(held(method, {{"decoding.fit_confidence", "true"}}));
    ASSERT_TRUE(again->pipeline().open_pool().ok());
    EXPECT_EQ(again->pipeline().calibration()->curve, report->calibration->curve);
    EXPECT_EQ(ask(again->pipeline()), ask(harness->pipeline()));
  }
}

// All of the labels' probabilities to the power of 1 / T, which sum to one.
TEST_F(CalibrationTest, ATemperatureOfATrieIsOfTheLabelsProbabilities) {
  const auto oracle = reference::OracleModel::load(workspace_.path("model"));
  const auto tokenizer = Tokenizer::load(workspace_.path("model"));
  for (const char* temperature : {"0.2", "3.0"}) {
    auto plain = open(held("trie"));
    ASSERT_TRUE(plain->pipeline().encode(false, {}).ok());
    auto harness = open(held("trie", {{"decoding.temperature", temperature}}));
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    const Pool& pool = harness->pipeline().pool();
    std::vector<LabelTokens> tokens;
    std::vector<std::string> names;
    for (const PoolLabel& label : pool.labels) {
      tokens.push_back(label.tokens);
      names.push_back(label.text);
    }
    const LabelTrie trie = *LabelTrie::build(tokens, names);
    for (const std::string text : {"something about topic 1", "question b"}) {
      const auto told = harness->pipeline().answer(text);
      ASSERT_TRUE(told.ok()) << told.error().message;
      const auto before = plain->pipeline().answer(text);
      EXPECT_EQ(told->label.text, before->label.text);
      EXPECT_EQ(told->runner_up->text, before->runner_up->text);
      OraclePrompt prompt;
      for (const AnswerBlock& block : told->blocks)
        prompt.pieces.push_back(pool.blocks[static_cast<size_t>(block.block)].token_ids);
      prompt.query = *(*tokenizer)->encode("query: " + text + "\nintent:");
      prompt.piece_sees = [](size_t, size_t) { return false; };
      prompt.query_sees = [](size_t) { return true; };
      std::vector<double> expected = oracle_trie_log_probabilities(*oracle, prompt, trie);
      double sum = 0;
      for (double& score : expected) {
        score /= std::stod(temperature);
        sum += std::exp(score);
      }
      std::sort(expected.begin(), expected.end(), std::greater<>());
      const double tolerance = 2 * kLabelTolerance / std::min(1.0, std::stod(temperature));
      EXPECT_NEAR(told->label.log_probability, expected[0] - std::log(sum), tolerance);
      EXPECT_NEAR(told->runner_up->log_probability, expected[1] - std::log(sum), tolerance);
    }
  }
}

// Answered once; then found by every pipeline on the pool, with the answers of the first.
TEST_F(CalibrationTest, IsKeptInTheStore) {
  const PipelineHarness::Overrides settings = fitted("trie");
  auto first = open(settings);
  int64_t answered = 0;
  EncodeObserver observer;
  observer.calibrating = [&](int64_t done, int64_t) { answered = done; };
  auto report = first->pipeline().encode(false, observer);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_FALSE(report->calibration_reused);
  EXPECT_EQ(answered, kHeldOut);
  EXPECT_EQ(kept_pool().calibrations.size(), 1u);
  const Told told = ask(first->pipeline());

  auto second = open(settings);
  const auto again = second->pipeline().encode(false, {});
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->calibration_reused);
  EXPECT_EQ(again->calibration, report->calibration);
  EXPECT_EQ(ask(second->pipeline()), told);

  auto opened = open(settings);
  ASSERT_TRUE(opened->pipeline().open_pool().ok());
  EXPECT_EQ(opened->pipeline().calibration(), report->calibration);
  EXPECT_EQ(ask(opened->pipeline()), told);

  // What no probability depends on needs no other.
  for (const auto& [key, value] : PipelineHarness::Overrides{{"decoding.abstain_below", "0.5"},
                                                             {"data.query_count", "2"},
                                                             {"model.chunk_tokens", "7"},
                                                             {"model.batch_size", "3"}}) {
    PipelineHarness::Overrides same = settings;
    same.push_back({key, value});
    EXPECT_TRUE(encode(same).calibration_reused) << key;
  }
  for (const auto& [key, value] : PipelineHarness::Overrides{{"selection.ratio", "0.9"},
                                                             {"selection.order", "\"reversed\""},
                                                             {"decoding.method", "\"likelihood\""},
                                                             {"data.seed", "4"}}) {
    PipelineHarness::Overrides other = settings;
    other.push_back({key, value});
    EXPECT_FALSE(encode(other).calibration_reused) << key;
  }
}

// An edit keeps the others, so that going back finds them.
TEST_F(CalibrationTest, APoolKeepsThoseOfItsOtherSettingsAndData) {
  const std::string before = workspace_.read("demonstrations.jsonl");
  encode(fitted("trie"));
  encode(fitted("likelihood"));
  encode(held("trie"));
  EXPECT_EQ(kept_pool().calibrations.size(), 2u);
  std::string edited = before;
  edited.replace(edited.find("topic"), 5, "theme");
  workspace_.write("demonstrations.jsonl", edited);
  EXPECT_FALSE(encode(fitted("trie")).calibration_reused);
  EXPECT_EQ(kept_pool().calibrations.size(), 3u);
  EXPECT_TRUE(encode(fitted("trie")).calibration_reused);
  workspace_.write("demonstrations.jsonl", before);
  EXPECT_TRUE(encode(fitted("trie")).calibration_reused);
  EXPECT_TRUE(encode(fitted("likelihood")).calibration_reused);
  EXPECT_EQ(kept_pool().calibrations.size(), 3u);
}

TEST_F(CalibrationTest, OneThatAnotherProcessHasAddedStays) {
  encode(fitted("trie"));
  WorkspaceStore store(workspace_, "store");
  Pool mine = kept_pool();
  const Pool before = mine;
  ASSERT_EQ(mine.calibrations.size(), 1u);
  Pool other = mine;
  const Calibration made = {2, std::nullopt, {}, 3, 3, 0.5, 0.25};
  const std::string a(32, 'a'), b(32, 'b');
  ASSERT_TRUE(keep_calibration(*store, other, made, a).ok());
  ASSERT_TRUE(keep_calibration(*store, mine, made, b).ok());
  const Pool kept = kept_pool();
  ASSERT_EQ(kept.calibrations.size(), 3u);
  EXPECT_EQ(kept.calibrations[0], before.calibrations[0]);
  EXPECT_EQ(*find_calibration(kept, "p", a), made);
  EXPECT_EQ(*find_calibration(kept, "p", b), made);
  EXPECT_EQ(find_calibration(kept, "p", std::string(32, 'c')).error().code, ErrorCode::kNotFound);
  // There is a bound: those that were made first go.
  for (int i = 0; i < 64; ++i)
    ASSERT_TRUE(keep_calibration(*store, mine, made, std::to_string(i)).ok());
  EXPECT_EQ(kept_pool().calibrations.size(), 64u);
  EXPECT_EQ(kept_pool().calibrations[0].identity, "0");
}

TEST_F(CalibrationTest, BatchesMakeTheSameOne) {
  const Calibration one = calibration_of(fitted("trie", {{"kv_store.path", "\"a\""}}));
  EXPECT_EQ(calibration_of(fitted("trie", {{"kv_store.path", "\"b\""}, {"model.batch_size", "5"}})),
            one);
}

TEST_F(CalibrationTest, WithoutOneAPoolIsNotAnsweredFrom) {
  encode(held("trie"));
  const auto opened = open(fitted("trie"))->pipeline().open_pool();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kConfig);
  EXPECT_EQ(opened.error().config_pointer, "/decoding/fit_temperature");
  EXPECT_NE(opened.error().message.find("decoding.fit_temperature: this pool's held-out "
                                        "demonstrations were not answered with these settings ("),
            std::string::npos)
      << opened.error().message;
  EXPECT_NE(opened.error().message.find(kept_pool().id + ".pool has no calibration "),
            std::string::npos)
      << opened.error().message;
  EXPECT_NE(opened.error().message.find("run `dbsa-pipe encode`"), std::string::npos);
}

TEST_F(CalibrationTest, ADamagedOneIsMadeAgainAndNotAnsweredFrom) {
  const PipelineHarness::Overrides settings = fitted("likelihood");
  const Calibration made = calibration_of(settings);
  Pool pool = kept_pool();
  pool.calibrations.at(0).document = "{\"calibration\": 2}";
  ASSERT_TRUE(put_pool(*WorkspaceStore(workspace_, "store"), pool).ok());
  const Status refused = open(settings)->pipeline().open_pool();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(refused.error().message,
            workspace_.path("store/pools/" + pool.id + ".pool") +
                ": not a sound calibration: it is that of another pool or other settings; run "
                "`dbsa-pipe encode` again (stored blocks are reused)");
  auto harness = open(settings);
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_FALSE(report->calibration_reused);
  EXPECT_EQ(report->calibration, made);
  ASSERT_FALSE(harness->warnings().empty());
  EXPECT_TRUE(harness->warnings()[0].ends_with("it is made again now")) << harness->warnings()[0];
  EXPECT_TRUE(open(settings)->pipeline().open_pool().ok());
}

TEST_F(CalibrationTest, IsMadeOfTheHeldOutThatCanBeAnswered) {
  std::string lines = workspace_.read("demonstrations.jsonl"), text;
  for (int i = 0; i < 1000; ++i) text += "word ";
  lines += nlohmann::json{{"text", text}, {"label", "topic 1"}}.dump() + "\n";
  workspace_.write("demonstrations.jsonl", lines);
  for (int seed = 0; seed < 40; ++seed) {
    auto harness = open(fitted(
        "likelihood", {{"data.seed", std::to_string(seed)}, {"model.max_positions", "1000"}}));
    const std::vector<Example> held_out = held_out_of(harness->pipeline().settings().data);
    if (std::none_of(held_out.begin(), held_out.end(),
                     [&](const Example& example) { return example.text == text; }))
      continue;
    const auto report = harness->pipeline().encode(false, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_EQ(report->calibration->held_out, kHeldOut);
    EXPECT_EQ(report->calibration->answered, kHeldOut - 1);
    return;
  }
  FAIL() << "the long one was never held out";
}

TEST_F(CalibrationTest, AnAnswerBelowTheThresholdIsWithheld) {
  auto harness = open(held("likelihood"));
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const auto plain = harness->pipeline().answer("something about topic 1");
  ASSERT_TRUE(plain.ok());
  EXPECT_FALSE(plain->abstained);
  const double probability = std::exp(plain->label.log_probability);
  for (const double change : {-1e-6, 1e-6}) {
    auto strict = open(held(
        "likelihood", {{"decoding.abstain_below", nlohmann::json(probability + change).dump()}}));
    ASSERT_TRUE(strict->pipeline().open_pool().ok());
    const auto told = strict->pipeline().answer("something about topic 1");
    ASSERT_TRUE(told.ok());
    EXPECT_EQ(told->abstained, change > 0);
    EXPECT_EQ(told->label.text, plain->label.text);
    EXPECT_EQ(told->label.log_probability, plain->label.log_probability);
  }
}

TEST(CalibrationText, SaysAllOfIt) {
  const Calibration made = {
      1.2345678901234567, ConfidenceCurve{0.7, -0.1}, {-0.1, -2.5}, 7, 6, 0.25, 1.0 / 3};
  const std::string identity(32, 'a');
  const auto read = parse_calibration(calibration_text(made, identity), "f", identity, 2);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, made);
}

TEST(CalibrationText, IsRefusedWhereItIsNotSound) {
  const Calibration made = {1.5, ConfidenceCurve{0.7, -0.1}, {-0.1, -2.5}, 7, 6, 0.25, 0.1};
  const std::string identity(32, 'a');
  const auto changed = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json text = nlohmann::json::parse(calibration_text(made, identity));
    text[key] = value;
    const auto read = parse_calibration(text.dump(), "f", identity, 2);
    return read.ok() ? std::string() : read.error().message;
  };
  const auto message = [](const std::string& what) {
    return "f: not a sound calibration: " + what +
           "; run `dbsa-pipe encode` again (stored blocks are reused)";
  };
  EXPECT_EQ(changed("calibration", 1), message("it is of another version"));
  EXPECT_EQ(changed("identity", "b"), message("it is that of another pool or other settings"));
  EXPECT_EQ(changed("temperature", 0), message("its temperature is out of range"));
  EXPECT_EQ(changed("temperature", "1"), message("a field is missing or not of its type"));
  EXPECT_EQ(changed("curve", {{"slope", -1}, {"offset", 0}}), message("its curve is none"));
  EXPECT_EQ(changed("curve", {{"slope", 1}}), message("a field is missing or not of its type"));
  EXPECT_EQ(changed("log_prior", {-1.0}), message("it has 1 labels, expected 2"));
  EXPECT_EQ(changed("log_prior", {-1.0, 0.5}), message("a label's mean probability is above 1"));
  EXPECT_EQ(changed("answered", 8), message("its counts do not agree"));
  EXPECT_EQ(changed("error_after", 1.5), message("an error is no share"));
  EXPECT_EQ(parse_calibration("[", "f", identity, 2).error().message,
            message("it is no JSON object"));
}

}  // namespace
}  // namespace dbsa
