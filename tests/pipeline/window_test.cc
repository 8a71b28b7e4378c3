// Layers with sliding windows: blocks beyond them are neither verified nor read, and answers do not
// change by a bit. The model has the layers of Gemma 3: 18, of which every sixth sees everything
// and the others 512 tokens.

#include <cstring>
#include <filesystem>
#include <iostream>
#include <set>
#include <utility>

#include "tests/pipeline/pipeline_fixture.h"
#include "tests/pipeline/stored_planes.h"
#include "tests/support/sanitized.h"
#include "tools/make_checkpoint/byte_tokenizer.h"

namespace dbsa {
namespace {

constexpr int64_t kLayers = 18, kWindow = 512;

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

bool is_global(int64_t layer) { return (layer + 1) % 6 == 0; }

// Blocks of about 1,200, 480 and 120 tokens.
class WindowTest : public PipelineTest, public ::testing::WithParamInterface<int> {
 protected:
  static constexpr int kDemonstrations = kSanitized ? 200 : 500;

  void SetUp() override {
    PipelineTest::SetUp();
    make_gemma();
    texts_.clear();
    topics_.clear();
    for (int i = 0; i < kDemonstrations; ++i)
      add_demonstration(static_cast<size_t>(i), "item " + std::to_string(1000 + i), i % 3);
    write_demonstrations();
    std::string queries;
    for (int i = 0; i < 3; ++i)
      queries += nlohmann::json{{"text", "item " + std::to_string(1111 * (i + 1))},
                                {"label", "topic " + std::to_string(i)}}
                     .dump() +
                 "\n";
    workspace_.write("queries.jsonl", queries);
  }

  void make_gemma() {
    tools::CheckpointPlan plan;
    plan.config = {{"architectures", {"Gemma3ForCausalLM"}},
                   {"model_type", "gemma3_text"},
                   {"hidden_size", 32},
                   {"intermediate_size", 48},
                   {"num_hidden_layers", kLayers},
                   {"num_attention_heads", 2},
                   {"num_key_value_heads", 1},
                   {"head_dim", 16},
                   {"query_pre_attn_scalar", 16},
                   {"vocab_size", 320},
                   {"rms_norm_eps", 1e-6},
                   {"rope_theta", 1e6},
                   {"rope_local_base_freq", 1e4},
                   {"sliding_window", kWindow},
                   {"sliding_window_pattern", 6},
                   {"max_position_embeddings", 32768},
                   {"hidden_activation", "gelu_pytorch_tanh"},
                   {"bos_token_id", tools::kBeginToken},
                   {"eos_token_id", tools::kEndToken}};
    plan.bf16 = false;
    plan.seed = 3;
    plan.overwrite = true;
    const auto size = tools::write_checkpoint(workspace_.path("model"), plan);
    ASSERT_TRUE(size.ok()) << size.error().message;
  }

  PipelineHarness::Overrides settings(PipelineHarness::Overrides more = {}) const {
    more.push_back({"block_grouper.block_size", std::to_string(GetParam())});
    more.push_back({"selection.ratio", "0.3"});
    return more;
  }

  // All queries, one by one or together.
  static std::vector<Answer> answers_of(Pipeline& pipeline, bool together) {
    const auto queries = pipeline.load_queries();
    if (!queries.ok()) throw std::runtime_error(queries.error().message);
    std::vector<std::string> texts;
    for (const Example& query : *queries) texts.push_back(query.text);
    std::vector<Answer> answers;
    if (together) {
      for (const Result<Outcome>& outcome : pipeline.answer_together(texts)) {
        if (!outcome.ok()) throw std::runtime_error(outcome.error().message);
        answers.push_back(std::get<Answer>(*outcome));
      }
      return answers;
    }
    for (const std::string& text : texts) {
      auto answer = pipeline.answer(text);
      if (!answer.ok()) throw std::runtime_error(answer.error().message);
      answers.push_back(std::move(answer).value());
    }
    return answers;
  }

  static void expect_same_bits(const std::vector<Answer>& got, const std::vector<Answer>& expected,
                               const std::string& where) {
    ASSERT_EQ(got.size(), expected.size()) << where;
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].label.text, expected[i].label.text) << where;
      EXPECT_EQ(std::memcmp(&got[i].label.log_probability, &expected[i].label.log_probability,
                            sizeof(double)),
                0)
          << where;
      EXPECT_EQ(got[i].label_log_probabilities, expected[i].label_log_probabilities) << where;
      EXPECT_EQ(got[i].blocks_rebuilt, 0) << where;
    }
  }

  // Bytes are turned over: no checksum matches, and no number stays what it was.
  void damage(const std::vector<PlanePlace>& planes) const {
    std::string file, bytes;
    for (const PlanePlace& plane : planes) {
      if (plane.file != file && !file.empty()) workspace_.write(file, bytes);
      if (plane.file != file) bytes = workspace_.read(file = plane.file);
      for (size_t i = 0; i < plane.bytes; ++i) {
        char& byte = bytes[plane.offset + i];
        byte = static_cast<char>(~byte);
      }
    }
    if (!file.empty()) workspace_.write(file, bytes);
  }

  std::string bytes_of(const PlanePlace& plane) const {
    return workspace_.read(plane.file).substr(plane.offset, plane.bytes);
  }

  std::vector<KvKey> keys_of(const EncodeReport& report) const {
    const auto pool = read_stored_pool(report.pool_location);
    if (!pool.ok()) throw std::runtime_error(pool.error().message);
    std::vector<KvKey> keys;
    for (const PoolBlock& block : pool->blocks) keys.push_back(block.key);
    return keys;
  }
};

// Whether a local layer's rows of a query see a token of the block; key j is seen by row i iff
// 0 <= i - j < window.
bool touches_window(const AnswerBlock& block, int64_t query_start) {
  return query_start - (block.start + block.tokens - 1) < kWindow;
}

INSTANTIATE_TEST_SUITE_P(BlockSizes, WindowTest,
                         ::testing::ValuesIn(kSanitized ? std::vector<int>{20}
                                                        : std::vector<int>{50, 20, 5}),
                         [](const auto& tested) { return std::to_string(tested.param); });

// Of the selected blocks, the global layers and what of the others touches the window.
TEST_P(WindowTest, LoadsWhatItsWindowsReach) {
  for (const char* positions : {"contiguous", "original"})
    for (const char* kv_dtype : {"f32", "int8"}) {
      const std::string where = std::string(positions) + " " + kv_dtype;
      auto harness = open(settings({{"selection.positions", quoted(positions)},
                                    {"model.kv_dtype", quoted(kv_dtype)},
                                    {"kv_store.path", quoted(std::string("store-") + kv_dtype)},
                                    {"mask_pattern.plugin", "\"self\""}}));
      const auto report = harness->pipeline().encode(false, {});
      ASSERT_TRUE(report.ok()) << report.error().message;
      const int64_t pool_tokens = report->estimate.tokens;
      EXPECT_GT(pool_tokens, 20 * kDemonstrations);
      for (const Answer& answer : answers_of(harness->pipeline(), false)) {
        const bool contiguous = std::string(positions) == "contiguous";
        int64_t touching = 0;
        for (const AnswerBlock& block : answer.blocks)
          if (touches_window(block, contiguous ? answer.selected_tokens : pool_tokens))
            touching += block.tokens;
        EXPECT_LT(touching, answer.selected_tokens) << where;
        const double share =
            (3 + 15 * static_cast<double>(touching) / static_cast<double>(answer.selected_tokens)) /
            18;
        const double loaded = static_cast<double>(answer.kv_loaded.bytes) /
                              static_cast<double>(answer.kv_loaded.all_layers_bytes);
        EXPECT_NEAR(loaded / share, 1, 0.02) << where;
        EXPECT_NEAR(static_cast<double>(answer.kv_loaded.all_layers_bytes),
                    static_cast<double>(report->kv_bytes) *
                        static_cast<double>(answer.selected_tokens) /
                        static_cast<double>(pool_tokens),
                    0.02 * static_cast<double>(answer.kv_loaded.all_layers_bytes))
            << where;
        std::cout << "blocks of " << GetParam() << ", " << where << ": " << loaded
                  << " of all layers, expected " << share << "\n";
      }
    }
}

// The bytes of planes that no query needs have no influence: answers are those of a whole store,
// singly and together, and nothing is found wrong. One plane more that is needed is found.
TEST_P(WindowTest, WhatNoQueryNeedsIsNotRead) {
  const std::vector<std::pair<std::string, PipelineHarness::Overrides>> cases = {
      {"trie", {}},
      {"likelihood", {{"decoding.method", "\"likelihood\""}}},
      {"small chunks", {{"model.chunk_tokens", "16"}}},
      {"places kept", {{"selection.positions", "\"original\""}}},
      {"int8", {{"model.kv_dtype", "\"int8\""}}}};
  for (const auto& [name, overrides] : cases) {
    if (name != "trie" && GetParam() != 20) continue;  // one size shows it
    std::filesystem::remove_all(workspace_.path("store"));
    PipelineHarness::Overrides set = settings(overrides);
    set.push_back({"mask_pattern.plugin", "\"self\""});
    auto harness = open(set);
    const auto report = harness->pipeline().encode(false, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    const std::vector<KvKey> keys = keys_of(*report);
    const std::vector<Answer> told = answers_of(harness->pipeline(), false);
    harness.reset();

    std::set<std::pair<KvKey, uint32_t>> needed;
    for (const Answer& answer : told)
      for (const AnswerBlock& block : answer.blocks) {
        const int64_t query_start =
            name == "places kept" ? report->estimate.tokens : answer.selected_tokens;
        for (uint32_t layer = 0; layer < kLayers; ++layer)
          if (is_global(layer) || touches_window(block, query_start))
            needed.insert({keys[static_cast<size_t>(block.block)], layer});
      }
    std::vector<PlanePlace> idle, global, local;
    for (PlanePlace& plane : find_planes(workspace_, "store"))
      (!needed.contains({plane.key, plane.layer}) ? idle
       : is_global(plane.layer)                   ? global
                                                  : local)
          .push_back(std::move(plane));
    EXPECT_EQ(global.size() + local.size(), needed.size()) << name;
    ASSERT_GT(idle.size(), 0u) << name;
    // With places kept no selected block need be near the query.
    ASSERT_TRUE(!local.empty() || name == "places kept") << name;
    damage(idle);
    for (const bool together : {false, true}) {
      auto again = open(set);
      ASSERT_TRUE(again->pipeline().open_pool().ok());
      expect_same_bits(answers_of(again->pipeline(), together), told,
                       name + (together ? ", together" : ""));
      EXPECT_TRUE(again->warnings().empty()) << again->warnings()[0];
    }

    damage({local.empty() ? global.back() : local.back()});
    auto mended = open(set);
    ASSERT_TRUE(mended->pipeline().open_pool().ok());
    int64_t rebuilt = 0;
    std::vector<Answer> now = answers_of(mended->pipeline(), false);
    for (Answer& answer : now) rebuilt += std::exchange(answer.blocks_rebuilt, 0);
    EXPECT_EQ(rebuilt, 1) << name;
    expect_same_bits(now, told, name + ", mended");
  }
}

// A block that one query opened for its global layers is completed when it stands near another.
TEST_P(WindowTest, ABlockIsCompletedWhenMoreIsNeeded) {
  const PipelineHarness::Overrides set =
      settings({{"mask_pattern.plugin", "\"self\""}, {"selection.order", "\"low_to_high\""}});
  const std::string unknown = "item 9999";
  auto harness = open(set);
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  const auto far = harness->pipeline().answer(unknown);
  ASSERT_TRUE(far.ok()) << far.error().message;
  const AnswerBlock first = far->blocks.front();
  ASSERT_FALSE(touches_window(first, far->selected_tokens));
  const Pool& pool = harness->pipeline().pool();
  const PoolBlock& block = pool.blocks[static_cast<size_t>(first.block)];
  const std::string known = texts_[static_cast<size_t>(block.demonstrations.front())];
  const auto near = harness->pipeline().answer(known);
  ASSERT_TRUE(near.ok()) << near.error().message;
  ASSERT_EQ(near->blocks.back().block, first.block);
  const KvKey key = block.key;
  harness.reset();

  std::vector<PlanePlace> local;
  for (PlanePlace& plane : find_planes(workspace_, "store"))
    if (plane.key == key && !is_global(plane.layer)) local.push_back(std::move(plane));
  ASSERT_EQ(local.size(), 15u);
  damage(local);
  auto again = open(set);
  ASSERT_TRUE(again->pipeline().open_pool().ok());
  auto far_now = again->pipeline().answer(unknown), near_now = again->pipeline().answer(known);
  ASSERT_TRUE(far_now.ok() && near_now.ok());
  expect_same_bits({*far_now}, {*far}, "far");
  EXPECT_EQ(std::exchange(near_now->blocks_rebuilt, 0), 1);
  expect_same_bits({*near_now}, {*near}, "near");
}

// While blocks are encoded they see the anchor in their global layers only: planes of its other
// layers have no influence on them, and are not verified.
TEST_P(WindowTest, EncodingReadsWhatItsWindowsReach) {
  const PipelineHarness::Overrides set =
      settings({{"mask_pattern.plugin", "\"dbsa\""},
                {"mask_pattern.anchor_blocks", "1"},
                {"mask_pattern.previous_blocks", GetParam() == 5 ? "6" : "2"}});
  const auto at = [&](const std::string& store) {
    PipelineHarness::Overrides stored = set;
    stored.push_back({"kv_store.path", quoted(store)});
    return stored;
  };
  const EncodeReport whole = encode(at("store"));
  const std::vector<KvKey> keys = keys_of(whole);
  // A demonstration of the second-to-last block changes, so that two blocks are encoded again.
  const auto pool = read_stored_pool(whole.pool_location);
  ASSERT_TRUE(pool.ok());
  const size_t edited = pool->blocks.size() - 2;
  const int64_t demonstration = pool->blocks[edited].demonstrations.front();
  texts_[static_cast<size_t>(demonstration)] = "other 1";
  write_demonstrations();
  const auto copy = [&](const std::string& from, const std::string& to) {
    std::filesystem::copy(workspace_.path(from), workspace_.path(to),
                          std::filesystem::copy_options::recursive);
  };
  copy("store", "sound");
  const EncodeReport expected = encode(at("sound"));
  EXPECT_EQ(expected.blocks_encoded, 2);

  const auto planes_of = [&](const std::string& store, const KvKey& key, bool global) {
    std::vector<PlanePlace> planes;
    for (PlanePlace& plane : find_planes(workspace_, store))
      if (plane.key == key && is_global(plane.layer) == global) planes.push_back(std::move(plane));
    return planes;
  };
  damage(planes_of("store", keys.front(), false));
  copy("store", "worse");
  damage({planes_of("worse", keys.front(), true).front()});

  for (const auto& [store, rebuilt] : {std::pair{"store", 0}, std::pair{"worse", 1}}) {
    const EncodeReport now = encode(at(store));
    EXPECT_EQ(now.blocks_encoded, 2 + rebuilt) << store;
    EXPECT_EQ(now.blocks_rebuilt, rebuilt) << store;
    ASSERT_EQ(now.blocks_hash, expected.blocks_hash) << store;
    const KvKey key = keys_of(now)[edited];
    for (const bool global : {false, true}) {
      const auto got = planes_of(store, key, global), sound = planes_of("sound", key, global);
      ASSERT_EQ(got.size(), global ? 3u : 15u);
      ASSERT_EQ(got.size(), sound.size());
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_EQ(bytes_of(got[i]), bytes_of(sound[i])) << store << " layer " << got[i].layer;
    }
  }
}

}  // namespace
}  // namespace dbsa
