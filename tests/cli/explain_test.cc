// explain: its figures against counts over a dense mask, hand-written formulas and a real run.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ExplainTest : public CliTest {
 protected:
  json explain(Words words) const {
    words.insert(words.begin(), "explain");
    words.insert(words.end(), {"--json"});
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    return result.exit_code == 0 ? json::parse(result.out) : json();
  }

  // Runs a pipeline once and takes its record.
  json run(const Words& more) const {
    std::filesystem::remove_all(path("runs"));
    Words words = {"run", path("pipeline.toml"), "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = cli(words);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    return only_record();
  }

  // Tokens of every block, from a run that selects them all.
  std::vector<int64_t> block_lengths() const {
    const json record = run({"--set", "selection.ratio=1.0", "--set", "mask_pattern.plugin=self"});
    std::vector<int64_t> lengths(record.at("queries")[0].at("blocks").size());
    for (const json& block : record.at("queries")[0].at("blocks"))
      lengths.at(block.at("block").get<size_t>()) = block.at("tokens");
    return lengths;
  }

  json model_config() const { return json::parse(workspace_.read("model/config.json")); }
};

// Pairs of a row and a token it sees, one by one. sees(block of row, block of token, row, token).
template <typename Sees>
int64_t count_pairs(const std::vector<int64_t>& lengths, Sees&& sees) {
  std::vector<int64_t> block_of;
  for (size_t block = 0; block < lengths.size(); ++block)
    block_of.insert(block_of.end(), static_cast<size_t>(lengths[block]),
                    static_cast<int64_t>(block));
  int64_t pairs = 0;
  for (int64_t row = 0; row < static_cast<int64_t>(block_of.size()); ++row)
    for (int64_t token = 0; token <= row; ++token)
      pairs +=
          sees(block_of[static_cast<size_t>(row)], block_of[static_cast<size_t>(token)], row, token)
              ? 1
              : 0;
  return pairs;
}

TEST_F(ExplainTest, PairsAreThoseOfTheDenseMask) {
  const std::string pipeline = make_pipeline(30);
  edit_pipeline("plugin = \"dbsa\"", "");
  edit_pipeline("path = \"store\"", "plugin = \"memory\"");
  const std::vector<int64_t> lengths = block_lengths();
  ASSERT_EQ(lengths.size(), 8u);
  struct Case {
    Words words;
    std::function<bool(int64_t, int64_t, int64_t, int64_t)> sees;
  };
  const std::vector<Case> cases = {
      {{"--set", "mask_pattern.plugin=self"},
       [](int64_t b, int64_t a, int64_t, int64_t) { return a == b; }},
      {{"--set", "mask_pattern.plugin=causal"},
       [](int64_t, int64_t, int64_t, int64_t) { return true; }},
      {{"--set", "mask_pattern.plugin=anchor_self"},
       [](int64_t b, int64_t a, int64_t, int64_t) { return a == b || a < 1; }},
      {{"--set", "mask_pattern.plugin=dbsa"},
       [](int64_t b, int64_t a, int64_t, int64_t) { return a < 1 || a >= b - 2; }},
      {{"--set", "mask_pattern.plugin=dbsa", "--set", "mask_pattern.anchor_blocks=2", "--set",
        "mask_pattern.previous_blocks=0"},
       [](int64_t b, int64_t a, int64_t, int64_t) { return a < 2 || a == b; }},
      {{"--set", "mask_pattern.plugin=streaming", "--set", "mask_pattern.sink_tokens=4", "--set",
        "mask_pattern.window_tokens=37"},
       [](int64_t, int64_t, int64_t i, int64_t j) { return j < 4 || j > i - 37; }}};
  for (const Case& c : cases)
    for (const char* positions : {"packed", "global"}) {
      Words words = {pipeline, "--set", std::string("mask_pattern.encode_positions=") + positions};
      words.insert(words.end(), c.words.begin(), c.words.end());
      const json out = explain(words);
      int64_t tokens = 0;
      for (const int64_t length : lengths) tokens += length;
      EXPECT_EQ(out.at("encode").at("pairs"), count_pairs(lengths, c.sees))
          << c.words[1] << " " << positions;
      EXPECT_EQ(out.at("encode").at("dense_pairs"), tokens * (tokens + 1) / 2);
      EXPECT_EQ(out.at("pool").at("tokens"), tokens);
      EXPECT_EQ(out.at("pool").at("shortest_block"),
                *std::min_element(lengths.begin(), lengths.end()));
      EXPECT_EQ(out.at("pool").at("longest_block"),
                *std::max_element(lengths.begin(), lengths.end()));
    }
}

// All experts are weights; a token is multiplied with those it gets. Layer 0 is dense.
TEST_F(ExplainTest, ExpertsCountAsMemoryAndThoseUsedAsWork) {
  const std::string pipeline = make_pipeline();
  json config = model_config();
  config.update({{"model_type", "qwen3_moe"},
                 {"num_experts", 6},
                 {"num_experts_per_tok", 2},
                 {"moe_intermediate_size", 40},
                 {"mlp_only_layers", {0}}});
  const std::string shape = workspace_.write("experts.json", config.dump());
  const ProcessResult made =
      run_process({DBSA_BINARY_DIR "/bin/dbsa-make-checkpoint", "--out=" + path("model"),
                   "--config=" + shape, "--dtype=f32", "--overwrite"},
                  {});
  ASSERT_EQ(made.exit_code, 0) << made.error;
  const json out = explain({pipeline}), &model = out.at("model");
  EXPECT_EQ(model.at("experts"), json({{"count", 6}, {"used", 2}, {"intermediate_size", 40}}));
  const int64_t hidden = config.at("hidden_size"), inner = config.at("intermediate_size"),
                vocabulary = config.at("vocab_size"), head_dim = model.at("head_dim");
  const int64_t heads = config.at("num_attention_heads"),
                kv_heads = config.at("num_key_value_heads");
  const int64_t attention = 2 * hidden * head_dim * (heads + kv_heads), dense = 3 * hidden * inner,
                router = 6 * hidden, expert = 3 * hidden * 40,
                norms = 2 * (2 * hidden + 2 * head_dim) + hidden;
  EXPECT_EQ(model.at("parameters"),
            2 * attention + dense + router + 6 * expert + norms + vocabulary * hidden);
  const double tokens = out.at("pool").at("tokens");
  EXPECT_EQ(out.at("encode").at("work").at("linear_flop"),
            2.0 * static_cast<double>(2 * attention + dense + router + 2 * expert) * tokens);
  EXPECT_THAT(cli({"explain", pipeline}).out,
              HasSubstr("6 experts of 40, of which a token gets 2"));
  EXPECT_EQ(run({}).at("queries").size(), 5u);
}

TEST_F(ExplainTest, WorkFollowsFromTheShapes) {
  const std::string pipeline = make_pipeline();
  const json out = explain({pipeline}), config = model_config();
  const double layers = config.at("num_hidden_layers"), hidden = config.at("hidden_size"),
               heads = config.at("num_attention_heads"),
               kv_heads = config.at("num_key_value_heads"), inner = config.at("intermediate_size"),
               vocabulary = config.at("vocab_size"), head_dim = out.at("model").at("head_dim");
  // Query, key, value and output projections, then gate, up and down.
  const double linear = 2 * layers *
                        (hidden * heads * head_dim + 2 * hidden * kv_heads * head_dim +
                         heads * head_dim * hidden + 3 * hidden * inner);
  const double pair = 4 * layers * heads * head_dim;  // a score and a weighted sum
  const double tokens = out.at("pool").at("tokens"), pairs = out.at("encode").at("pairs");
  EXPECT_EQ(out.at("encode").at("work").at("linear_flop"), linear * tokens);
  EXPECT_EQ(out.at("encode").at("work").at("attention_flop"), pair * pairs);

  const json record = run({});
  EXPECT_EQ(out.at("pool").at("kv_bytes"), record.at("totals").at("kv_bytes"));
  const json& loaded = out.at("request").at("kv_loaded");
  EXPECT_EQ(loaded.at("bytes"), loaded.at("all_layers_bytes")) << "no windows";
  EXPECT_EQ(record.at("totals").at("kv_loaded").at("bytes"),
            record.at("totals").at("kv_loaded").at("all_layers_bytes"));
  EXPECT_EQ(out.at("pool").at("tokens"), record.at("encode").at("tokens"));
  EXPECT_EQ(out.at("pool").at("blocks"), record.at("encode").at("blocks"));
  EXPECT_EQ(out.at("pool").at("labels"), record.at("encode").at("labels"));
  EXPECT_EQ(out.at("config"), record.at("config"));
  EXPECT_EQ(out.at("request").at("queries"), 5);
  EXPECT_EQ(out.at("request").at("selected_blocks"), record.at("queries")[0].at("blocks").size());
  int64_t query_tokens = 0;
  for (const json& query : record.at("queries"))
    query_tokens += query.at("tokens").at("query").get<int64_t>();
  EXPECT_EQ(out.at("request").at("query_tokens"), query_tokens / 5);
  const double query = out.at("request").at("query_tokens"),
               selected = out.at("request").at("selected_tokens");
  EXPECT_EQ(selected, std::floor(3 * tokens / 6));
  EXPECT_EQ(out.at("request").at("work").at("linear_flop"),
            linear * query + 2 * hidden * vocabulary);
  EXPECT_EQ(out.at("request").at("work").at("attention_flop"),
            pair * (query * selected + query * (query + 1) / 2));

  // A checkpoint of 32 bits: its tensors' bytes are the file less its header.
  const std::string weights = workspace_.read("model/model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, weights.data(), sizeof header);
  EXPECT_EQ(out.at("model").at("weight_bytes"), weights.size() - 8 - header);
  EXPECT_EQ(out.at("model").at("parameters"), (weights.size() - 8 - header) / 4);
}

// Layers with a window: pairs against counts over a dense mask, work from them, and the keys and
// values of a request against what a run of blocks of about one length loads.
TEST_F(ExplainTest, WindowsLimitPairsAndBytes) {
  constexpr int64_t kWindow = 90;
  make_pipeline(40);
  edit_pipeline("plugin = \"dbsa\"", "");
  json config = model_config();
  config["model_type"] = "mistral";
  config["architectures"] = {"MistralForCausalLM"};
  config["sliding_window"] = kWindow;
  workspace_.write("model/config.json", config.dump());
  const std::string pipeline = path("pipeline.toml");
  const std::vector<int64_t> lengths = block_lengths();
  struct Case {
    const char* mask;
    std::function<bool(int64_t, int64_t)> shows;  // block of row, block of token
  };
  const Case cases[] = {{"self", [](int64_t b, int64_t a) { return a == b; }},
                        {"causal", [](int64_t, int64_t) { return true; }}};
  for (const Case& c : cases) {
    const json out = explain({pipeline, "--set", std::string("mask_pattern.plugin=") + c.mask,
                              "--set", "mask_pattern.encode_positions=global"});
    const int64_t shown =
        count_pairs(lengths, [&](int64_t b, int64_t a, int64_t, int64_t) { return c.shows(b, a); });
    const int64_t seen = count_pairs(lengths, [&](int64_t b, int64_t a, int64_t i, int64_t j) {
      return c.shows(b, a) && i - j < kWindow;
    });
    ASSERT_LT(seen, shown);
    EXPECT_EQ(out.at("encode").at("pairs"), shown);
    EXPECT_EQ(out.at("encode").at("windows"),
              json({{{"window", kWindow}, {"layers", 2}, {"pairs", seen}}}));
    const double pair = 4.0 * out.at("model").at("heads").get<double>() *
                        out.at("model").at("head_dim").get<double>();
    EXPECT_EQ(out.at("encode").at("work").at("attention_flop"),
              2 * pair * static_cast<double>(seen));
    const auto query = out.at("request").at("query_tokens").get<int64_t>(),
               selected = out.at("request").at("selected_tokens").get<int64_t>();
    int64_t pairs = 0;
    for (int64_t row = selected; row < selected + query; ++row) pairs += std::min(row + 1, kWindow);
    EXPECT_EQ(out.at("request").at("work").at("attention_flop"),
              2 * pair * static_cast<double>(pairs));
  }

  const Words mask = {"--set", "mask_pattern.plugin=self"};
  const json record = run(mask);
  const json out = explain({pipeline, mask[0], mask[1]}).at("request").at("kv_loaded");
  const auto mean = [&](const char* key) {
    return record.at("totals").at("kv_loaded").at(key).get<double>() /
           static_cast<double>(record.at("queries").size());
  };
  EXPECT_LT(mean("bytes"), mean("all_layers_bytes"));
  EXPECT_NEAR(out.at("all_layers_bytes").get<double>() / mean("all_layers_bytes"), 1, 0.2);
  EXPECT_NEAR(out.at("bytes").get<double>() / mean("bytes"), 1, 0.3);
  const ProcessResult words = cli({"explain", pipeline, mask[0], mask[1]});
  EXPECT_THAT(words.out, HasSubstr("\n           2 layers with a window of 90 tokens see "));
  EXPECT_THAT(words.out,
              testing::ContainsRegex("\n           loads [^ ]+ KiB of their [^ ]+ KiB "));
}

TEST_F(ExplainTest, BytesAreThoseOfTheTypesComputedWith) {
  const std::string pipeline = make_pipeline();
  const json whole = explain({pipeline}), half = explain({pipeline, "--set", "model.dtype=bf16"}),
             half_kv = explain({pipeline, "--set", "model.kv_dtype=bf16"});
  const auto weights = [](const json& out) { return out.at("model").at("weight_bytes"); };
  const auto kv = [](const json& out) { return out.at("pool").at("kv_bytes").get<uint64_t>(); };
  EXPECT_EQ(weights(half).get<uint64_t>() * 2, weights(whole));
  EXPECT_EQ(weights(half_kv), weights(whole));
  EXPECT_LT(kv(half), kv(whole));
  EXPECT_EQ(kv(half_kv), kv(half));
  EXPECT_EQ(kv(half_kv), run({"--set", "model.kv_dtype=bf16"}).at("totals").at("kv_bytes"));
  const json int8 = explain({pipeline, "--set", "model.kv_dtype=int8"});
  EXPECT_LT(kv(int8) * 100, kv(half_kv) * 57);
  EXPECT_EQ(kv(int8), run({"--set", "model.kv_dtype=int8"}).at("totals").at("kv_bytes"));
}

TEST_F(ExplainTest, IsReadByPeople) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result = cli({"explain", pipeline});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(result.error, "");
  for (const char* part :
       {"stage              plugin  does\n", "\nblock_grouper      random  ",
        "\nmodel      llama: ", " parameters, ", "\npool       24 demonstrations in 6 blocks, ",
        " a block)\nKV         ", "\nencode     ", ": linear layers ",
        "\n           the mask shows ", " % of what a dense one would\nrequest    ",
        " tokens, over 3 blocks of about ", "\nqueries    5\n"})
    EXPECT_THAT(result.out, HasSubstr(part));
  EXPECT_FALSE(std::filesystem::exists(path("store")));
}

// How long depends on the machine; that it was measured, and hangs together, does not.
TEST_F(ExplainTest, SaysHowLongItTakesHere) {
  const std::string pipeline = make_pipeline();
  const json time = explain({pipeline}).at("time");
  EXPECT_GT(time.at("encode_seconds").get<double>(), 0);
  EXPECT_GT(time.at("request_seconds").get<double>(), 0);
  EXPECT_EQ(time.at("queries_seconds").get<double>(), 5 * time.at("request_seconds").get<double>());
  EXPECT_GT(time.at("measured_seconds").get<double>(), 0);
  EXPECT_EQ(time.at("measured_layers"), 2);
  EXPECT_FALSE(std::filesystem::exists(path("store"))) << "nothing is written";
  const ProcessResult words = cli({"explain", pipeline});
  EXPECT_THAT(words.out, testing::ContainsRegex(
                             "\ntime       about encode .*, a request .*, 5 queries .* on this "
                             "machine: an\n           estimate from .* of the model; "));
  EXPECT_EQ(explain({pipeline, "--skip-time"}).at("time"), nullptr);
  EXPECT_THAT(cli({"explain", pipeline, "--skip-time"}).out, testing::Not(HasSubstr("\ntime  ")));
  for (const char* method : {"greedy_trie", "likelihood", "free"})
    EXPECT_GT(explain({pipeline, "--set", std::string("decoding.method=") + method})
                  .at("time")
                  .at("request_seconds")
                  .get<double>(),
              0)
        << method;
  const json again = explain({pipeline, "--set", "mask_pattern.plugin=self", "--set",
                              "selection.recompute=true", "--set", "kv_store.plugin=memory"});
  EXPECT_EQ(again.at("time").at("encode_seconds"), 0.0);
  EXPECT_GT(again.at("time").at("request_seconds").get<double>(), 0);
}

TEST_F(ExplainTest, WithoutStoredBlocksNothingIsEncoded) {
  make_pipeline();
  edit_pipeline("path = \"store\"", "plugin = \"memory\"");
  const std::string pipeline = edit_pipeline("plugin = \"dbsa\"", "plugin = \"self\"");
  const Words recompute = {pipeline, "--set", "selection.recompute=true"};
  const json stored = explain({pipeline}), again = explain(recompute);
  EXPECT_EQ(again.at("pool").at("kv_bytes"), 0);
  EXPECT_EQ(again.at("encode"), json({{"pairs", 0},
                                      {"dense_pairs", 0},
                                      {"windows", {{{"window", 0}, {"layers", 2}, {"pairs", 0}}}},
                                      {"work", {{"linear_flop", 0.0}, {"attention_flop", 0.0}}}}));
  const double rows = again.at("request").at("query_tokens").get<double>() +
                      again.at("request").at("selected_tokens").get<double>();
  const double pair = 4.0 * again.at("model").at("layers").get<double>() *
                      again.at("model").at("heads").get<double>() *
                      again.at("model").at("head_dim").get<double>();
  EXPECT_EQ(again.at("request").at("work").at("attention_flop"), pair * rows * (rows + 1) / 2);
  EXPECT_GT(again.at("request").at("work").at("linear_flop").get<double>(),
            stored.at("request").at("work").at("linear_flop").get<double>());
  const ProcessResult words = cli({"explain", pipeline, "--set", "selection.recompute=true"});
  EXPECT_THAT(words.out, HasSubstr("\nencode     nothing: no stored keys and values are used\n"));
  EXPECT_THAT(words.out, HasSubstr(" tokens, and 3 blocks of about "));
  EXPECT_THAT(words.out, HasSubstr(" computed again\n"));
}

TEST_F(ExplainTest, AVoteComputesNothing) {
  make_pipeline();
  edit_pipeline("path = \"store\"", "plugin = \"memory\"");
  const std::string pipeline = edit_pipeline("plugin = \"dbsa\"", "plugin = \"self\"");
  const json out =
      explain({pipeline, "--set", "decoding.method=vote", "--set", "block_grouper.block_size=1"});
  EXPECT_EQ(out.at("pool").at("kv_bytes"), 0);
  EXPECT_EQ(out.at("request").at("work"), json({{"linear_flop", 0.0}, {"attention_flop", 0.0}}));
  EXPECT_EQ(out.at("time").at("measured_layers"), 0) << "nothing is computed";
  const ProcessResult words = cli({"explain", pipeline, "--set", "decoding.method=vote", "--set",
                                   "block_grouper.block_size=1"});
  EXPECT_THAT(words.out,
              HasSubstr("\nrequest    nothing is computed: the labels of 12 blocks vote\n"));
}

TEST_F(ExplainTest, ZeroShotHasAQueryAlone) {
  make_pipeline();
  edit_pipeline("plugin = \"dbsa\"", "plugin = \"self\"");
  const std::string pipeline = edit_pipeline("ratio = 0.5", "count = 0");
  const json out = explain({pipeline, "--mask", path("mask.svg")});
  EXPECT_EQ(out.at("pool").at("blocks"), 0);
  EXPECT_EQ(out.at("pool").at("tokens"), 0);
  EXPECT_EQ(out.at("pool").at("kv_bytes"), 0);
  EXPECT_EQ(out.at("request").at("selected_blocks"), 0);
  EXPECT_EQ(out.at("request").at("selected_tokens"), 0);
  EXPECT_GT(out.at("request").at("work").at("linear_flop").get<double>(), 0);
  EXPECT_THAT(workspace_.read("mask.svg"), testing::StartsWith("<svg"));
  const ProcessResult words = cli({"explain", pipeline});
  EXPECT_THAT(words.out, HasSubstr("\nencode     nothing: the query alone is the prompt\n"));
  EXPECT_THAT(words.out, testing::ContainsRegex(": a query of [0-9]+ tokens\nqueries    5\n"));
}

TEST_F(ExplainTest, DrawsTheMask) {
  make_pipeline(28);  // seven blocks: every one of them is named once
  std::filesystem::create_directory(path("drawings"));
  const ProcessResult result = cli({"explain", path("pipeline.toml"), "--set",
                                    "selection.ratio=1.0", "--mask", path("drawings/mask.svg")});
  ASSERT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(result.error, "drew       " + path("drawings/mask.svg") + "\n");
  const std::string svg = workspace_.read("drawings/mask.svg");
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  // Well-formed, as an XML parser sees it.
  const ProcessResult parsed =
      run_process({"/usr/bin/python3", "-c",
                   "import sys, xml.etree.ElementTree as tree; tree.parse(sys.argv[1])",
                   path("drawings/mask.svg")});
  EXPECT_EQ(parsed.exit_code, 0) << parsed.error;
}

// A misspelt path makes no folder, and nothing is computed for it.
TEST_F(ExplainTest, APictureGoesIntoAFolderThatIsThere) {
  const std::string pipeline = make_pipeline();
  ProcessResult refused = cli({"explain", pipeline, "--mask", path("none/mask.svg")});
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_EQ(refused.out, "");
  EXPECT_EQ(refused.error, "error: --mask " + path("none/mask.svg") + ": no such folder: " +
                               path("none") + "; make the folder, or name another file\n");
  EXPECT_FALSE(std::filesystem::exists(path("none")));
  workspace_.write("file", "");
  refused = cli({"explain", pipeline, "--mask", path("file/mask.svg")});
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_EQ(refused.error, "error: --mask " + path("file/mask.svg") + ": must be in a folder, " +
                               path("file") + " is none; make the folder, or name another file\n");
}

TEST_F(ExplainTest, APictureIsAnSvg) {
  const ProcessResult result = cli({"explain", make_pipeline(), "--mask", path("mask.png")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error, "error: --mask: expected a name that ends in .svg, found \"" +
                              path("mask.png") + "\"\n");
}

TEST_F(ExplainTest, FaultsNameTheirPlaceOnce) {
  const ProcessResult result = cli({"explain", make_pipeline(), "--set", "selection.count=99"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, testing::StartsWith("error: --set selection.count: expected"));
}

TEST_F(ExplainTest, EmbeddingsAreNotComputed) {
  const std::string pipeline = make_pipeline();
  const ProcessResult result = cli({"explain", pipeline, "--set", "embedding.method=llm_hidden",
                                    "--set", "retriever.plugin=faiss"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.error,
            "error: --set embedding.method: the blocks or the index of this pipeline need "
            "embeddings, which explain does not compute; set embedding.method = \"none\" and "
            "plugins that need none\n");
}

}  // namespace
}  // namespace dbsa
