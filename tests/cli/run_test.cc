// run and encode, end to end on a tiny random model.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/cli/cli_fixture.h"
#include "tests/cli/opened_file.h"
#include "tests/cli/schema_judge.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;
using RunTest = CliTest;

std::vector<std::pair<std::string, double>> labels_of(const json& record) {
  std::vector<std::pair<std::string, double>> labels;
  for (const json& query : record.at("queries"))
    labels.emplace_back(query.at("label"), query.at("log_probability").get<double>());
  return labels;
}

TEST_F(RunTest, WritesARecordThatTheSchemaAccepts) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result = cli({"run", pipeline});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("accuracy     "));
  EXPECT_THAT(result.out, HasSubstr("macro-F1     "));
  EXPECT_THAT(result.out, HasSubstr("(6 blocks encoded, 0 reused)"));
  EXPECT_THAT(result.error, HasSubstr("pool       24 demonstrations in 6 blocks, "));
  EXPECT_THAT(result.error, HasSubstr("to encode  6 blocks, "));

  const json record = only_record();
  EXPECT_EQ(schema_faults("results.schema.json", record), "");
  EXPECT_EQ(record.at("pipeline"), pipeline);
  EXPECT_EQ(record.at("plugins").size(), 5u);
  EXPECT_EQ(record.at("encode").at("blocks_encoded"), 6);
  EXPECT_EQ(record.at("encode").at("assignment").size(), 6u);
  EXPECT_EQ(record.at("totals").at("queries"), 5);
  ASSERT_EQ(record.at("queries").size(), 5u);
  int64_t tokens = 0;
  for (const json& block : record.at("queries")[0].at("blocks"))
    tokens += block.at("tokens").get<int64_t>();
  EXPECT_EQ(record.at("queries")[0].at("blocks").size(), 3u);  // half of six
  EXPECT_EQ(record.at("queries")[0].at("tokens").at("selected"), tokens);
  EXPECT_EQ(record.at("queries")[4].at("line"), 5);
  EXPECT_EQ(record.at("queries")[4].at("text_scores"), nullptr) << "labels are no texts";
  EXPECT_EQ(record.at("totals").at("text_scores"), nullptr);
}

TEST_F(RunTest, TheSchemaRefusesARecordThatIsNotOne) {
  ASSERT_EQ(cli({"run", make_pipeline(), "--quiet"}).exit_code, 0);
  const json record = only_record();
  ASSERT_EQ(schema_faults("results.schema.json", record), "");
  json broken = record;
  broken["totals"]["accuracy"] = 1.5;
  EXPECT_NE(schema_faults("results.schema.json", broken), "");
  broken = record;
  broken.erase("machine");
  EXPECT_NE(schema_faults("results.schema.json", broken), "");
  broken = record;
  broken["hostname"] = "x";
  EXPECT_NE(schema_faults("results.schema.json", broken), "");
  broken = record;
  broken["queries"][0]["seconds"].erase("verify");
  EXPECT_NE(schema_faults("results.schema.json", broken), "");
}

TEST_F(RunTest, ASecondRunEncodesNothingAndAnswersTheSame) {
  const std::string pipeline = make_pipeline();
  ASSERT_EQ(cli({"run", pipeline, "--output", path("first")}).exit_code, 0);
  const ProcessResult again = cli({"run", pipeline, "--output", path("second"), "--json"});
  ASSERT_EQ(again.exit_code, 0) << again.error;
  const json out = json::parse(again.out);
  EXPECT_EQ(out.at("encode").at("blocks_encoded"), 0);
  EXPECT_EQ(out.at("totals").at("blocks_reused"), 6);
  const auto record_in = [&](const char* folder) {
    for (const auto& entry : std::filesystem::directory_iterator(path(folder)))
      return json::parse(
          workspace_.read(std::string(folder) + "/" + entry.path().filename().string()));
    return json();
  };
  const json first = record_in("first"), second = record_in("second");
  EXPECT_EQ(labels_of(first), labels_of(second));
  EXPECT_EQ(out.at("record").get<std::string>().substr(0, path("second").size()), path("second"));
  EXPECT_EQ(out.at("totals"), second.at("totals"));
}

TEST_F(RunTest, SaysWhatInt8Changes) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result = cli({"run", pipeline, "--set", "model.kv_dtype=int8"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("\nint8         changed "));
  const json record = only_record();
  EXPECT_EQ(schema_faults("results.schema.json", record), "");
  EXPECT_EQ(record.at("model").at("kv_dtype"), "int8");
  const json& error = record.at("totals").at("kv_error");
  EXPECT_EQ(error.at("queries"), 5);
  EXPECT_GE(error.at("log_probabilities"), 5);
  EXPECT_GT(error.at("mean_change"), 0);
  EXPECT_GE(error.at("max_change"), error.at("mean_change"));
  EXPECT_LT(error.at("max_change"), 1);

  // Against the run that it is measured against.
  const ProcessResult exact =
      cli({"run", pipeline, "--output", path("exact"), "--json", "--set", "model.kv_dtype=bf16"});
  ASSERT_EQ(exact.exit_code, 0) << exact.error;
  const json out = json::parse(exact.out);
  EXPECT_EQ(out.at("totals").at("kv_error"), nullptr);
  EXPECT_EQ(out.at("totals").at("blocks_encoded"), 0) << "they were encoded to measure";
  const json whole =
      json::parse(workspace_.read(std::filesystem::path(out.at("record").get<std::string>())
                                      .lexically_relative(path(""))
                                      .string()));
  double most = 0;
  for (size_t i = 0; i < 5; ++i) {
    const json& a = record.at("queries")[i];
    const json& b = whole.at("queries")[i];
    if (a.at("label") == b.at("label"))
      most = std::max(most, std::fabs(a.at("log_probability").get<double>() -
                                      b.at("log_probability").get<double>()));
  }
  EXPECT_LE(most, error.at("max_change"));

  const ProcessResult few = cli({"run", pipeline, "--set", "model.kv_dtype=int8", "--set",
                                 "model.kv_error_queries=2", "--json"});
  ASSERT_EQ(few.exit_code, 0) << few.error;
  EXPECT_EQ(json::parse(few.out).at("totals").at("kv_error").at("queries"), 2);
  const ProcessResult none = cli({"run", pipeline, "--set", "model.kv_dtype=int8", "--set",
                                  "model.kv_error_queries=0", "--json"});
  ASSERT_EQ(none.exit_code, 0) << none.error;
  EXPECT_EQ(json::parse(none.out).at("totals").at("kv_error"), nullptr);
  const ProcessResult again = cli({"run", pipeline, "--set", "model.kv_dtype=int8", "--set",
                                   "selection.recompute=true", "--json"});
  ASSERT_EQ(again.exit_code, 0) << again.error;
  EXPECT_EQ(json::parse(again.out).at("totals").at("kv_error"), nullptr) << "nothing is stored";
}

// Also where the labels' tokens are counted for a warning.
TEST_F(RunTest, TheTokenizerIsReadOnce) {
  const std::string pipeline = make_pipeline();
  OpenedFile tokenizer(path("model/tokenizer.json"));
  for (const char* method : {"trie", "free"}) {
    ASSERT_EQ(cli({"run", pipeline, "--quiet", "--set", std::string("decoding.method=") + method})
                  .exit_code,
              0);
    EXPECT_EQ(tokenizer.count(), 1) << method;
  }
}

// The answers are not lost where what they are measured against does not fit the store.
TEST_F(RunTest, AMeasurementThatFailsLeavesTheRecord) {
  const std::string pipeline = make_pipeline();
  const ProcessResult fits = cli({"run", pipeline, "--set", "model.kv_dtype=int8", "--set",
                                  "model.kv_error_queries=0", "--output", path("first"), "--json"});
  ASSERT_EQ(fits.exit_code, 0) << fits.error;
  const int64_t bytes = json::parse(fits.out).at("totals").at("kv_bytes");
  const ProcessResult result = cli({"run", pipeline, "--set", "model.kv_dtype=int8", "--set",
                                    "kv_store.max_bytes=" + std::to_string(bytes * 2)});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.error, HasSubstr("warning: what int8 changes was not measured: "));
  EXPECT_THAT(result.error, HasSubstr("max_bytes"));
  const json record = only_record();
  EXPECT_EQ(record.at("totals").at("kv_error"), nullptr);
  EXPECT_EQ(record.at("queries").size(), 5u);
}

// On the command line a relative path means what it means to a shell, whichever option has it; in
// the file it counts from the file.
TEST_F(RunTest, PathsOfTheCommandLineCountFromTheCurrentFolder) {
  make_pipeline();
  edit_pipeline("path = \"store\"", "path = \"store\"\n[output]\ndirectory = \"kept\"");
  std::filesystem::create_directories(path("here/models"));
  std::filesystem::create_directory_symlink(path("model"), path("here/models/tiny"));
  const auto run = [&](const std::string& options) {
    const ProcessResult result =
        run_process({"/bin/sh", "-c",
                     "cd '" + path("here") + "' && exec " + command({})[0] +
                         " run ../pipeline.toml -q " + options},
                    {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
    EXPECT_EQ(result.exit_code, 0) << options << ": " << result.error;
  };
  const auto records = [&](const std::string& folder) {
    std::error_code absent;
    return std::distance(std::filesystem::directory_iterator(path(folder), absent),
                         std::filesystem::directory_iterator());
  };
  run("");
  EXPECT_EQ(records("kept"), 1);
  run("--output out");
  EXPECT_EQ(records("here/out"), 1);
  run("--set output.directory=out");
  EXPECT_EQ(records("here/out"), 2);
  run("--set 'output={directory=\"out\"}'");
  EXPECT_EQ(records("here/out"), 3);
  // Framework's and plugins' keys alike; what is left of the file still counts from there.
  run("--output out --set model.path=models/tiny --set kv_store.path=mine");
  EXPECT_EQ(records("here/out"), 4);
  EXPECT_TRUE(std::filesystem::exists(path("here/mine/packs")));
  EXPECT_EQ(records("kept"), 1);
}

TEST_F(RunTest, RunEqualsEncodeThenQuery) {
  const std::string pipeline = make_pipeline();
  ASSERT_EQ(cli({"run", pipeline, "--set", "kv_store.path=" + path("other"), "--set",
                 "model.batch_size=3"})
                .exit_code,
            0);
  const json record = only_record();

  const ProcessResult encoded = cli({"encode", pipeline, "--json"});
  ASSERT_EQ(encoded.exit_code, 0) << encoded.error;
  EXPECT_EQ(json::parse(encoded.out).at("blocks_encoded"), 6);
  const ProcessResult queried =
      cli({"query", pipeline, "--json"}, {.input = workspace_.read("queries.jsonl")});
  ASSERT_EQ(queried.exit_code, 0) << queried.error;
  const std::vector<json> answers = json_lines(queried.out);
  ASSERT_EQ(answers.size(), 5u);
  for (size_t i = 0; i < answers.size(); ++i)
    for (const char* key : {"text", "expected", "correct", "label", "log_probability", "runner_up",
                            "blocks", "tokens"})
      EXPECT_EQ(answers[i].at(key), record.at("queries")[i].at(key)) << key;
}

TEST_F(RunTest, WithoutLabelsThereIsNoAccuracy) {
  const std::string pipeline = make_pipeline();
  workspace_.write("queries.jsonl", "{\"text\": \"card lost\"}\n{\"text\": \"pin\"}\n");
  const ProcessResult result = cli({"run", pipeline});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("accuracy     none: the queries carry no labels\n"));
  const json record = only_record();
  EXPECT_EQ(schema_faults("results.schema.json", record), "");
  EXPECT_EQ(record.at("totals").at("accuracy"), nullptr);
  EXPECT_EQ(record.at("queries")[0].at("correct"), nullptr);
}

TEST_F(RunTest, ZeroShotAnswersAreTheLabelsWithoutBlocks) {
  make_pipeline();
  edit_pipeline("plugin = \"dbsa\"", "plugin = \"self\"");
  const std::string pipeline = edit_pipeline("ratio = 0.5", "count = 0");
  const ProcessResult encoded = cli({"encode", pipeline});
  ASSERT_EQ(encoded.exit_code, 0) << encoded.error;
  EXPECT_EQ(encoded.error,
            "pool       zero-shot: no demonstrations\n"
            "encoded    nothing to encode: the query alone is the prompt\n");
  EXPECT_THAT(encoded.out, HasSubstr("KV           0 B\n"));
  const ProcessResult query = cli({"query", pipeline, "card lost"}, {.terminal = true});
  ASSERT_EQ(query.exit_code, 0) << query.out;
  EXPECT_THAT(query.out, HasSubstr("blocks     0\r\n"));

  const ProcessResult run = cli({"run", pipeline});
  ASSERT_EQ(run.exit_code, 0) << run.error;
  EXPECT_THAT(run.out, HasSubstr("(0 blocks encoded, 0 reused)"));
  const json record = only_record();
  EXPECT_EQ(schema_faults("results.schema.json", record), "");
  EXPECT_EQ(record.at("encode").at("demonstrations"), 0);
  EXPECT_EQ(record.at("encode").at("labels"), 4);
  EXPECT_EQ(record.at("encode").at("assignment"), json::array());
  EXPECT_EQ(record.at("totals").at("queries"), 5);
  for (const json& answer : record.at("queries")) {
    EXPECT_EQ(answer.at("blocks"), json::array());
    EXPECT_EQ(answer.at("tokens").at("selected"), 0);
  }
}

TEST_F(RunTest, FreeDecodingHasNoRunnerUp) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result = cli({"run", pipeline, "--set", "decoding.method=free", "--set",
                                    "decoding.max_tokens=4", "--quiet"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  const json record = only_record();
  EXPECT_EQ(schema_faults("results.schema.json", record), "");
  EXPECT_EQ(record.at("queries")[0].at("runner_up"), nullptr);
}

TEST_F(RunTest, FreeDecodingScoresTextsAgainstAllLabelsOfAQuery) {
  const std::string pipeline = make_pipeline();
  const Words free = {
      "run",   pipeline,          "--set", "decoding.method=free", "--set", "decoding.max_tokens=4",
      "--set", "prompt.bos=false"};
  ASSERT_EQ(cli(free).exit_code, 0);
  const json first = only_record();
  const std::string written = first.at("queries")[0].at("label");
  std::filesystem::remove_all(path("runs"));
  const std::string text = first.at("queries")[0].at("text");
  workspace_.write("queries.jsonl",
                   json{{"text", text}, {"label", {"another text", "end " + written + " x"}}}.dump(
                       -1, ' ', false, json::error_handler_t::ignore) +
                       "\n" + json{{"text", "no label"}}.dump() + "\n");
  const ProcessResult result = cli(free);
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("\nexact match  0.0000\nROUGE-L      "));
  const json record = only_record();
  EXPECT_EQ(schema_faults("results.schema.json", record), "");
  const json& scores = record.at("queries")[0].at("text_scores");
  EXPECT_EQ(record.at("queries")[0].at("expected"), "another text");
  EXPECT_EQ(record.at("queries")[0].at("correct"), false);
  EXPECT_EQ(record.at("queries")[1].at("text_scores"), nullptr);
  EXPECT_EQ(record.at("totals").at("labelled"), 1);
  EXPECT_EQ(record.at("totals").at("text_scores"), scores) << "of a single query";
}

TEST_F(RunTest, AMemoryStoreWorksForRunAndIsRefusedByEncode) {
  const std::string pipeline = make_pipeline();
  edit_pipeline("path = \"store\"", "plugin = \"memory\"");
  const ProcessResult result = cli({"run", pipeline});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(only_record().at("encode").at("manifest"), "");
  const ProcessResult encoded = cli({"encode", pipeline});
  EXPECT_EQ(encoded.exit_code, 2);
  EXPECT_EQ(encoded.error,
            "error: " + pipeline +
                ":18:1: kv_store.plugin: this store is not kept between runs, so encoding alone "
                "would be lost; use `dbsa-pipe run`, or a store with a path\n");
}

TEST_F(RunTest, WithoutQueriesRunSaysWhatToDo) {
  const std::string pipeline = make_pipeline();
  edit_pipeline("queries = \"queries.jsonl\"", "");
  const ProcessResult result = cli({"run", pipeline});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(
      result.error,
      "error: " + pipeline +
          ":4:2: data.queries: no queries given; name a .jsonl, .csv or .tsv file here, or use "
          "`dbsa-pipe query`\n");
}

TEST_F(RunTest, AFolderForRecordsThatCannotBeMadeIsNamedBeforeAnythingIsEncoded) {
  const std::string pipeline = make_pipeline();
  workspace_.write("runs", "a file where the folder should be");
  const ProcessResult result = cli({"run", pipeline});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.error, StartsWith("error: " + pipeline + ":"));
  EXPECT_THAT(result.error,
              HasSubstr("output.directory: " + path("runs") + " is no folder; name another"));
  EXPECT_FALSE(std::filesystem::exists(path("store")));
  // These write no record.
  for (const char* command : {"explain", "encode"}) {
    const ProcessResult other = cli({command, pipeline, "--quiet"});
    EXPECT_EQ(other.exit_code, 0) << other.error;
  }
}

TEST_F(RunTest, WhatCannotBeginLeavesNothing) {
  const std::string pipeline = make_pipeline();
  std::filesystem::resize_file(path("model/model.safetensors"), 100);
  const ProcessResult result = cli({"run", pipeline});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(path("runs")));
  EXPECT_FALSE(std::filesystem::exists(path("store")));
}

TEST_F(RunTest, RegroupDealsAnew) {
  const std::string pipeline = make_pipeline();
  ASSERT_EQ(cli({"encode", pipeline}).exit_code, 0);
  // A grown pool keeps its blocks: two more demonstrations make one block more ...
  workspace_.write("pool.jsonl", workspace_.read("pool.jsonl") +
                                     "{\"text\": \"new one\", \"label\": \"alpha\"}\n"
                                     "{\"text\": \"new two\", \"label\": \"beta\"}\n");
  json report = json::parse(cli({"encode", pipeline, "--json"}).out);
  EXPECT_EQ(report.at("blocks"), 7);
  EXPECT_EQ(report.at("blocks_encoded"), 1);
  // ... and dealing again mixes them all.
  report = json::parse(cli({"encode", pipeline, "--json", "--regroup"}).out);
  EXPECT_GT(report.at("blocks_encoded"), 1);
  report = json::parse(cli({"encode", pipeline, "--json"}).out);
  EXPECT_EQ(report.at("blocks_encoded"), 0);
}

TEST_F(RunTest, JsonKeepsStandardOutputToOneDocument) {
  const std::string pipeline = make_pipeline();
  const ProcessResult run = cli({"run", pipeline, "--json", "--verbose"});
  ASSERT_EQ(run.exit_code, 0);
  EXPECT_TRUE(json::accept(run.out));
  EXPECT_THAT(run.error, HasSubstr("encoded    6 blocks"));
}

TEST_F(RunTest, AFullStandardOutputIsAnError) {
  const std::string pipeline = make_pipeline();
  Words words = {"/bin/sh", "-c", "\"$0\" inspect > /dev/full", command({}).front()};
  const ProcessResult result = run_process(words);
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.error, "error: standard output: cannot be written: No space left on device\n");
}

}  // namespace
}  // namespace dbsa
