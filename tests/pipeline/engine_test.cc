// Which blocks are encoded again, and which are not: counted for every mask, encode position mode
// and kind of change, against the dependencies written down directly.

#include "pipeline/engine.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <iostream>
#include <random>

#include "pipeline/pool_manifest.h"
#include "tests/support/engine_harness.h"
#include "tests/support/workspace.h"
#include "tools/make_checkpoint/checkpoint_writer.h"

namespace dbsa {
namespace {

constexpr int kBlocks = 6;
constexpr int kBlockSize = 2;

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    make_model("model");
    for (int i = 0; i < kBlocks * kBlockSize; ++i)
      add_demonstration(static_cast<size_t>(i),
                        "question " + std::string(1, static_cast<char>('a' + i)) + " about topic " +
                            std::to_string(i % 3),
                        i % 3);
    write_demonstrations();
    std::string queries;
    for (int i = 0; i < 4; ++i)
      queries += nlohmann::json{{"text", "something about topic " + std::to_string(i)},
                                {"label", "topic " + std::to_string(i % 3)}}
                     .dump() +
                 "\n";
    workspace_.write("queries.jsonl", queries);
    workspace_.write("pipeline.toml", R"([model]
path = "model"
[data]
demonstrations = "demonstrations.jsonl"
queries = "queries.jsonl"
[prompt]
input_prefix = "query: "
output_prefix = "intent: "
[block_grouper]
plugin = "random"
block_size = 2
[mask_pattern]
plugin = "dbsa"
[retriever]
plugin = "bm25"
[selection]
ratio = 0.5
[kv_store]
plugin = "hdf5"
path = "store"
[attention_backend]
plugin = "cpu"
)");
  }

  void make_model(const std::string& name, uint64_t seed = 1) {
    auto config = tools::preset_config("tiny");
    ASSERT_TRUE(config.ok());
    tools::CheckpointPlan plan;
    plan.config = *config;
    plan.bf16 = false;
    plan.seed = seed;
    plan.overwrite = true;
    const auto size = tools::write_checkpoint(workspace_.path(name), plan);
    ASSERT_TRUE(size.ok()) << size.error().message;
  }

  void add_demonstration(size_t place, const std::string& text, int topic) {
    texts_.insert(texts_.begin() + static_cast<std::ptrdiff_t>(place), text);
    topics_.insert(topics_.begin() + static_cast<std::ptrdiff_t>(place), topic);
  }

  void write_demonstrations() const {
    std::string lines;
    for (size_t i = 0; i < texts_.size(); ++i)
      lines += nlohmann::json{{"text", texts_[i]}, {"label", "topic " + std::to_string(topics_[i])}}
                   .dump() +
               "\n";
    workspace_.write("demonstrations.jsonl", lines);
  }

  std::unique_ptr<EngineHarness> open(const EngineHarness::Overrides& overrides) const {
    auto harness = EngineHarness::open(workspace_.path("pipeline.toml"), overrides);
    if (!harness.ok()) throw std::runtime_error(harness.error().message);
    return std::move(harness).value();
  }

  EncodeReport encode(const EngineHarness::Overrides& overrides, bool regroup = false) const {
    auto report = open(overrides)->engine().encode(regroup, {});
    if (!report.ok()) throw std::runtime_error(report.error().message);
    return *report;
  }

  struct Told {
    std::vector<std::string> labels;
    std::vector<double> log_probabilities;
    int64_t repaired = 0;
    bool operator==(const Told& other) const {
      return labels == other.labels && log_probabilities == other.log_probabilities;
    }
  };

  static Told ask(Engine& engine) {
    Told told;
    const auto queries = engine.load_queries();
    if (!queries.ok()) throw std::runtime_error(queries.error().message);
    for (const Example& query : *queries) {
      const auto answer = engine.answer(query.text);
      if (!answer.ok()) throw std::runtime_error(answer.error().message);
      told.labels.push_back(answer->label.text);
      told.log_probabilities.push_back(answer->label.log_probability);
      told.repaired += answer->blocks_repaired;
    }
    return told;
  }

  // The block of the pool in which a demonstration stands.
  int64_t block_of(const EncodeReport& report, int64_t demonstration) const {
    const auto pool = read_pool_manifest(report.manifest_path);
    if (!pool.ok()) throw std::runtime_error(pool.error().message);
    for (size_t b = 0; b < pool->blocks.size(); ++b)
      for (const int64_t id : pool->blocks[b].demonstrations)
        if (id == demonstration) return static_cast<int64_t>(b);
    throw std::runtime_error("the demonstration stands in no block");
  }

  Workspace workspace_;
  std::vector<std::string> texts_;
  std::vector<int> topics_;
};

struct Mask {
  const char* plugin;
  int64_t anchors;   // blocks
  int64_t previous;  // blocks; large for causal
};

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

EngineHarness::Overrides settings_of(const Mask& mask, bool global) {
  EngineHarness::Overrides settings = {
      {"mask_pattern.plugin", "\"" + std::string(mask.plugin) + "\""},
      {"mask_pattern.encode_positions", global ? "\"global\"" : "\"packed\""}};
  if (mask.plugin == std::string("dbsa")) {
    settings.push_back({"mask_pattern.anchor_blocks", std::to_string(mask.anchors)});
    settings.push_back({"mask_pattern.previous_blocks", std::to_string(mask.previous)});
  }
  return settings;
}

TEST_F(EngineTest, AnEditEncodesTheTransitiveSetAgainAndNothingElse) {
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

TEST_F(EngineTest, UnderGlobalPositionsAChangedLengthReusesNoLaterBlock) {
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

TEST_F(EngineTest, GrowthFormsNewBlocksAndMovesNoneThatStood) {
  const auto settings = settings_of({"self", 0, 0}, false);
  encode(settings);
  add_demonstration(3, "a new question altogether", 1);
  write_demonstrations();
  const EncodeReport grown = encode(settings);
  EXPECT_EQ(grown.estimate.blocks, kBlocks + 1);
  EXPECT_EQ(grown.blocks_encoded, 1);
  // Dealing anew mixes them all.
  EXPECT_GT(encode(settings, /*regroup=*/true).blocks_encoded, 1);
}

TEST_F(EngineTest, AChangedModelReusesNothing) {
  const EngineHarness::Overrides settings;
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

TEST_F(EngineTest, AnotherMaskReusesTheBlocksThatSeeTheSame) {
  EXPECT_EQ(encode(settings_of({"dbsa", 1, 2}, false)).blocks_encoded, kBlocks);
  // Blocks 0 to 3 see all before them under either.
  EXPECT_EQ(encode(settings_of({"causal", 0, kBlocks}, false)).blocks_encoded, kBlocks - 4);
  // Block 0 sees itself alone under any.
  EXPECT_EQ(encode(settings_of({"self", 0, 0}, false)).blocks_encoded, kBlocks - 1);
  // One anchor: block 1 sees what it saw under dbsa 1, 2.
  EXPECT_EQ(encode(settings_of({"dbsa", 1, 0}, false)).blocks_encoded, kBlocks - 2);
}

TEST_F(EngineTest, APromptThatLeavesTheBlocksAsTheyAreReusesThem) {
  EXPECT_EQ(encode({}).blocks_encoded, kBlocks);
  EXPECT_EQ(encode({{"prompt.tail", "\" ->\""}}).blocks_encoded, 0) << "the query's part alone";
  EXPECT_EQ(encode({{"retriever.text", "\"text\""}}).blocks_encoded, 0) << "what is indexed";
  EXPECT_EQ(encode({{"prompt.output_prefix", "\"class: \""}}).blocks_encoded, kBlocks);
}

// Where a plane of a stored block lies.
struct PlanePlace {
  std::string file;  // in the workspace
  size_t offset = 0;
  size_t bytes = 0;
};

std::vector<PlanePlace> find_planes(const Workspace& workspace, const std::string& store_path) {
  host::HostServices services;
  host::PluginRegistry registry =
      host::PluginRegistry::discover(std::vector<std::string>{DBSA_PLUGIN_DIR});
  const auto manifest = registry.find(DBSA_KIND_KV_STORE, "hdf5");
  const auto plugin = registry.load(**manifest);
  auto store = host::KvStore::create(*plugin, services,
                                     {{"path", workspace.path(store_path)},
                                      {"max_bytes", 0},
                                      {"pack_bytes", 1 << 28},
                                      {"publish_interval_s", 10}});
  if (!store.ok()) throw std::runtime_error(store.error().message);
  std::vector<KvKey> keys;
  const auto listed = store->list([&](const KvEntry& entry) {
    keys.push_back(entry.key);
    return true;
  });
  if (!listed.ok()) throw std::runtime_error(listed.error().message);
  std::vector<PlanePlace> places;
  for (const auto& entry :
       std::filesystem::directory_iterator(workspace.path(store_path + "/packs"))) {
    const std::string file = std::filesystem::relative(entry.path(), workspace.path()).string();
    const std::string bytes = workspace.read(file);
    for (const KvKey& key : keys) {
      const auto lease = store->get(key);
      if (!lease.ok()) throw std::runtime_error(lease.error().message);
      const size_t length = lease->format().plane_bytes;
      for (uint32_t layer = 0; layer < lease->format().layers; ++layer) {
        const size_t at =
            bytes.find(std::string_view(static_cast<const char*>(lease->plane(layer)), length));
        if (at != std::string::npos) places.push_back({file, at, length});
      }
    }
  }
  return places;
}

TEST_F(EngineTest, ADamagedPlaneIsNoticedEncodedAgainAndCounted) {
  const EngineHarness::Overrides settings = {{"selection.ratio", "1.0"}};
  auto harness = open(settings);
  const auto report = harness->engine().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  const Told told = ask(harness->engine());
  EXPECT_EQ(told.repaired, 0);
  harness.reset();
  const std::vector<PlanePlace> planes = find_planes(workspace_, "store");
  ASSERT_EQ(planes.size(), 2u * kBlocks) << "two layers";
  std::filesystem::copy(workspace_.path("store"), workspace_.path("sound"),
                        std::filesystem::copy_options::recursive);

  const uint32_t seed = 20250306;
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  for (const PlanePlace& plane : planes) {
    std::filesystem::remove_all(workspace_.path("store"));
    std::filesystem::copy(workspace_.path("sound"), workspace_.path("store"),
                          std::filesystem::copy_options::recursive);
    std::string bytes = workspace_.read(plane.file);
    const size_t at = plane.offset + random() % plane.bytes;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
    workspace_.write(plane.file, bytes);

    auto again = open(settings);
    ASSERT_TRUE(again->engine().open_pool().ok());
    const Told now = ask(again->engine());
    EXPECT_EQ(now.repaired, 1) << "byte " << at;
    EXPECT_TRUE(now == told) << "byte " << at;
    ASSERT_EQ(again->warnings().size(), 1u);
    EXPECT_NE(again->warnings()[0].find("it is encoded again and the query repeated"),
              std::string::npos)
        << again->warnings()[0];
    // What was mended stays so.
    auto later = open(settings);
    ASSERT_TRUE(later->engine().open_pool().ok());
    EXPECT_EQ(ask(later->engine()).repaired, 0);
  }
}

TEST_F(EngineTest, ManyDamagedBlocksAreMendedAtOnce) {
  const EngineHarness::Overrides settings = {{"selection.ratio", "1.0"}};
  Told told;
  {
    auto harness = open(settings);
    ASSERT_TRUE(harness->engine().encode(false, {}).ok());
    told = ask(harness->engine());
  }
  const std::vector<PlanePlace> planes = find_planes(workspace_, "store");
  for (const PlanePlace& plane : planes) {
    std::string bytes = workspace_.read(plane.file);
    bytes[plane.offset] = static_cast<char>(bytes[plane.offset] ^ 1);
    workspace_.write(plane.file, bytes);
  }
  auto again = open(settings);
  ASSERT_TRUE(again->engine().open_pool().ok());
  const auto first = again->engine().answer("something about topic 0");
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->blocks_repaired, kBlocks);
  EXPECT_GT(first->seconds.repair, 0);
  const Told now = ask(again->engine());
  EXPECT_EQ(now.repaired, 0);
  EXPECT_TRUE(now == told);
}

// A pool's blocks may be collected by another process after the pool was opened.
TEST_F(EngineTest, BlocksThatAreGoneAreEncodedAgainAsFarAsTheyAreNeeded) {
  const EngineHarness::Overrides settings = {{"selection.count", "2"},
                                             {"mask_pattern.plugin", "\"self\""}};
  std::string text = workspace_.read("pipeline.toml");
  const std::string ratio = "ratio = 0.5\n";
  text.erase(text.find(ratio), ratio.size());
  workspace_.write("pipeline.toml", text);
  Told told;
  {
    auto harness = open(settings);
    ASSERT_TRUE(harness->engine().encode(false, {}).ok());
    told = ask(harness->engine());
  }
  std::filesystem::remove_all(workspace_.path("store/packs"));
  auto again = open(settings);
  ASSERT_TRUE(again->engine().open_pool().ok());
  const auto first = again->engine().answer("something about topic 0");
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->blocks_repaired, 2) << "the two that are selected, not the pool";
  EXPECT_TRUE(ask(again->engine()) == told);
}

TEST_F(EngineTest, ABosThatMostPromptsWouldLackIsRefused) {
  auto harness = open({{"mask_pattern.plugin", "\"self\""}, {"prompt.bos", "true"}});
  const auto report = harness->engine().encode(false, {});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kConfig);
  EXPECT_EQ(report.error().config_pointer, "/prompt/bos");
}

// Other blocks are computed from the damaged one: it is mended first.
TEST_F(EngineTest, ADamagedPlaneIsNoticedByTheBlocksThatSeeIt) {
  const auto settings = settings_of({"causal", 0, kBlocks}, false);
  const EncodeReport whole = encode(settings);
  const Told told = [&] {
    auto harness = open(settings);
    EXPECT_TRUE(harness->engine().open_pool().ok());
    return ask(harness->engine());
  }();
  // The pool again, but its last demonstrations replaced: the earlier blocks are read from the
  // store to encode the later ones.
  for (const PlanePlace& plane : find_planes(workspace_, "store")) {
    std::string bytes = workspace_.read(plane.file);
    bytes[plane.offset + 3] = static_cast<char>(bytes[plane.offset + 3] ^ 4);
    workspace_.write(plane.file, bytes);
  }
  auto harness = open(settings);
  texts_.back() += " changed";
  const std::string original = texts_.back();
  write_demonstrations();
  const auto report = harness->engine().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  const int64_t edited = block_of(*report, kBlocks * kBlockSize - 1);
  // Every block is wrong on the disk. Those before the edited one are found so while it is encoded.
  EXPECT_EQ(report->blocks_repaired, edited > 0 ? edited : 0);
  texts_.back().resize(texts_.back().size() - std::string(" changed").size());
  write_demonstrations();
  auto back = open(settings);
  ASSERT_TRUE(back->engine().encode(false, {}).ok());
  EXPECT_TRUE(ask(back->engine()) == told);
  EXPECT_EQ(whole.blocks_encoded, kBlocks);
}

TEST_F(EngineTest, AQueryNeedsAnEncodedPool) {
  const Status opened = open({})->engine().open_pool();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kConfig);
  EXPECT_NE(opened.error().message.find("run `dbsa-pipe encode` first"), std::string::npos)
      << opened.error().message;
}

TEST_F(EngineTest, APoolOfAnotherModelIsNotAnswered) {
  encode({});
  make_model("model", /*seed=*/2);
  const Status opened = open({})->engine().open_pool();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kConfig);
  EXPECT_NE(opened.error().message.find(
                "the pool was encoded with another model, tokenizer or precision"),
            std::string::npos)
      << opened.error().message;
}

TEST_F(EngineTest, AnswersDependOnNothingButTheirInput) {
  auto harness = open({});
  ASSERT_TRUE(harness->engine().encode(false, {}).ok());
  const Told expected = ask(harness->engine());
  struct Variant {
    const char* what;
    EngineHarness::Overrides overrides;
    int threads;
  };
  const Variant variants[] = {
      {"one thread", {}, 1},
      {"small chunks", {{"model.chunk_tokens", "7"}, {"kv_store.path", "\"other\""}}, 2},
      {"a store in memory", {{"kv_store.plugin", "\"memory\""}}, 2},
  };
  for (const Variant& variant : variants) {
    auto overrides = variant.overrides;
    std::string file = workspace_.path("pipeline.toml");
    if (std::string(variant.what) == "a store in memory") {
      std::string text = workspace_.read("pipeline.toml");
      const std::string path_line = "path = \"store\"\n";
      text.erase(text.find(path_line), path_line.size());
      file = workspace_.write("memory.toml", text);
    }
    auto other = EngineHarness::open(file, overrides, variant.threads);
    ASSERT_TRUE(other.ok()) << other.error().message;
    ASSERT_TRUE((*other)->engine().encode(false, {}).ok());
    EXPECT_TRUE(ask((*other)->engine()) == expected) << variant.what;
  }
}

TEST_F(EngineTest, FreeDecodingAndPrefixHeadsWork) {
  auto harness = open({{"decoding.method", "\"free\""},
                       {"decoding.max_tokens", "5"},
                       {"prompt.anchor", "\"prefix\""},
                       {"prompt.instruction", "\"Name the topic.\""}});
  const auto report = harness->engine().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->estimate.blocks, kBlocks + 1) << "the prefix is a block of its own";
  const auto answer = harness->engine().answer("something about topic 1");
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_LT(answer->label.log_probability, 0);
  EXPECT_FALSE(answer->runner_up.has_value());
  EXPECT_EQ(answer->blocks.front().block, 0) << "the prefix is always selected";
  EXPECT_EQ(static_cast<int>(answer->blocks.size()), 1 + kBlocks / 2);
}

}  // namespace
}  // namespace dbsa
