// Which blocks are encoded again, and which are not: counted for every mask, encode position mode
// and kind of change, against the dependencies written down directly.

#include <iostream>

#include "tests/pipeline/pipeline_fixture.h"

namespace dbsa {
namespace {

bool sees(const Mask& mask, int64_t row_block, int64_t token_block) {
  return token_block < row_block &&
         (token_block < mask.anchors || token_block >= row_block - mask.previous);
}

// How many blocks change with block `edited`: itself, what sees a changed block, and, where blocks
// stand at their place in the whole pool and the edit changed a length, what sees a block across
// the edit, since the distance to it changed.
int64_t expected_count(const Mask& mask, bool global, bool length_changed, int64_t edited) {
  std::vector<bool> changed(kBlocks, false);
  changed[static_cast<size_t>(edited)] = true;
  int64_t count = 1;
  for (int64_t b = edited + 1; b < kBlocks; ++b) {
    bool depends = false;
    for (int64_t v = 0; v < b; ++v) {
      if (!sees(mask, b, v)) continue;
      depends =
          depends || changed[static_cast<size_t>(v)] || (global && length_changed && v <= edited);
    }
    changed[static_cast<size_t>(b)] = depends;
    count += depends ? 1 : 0;
  }
  return count;
}

TEST_F(PipelineTest, AnEditEncodesTheTransitiveSetAgainAndNothingElse) {
  const Mask masks[] = {
      {"self", 0, 0}, {"dbsa", 1, 0}, {"dbsa", 1, 2}, {"dbsa", 0, 1}, {"causal", 0, kBlocks}};
  int cases = 0;
  for (const Mask& mask : masks) {
    for (const bool global : {false, true}) {
      const auto settings = settings_of(mask, global);
      EncodeReport report = encode(settings);
      ASSERT_EQ(report.estimate.blocks, kBlocks);
      EXPECT_EQ(encode(settings).blocks_encoded, 0);
      for (const bool longer : {false, true}) {
        for (int64_t edited = 0; edited < kBlockSize * kBlocks; edited += 3) {
          const int64_t block = block_of(report, edited);
          std::string& text = texts_[static_cast<size_t>(edited)];
          // One byte is one token here. Upper case keeps the length; every edit makes a new text.
          if (longer)
            text += "!";
          else
            text[static_cast<size_t>(cases) % 8] ^= 0x20;
          write_demonstrations();
          report = encode(settings);
          EXPECT_EQ(report.blocks_encoded, expected_count(mask, global, longer, block))
              << mask.plugin << " anchors " << mask.anchors << " previous " << mask.previous
              << (global ? " global" : " packed") << (longer ? " longer" : " same length")
              << ", block " << block;
          ++cases;
        }
      }
    }
  }
  std::cout << cases << " edits\n";
}

TEST_F(PipelineTest, UnderGlobalPositionsAChangedLengthReusesNoLaterBlock) {
  const auto settings = settings_of({"dbsa", 1, 0}, true);
  EncodeReport report = encode(settings);
  for (int64_t edited = 0; edited < 4; ++edited) {
    const int64_t block = block_of(report, edited);
    texts_[static_cast<size_t>(edited)] += " more";
    write_demonstrations();
    report = encode(settings);
    EXPECT_EQ(report.blocks_encoded, kBlocks - block) << "block " << block;
  }
}

TEST_F(PipelineTest, GrowthFormsNewBlocksAndMovesNoneThatStood) {
  const auto settings = settings_of({"self", 0, 0}, false);
  encode(settings);
  add_demonstration(3, "a new question altogether", 1);
  write_demonstrations();
  const EncodeReport grown = encode(settings);
  EXPECT_EQ(grown.estimate.blocks, kBlocks + 1);
  EXPECT_EQ(grown.blocks_encoded, 1);
  // Dealing again mixes them all.
  EXPECT_GT(encode(settings, /*regroup=*/true).blocks_encoded, 1);
}

TEST_F(PipelineTest, AChangedModelReusesNothing) {
  const PipelineHarness::Overrides settings;
  EXPECT_EQ(encode(settings).blocks_encoded, kBlocks);
  const std::string weights = workspace_.read("model/model.safetensors");
  const std::string config = workspace_.read("model/config.json");
  const std::string tokenizer = workspace_.read("model/tokenizer.json");

  std::string changed = weights;
  changed[changed.size() - 5] = static_cast<char>(changed[changed.size() - 5] ^ 1);
  workspace_.write("model/model.safetensors", changed);
  EXPECT_EQ(encode(settings).blocks_encoded, kBlocks) << "one bit of one weight";
  workspace_.write("model/model.safetensors", weights);
  EXPECT_EQ(encode(settings).blocks_encoded, 0) << "the weights as they were";

  auto rope = nlohmann::json::parse(config);
  rope["rope_theta"] = rope["rope_theta"].get<double>() + 1;
  workspace_.write("model/config.json", rope.dump());
  EXPECT_EQ(encode(settings).blocks_encoded, kBlocks) << "rope_theta";
  workspace_.write("model/config.json", config);

  workspace_.write("model/tokenizer.json", tokenizer + "\n");
  EXPECT_EQ(encode(settings).blocks_encoded, kBlocks) << "the tokenizer's file";
  workspace_.write("model/tokenizer.json", tokenizer);
  EXPECT_EQ(encode(settings).blocks_encoded, 0) << "all as it was";
  EXPECT_EQ(encode({{"model.kv_dtype", "\"bf16\""}}).blocks_encoded, kBlocks) << "kv_dtype";
}

TEST_F(PipelineTest, AnotherMaskReusesTheBlocksThatSeeTheSame) {
  EXPECT_EQ(encode(settings_of({"dbsa", 1, 2}, false)).blocks_encoded, kBlocks);
  // Blocks 0 to 3 see all before them under either.
  EXPECT_EQ(encode(settings_of({"causal", 0, kBlocks}, false)).blocks_encoded, kBlocks - 4);
  // Block 0 sees only itself under any.
  EXPECT_EQ(encode(settings_of({"self", 0, 0}, false)).blocks_encoded, kBlocks - 1);
  // One anchor: block 1 sees what it saw under dbsa 1, 2.
  EXPECT_EQ(encode(settings_of({"dbsa", 1, 0}, false)).blocks_encoded, kBlocks - 2);
}

TEST_F(PipelineTest, APromptThatLeavesTheBlocksAsTheyAreReusesThem) {
  EXPECT_EQ(encode({}).blocks_encoded, kBlocks);
  EXPECT_EQ(encode({{"prompt.tail", "\" ->\""}}).blocks_encoded, 0) << "the query's part alone";
  EXPECT_EQ(encode({{"retriever.text", "\"text\""}}).blocks_encoded, 0) << "what is indexed";
  EXPECT_EQ(encode({{"prompt.output_prefix", "\"class: \""}}).blocks_encoded, kBlocks);
}

TEST_F(PipelineTest, AQueryNeedsAnEncodedPool) {
  const Status opened = open({})->pipeline().open_pool();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kConfig);
  EXPECT_NE(opened.error().message.find("run `dbsa-pipe encode` first"), std::string::npos)
      << opened.error().message;
}

TEST_F(PipelineTest, APoolOfAnotherModelIsNotAnswered) {
  encode({});
  make_model("model", /*seed=*/2);
  const Status opened = open({})->pipeline().open_pool();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kConfig);
  EXPECT_NE(opened.error().message.find(" of the same data has model.weights: "), std::string::npos)
      << opened.error().message;
}

// Under int8 what others see of a block is what is stored, whether it is in the store by then or
// not.
TEST_F(PipelineTest, AnswersDependOnNothingButTheirInput) {
  struct Variant {
    const char* what;
    PipelineHarness::Overrides overrides;
    int threads;
  };
  const Variant variants[] = {
      {"one thread", {}, 1},
      {"small chunks", {{"model.chunk_tokens", "7"}, {"kv_store.path", "\"other\""}}, 2},
      {"a store in memory", {{"kv_store.plugin", "\"memory\""}}, 2},
  };
  std::vector<Told> told;
  for (const char* kv_dtype : {"\"auto\"", "\"bf16\"", "\"int8\""}) {
    const PipelineHarness::Overrides precision = {{"model.kv_dtype", kv_dtype}};
    auto harness = open(precision);
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    const Told expected = ask(harness->pipeline());
    for (const Told& other : told) EXPECT_FALSE(other == expected) << kv_dtype;
    told.push_back(expected);
    for (const Variant& variant : variants) {
      auto overrides = variant.overrides;
      overrides.insert(overrides.end(), precision.begin(), precision.end());
      std::string file = workspace_.path("pipeline.toml");
      if (std::string(variant.what) == "a store in memory") {
        std::string text = workspace_.read("pipeline.toml");
        const std::string path_line = "path = \"store\"\n";
        text.erase(text.find(path_line), path_line.size());
        file = workspace_.write("memory.toml", text);
      }
      auto other = PipelineHarness::open(file, overrides, variant.threads);
      ASSERT_TRUE(other.ok()) << other.error().message;
      ASSERT_TRUE((*other)->pipeline().encode(false, {}).ok());
      EXPECT_TRUE(ask((*other)->pipeline()) == expected) << variant.what << ", " << kv_dtype;
    }
  }
}

// What int8 is measured against: the same pool, other keys, no manifest.
TEST_F(PipelineTest, ACopyOfAPoolAnswersAsThePoolThatItCopies) {
  const PipelineHarness::Overrides int8 = {{"model.kv_dtype", "\"int8\""}};
  auto quantised = open(int8);
  ASSERT_TRUE(quantised->pipeline().encode(false, {}).ok());
  auto copy = open({});
  const auto copied = copy->pipeline().encode_copy(quantised->pipeline().pool(), {}, {});
  ASSERT_TRUE(copied.ok()) << copied.error().message;
  EXPECT_EQ(copied->blocks_encoded, kBlocks);
  const Told told = ask(copy->pipeline());
  EXPECT_EQ(told.rebuilt, 0);
  const Status opened = open({})->pipeline().open_pool();
  ASSERT_FALSE(opened.ok()) << "no manifest names the copy";

  auto whole = open({});
  const auto encoded = whole->pipeline().encode(false, {});
  ASSERT_TRUE(encoded.ok());
  EXPECT_EQ(encoded->blocks_encoded, 0) << "the blocks are there";
  EXPECT_TRUE(ask(whole->pipeline()) == told);
}

TEST_F(PipelineTest, FreeDecodingAndPrefixHeadsWork) {
  auto harness = open({{"decoding.method", "\"free\""},
                       {"decoding.max_tokens", "5"},
                       {"prompt.anchor", "\"prefix\""},
                       {"prompt.instruction", "\"Name the topic.\""}});
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->estimate.blocks, kBlocks + 1) << "the prefix is a block of its own";
  const auto answer = harness->pipeline().answer("something about topic 1");
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_LT(answer->label.log_probability, 0);
  EXPECT_FALSE(answer->runner_up.has_value());
  EXPECT_EQ(answer->blocks.front().block, 0) << "the prefix is always selected";
  EXPECT_EQ(static_cast<int>(answer->blocks.size()), 1 + kBlocks / 2);
}

// White space that ends the prompt as a separate token stays before a free answer; labels are
// written with it.
TEST_F(PipelineTest, FreeAnswersFollowTheLineEndOfThePrompt) {
  const auto query_tokens = [&](const std::string& method, PipelineHarness::Overrides overrides) {
    overrides.push_back({"decoding.method", "\"" + method + "\""});
    overrides.push_back({"decoding.max_tokens", "1"});
    auto harness = open(overrides);
    const auto report = harness->pipeline().encode(false, {});
    EXPECT_TRUE(report.ok()) << report.error().message;
    const auto answer = harness->pipeline().answer("something about topic 1");
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return answer.ok() ? answer->query_tokens : -1;
  };
  const PipelineHarness::Overrides line = {{"prompt.output_prefix", "\"intent:\\n\""}};
  const PipelineHarness::Overrides bare = {{"prompt.output_prefix", "\"intent:\""}};
  EXPECT_EQ(query_tokens("free", line), query_tokens("free", bare) + 1);
  EXPECT_EQ(query_tokens("trie", line), query_tokens("trie", bare));
  const PipelineHarness::Overrides tail = {{"prompt.tail", "\"\\nassistant\\n\""}};
  const PipelineHarness::Overrides bare_tail = {{"prompt.tail", "\"\\nassistant\""}};
  EXPECT_EQ(query_tokens("free", tail), query_tokens("free", bare_tail) + 1);
  EXPECT_EQ(query_tokens("trie", tail), query_tokens("trie", bare_tail));
}

TEST_F(PipelineTest, WarnsOfWhatTheModelsFolderSaysOtherwise) {
  workspace_.write("model/tokenizer_config.json", R"({"add_bos_token": true})");
  workspace_.write("model/generation_config.json", R"({"repetition_penalty": 1.1})");
  const std::string missing =
      "prompt.bos = false, and the model's tokenizer puts a BOS token before every text, so "
      "answers "
      "may be worse without it; set prompt.bos = true";
  const std::string penalty =
      "generation_config.json: repetition_penalty = 1.1 is not applied: answers are the likeliest "
      "tokens";
  EXPECT_EQ(open({})->warnings(), std::vector<std::string>{missing});
  EXPECT_EQ(open({{"decoding.method", "\"free\""}})->warnings(),
            (std::vector<std::string>{missing, penalty}));
  EXPECT_TRUE(open({{"decoding.method", "\"vote\""}})->warnings().empty());
  workspace_.write("model/tokenizer_config.json", R"({"add_bos_token": false})");
  EXPECT_TRUE(open({})->warnings().empty());
  EXPECT_EQ(open({{"prompt.bos", "true"}})->warnings(),
            std::vector<std::string>{
                "prompt.bos = true, and the model's tokenizer puts no BOS token before a text, so "
                "the model may not know it there; set prompt.bos = false"});
}

TEST_F(PipelineTest, TheBosTokenIsTheTokenizers) {
  const auto first_token = [&](std::vector<std::string> warnings) {
    auto harness = open({{"prompt.bos", "true"}});
    EXPECT_EQ(harness->warnings(), warnings);
    const auto report = harness->pipeline().encode(false, {});
    EXPECT_TRUE(report.ok()) << report.error().message;
    return report.ok() ? harness->pipeline().pool().blocks[0].token_ids[0] : -1;
  };
  EXPECT_EQ(first_token({}), 256) << "of config.json";
  workspace_.write("model/tokenizer_config.json", R"({"bos_token": "<|begin_of_text|>"})");
  EXPECT_EQ(first_token({}), 256);
  workspace_.write("model/tokenizer_config.json", R"({"bos_token": "<|end_of_text|>"})");
  EXPECT_EQ(first_token({"prompt.bos = true puts the tokenizer's BOS token, id 257, and not "
                         "bos_token_id 256 of config.json (its default where it has none); correct "
                         "the file that is wrong"}),
            257);
  EXPECT_TRUE(open({})->warnings().empty()) << "no BOS token is put";
  workspace_.write("model/tokenizer_config.json",
                   R"({"bos_token": "<s>", "added_tokens_decoder": {"320": {"content": "<s>"}}})");
  const auto report = open({{"prompt.bos", "true"}})->pipeline().encode(false, {});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().config_pointer, "/prompt/bos");
  EXPECT_EQ(report.error().message,
            "prompt.bos = true, and the tokenizer's BOS token has id 320, while the model has "
            "embeddings for ids below 320 (vocab_size of config.json); use the tokenizer that was "
            "published with the model, or set it to false");
}

// What is written without stops must end at any two characters of it; each is a separate token.
TEST_F(PipelineTest, FreeDecodingEndsAtAStopString) {
  const auto write = [&](const std::string& stop) {
    auto harness = open(
        {{"decoding.method", "\"free\""}, {"decoding.max_tokens", "96"}, {"decoding.stop", stop}});
    const auto report = harness->pipeline().encode(false, {});
    EXPECT_TRUE(report.ok()) << report.error().message;
    const auto answer = harness->pipeline().answer("something about topic 1");
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return answer.ok() ? answer->label.text : "";
  };
  const std::string whole = write("[]");
  EXPECT_EQ(write("[\"no such text\"]"), whole);
  const auto visible = [&](size_t i) { return whole[i] > ' ' && whole[i] < 0x7F; };
  int stops = 0;
  for (size_t begin = 1; begin + 2 <= whole.size() && stops < 8; ++begin) {
    if (!visible(begin) || !visible(begin + 1)) continue;
    ++stops;
    const std::string stop = whole.substr(begin, 2);
    std::string expected = whole.substr(0, whole.find(stop));
    expected.resize(expected.find_last_not_of(" \t\r\n") + 1);
    EXPECT_EQ(write(nlohmann::json({"no such text", stop}).dump()), expected) << stop;
  }
  EXPECT_GT(stops, 1) << whole;
}

}  // namespace
}  // namespace dbsa
