// run with queries that cannot be answered: each is an error in the record, the others are
// answered.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/cli/cli_fixture.h"
#include "tests/cli/schema_judge.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ItemsTest : public CliTest {
 protected:
  // Five sound queries among five that are none; two of those have a label.
  std::string make_bad_queries() const {
    const std::string pipeline = make_pipeline();
    json config = json::parse(workspace_.read("model/config.json"));
    config["max_position_embeddings"] = 1000;
    workspace_.write("model/config.json", config.dump());
    workspace_.write("queries.jsonl",
                     R"({"text": "", "label": "alpha"})"
                     "\n" +
                         workspace_.read("queries.jsonl") + json{{"text", kLong}}.dump() + "\n" +
                         "{\"text\": \"caf\xE9\", \"label\": \"beta\"}\nno JSON\n{\"txt\": 1}\n");
    return pipeline;
  }

  std::string place(int line) const {
    return path("queries.jsonl") + ":" + std::to_string(line) + ": ";
  }

  const std::string kLong = "card lost " + std::string(500, 'a') + " pin";
};

TEST_F(ItemsTest, ABadQueryIsAnErrorAndTheOthersAreAnswered) {
  const std::string pipeline = make_bad_queries();
  const ProcessResult result = cli({"run", pipeline, "--quiet"});
  EXPECT_EQ(result.exit_code, 2);
  const std::vector<std::string> messages = {
      place(1) +
          "expected a text in field \"text\", found an empty one; fill it in or remove the "
          "record",
      place(7) +
          "expected a prompt of at most 1000 positions, the model's, found 1141, of which "
          "the query takes 529; shorten the text, write data.truncate = \"left\" or "
          "\"right\", or select fewer blocks",
      place(8) +
          "expected UTF-8, found the byte 0xE9 at byte 14 of the line; convert the file to "
          "UTF-8",
      place(9) +
          "expected JSON, found a fault at byte 2 of the line; check quotes, commas and "
          "braces before it",
      place(10) +
          "expected a field \"text\", found \"txt\"; did you mean \"txt\"? Name the fields in "
          "[data] text_field "
          "and label_field"};
  std::string said;
  for (const std::string& message : messages) said += "error: " + message + "\n";
  EXPECT_EQ(result.error, said + "error: 5 of 10 queries were not answered\n");
  EXPECT_THAT(result.out, HasSubstr(" of 7 right)\n"));
  EXPECT_THAT(result.out, HasSubstr("\nerrors       5 of 10 queries, which count as wrong\n"));

  const json record = only_record();
  EXPECT_EQ(schema_faults("results.schema.json", record), "");
  const json& queries = record.at("queries");
  ASSERT_EQ(queries.size(), 10u);
  const std::vector<std::pair<int, std::string>> errors = {
      {0, "empty_text"}, {6, "too_long"}, {7, "not_utf8"}, {8, "malformed"}, {9, "bad_field"}};
  for (size_t i = 0; i < errors.size(); ++i) {
    const json& query = queries.at(static_cast<size_t>(errors[i].first));
    EXPECT_EQ(query.at("line"), errors[i].first + 1);
    EXPECT_EQ(query.at("error"), (json{{"code", errors[i].second}, {"message", messages[i]}}));
    EXPECT_FALSE(query.contains("label"));
  }
  EXPECT_EQ(queries[0].at("expected"), "alpha");
  EXPECT_EQ(queries[0].at("correct"), false);
  EXPECT_EQ(queries[6].at("text"), kLong);
  EXPECT_EQ(queries[6].at("correct"), nullptr);
  EXPECT_EQ(queries[7].at("text"), "caf\xEF\xBF\xBD");
  EXPECT_EQ(queries[7].at("expected"), "beta");
  const json& totals = record.at("totals");
  EXPECT_EQ(totals.at("queries"), 10);
  EXPECT_EQ(totals.at("labelled"), 7);
  EXPECT_EQ(totals.at("items"), (json{{"answered", 5},
                                      {"errors", 5},
                                      {"truncated", 0},
                                      {"unknown_labels", 0},
                                      {"labels_covered", 4}}));

  // The answers are those without the bad ones, however many are answered together.
  for (const char* together : {"1", "3", "8"}) {
    std::filesystem::remove_all(path("runs"));
    EXPECT_EQ(
        cli({"run", pipeline, "--quiet", "--set", std::string("model.batch_size=") + together})
            .exit_code,
        2);
    json again = only_record().at("queries");
    for (size_t i = 0; i < again.size(); ++i) {
      json expected = queries[i];
      expected.erase("seconds");
      again[i].erase("seconds");
      EXPECT_EQ(again[i], expected);
    }
  }
}

TEST_F(ItemsTest, OnErrorFailEndsTheRun) {
  const std::string pipeline = make_bad_queries();
  const Words words = {"run", pipeline, "--quiet", "--set", "data.on_error=fail"};
  ProcessResult result = cli(words);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, testing::StartsWith("error: " + place(1) + "expected a text"));
  EXPECT_FALSE(std::filesystem::exists(path("store/packs"))) << "before anything is encoded";
  // One that shows only when it is answered.
  workspace_.write("queries.jsonl", "{\"text\": \"card\"}\n" + json{{"text", kLong}}.dump() + "\n");
  result = cli(words);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, HasSubstr("error: " + place(2) + "expected a prompt of at"));
  for (const auto& entry : std::filesystem::directory_iterator(path("runs")))
    EXPECT_NE(entry.path().extension(), ".json");
}

TEST_F(ItemsTest, AFileWithoutAnyQueryIsAnErrorOfTheRun) {
  const std::string pipeline = make_pipeline();
  workspace_.write("queries.jsonl", "{\"utterance\": \"a\"}\n{\"utterance\": \"b\"}\n");
  const ProcessResult result = cli({"run", pipeline, "--quiet"});
  EXPECT_EQ(result.exit_code, 2);
  std::string said;
  for (const int line : {1, 2})
    said += "error: " + place(line) +
            "expected a field \"text\", found \"utterance\"; name the fields in [data] text_field "
            "and label_field\n";
  EXPECT_EQ(result.error, said);
  EXPECT_FALSE(std::filesystem::exists(path("store/packs")));
}

TEST_F(ItemsTest, ALabelThatNoDemonstrationHasCountsAsWrong) {
  const std::string pipeline = make_pipeline();
  workspace_.write("queries.jsonl", "{\"text\": \"card\", \"label\": \"delta\"}\n" +
                                        workspace_.read("queries.jsonl"));
  const ProcessResult result = cli({"run", pipeline});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.error, HasSubstr("warning: 1 of 6 queries expects a label that no "
                                      "demonstration has, such as \"delta\" (" +
                                      path("queries.jsonl") + ":1); they count as wrong: "));
  const json record = only_record();
  EXPECT_EQ(record.at("queries")[0].at("correct"), false);
  EXPECT_EQ(record.at("totals").at("labelled"), 6);
  EXPECT_EQ(record.at("totals").at("items").at("unknown_labels"), 1);
}

TEST_F(ItemsTest, ATextIsCutToFitWhereTheFileSaysSo) {
  const std::string pipeline = make_bad_queries();
  workspace_.write("queries.jsonl", "{\"text\": \"card\"}\n" + json{{"text", kLong}}.dump() + "\n");
  json answers[2];
  for (const bool left : {true, false}) {
    std::filesystem::remove_all(path("runs"));
    const ProcessResult result =
        cli({"run", pipeline, "--set", std::string("data.truncate=") + (left ? "left" : "right")});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_THAT(result.out, HasSubstr("\ntruncated    1 of 2 queries (data.truncate)\n"));
    const json record = only_record();
    EXPECT_EQ(schema_faults("results.schema.json", record), "");
    EXPECT_EQ(record.at("totals").at("items").at("truncated"), 1);
    const json& tokens = record.at("queries")[1].at("tokens");
    // A token a byte: 141 positions too many.
    EXPECT_EQ(tokens.at("cut"), 141);
    EXPECT_EQ(tokens.at("query"), 529 - 141);
    EXPECT_EQ(record.at("queries")[0].at("tokens").at("cut"), 0);
    EXPECT_EQ(record.at("queries")[1].at("text"), kLong) << "the record has the whole";
    answers[left ? 0 : 1] = record.at("queries")[1];
  }
  // As if the rest had been given.
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  for (const bool left : {true, false}) {
    const std::string part = left ? kLong.substr(141) : kLong.substr(0, kLong.size() - 141);
    const json given = json::parse(cli({"query", pipeline, "--json", part}).out);
    if (given.at("blocks") == answers[left ? 0 : 1].at("blocks")) {
      EXPECT_EQ(given.at("log_probability"), answers[left ? 0 : 1].at("log_probability"));
    }
  }
}

// Published files are often sorted by label.
TEST_F(ItemsTest, QueryCountDrawsFromTheWholeFile) {
  const std::string pipeline = make_pipeline();
  std::string queries;
  const std::vector<std::string> labels = {"alpha", "beta", "beta two", "gamma"};
  for (size_t i = 0; i < 40; ++i)
    queries += json{{"text", "card " + std::to_string(i)}, {"label", labels[i / 10]}}.dump() + "\n";
  workspace_.write("queries.jsonl", queries);
  const auto lines = [&](const std::string& count, const std::string& seed) {
    std::filesystem::remove_all(path("runs"));
    const ProcessResult result =
        cli({"run", pipeline, "--set", "data.query_count=" + count, "--set", "data.seed=" + seed});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    std::vector<int> found;
    const json record = only_record();
    for (const json& query : record.at("queries")) found.push_back(query.at("line"));
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end())) << "the order of the file";
    return found;
  };
  const std::vector<int> few = lines("8", "1"), same = lines("8", "1"), more = lines("16", "1");
  EXPECT_EQ(few.size(), 8u);
  EXPECT_EQ(few, same);
  EXPECT_NE(few, lines("8", "2"));
  EXPECT_GT(few.back(), 20);
  EXPECT_TRUE(std::includes(more.begin(), more.end(), few.begin(), few.end()));
}

}  // namespace
}  // namespace dbsa
