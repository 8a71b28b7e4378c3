// Every document of --json names its schema and follows it, in success and in failure.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "tests/cli/cli_fixture.h"
#include "tests/cli/help_options.h"
#include "tests/cli/schema_judge.h"

namespace dbsa {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kSweep = R"(base = "pipeline.toml"

[[axis]]
name = "share"
key = "selection.ratio"
values = [0.25, 0.5]
)";

class JsonOutput : public CliTest {
 protected:
  // The command's one document, which must follow the schema that is expected.
  json document(const Words& words, const std::string& schema, int exit_code = 0,
                const ProcessOptions& options = {}) {
    Words all = words;
    all.emplace_back("--json");
    const ProcessResult result = cli(all, options);
    EXPECT_EQ(result.exit_code, exit_code) << joined(words) << "\n" << result.error;
    const json out = json::parse(result.out, nullptr, false);
    EXPECT_FALSE(out.is_discarded()) << joined(words) << "\n" << result.out;
    expect_schema(out, schema, joined(words));
    tried_.insert(words[0] == "store" ? "store " + words[1] : words[0]);
    return out;
  }

  static void expect_schema(const json& out, const std::string& schema, const std::string& about) {
    EXPECT_EQ(out.value("schema", ""), schema) << about;
    EXPECT_GE(out.value("schema_version", 0), 1) << about;
    EXPECT_EQ(schema_faults(schema + ".schema.json", out), "") << about << "\n" << out.dump(1);
    json broken = out;
    broken["another_key"] = 1;
    EXPECT_NE(schema_faults(schema + ".schema.json", broken), "") << about;
  }

  // An error, which says what standard error says.
  void expect_error(const Words& words, const std::string& code, int exit_code) {
    Words all = words;
    all.emplace_back("--json");
    const ProcessResult result = cli(all);
    EXPECT_EQ(result.exit_code, exit_code) << joined(words);
    const json out = json::parse(result.out, nullptr, false);
    ASSERT_FALSE(out.is_discarded()) << joined(words) << "\n" << result.out;
    expect_schema(out, "error", joined(words));
    EXPECT_EQ(out.at("error").at("code"), code) << joined(words);
    EXPECT_EQ(out.at("error").at("exit_code"), exit_code);
    for (const json& message : out.at("error").at("messages"))
      EXPECT_THAT(result.error, HasSubstr("error: " + message.get<std::string>() + "\n"));
    tried_.insert(words[0] == "store" ? "store " + words[1] : words[0]);
  }

  static std::string joined(const Words& words) {
    std::string out;
    for (const std::string& word : words) out += " " + word;
    return out;
  }

  // Every command whose --help has --json was tried.
  void expect_all_tried() {
    for (const std::string& command : all_commands())
      EXPECT_TRUE(!has_option(options_of(command), "json") || tried_.contains(command)) << command;
  }

  std::set<std::string> tried_;
};

TEST_F(JsonOutput, FollowsItsSchema) {
  const std::string pipeline = make_pipeline(100);
  const std::string store = path("store");
  document({"validate", pipeline}, "validation");
  document({"explain", pipeline}, "plan");
  EXPECT_TRUE(document({"explain", pipeline, "--skip-time"}, "plan").at("time").is_null());
  document({"encode", pipeline}, "encode");
  const json run = document({"run", pipeline, "--answers", path("answers.csv")}, "run");
  document({"run", "--record", run.at("record")}, "run");
  document({"explain", pipeline, "--query", "card lost", "--without-each"}, "explanation");

  document({"query", pipeline, "card lost"}, "answer");
  document({"query", pipeline, "card lost", "--set", "decoding.method=likelihood", "--set",
            "decoding.abstain_below=1"},
           "answer");

  document({"inspect"}, "plugins");
  document({"inspect", "bm25"}, "plugin");
  document({"inspect", "--failed"}, "failed_plugins");
  for (const char* section : {"model", "data", "prompt", "retriever", "selection", "decoding"}) {
    const json keys = document({"inspect", section}, "section");
    EXPECT_EQ(keys.at("section"), section);
    EXPECT_FALSE(keys.at("config").at("properties").empty());
  }

  const std::string pool =
      document({"store", "pools", store}, "store_pools").at("pools")[0].at("id");
  document({"store", "list", store}, "store_list");
  document({"store", "list", store, "--pool", pool}, "store_pool_blocks");
  document({"store", "verify", store}, "store_verify");
  document({"store", "export", store, "--block", "1", "--pool", pool, "--output", path()},
           "store_export");
  document({"store", "rm", store, pool, "--dry-run"}, "store_rm");
  document({"store", "rm", store, pool}, "store_rm");
  document({"store", "gc", store}, "store_gc");
  document({"store", "compact", store}, "store_compact");

  const std::string sweep = workspace_.write("sweep.toml", kSweep);
  document({"sweep", sweep, "--list"}, "sweep_list");
  document({"sweep", sweep}, "sweep_outcome");
  document({"report", path("runs"), "--no-plots"}, "report");
  document({"tune", pipeline, "--minutes", "5"}, "tune");

  workspace_.write("bin/sbatch", "#!/bin/sh\ncat > /dev/null\necho 17\n");
  std::filesystem::permissions(path("bin/sbatch"), std::filesystem::perms::owner_all);
  const std::string programs = path("bin") + ":" + std::getenv("PATH");
  document({"sweep", sweep, "--launcher", "slurm"}, "sweep_job", 0,
           {.environment = {{"PATH", programs}}});
  expect_all_tried();
}

TEST_F(JsonOutput, AFailureIsADocument) {
  const std::string none = path("none.toml");
  for (const Words& words :
       {Words{"run", none}, Words{"encode", none}, Words{"query", none, "card"},
        Words{"explain", none}, Words{"sweep", none}, Words{"tune", none, "--minutes", "1"},
        Words{"report", none}, Words{"store", "list", none}, Words{"store", "pools", none},
        Words{"store", "verify", none}, Words{"store", "export", none, "--all"},
        Words{"store", "compact", none}, Words{"store", "rm", none, "3f"},
        Words{"store", "gc", none}})
    expect_error(words, "environment", 4);
  expect_error({"inspect", "bm52"}, "plugin", 3);
  document({"validate", none}, "validation", 4);
  expect_all_tried();
}

TEST_F(JsonOutput, AWrongCommandLineIsADocument) {
  for (const std::string& command : all_commands()) {
    if (!has_option(options_of(command), "json")) continue;
    Words words = words_of(command);
    words.emplace_back("--no-such-option");
    expect_error(words, "config", 2);
  }
}

TEST_F(JsonOutput, EachFaultOfAPipelineIsAMessage) {
  const std::string pipeline = make_pipeline();
  edit_pipeline("ratio = 0.5", "ratio = 5\ncuont = 1");
  Words words = {"encode", pipeline, "--json"};
  const json out = json::parse(cli(words).out);
  expect_schema(out, "error", "two faults");
  EXPECT_EQ(out.at("error").at("messages").size(), 2u);
  const json checked = document({"validate", pipeline}, "validation", 2);
  EXPECT_EQ(checked.at("faults"), out.at("error").at("messages"));
}

TEST_F(JsonOutput, LinesOfQueryAreAnswersAndErrors) {
  const std::string pipeline = make_pipeline();
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  const std::string input =
      "{\"text\": \"card lost\", \"id\": 7, \"label\": \"beta\"}\nno object\n";
  const ProcessResult result = cli({"query", pipeline, "--json"}, {.input = input});
  EXPECT_EQ(result.exit_code, 2);
  const std::vector<json> lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 2u);
  for (const json& line : lines) expect_schema(line, "answer", line.dump());
  EXPECT_EQ(lines[0].at("id"), 7);
  EXPECT_TRUE(lines[1].contains("error"));

  const ProcessResult ended =
      cli({"query", pipeline, "--json", "--set", "data.on_error=fail"}, {.input = input});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_EQ(json_lines(ended.out).size(), 2u);
}

TEST_F(JsonOutput, ASweepWithAFailedCellHasOneDocument) {
  make_pipeline();
  workspace_.write("broken.jsonl", "no object\n");
  const std::string sweep = workspace_.write(
      "sweep.toml",
      "base = \"pipeline.toml\"\n[[axis]]\nname = \"pool\"\nkey = \"data.demonstrations\"\n"
      "values = [\"pool.jsonl\", \"broken.jsonl\"]\n");
  const json out = document({"sweep", sweep}, "sweep_outcome", 5);
  EXPECT_EQ(out.at("failures").size(), 1u);
}

}  // namespace
}  // namespace dbsa
