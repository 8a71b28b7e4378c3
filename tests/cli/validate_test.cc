// validate: sound pipelines, and every fault at once with its exact words.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using ValidateTest = CliTest;

TEST_F(ValidateTest, ASoundPipelineIsOkWithItsStages) {
  const ProcessResult result = cli({"validate", make_pipeline()});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(result.out, StartsWith("ok\n"));
  EXPECT_THAT(result.out, HasSubstr("dbsa.retriever.bm25"));
  EXPECT_THAT(result.out,
              HasSubstr("data   24 demonstrations, 4 labels, 5 queries, which expect 4 of the "
                        "labels\n"));
  EXPECT_THAT(result.out, HasSubstr("pool   6 blocks, "));
  // Nothing is computed and nothing is left behind.
  EXPECT_FALSE(std::filesystem::exists(path("store")));
  EXPECT_FALSE(std::filesystem::exists(path("runs")));
}

TEST_F(ValidateTest, JsonHoldsTheResolvedPipeline) {
  const ProcessResult result = cli({"validate", make_pipeline(), "--json"});
  EXPECT_EQ(result.exit_code, 0);
  const nlohmann::json out = nlohmann::json::parse(result.out);
  EXPECT_EQ(out.at("ok"), true);
  EXPECT_EQ(out.at("faults"), nlohmann::json::array());
  EXPECT_EQ(out.at("config").at("retriever").at("plugin"), "dbsa.retriever.bm25");
  EXPECT_EQ(out.at("config").at("selection").at("ratio"), 0.5);
  EXPECT_EQ(out.at("config").at("kv_store").at("path"), path("store"));
  EXPECT_EQ(out.at("plugins").size(), 5u);
  EXPECT_EQ(out.at("blocks"), 6);
}

// Labels, lengths and doubts, against the files and the record of a run.
TEST_F(ValidateTest, PrintsTheDataInSight) {
  const std::string pipeline = make_pipeline();
  workspace_.write(
      "pool.jsonl",
      workspace_.read("pool.jsonl") +
          R"({"text": "a much longer text than any other one of the file has", "label": "beta"})"
          "\n");
  const ProcessResult shown = cli({"validate", pipeline});
  ASSERT_EQ(shown.exit_code, 0) << shown.error;
  EXPECT_THAT(shown.out, HasSubstr("\nlabels beta 7, alpha 6, beta two 6, gamma 6\n"));
  EXPECT_THAT(shown.out, HasSubstr("\ndoubts none\n"));
  const nlohmann::json data =
      nlohmann::json::parse(cli({"validate", pipeline, "--json"}).out).at("data");
  ASSERT_EQ(data.at("labels").size(), 4u);
  EXPECT_EQ(data.at("labels")[0],
            (nlohmann::json{{"label", "beta"}, {"demonstrations", 7}, {"queries", 1}}));
  EXPECT_EQ(data.at("labels")[1].at("queries"), 2) << "alpha, of five queries";
  // A token a byte, and no merges: "query: ", "\n", "intent: " and "\n==\n" are 20.
  const nlohmann::json& lengths = data.at("demonstration_tokens");
  EXPECT_EQ(lengths.at("longest"), 20 + 53 + 4);
  EXPECT_EQ(lengths.at("longest_line"), 25);
  EXPECT_LE(lengths.at("p50"), lengths.at("p95"));
  EXPECT_LT(lengths.at("p95"), lengths.at("longest"));
  EXPECT_THAT(shown.out, HasSubstr("\ntokens of a demonstration: p50 " +
                                   std::to_string(lengths.at("p50").get<int>()) + ", p95 "));
  ASSERT_EQ(cli({"run", pipeline, "--quiet"}).exit_code, 0);
  std::vector<int64_t> tokens;
  const nlohmann::json record = only_record();
  for (const nlohmann::json& query : record.at("queries"))
    tokens.push_back(query.at("tokens").at("query"));
  std::sort(tokens.begin(), tokens.end());
  EXPECT_EQ(data.at("query_tokens").at("p50"), tokens[2]);
  EXPECT_EQ(data.at("query_tokens").at("longest"), tokens[4]);
  EXPECT_EQ(data.at("validity"), record.at("validity"));
  EXPECT_EQ(nlohmann::json::parse(cli({"validate", pipeline, "--json", "--skip-queries"}).out)
                .at("data")
                .at("query_tokens"),
            nullptr);
}

TEST_F(ValidateTest, CountsWhatIsDoubtfulAndNamesOnlyTheOuterLabelsOfMany) {
  const std::string pipeline = make_pipeline();
  std::string lines;
  for (int i = 0; i < 12; ++i)
    for (int j = 0; j <= i; ++j)
      lines += nlohmann::json{{"text", "text " + std::to_string(i) + "-" + std::to_string(j)},
                              {"label", "label " + std::to_string(i)}}
                   .dump() +
               "\n";
  lines += R"({"text": "text 0-0", "label": "label 0"})"
           "\n";
  lines += R"({"text": "text 0-0", "label": "Label 0"})"
           "\n";
  workspace_.write("pool.jsonl", lines);
  workspace_.write("queries.jsonl", "{\"text\": \"text 3-1\", \"label\": \"label 3\"}\n");
  const ProcessResult shown =
      cli({"validate", pipeline, "--set", "data.queries=" + path("queries.jsonl")});
  ASSERT_EQ(shown.exit_code, 0) << shown.error;
  EXPECT_THAT(shown.out,
              HasSubstr("\nlabels most demonstrations: label 11 12, label 10 11, label 9 10\n"
                        "       fewest: label 0 2, label 1 2, Label 0 1\n"));
  EXPECT_THAT(shown.out,
              HasSubstr("\ndoubts 1 x near-equal label, 1 x duplicate demonstration, 1 x "
                        "demonstration text with two labels, 1 x query that a "
                        "demonstration equals\n"));
}

TEST_F(ValidateTest, SetGoesOverTheFile) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result =
      cli({"validate", pipeline, "--json", "--set", "selection.ratio=0.25", "--set",
           "retriever.plugin=all", "--set", "block_grouper.block_size=8"});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  const nlohmann::json out = nlohmann::json::parse(result.out);
  EXPECT_EQ(out.at("config").at("selection").at("ratio"), 0.25);
  EXPECT_EQ(out.at("config").at("retriever").at("plugin"), "dbsa.retriever.all");
  EXPECT_EQ(out.at("blocks"), 3);
}

TEST_F(ValidateTest, SetTakesWhatCannotStandBesideIt) {
  const std::string pipeline = make_pipeline();
  edit_pipeline("plugin = \"dbsa\"",
                "plugin = \"dbsa\"\nencode_positions = \"global\"\nanchor_blocks = 2");
  const auto config = [&](Words words) {
    words.insert(words.begin(), {"validate", pipeline, "--json"});
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0) << result.out;
    return nlohmann::json::parse(result.out).at("config");
  };
  // The own keys of the plugin that was named before, not what any plugin of the stage has.
  const nlohmann::json self = config({"--set", "mask_pattern.plugin=self"}).at("mask_pattern");
  EXPECT_FALSE(self.contains("anchor_blocks"));
  EXPECT_EQ(self.at("encode_positions"), "global");
  EXPECT_FALSE(config({"--set", "kv_store.plugin=memory"}).at("kv_store").contains("path"));
  // In any order.
  EXPECT_EQ(config({"--set", "mask_pattern.anchor_blocks=3", "--set", "mask_pattern.plugin=dbsa"})
                .at("mask_pattern")
                .at("anchor_blocks"),
            3);
  const nlohmann::json count = config({"--set", "selection.count=2"}).at("selection");
  EXPECT_EQ(count.at("count"), 2);
  EXPECT_FALSE(count.contains("ratio"));

  const ProcessResult both =
      cli({"validate", pipeline, "--set", "selection.count=2", "--set", "selection.ratio=0.25"});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.error, HasSubstr("ratio"));
  const ProcessResult absent = cli({"validate", pipeline, "--set", "data.seed.plugin=self"});
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_THAT(absent.error, StartsWith("error: --set data.seed"));
}

// How many documents there are and how wide their vectors is known without computing any.
TEST_F(ValidateTest, FindsIndexesThatCannotBeMadeOfEmbeddings) {
  const std::string pipeline = make_pipeline();  // 6 blocks of 4
  const auto said = [&](const std::string& index, const Words& more = {}) {
    Words words = {pipeline, "--quiet",
                   "--set",  "embedding.method=llm_hidden",
                   "--set",  "retriever.plugin=faiss",
                   "--set",  "retriever.index=" + index};
    words.insert(words.end(), more.begin(), more.end());
    words.insert(words.begin(), "validate");
    const ProcessResult validated = cli(words);
    words[0] = "encode";
    if (validated.exit_code != 0) {
      EXPECT_EQ(cli(words).error, validated.error) << index;
    }
    return std::to_string(validated.exit_code) + " " + validated.error;
  };
  const std::string few =
      "2 error: --set retriever.index: \"IVF7,Flat\" needs at least 7 documents to train with, got "
      "6\n";
  EXPECT_EQ(said("IVF7,Flat"), few);
  EXPECT_EQ(said("IVF7,Flat", {"--set", "block_grouper.plugin=embedding_kmeans"}), few);
  EXPECT_EQ(said("IVF7,Flat", {"--set", "retriever.unit=demonstration"}), "0 ");
  EXPECT_EQ(said("IVF6,Flat"), "0 ");
  EXPECT_THAT(said("PQ7x4"), StartsWith("2 error: --set retriever.index: \"PQ7x4\" does not suit "
                                        "embeddings of 64 values: "));
  EXPECT_THAT(said("Flat", {"--set", "retriever.search_parameters=nprobe=8"}),
              StartsWith("2 error: --set retriever.search_parameters: "));
}

// What needs no embeddings is checked all the same.
TEST_F(ValidateTest, APoolIsMadeWhereNothingAsksForEmbeddings) {
  const std::string pipeline = make_pipeline();
  const auto blocks = [&](const std::string& retriever) {
    const ProcessResult result =
        cli({"validate", pipeline, "--json", "--set", "embedding.method=llm_hidden", "--set",
             "retriever.plugin=" + retriever});
    EXPECT_EQ(result.exit_code, 0) << result.out;
    return nlohmann::json::parse(result.out).at("blocks");
  };
  EXPECT_EQ(blocks("bm25"), 6);
  EXPECT_EQ(blocks("faiss"), 0);
}

// A pipeline for another machine is sound all the same.
TEST_F(ValidateTest, WarnsOfWhatCannotRunHere) {
  if (!std::filesystem::exists(DBSA_PLUGIN_DIR "/dbsa_attention_backend_cuda.so"))
    GTEST_SKIP() << "no cuda backend was built";
  if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "there is a GPU here";
  const Words words = {"validate", make_pipeline(), "--set", "attention_backend.plugin=cuda"};
  const ProcessResult result = cli(words);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, StartsWith("ok\n"));
  const std::string warning =
      "dbsa.attention_backend.cuda cannot run here: it needs an NVIDIA GPU: ";
  EXPECT_THAT(result.error, StartsWith("warning: " + warning));
  Words with_json = words;
  with_json.emplace_back("--json");
  EXPECT_THAT(nlohmann::json::parse(cli(with_json).out).at("warnings").at(0).get<std::string>(),
              StartsWith(warning));
}

TEST_F(ValidateTest, WarnsOfKeysWithoutEffect) {
  const std::string pipeline = make_pipeline();
  edit_pipeline("ratio = 0.5",
                "ratio = 0.5\n[decoding]\nmax_tokens = 4\n[embedding]\nlayer = 1\n"
                "[retriever]\nblock_score = \"sum\"");
  ProcessResult result = cli({"validate", pipeline});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error,
            "warning: " + pipeline +
                ":17:1: decoding.max_tokens: has no effect with decoding.method = \"trie\", only "
                "with \"free\"\n"
                "warning: " +
                pipeline +
                ":19:1: embedding.layer: has no effect with embedding.method = \"none\", only with "
                "\"llm_hidden\"\n"
                "warning: " +
                pipeline +
                ":21:1: retriever.block_score: has no effect with retriever.unit = \"block\", only "
                "with \"demonstration\"\n");
  EXPECT_EQ(nlohmann::json::parse(cli({"validate", pipeline, "--json"}).out).at("warnings").size(),
            3u);
  // Nobody means anything by a default.
  EXPECT_EQ(cli({"validate", path("pipeline.toml"), "--set", "decoding.max_tokens=32", "--set",
                 "embedding.layer=0", "--set", "retriever.block_score=max"})
                .error,
            "");
  EXPECT_EQ(cli({"run", pipeline, "--quiet"}).error, result.error);
  // The record's warnings say which key, not where it stands in a file that may be gone.
  EXPECT_EQ(only_record().at("warnings").at(1),
            "embedding.layer: has no effect with embedding.method = \"none\", only with "
            "\"llm_hidden\"");
  result = cli({"run", pipeline, "--set", "decoding.method=free"});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.error, testing::Not(HasSubstr("max_tokens: has no effect")));
  EXPECT_THAT(result.error, StartsWith("warning: " + pipeline + ":19:1: embedding.layer: "));
}

TEST_F(ValidateTest, WarnsOfNumbersThatSayMoreThanThereIs) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result = cli({"validate", pipeline, "--set", "data.query_count=6", "--set",
                                    "mask_pattern.anchor_blocks=6"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(
      result.error,
      "warning: --set data.query_count: is 6, and there are 5 queries\n"
      "warning: " +
          pipeline +
          ":12:1: mask_pattern.plugin: gives every query the first 6 blocks, and the pool has "
          "6: every query is shown all of them\n");
  EXPECT_THAT(cli({"run", pipeline, "--set", "data.query_count=6"}).error,
              HasSubstr("warning: --set data.query_count: is 6, and there are 5 queries\n"));
  EXPECT_EQ(cli({"validate", pipeline, "--set", "data.query_count=5", "--set",
                 "mask_pattern.anchor_blocks=5"})
                .error,
            "");
}

TEST_F(ValidateTest, FindsWhatEmbeddingsCannotBeComputedWith) {
  const std::string pipeline = make_pipeline();
  ProcessResult result = cli({"validate", pipeline, "--set", "embedding.method=llm_hidden", "--set",
                              "embedding.layer=99", "--set", "retriever.plugin=faiss"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, StartsWith("error: --set embedding.layer: expected 1 to "));
  // The pipeline's own model is no encoder.
  result = cli({"validate", pipeline, "--set", "embedding.method=sentence_transformer", "--set",
                "embedding.path=" + path("model"), "--set", "retriever.plugin=faiss"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, StartsWith("error: --set embedding.path: "));
  EXPECT_THAT(result.error, HasSubstr("model_type"));
  result = cli({"validate", pipeline, "--set", "retriever.plugin=faiss"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, StartsWith("error: --set retriever.plugin: "));
}

TEST_F(ValidateTest, FoldersThatCannotBeMadeAreFaults) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result =
      cli({"validate", pipeline, "--set", "kv_store.path=" + path("pool.jsonl/a/b"), "--set",
           "output.directory=" + path("pool.jsonl")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.error, "error: --set kv_store.path: cannot make " + path("pool.jsonl/a/b") +
                              ": " + path("pool.jsonl") + " is no folder; name another one\n" +
                              "error: --set output.directory: " + path("pool.jsonl") +
                              " is no folder; name another one\n");
}

TEST_F(ValidateTest, ASweepFileIsNamedAsSuch) {
  make_pipeline();
  const std::string sweep =
      workspace_.write("sweep.toml",
                       "base = \"pipeline.toml\"\n[[axis]]\nname = \"r\"\nkey = "
                       "\"selection.ratio\"\nvalues = [0.5, 1.0]\n");
  const ProcessResult result = cli({"validate", sweep});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error, "error: " + sweep +
                              ": expected a pipeline file, found a sweep file; use `dbsa-pipe "
                              "sweep`\n");
}

TEST_F(ValidateTest, AKeyOfAnotherPluginIsNamedAsSuch) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result =
      cli({"validate", pipeline, "--set", "mask_pattern.plugin=self", "--set",
           "mask_pattern.previous_blocks=1", "--set", "mask_pattern.nonsense=1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error,
            "error: --set mask_pattern.nonsense: mask_pattern: unknown key \"nonsense\"\n"
            "error: --set mask_pattern.previous_blocks: mask_pattern: unknown key "
            "\"previous_blocks\"; self has none of that name, dbsa has\n");
}

TEST_F(ValidateTest, AllFaultsOfTheFileAreNamedAtOnce) {
  const std::string pipeline = make_pipeline();
  edit_pipeline("block_size = 4", "block_size = 0");
  edit_pipeline("ratio = 0.5", "ratoi = 0.5");
  edit_pipeline("plugin = \"dbsa\"", "plugin = \"dsba\"");
  const ProcessResult result = cli({"validate", pipeline, "--set", "model.dtype=f64"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  const std::string folder = std::filesystem::canonical(DBSA_PLUGIN_DIR).string();
  int manifests = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    manifests += entry.path().string().ends_with(".plugin.toml") ? 1 : 0;
  EXPECT_EQ(
      result.error,
      "error: " + pipeline + ":9:1: block_grouper.block_size: must be >= 1, got 0\n" +
          "error: " + pipeline +
          ":12:1: mask_pattern.plugin: no mask_pattern plugin \"dsba\"; did you mean "
          "\"dbsa\"? available: anchor_self, causal, dbsa, self, streaming; searched: " +
          folder + " (" + std::to_string(manifests) + " manifests)\n" + "error: " + pipeline +
          ":15:1: selection: unknown key \"ratoi\"; did you mean \"ratio\"?\n" +
          "error: --set model.dtype: must be one of \"auto\", \"f32\", \"bf16\", got \"f64\"\n");
}

TEST_F(ValidateTest, FaultsAsJsonAreOneDocument) {
  const std::string pipeline = make_pipeline();
  edit_pipeline("block_size = 4", "block_size = 0");
  const ProcessResult result = cli({"validate", pipeline, "--json"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error, "");
  const nlohmann::json out = nlohmann::json::parse(result.out);
  EXPECT_EQ(out.at("ok"), false);
  EXPECT_EQ(
      out.at("faults"),
      nlohmann::json::array({pipeline + ":9:1: block_grouper.block_size: must be >= 1, got 0"}));
}

TEST_F(ValidateTest, MissingPiecesHaveTheirExitCodes) {
  const std::string pipeline = make_pipeline();
  ProcessResult result = cli({"validate", path("absent.toml")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.error, StartsWith("error: " + path("absent.toml") + ": "));

  result = cli({"validate", pipeline, "--set", "data.queries=" + path("absent.jsonl")});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.error,
            "error: --set data.queries: no such file: " + path("absent.jsonl") + "\n");

  result = cli({"validate", pipeline, "--set", "retriever.plugin=dense"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.error, StartsWith("error: --set retriever.plugin: no "
                                       "retriever plugin \"dense\""));
}

TEST_F(ValidateTest, FaultsOfModelAndDataAreNamedTogether) {
  const std::string pipeline = make_pipeline();
  workspace_.write("pool.jsonl", "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": 3}\n");
  std::filesystem::resize_file(path("model/model.safetensors"), 100);
  const ProcessResult result = cli({"validate", pipeline});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, HasSubstr("error: " + path("model/model.safetensors")));
  EXPECT_THAT(result.error, HasSubstr("error: " + path("pool.jsonl") + ":2:"));
}

TEST_F(ValidateTest, AFaultOfOneDataFileHidesNoneOfAnother) {
  const std::string pipeline = make_pipeline();
  workspace_.write("pool.jsonl", "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": 3}\n");
  workspace_.write("queries.jsonl", "{\"text\": \"a\"}\n{\"text\": \" \"}\n[]\n");
  workspace_.write("indices.json", "[0, 3, 4]");
  const ProcessResult result =
      cli({"validate", pipeline, "--set", "data.query_indices=" + path("indices.json")});
  EXPECT_EQ(result.exit_code, 2);
  for (const char* fault : {"pool.jsonl:2: ", "queries.jsonl:2: ", "queries.jsonl:3: ",
                            "indices.json: entry 1: ", "indices.json: entry 2: "})
    EXPECT_THAT(result.error, HasSubstr("error: " + path(fault)));
  const ProcessResult all = cli({"validate", pipeline});
  for (const char* fault : {"pool.jsonl:2: ", "queries.jsonl:2: ", "queries.jsonl:3: "})
    EXPECT_THAT(all.error, HasSubstr("error: " + path(fault)));
}

TEST_F(ValidateTest, WarnsOfFreeAnswersThatCannotBeWritten) {
  const std::string pipeline = make_pipeline();
  const auto warnings = [&](Words words) {
    words.insert(words.begin(), {"validate", pipeline, "--set", "decoding.method=free"});
    return cli(words).error;
  };
  EXPECT_EQ(warnings({}), "");
  EXPECT_THAT(
      warnings({"--set", "decoding.max_tokens=1"}),
      StartsWith("warning: decoding.max_tokens: is 1, and 4 of 4 labels have more tokens, "));
  EXPECT_THAT(warnings({"--set", "decoding.stop=[\"lph\"]"}),
              StartsWith("warning: decoding.stop: \"lph\" ends answers, and 1 of 4 labels has it, "
                         "such as \"alpha\": such an answer is never written whole and counts as "
                         "wrong; leave it out\n"));
  EXPECT_THAT(warnings({"--set", "prompt.separator=ph"}),
              HasSubstr("warning: prompt.separator: \"ph\" ends answers, and "));
}

TEST_F(ValidateTest, WarnsOfDemonstrationsThatHaveThePromptsOwnTexts) {
  const std::string pipeline = make_pipeline();
  workspace_.write("pool.jsonl",
                   workspace_.read("pool.jsonl") +
                       nlohmann::json{{"text", "a\n==\nquery: b"}, {"label", "alpha"}}.dump() +
                       "\n");
  const std::string expected =
      "warning: 1 demonstration's text has prompt.separator = \"\\n==\\n\" in it (line 25), so "
      "that "
      "a model may read one demonstration as several; write another separator\n";
  const Words separator = {"--set", "prompt.separator=\"\\n==\\n\""};
  for (const char* command : {"validate", "run"}) {
    Words words = {command, pipeline};
    words.insert(words.end(), separator.begin(), separator.end());
    EXPECT_THAT(cli(words).error, HasSubstr(expected)) << command;
  }
}

TEST_F(ValidateTest, ALabelThatNoDemonstrationHasIsWarnedOf) {
  const std::string pipeline = make_pipeline();
  workspace_.write("queries.jsonl", "{\"text\": \"a\", \"label\": \"alhpa\"}\n");
  const ProcessResult result = cli({"validate", pipeline});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error,
            "warning: 1 of 1 query expects a label that no demonstration has, such as \"alhpa\" (" +
                path("queries.jsonl") +
                ":1); they count as wrong: add demonstrations with these labels, or name a file "
                "with all labels in data.labels\n");
  EXPECT_EQ(nlohmann::json::parse(cli({"validate", pipeline, "--json"}).out).at("warnings").size(),
            1u);
  EXPECT_EQ(cli({"validate", pipeline, "--set", "decoding.method=free"}).error, "")
      << "texts are not chosen from labels";
}

TEST_F(ValidateTest, QueriesWithoutTheColumnOfLabelsAreWarnedOf) {
  const std::string pipeline = make_pipeline();
  workspace_.write("queries.jsonl", "{\"text\": \"a\", \"lable\": \"alpha\"}\n");
  const std::string said =
      "warning: " + path("queries.jsonl") +
      " has no field \"label\", so accuracy will not be measured; it has the "
      "fields \"lable\", \"text\"; did you mean \"lable\"? Rename it there, or "
      "set data.label_field for all data files\n";
  EXPECT_EQ(cli({"validate", pipeline}).error, said);
  EXPECT_THAT(cli({"run", pipeline}).error, HasSubstr(said));
}

// Lengths of blocks are known without a pass of the model, so every query is measured.
TEST_F(ValidateTest, QueriesThatCannotBeAnsweredAreFaults) {
  const std::string pipeline = make_pipeline();
  std::string queries = workspace_.read("queries.jsonl"), faults;
  for (int i = 0; i < 23; ++i) {
    queries += i == 3 ? "{\"text\": \"caf\xE9\"}\n"
                      : nlohmann::json{{"text", std::string(140000, 'a')}}.dump() + "\n";
    if (i >= 20) continue;
    faults += "error: " + path("queries.jsonl") + ":" + std::to_string(i + 6) + ": ";
    faults += i == 3 ? "expected UTF-8, found the byte 0xE9 at byte 14 of the line; convert the "
                       "file to UTF-8\n"
                     : "expected a prompt of at most 131072 positions, the model's, found 140626, "
                       "of which the query takes 140015; shorten the text, write data.truncate = "
                       "\"left\" or \"right\", or select fewer blocks\n";
  }
  workspace_.write("queries.jsonl", queries);
  faults += "error: " + path("queries.jsonl") + ": and 3 more faults\n";
  ProcessResult result = cli({"validate", pipeline});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error, faults);
  result = cli({"validate", pipeline, "--json"});
  EXPECT_EQ(result.exit_code, 2);
  const nlohmann::json out = nlohmann::json::parse(result.out);
  EXPECT_EQ(out.at("ok"), false);
  EXPECT_EQ(out.at("faults").size(), 21u);
  EXPECT_EQ(cli({"validate", pipeline, "--skip-queries"}).exit_code, 0);
  // Neither a vote nor a text that may be cut is too long.
  workspace_.write("queries.jsonl",
                   nlohmann::json{{"text", std::string(140000, 'a')}}.dump() + "\n");
  EXPECT_EQ(cli({"validate", pipeline}).exit_code, 2);
  EXPECT_EQ(cli({"validate", pipeline, "--set", "decoding.method=vote"}).exit_code, 0);
  // Where embeddings would be computed, it is measured beside no block.
  EXPECT_EQ(cli({"validate", pipeline, "--set", "embedding.method=llm_hidden", "--set",
                 "retriever.plugin=faiss"})
                .exit_code,
            2);
  result = cli({"validate", pipeline, "--set", "data.truncate=left", "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_EQ(nlohmann::json::parse(result.out).at("truncated"), 1);
}

// A query's prompt may be cut, what the model embeds for the retriever is not.
TEST_F(ValidateTest, AQueryThatTheModelCannotEmbedIsAFault) {
  const std::string pipeline = make_pipeline();
  workspace_.write("queries.jsonl", workspace_.read("queries.jsonl") +
                                        nlohmann::json{{"text", std::string(140000, 'a')}}.dump() +
                                        "\n");
  Words words = {
      "validate", pipeline, "--set", "data.truncate=left", "--set", "embedding.method=llm_hidden",
      "--quiet"};
  const auto with = [&](const Words& more) {
    Words all = words;
    all.insert(all.end(), more.begin(), more.end());
    return cli(all);
  };
  const Words faiss = {"--set", "retriever.plugin=faiss"};
  const std::string said = " tokens cannot be embedded: the model reads 131072; shorten a query ";
  const ProcessResult found = with(faiss);
  EXPECT_EQ(found.exit_code, 2);
  EXPECT_THAT(found.error, StartsWith("error: " + path("queries.jsonl") + ":6: "));
  EXPECT_THAT(found.error, HasSubstr(said));
  EXPECT_EQ(with({"--set", "retriever.plugin=faiss", "--set", "decoding.method=vote"}).exit_code,
            2);
  // Where only the grouper embeds, the query is cut.
  EXPECT_EQ(with({"--set", "block_grouper.plugin=embedding_kmeans"}).exit_code, 0);
  words[0] = "run";
  const ProcessResult failed = with(faiss);
  EXPECT_EQ(failed.exit_code, 2);
  EXPECT_THAT(failed.error, HasSubstr(said));
}

// No cell of a sweep encodes for hours to be told so by its store.
TEST_F(ValidateTest, ABoundOfTheStoreThatThePoolDoesNotFitIsAFault) {
  const std::string pipeline = make_pipeline();
  const ProcessResult explained = cli({"explain", pipeline, "--json"});
  const int64_t bytes = nlohmann::json::parse(explained.out).at("pool").at("kv_bytes");
  const auto bound = [&](int64_t max_bytes, const Words& more = {}) {
    Words words = {"validate",       pipeline, "--quiet",
                   "--skip-queries", "--set",  "kv_store.max_bytes=" + std::to_string(max_bytes)};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = cli(words);
    return std::to_string(result.exit_code) + " " + result.error;
  };
  const std::string fault = "2 error: --set kv_store.max_bytes: must be 0 (no bound) or at least " +
                            std::to_string(bytes) + ", which the pool's blocks need, got " +
                            std::to_string(bytes - 1) + "\n";
  EXPECT_EQ(bound(bytes - 1), fault);
  EXPECT_EQ(bound(bytes - 1, {"--set", "kv_store.plugin=memory"}), fault);
  EXPECT_EQ(bound(bytes), "0 ");
  EXPECT_EQ(bound(0), "0 ");
  EXPECT_EQ(bound(1, {"--set", "selection.recompute=true"}), "0 ") << "nothing is stored";
  EXPECT_EQ(cli({"explain", pipeline, "--set", "kv_store.max_bytes=1"}).exit_code, 0);
  // A store that holds the pool by now needs no room.
  ASSERT_EQ(cli({"encode", pipeline, "--quiet"}).exit_code, 0);
  EXPECT_EQ(bound(bytes - 1), "0 ");
  EXPECT_EQ(cli({"encode", pipeline, "--quiet", "--set", "kv_store.max_bytes=1"}).exit_code, 0);
}

TEST_F(ValidateTest, ABlockBeyondTheModelsPositionsIsAFault) {
  const std::string pipeline = make_pipeline();
  std::string config = workspace_.read("model/config.json");
  const std::string key = "\"max_position_embeddings\": 131072";
  ASSERT_NE(config.find(key), config.npos);
  config.replace(config.find(key), key.size(), "\"max_position_embeddings\": 100");
  workspace_.write("model/config.json", config);
  const ProcessResult result = cli({"validate", pipeline});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, HasSubstr("100"));
  EXPECT_THAT(result.error, StartsWith("error: "));
}

}  // namespace
}  // namespace dbsa
