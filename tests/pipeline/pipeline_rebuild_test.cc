// Stored blocks that are damaged or gone: noticed, encoded again, counted, and never used.

#include <filesystem>
#include <iostream>
#include <random>

#include "tests/pipeline/pipeline_fixture.h"
#include "tests/pipeline/stored_planes.h"

namespace dbsa {
namespace {

// Queries that are answered together see the same damaged blocks: each is encoded again once, and
// none of the queries is lost.
TEST_F(PipelineTest, DamageIsRebuiltOnceForQueriesAnsweredTogether) {
  const PipelineHarness::Overrides settings = {{"selection.ratio", "1.0"}};
  auto harness = open(settings);
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const Told told = ask(harness->pipeline());
  harness.reset();
  const std::vector<PlanePlace> planes = find_planes(workspace_, "store");
  ASSERT_EQ(planes.size(), 2u * kBlocks) << "two layers";
  std::string bytes = workspace_.read(planes.front().file);
  for (const size_t damaged : {size_t{1}, size_t{6}})
    bytes[planes[damaged].offset] = static_cast<char>(~bytes[planes[damaged].offset]);
  workspace_.write(planes.front().file, bytes);

  auto again = open(settings);
  ASSERT_TRUE(again->pipeline().open_pool().ok());
  const Told now = ask_together(again->pipeline());
  EXPECT_EQ(now.rebuilt, 2);
  EXPECT_TRUE(now == told);
}

TEST_F(PipelineTest, ADamagedPlaneIsNoticedEncodedAgainAndCounted) {
  const PipelineHarness::Overrides settings = {{"selection.ratio", "1.0"}};
  auto harness = open(settings);
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  const Told told = ask(harness->pipeline());
  EXPECT_EQ(told.rebuilt, 0);
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
    ASSERT_TRUE(again->pipeline().open_pool().ok());
    const Told now = ask(again->pipeline());
    EXPECT_EQ(now.rebuilt, 1) << "byte " << at;
    EXPECT_TRUE(now == told) << "byte " << at;
    ASSERT_EQ(again->warnings().size(), 1u);
    EXPECT_NE(again->warnings()[0].find("it is encoded again and the query repeated"),
              std::string::npos)
        << again->warnings()[0];
    // What was mended stays so.
    auto later = open(settings);
    ASSERT_TRUE(later->pipeline().open_pool().ok());
    EXPECT_EQ(ask(later->pipeline()).rebuilt, 0);
  }
}

TEST_F(PipelineTest, ManyDamagedBlocksAreMendedAtOnce) {
  const PipelineHarness::Overrides settings = {{"selection.ratio", "1.0"}};
  Told told;
  {
    auto harness = open(settings);
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    told = ask(harness->pipeline());
  }
  const std::vector<PlanePlace> planes = find_planes(workspace_, "store");
  for (const PlanePlace& plane : planes) {
    std::string bytes = workspace_.read(plane.file);
    bytes[plane.offset] = static_cast<char>(bytes[plane.offset] ^ 1);
    workspace_.write(plane.file, bytes);
  }
  auto again = open(settings);
  ASSERT_TRUE(again->pipeline().open_pool().ok());
  const auto first = again->pipeline().answer("something about topic 0");
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->blocks_rebuilt, kBlocks);
  EXPECT_GT(first->seconds[AnswerStep::kRebuild], 0);
  const Told now = ask(again->pipeline());
  EXPECT_EQ(now.rebuilt, 0);
  EXPECT_TRUE(now == told);
}

// A pool's blocks may be collected by another process after the pool was opened.
TEST_F(PipelineTest, BlocksThatAreGoneAreEncodedAgainAsFarAsTheyAreNeeded) {
  const PipelineHarness::Overrides settings = {{"selection.count", "2"},
                                               {"mask_pattern.plugin", "\"self\""}};
  std::string text = workspace_.read("pipeline.toml");
  const std::string ratio = "ratio = 0.5\n";
  text.erase(text.find(ratio), ratio.size());
  workspace_.write("pipeline.toml", text);
  Told told;
  {
    auto harness = open(settings);
    ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
    told = ask(harness->pipeline());
  }
  std::filesystem::remove_all(workspace_.path("store/packs"));
  auto again = open(settings);
  ASSERT_TRUE(again->pipeline().open_pool().ok());
  const auto first = again->pipeline().answer("something about topic 0");
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->blocks_rebuilt, 2) << "the two that are selected, not the pool";
  EXPECT_TRUE(ask(again->pipeline()) == told);
}

TEST_F(PipelineTest, ABosThatMostPromptsWouldLackIsRefused) {
  auto harness = open({{"mask_pattern.plugin", "\"self\""}, {"prompt.bos", "true"}});
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kConfig);
  EXPECT_EQ(report.error().config_pointer, "/prompt/bos");
}

// Other blocks are computed from the damaged one: it is mended first.
TEST_F(PipelineTest, ADamagedPlaneIsNoticedByTheBlocksThatSeeIt) {
  const auto settings = settings_of({"causal", 0, kBlocks}, false);
  const EncodeReport whole = encode(settings);
  const Told told = [&] {
    auto harness = open(settings);
    EXPECT_TRUE(harness->pipeline().open_pool().ok());
    return ask(harness->pipeline());
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
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  const int64_t edited = block_of(*report, kBlocks * kBlockSize - 1);
  // Every block is wrong on the disk. Those before the edited one are found so while it is encoded.
  EXPECT_EQ(report->blocks_rebuilt, edited > 0 ? edited : 0);
  texts_.back().resize(texts_.back().size() - std::string(" changed").size());
  write_demonstrations();
  auto back = open(settings);
  ASSERT_TRUE(back->pipeline().encode(false, {}).ok());
  EXPECT_TRUE(ask(back->pipeline()) == told);
  EXPECT_EQ(whole.blocks_encoded, kBlocks);
}

}  // namespace
}  // namespace dbsa
