// dbsa-pipe tune, end to end on the tiny model: each cell is a real run.
#include <dbsa/sdk/random.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "config/toml_document.h"
#include "tests/cli/cli_fixture.h"
#include "tests/cli/schema_judge.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
namespace fs = std::filesystem;

// A vote of the nearest demonstrations, where these are drawn at random: whoever goes by words is
// right nearly always.
constexpr const char* kVote = R"(# What a vote makes of it.
[model]
path = "model"

[data]
demonstrations = "pool.jsonl"
queries = "absent.jsonl"      # never read

[block_grouper]
block_size = 1
seed = 7   # keep

[mask_pattern]
plugin = "self"

[retriever]
plugin = "random"   # what tune must change
seed = 5

[selection]
count = 4

[kv_store]
path = "store"

[decoding]
method = "vote"
)";

class TuneCommand : public CliTest {
 protected:
  // The tiny model, `demonstrations` seeded nonsense texts, and a pipeline over them.
  std::string make_file(int demonstrations = 100) const {
    const std::string pipeline = make_pipeline(demonstrations);
    return edit_pipeline("ratio = 0.5", "ratio = 0.5   # of the blocks");
  }

  // One word of each text says its label.
  std::string make_vote() const {
    make_pipeline();
    Random random(11);
    std::string lines;
    for (int i = 0; i < 300; ++i) {
      const uint64_t label = random.below(3);
      lines +=
          json{{"text", "w" + std::to_string(random.below(400)) + " key" + std::to_string(label) +
                            " w" + std::to_string(random.below(400)) + " n" + std::to_string(i)},
               {"label", "label" + std::to_string(label)}}
              .dump() +
          "\n";
    }
    workspace_.write("pool.jsonl", lines);
    workspace_.write("absent.jsonl", "{\"text\": \"w1 key1\", \"label\": \"label1\"}\n");
    return workspace_.write("vote.toml", kVote);
  }

  // Modification times of the records below runs/. A program that is running may remove files
  // there: what is listed then may lack some.
  std::map<std::string, int64_t> records() const {
    std::map<std::string, int64_t> out;
    std::error_code absent;
    for (fs::recursive_directory_iterator entry(path("runs"), absent), end; entry != end;
         entry.increment(absent)) {
      const std::string name = entry->path().string();
      struct stat file = {};
      if (name.find("/records/") != name.npos && name.ends_with(".json") &&
          ::stat(name.c_str(), &file) == 0)
        out[name] = file.st_mtim.tv_sec * 1000000000 + file.st_mtim.tv_nsec;
    }
    return out;
  }
  bool exists(const std::string& name) const { return fs::exists(path(name)); }
};

TEST_F(TuneCommand, ComparesAllCandidatesWithTheStart) {
  const std::string file = make_file();
  const ProcessResult result = cli({"tune", file, "--minutes", "5", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  const json found = json::parse(result.out);
  EXPECT_EQ(schema_faults("tune.schema.json", found), "");
  EXPECT_EQ(found.at("demonstrations"), 80);
  EXPECT_EQ(found.at("queries_from_pool"), true);
  EXPECT_EQ(found.at("selection_queries"), 10);
  EXPECT_EQ(found.at("out_of_time"), false);
  EXPECT_EQ(found.at("output"), path("pipeline.tuned.toml"));
  EXPECT_LT(found.at("seconds"), 300);
  // The nearest value of each key comes before the second of any.
  std::vector<std::string> names;
  for (const json& candidate : found.at("candidates")) names.push_back(candidate.at("name"));
  ASSERT_GT(names.size(), 6u);
  names.resize(6);
  EXPECT_THAT(names, ElementsAre("start", "selection.ratio = 0.75",
                                 "retriever.unit = demonstration", "retriever.plugin = all",
                                 "selection.order = low_to_high", "block_grouper.block_size = 2"));
  std::map<std::string, json> candidates;
  for (const json& candidate : found.at("candidates")) candidates[candidate.at("name")] = candidate;
  for (const char* name :
       {"start", "selection.ratio = 1.0", "retriever.unit = demonstration",
        "retriever.plugin = all", "selection.order = middle", "block_grouper.block_size = 8"}) {
    ASSERT_TRUE(candidates.contains(name)) << name;
    EXPECT_EQ(candidates[name].at("state"), "answered") << name;
  }
  // Dense retrieval needs embeddings, which the file has none of.
  EXPECT_EQ(candidates.at("retriever.plugin = faiss").at("state"), "failed");
  EXPECT_THAT(candidates.at("retriever.plugin = faiss").at("failure"), HasSubstr("embedding"));
  EXPECT_THAT(workspace_.read("pipeline.tuned.toml"),
              HasSubstr("# Could not run: retriever.plugin = faiss: retriever.plugin: "));
  // trie has no scorers, and the start's own values are no candidates.
  for (const auto& [name, candidate] : candidates) {
    EXPECT_THAT(name, Not(HasSubstr("scorer")));
    EXPECT_NE(name, "selection.ratio = 0.5");
    EXPECT_NE(name, "retriever.plugin = bm25");
  }
  for (const json& round : found.at("rounds"))
    EXPECT_THAT(round.at("candidates"), Contains("start"));
  EXPECT_EQ(found.at("confirmation").at("start").at("queries"), 10);
  EXPECT_EQ(found.at("linear").at("answers").at("queries"), 10);

  const std::string text = workspace_.read("pipeline.tuned.toml");
  EXPECT_THAT(text, StartsWith("# Written by dbsa-pipe tune on 20"));
  EXPECT_THAT(text, HasSubstr("TF-IDF + logistic regression"));
  EXPECT_THAT(text, HasSubstr("# of the blocks"));
  const ProcessResult run = cli({"run", path("pipeline.tuned.toml"), "--quiet"});
  EXPECT_EQ(run.exit_code, 0) << run.error;

  // All is known the second time.
  const auto before = records();
  const ProcessResult again = cli({"tune", file, "--minutes", "5", "--json", "--force"});
  ASSERT_EQ(again.exit_code, 0) << again.error;
  json same = json::parse(again.out), first = found;
  for (json* one : {&same, &first}) one->erase("seconds");
  EXPECT_EQ(same.at("confirmation"), first.at("confirmation"));
  EXPECT_EQ(same.at("linear"), first.at("linear"));
  auto after = records();
  for (const auto& [name, time] : before) EXPECT_EQ(after[name], time) << name;
}

TEST_F(TuneCommand, WritesWhatIsBetterBeyondChance) {
  const std::string file = make_vote();
  const ProcessResult result = cli({"tune", file, "--minutes", "5"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("confirmed on 30 queries that chose nothing:"));
  EXPECT_THAT(result.out, HasSubstr("are better than the start file's."));
  const std::string text = workspace_.read("vote.tuned.toml");
  EXPECT_THAT(text, HasSubstr("# What a vote makes of it."));
  EXPECT_THAT(text, HasSubstr("seed = 7   # keep"));
  EXPECT_THAT(text, HasSubstr("# tune: was \"random\"; this change alone: +"));
  EXPECT_THAT(text, HasSubstr("plugin = \"bm25\"   # what tune must change"));
  EXPECT_THAT(text, HasSubstr("# seed = 5"));
  const Result<TomlDocument> read = TomlDocument::load(path("vote.tuned.toml"));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->json().at("retriever").at("plugin"), "bm25");
  EXPECT_FALSE(read->json().at("retriever").contains("seed"));
  EXPECT_EQ(cli({"run", path("vote.tuned.toml"), "--quiet"}).exit_code, 0);
  // The words say the label, which the linear classifier sees.
  EXPECT_THAT(text, HasSubstr("TF-IDF + logistic regression, trained on the same 240"));
}

TEST_F(TuneCommand, WritesWholePathsToAnotherFolder) {
  const std::string file = make_vote();
  fs::create_directories(path("other"));
  const ProcessResult result = cli({"tune", file, "--minutes", "5", "--quiet", "--output",
                                    path("other/new.toml"), "--set", "selection.count=3"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_FALSE(exists("vote.tuned.toml"));
  const Result<TomlDocument> read = TomlDocument::load(path("other/new.toml"));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->json().at("model").at("path"), path("model"));
  EXPECT_EQ(read->json().at("output").at("directory"), path("runs"));
  EXPECT_EQ(cli({"run", path("other/new.toml"), "--quiet"}).exit_code, 0);
}

TEST_F(TuneCommand, AFileThatCannotBeEditedIsWrittenAnew) {
  make_vote();
  const std::string inline_table = workspace_.write("inline.toml", R"(
model = { path = "model" }
data = { demonstrations = "pool.jsonl" }
block_grouper = { block_size = 1 }
mask_pattern = { plugin = "self" }
retriever = { plugin = "random", seed = 5 }
selection = { count = 4 }
kv_store = { path = "store" }
decoding = { method = "vote" }
)");
  const ProcessResult result = cli({"tune", inline_table, "--minutes", "5", "--quiet"});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  const std::string text = workspace_.read("inline.tuned.toml");
  EXPECT_THAT(text, HasSubstr("# retriever.plugin: tune: was \"random\"; this change alone: +"));
  EXPECT_THAT(text, HasSubstr("\n[retriever]\nplugin = \"bm25\"\n"));
  EXPECT_EQ(cli({"validate", path("inline.tuned.toml"), "--quiet"}).exit_code, 0);
}

TEST_F(TuneCommand, StoppedItContinuesWhereItWas) {
  const std::string file = make_file(200);
  for (const int signal_number : {SIGINT, SIGKILL}) {
    fs::remove_all(path("runs"));
    Process process(command({"tune", file, "--minutes", "5"}),
                    {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", path("cache")}}});
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!process.ended() && records().size() < 3 && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    process.send_signal(signal_number);
    const ProcessResult stopped = process.wait();
    if (signal_number == SIGINT) {
      EXPECT_EQ(stopped.exit_code, 130) << stopped.error;
      EXPECT_THAT(stopped.error, HasSubstr("no file is written, what was answered is kept"));
    } else {
      EXPECT_EQ(stopped.exit_code, -SIGKILL);
    }
    EXPECT_FALSE(exists("pipeline.tuned.toml"));
    const auto before = records();
    ASSERT_GE(before.size(), 3u);
    const ProcessResult result = cli({"tune", file, "--minutes", "5", "--quiet", "--force"});
    ASSERT_EQ(result.exit_code, 0) << result.error;
    EXPECT_TRUE(exists("pipeline.tuned.toml"));
    auto after = records();
    EXPECT_GT(after.size(), before.size());
    for (const auto& [name, time] : before) EXPECT_EQ(after[name], time) << name;
    fs::remove(path("pipeline.tuned.toml"));
  }
}

TEST_F(TuneCommand, WithoutTimeItSaysSoAndWritesNothing) {
  const std::string file = make_file();
  const ProcessResult result = cli({"tune", file, "--minutes", "0.001"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.error, HasSubstr("the start file has not answered the first 10 queries within "
                                      "39.0 ms, so nothing was compared and no file is written"));
  EXPECT_FALSE(exists("pipeline.tuned.toml"));
}

TEST_F(TuneCommand, RefusesWhatItCannotDo) {
  const std::string file = make_file();
  const auto refused = [&](const Words& words, const std::string& message) {
    Words all = {"tune", file};
    all.insert(all.end(), words.begin(), words.end());
    const ProcessResult result = cli(all);
    EXPECT_EQ(result.exit_code, 2) << result.error;
    EXPECT_THAT(result.error, HasSubstr("error: " + message));
    EXPECT_THAT(result.out, IsEmpty());
  };
  refused({}, "dbsa-pipe tune: expected --minutes N, how long to look, as in --minutes 10\n");
  refused({"--minutes", "ten"}, "--minutes: must be a number between 0.001 and 10080, got ten\n");
  refused({"--minutes", "0"}, "--minutes: must be a number between 0.001 and 10080, got 0\n");
  refused({"--minutes", "nan"}, "--minutes: must be a number between 0.001 and 10080, got nan\n");
  refused({"--minutes", "1", "--seed", "-1"}, "--seed: must be 0 or above, got -1\n");
  refused({"--minutes", "1", "--held-out", "1"},
          "--held-out: must be between 2 and 1000000, got 1\n");
  refused({"--minutes", "1", "--held-out", "100"},
          "--held-out: must be below the number of demonstrations that are left for the pool, 100, "
          "got 100\n");
  refused({"--minutes", "1", "--output", file}, "--output " + file + ": is the start file");
  refused({"--minutes", "1", "--output", path()}, "--output " + path() + ": is a folder");
  refused({"--minutes", "1", "--set", "selection.count=0", "--set", "mask_pattern.plugin=self"},
          "--set selection.count: 0 shows no demonstrations, so there is nothing to "
          "tune; set selection.ratio, 0.3 for example\n");
  workspace_.write("pipeline.tuned.toml", "mine");
  refused({"--minutes", "1"}, path("pipeline.tuned.toml") +
                                  ": is there already; overwrite it with --force, or name another "
                                  "file with --output\n");
  EXPECT_EQ(workspace_.read("pipeline.tuned.toml"), "mine");
  EXPECT_FALSE(exists("runs"));
}

}  // namespace
}  // namespace dbsa
