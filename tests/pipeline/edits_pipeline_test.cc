// block_grouper.edits: what an edit encodes, announced and done, and what a pool with a history is.

#include <algorithm>
#include <functional>
#include <set>

#include "tests/pipeline/pipeline_fixture.h"
#include "tests/support/sanitized.h"

namespace dbsa {
namespace {

class PipelineEditsTest : public PipelineTest {
 protected:
  struct Run {
    EncodeReport report;
    Pool pool;
    Told told;
  };

  static PipelineHarness::Overrides with(PipelineHarness::Overrides settings, const char* edits) {
    settings.push_back({"block_grouper.edits", std::string("\"") + edits + "\""});
    return settings;
  }

  // Encodes, asks, and holds what was announced against what was done and what is stored.
  Run run(const PipelineHarness::Overrides& settings, bool regroup = false) const {
    write_demonstrations();
    auto harness = open(settings);
    EncodeEstimate announced;
    EncodeObserver observer;
    observer.estimate = [&](const EncodeEstimate& estimate) { announced = estimate; };
    auto report = harness->pipeline().encode(regroup, observer);
    if (!report.ok()) throw std::runtime_error(report.error().message);
    EXPECT_EQ(announced.blocks_to_encode, report->blocks_encoded);
    const EncodeReasons& why = announced.reasons;
    EXPECT_EQ(why.dealt + why.otherwise + why.missing + why.added + why.behind + why.changed,
              announced.blocks_to_encode);
    Run run = {*report, harness->pipeline().pool(), ask(harness->pipeline())};
    EXPECT_EQ(run.told.rebuilt, 0);
    check_pool(run.pool);
    // From the manifest the same answers.
    auto opened = open(settings);
    const Status status = opened->pipeline().open_pool();
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
    EXPECT_TRUE(ask(opened->pipeline()) == run.told);
    return run;
  }

  // Every demonstration of the file stands in a block, and every block is in the store.
  void check_pool(const Pool& pool) const {
    std::multiset<int64_t> placed;
    for (const PoolBlock& block : pool.blocks)
      placed.insert(block.demonstrations.begin(), block.demonstrations.end());
    EXPECT_EQ(placed.size(), texts_.size());
    EXPECT_EQ(std::set<int64_t>(placed.begin(), placed.end()).size(), texts_.size());
    WorkspaceStore store(workspace_, "store");
    for (const KvKey& key : pool.keys()) EXPECT_TRUE(*store->contains(key));
  }

  static int64_t place_of(const Pool& pool, int64_t demonstration) {
    for (size_t b = 0; b < pool.blocks.size(); ++b)
      if (std::ranges::count(pool.blocks[b].demonstrations, demonstration) > 0)
        return static_cast<int64_t>(b);
    return -1;
  }

  static size_t retired(const Pool& pool) {
    return pool.history ? pool.history->retired.size() : 0;
  }

  // Keys that are retired are those of no block that a query may be given, and the other way round.
  static void expect_never_given(const Pool& pool) {
    std::set<KvKey> given;
    for (const PoolBlock& block : pool.blocks) given.insert(block.key);
    if (!pool.history) return;
    for (const PoolBlock& block : pool.history->retired) EXPECT_FALSE(given.contains(block.key));
  }

  void remove_demonstration(int64_t place) {
    texts_.erase(texts_.begin() + place);
    topics_.erase(topics_.begin() + place);
  }
};

constexpr Mask kMasks[] = {{"self", 0, 0}, {"dbsa", 1, 2}, {"dbsa", 2, 1}, {"causal", 0, kBlocks}};

TEST_F(PipelineEditsTest, OneCorrectedLabelEncodesOneBlockUnderEveryMask) {
  for (const Mask& mask : kMasks)
    for (const bool global : {false, true}) {
      if (kSanitized && global) continue;
      const auto settings = with(settings_of(mask, global), "append");
      for (const int64_t place : {0, 1, 3, kBlocks - 1}) {
        std::filesystem::remove_all(workspace_.path("store"));
        const Run before = run(settings);
        EXPECT_FALSE(before.pool.history);
        EXPECT_TRUE(before.report.dealt_at_once);
        const int64_t edited =
            before.pool.blocks[static_cast<size_t>(place)].demonstrations.front();
        const KvKey old = before.pool.blocks[static_cast<size_t>(place)].key;
        topics_[static_cast<size_t>(edited)] = (topics_[static_cast<size_t>(edited)] + 1) % 3;
        const Run after = run(settings);
        const std::string where = std::string(mask.plugin) + std::to_string(mask.anchors) +
                                  (global ? " global" : "") + ", block " + std::to_string(place);
        EXPECT_EQ(after.report.blocks_encoded, 1) << where;
        EXPECT_EQ(after.report.estimate.reasons.changed, 1) << where;
        EXPECT_FALSE(after.report.dealt_at_once) << where;
        ASSERT_EQ(after.pool.blocks.size(), before.pool.blocks.size()) << where;
        EXPECT_EQ(place_of(after.pool, edited), place < mask.anchors ? place : kBlocks - 1)
            << where;
        // Retired where another block has seen it.
        bool seen = false;
        for (int64_t b = place + 1; b < kBlocks; ++b)
          seen = seen || place < mask.anchors || place >= b - mask.previous;
        ASSERT_EQ(retired(after.pool), seen ? 1u : 0u) << where;
        if (seen) {
          EXPECT_EQ(after.pool.history->retired[0].key, old) << where;
        }
        expect_never_given(after.pool);
        const Run again = run(settings);
        EXPECT_EQ(again.report.blocks_encoded, 0) << where;
        EXPECT_EQ(again.pool.line_hash(), after.pool.line_hash()) << where;

        const Run regrouped = run(settings, /*regroup=*/true);
        EXPECT_EQ(retired(regrouped.pool), 0u) << where;
        EXPECT_TRUE(regrouped.report.dealt_at_once) << where;
        // Where the last block was edited the new one is where it was.
        EXPECT_EQ(regrouped.pool.line_hash() == after.pool.line_hash(), place == kBlocks - 1)
            << where;
      }
    }
}

// Keys are a hash of everything that values are computed from, so equal keys of equal plans are the
// whole proof; this looks at the numbers, too: a store that lacks everything gives the same
// answers.
TEST_F(PipelineEditsTest, APoolWithAHistoryIsEncodedAgainAsItWas) {
  const auto settings = with(settings_of({"dbsa", 1, 2}, false), "append");
  run(settings);
  for (const size_t edited : {3u, 0u, 9u}) {
    texts_[edited] += " indeed";
    run(settings);
  }
  const Run whole = run(settings);
  ASSERT_GT(retired(whole.pool), 0u);
  EXPECT_EQ(whole.pool.history->edits, 3);
  // All that is stored goes, the pool stays.
  std::filesystem::remove_all(workspace_.path("store/packs"));
  auto opened = open(settings);
  ASSERT_TRUE(opened->pipeline().open_pool().ok());
  const Told rebuilt = ask(opened->pipeline());
  EXPECT_GT(rebuilt.rebuilt, 0);
  EXPECT_TRUE(rebuilt == whole.told);
  // A retired block is encoded only as long as others need it.
  const Run again = run(settings);
  EXPECT_TRUE(again.told == whole.told);
  EXPECT_EQ(again.report.estimate.reasons.missing, again.report.blocks_encoded);
  EXPECT_EQ(again.pool.history->edits, 3);
}

TEST_F(PipelineEditsTest, SeveralEditsAtOnceEncodeTheirBlocks) {
  const auto settings = with(settings_of({"dbsa", 1, 2}, false), "append");
  const Run before = run(settings);
  std::set<int64_t> places;
  for (const int64_t edited : {1, 4, 7}) {
    places.insert(place_of(before.pool, edited));
    texts_[static_cast<size_t>(edited)] += "?";
  }
  const Run after = run(settings);
  EXPECT_EQ(after.report.blocks_encoded, static_cast<int64_t>(places.size()));
  EXPECT_EQ(after.report.estimate.change->edited_lines, (std::vector<int64_t>{2, 5, 8}));
  expect_never_given(after.pool);
  EXPECT_EQ(after.pool.history->edits, 1);
}

TEST_F(PipelineEditsTest, AnEditOfAnAppendedBlockReplacesIt) {
  const auto settings = with(settings_of({"dbsa", 1, 2}, false), "append");
  const Run before = run(settings);
  const int64_t edited = before.pool.blocks[2].demonstrations.front();
  std::string& text = texts_[static_cast<size_t>(edited)];
  text += "!";
  EXPECT_EQ(retired(run(settings).pool), 1u);
  for (int i = 0; i < 3; ++i) {
    text += "!";
    const Run again = run(settings);
    EXPECT_EQ(again.report.blocks_encoded, 1);
    EXPECT_EQ(retired(again.pool), 1u) << "no block saw the one that it replaces";
  }
}

TEST_F(PipelineEditsTest, AnEditThatIsRevertedGivesTheBlocksOfANewStore) {
  for (const Mask& mask : kMasks) {
    std::filesystem::remove_all(workspace_.path("store"));
    const auto settings = with(settings_of(mask, false), "append");
    const Run before = run(settings);
    const auto texts = texts_;
    texts_[0] += " indeed";
    run(settings);
    texts_[5] += " indeed";
    run(settings);
    texts_ = texts;
    const Run after = run(settings);
    EXPECT_EQ(after.report.blocks_encoded, 0) << mask.plugin;
    EXPECT_TRUE(after.report.dealt_at_once);
    EXPECT_EQ(after.pool.line_hash(), before.pool.line_hash());
    EXPECT_TRUE(after.told == before.told);
  }
}

TEST_F(PipelineEditsTest, RowsThatAreMovedChangeNothing) {
  const auto settings = with(settings_of({"dbsa", 1, 2}, false), "append");
  const Run before = run(settings);
  std::rotate(texts_.begin(), texts_.begin() + 5, texts_.end());
  std::rotate(topics_.begin(), topics_.begin() + 5, topics_.end());
  const Run after = run(settings);
  EXPECT_EQ(after.report.blocks_encoded, 0);
  EXPECT_FALSE(after.report.estimate.change->any());
  EXPECT_EQ(after.report.blocks_hash, before.report.blocks_hash);
  EXPECT_TRUE(after.told == before.told);
}

TEST_F(PipelineEditsTest, AddedRowsFormBlocksAtTheEnd) {
  const auto settings = with(settings_of({"dbsa", 1, 2}, false), "append");
  run(settings);
  for (int i = 0; i < 3; ++i)
    add_demonstration(4, "a new question, number " + std::to_string(i), i % 3);
  texts_.back() += "?";
  const Run after = run(settings);
  EXPECT_EQ(after.report.blocks_encoded, 3);
  EXPECT_EQ(after.report.estimate.reasons.added, 2);
  EXPECT_EQ(after.report.estimate.reasons.changed, 1);
  EXPECT_EQ(static_cast<int>(after.pool.blocks.size()), kBlocks + 2);
}

TEST_F(PipelineEditsTest, ARemovedRowShrinksItsBlockAndTwoEndIt) {
  for (const Mask& mask : kMasks)
    for (int64_t place = 0; place < kBlocks; ++place) {
      std::filesystem::remove_all(workspace_.path("store"));
      const auto all = std::pair(texts_, topics_);
      const auto settings = with(settings_of(mask, false), "append");
      const Run before = run(settings);
      auto rows = before.pool.blocks[static_cast<size_t>(place)].demonstrations;
      std::ranges::sort(rows);
      remove_demonstration(rows[1]);
      const Run shrunk = run(settings);
      EXPECT_EQ(shrunk.report.blocks_encoded, 1) << mask.plugin << place;
      EXPECT_EQ(shrunk.report.estimate.change->removed, 1);
      EXPECT_EQ(static_cast<int>(shrunk.pool.blocks.size()), kBlocks);
      remove_demonstration(rows[0]);
      const Run ended = run(settings);
      EXPECT_EQ(static_cast<int>(ended.pool.blocks.size()), kBlocks - 1);
      // What becomes an anchor is encoded as one.
      EXPECT_EQ(ended.report.blocks_encoded, std::max<int64_t>(0, mask.anchors - place))
          << mask.plugin << mask.anchors << ", block " << place;
      expect_never_given(ended.pool);
      std::tie(texts_, topics_) = all;
    }
}

// The BOS token stands before the pool's first block, whichever that is.
TEST_F(PipelineEditsTest, AnAnchorKeepsItsBosToken) {
  auto settings = with(settings_of({"dbsa", 1, 1}, false), "append");
  settings.push_back({"prompt.bos", "true"});
  const Run before = run(settings);
  const int32_t bos = before.pool.blocks[0].token_ids[0];
  texts_[static_cast<size_t>(before.pool.blocks[0].demonstrations[0])] += "?";
  const Run edited = run(settings);
  EXPECT_EQ(edited.report.blocks_encoded, 1);
  auto rows = edited.pool.blocks[0].demonstrations;
  std::ranges::sort(rows.rbegin(), rows.rend());
  for (const int64_t row : rows) remove_demonstration(row);
  const Run ended = run(settings);
  EXPECT_EQ(ended.report.blocks_encoded, 1);
  for (const Pool* pool : {&edited.pool, &ended.pool})
    for (size_t b = 0; b < pool->blocks.size(); ++b)
      EXPECT_EQ(pool->blocks[b].token_ids[0] == bos, b == 0) << b;
}

TEST_F(PipelineEditsTest, APrefixIsNoDemonstrationAndStays) {
  auto settings = with(settings_of({"dbsa", 1, 1}, false), "append");
  settings.push_back({"prompt.anchor", "\"prefix\""});
  settings.push_back({"prompt.instruction", "\"Name the topic.\""});
  const Run before = run(settings);
  texts_[static_cast<size_t>(before.pool.blocks[1].demonstrations[0])] += "?";
  const Run after = run(settings);
  EXPECT_EQ(after.report.blocks_encoded, 1);
  EXPECT_EQ(after.pool.blocks[0].key, before.pool.blocks[0].key);
  EXPECT_EQ(retired(after.pool), 1u);
}

// Which demonstrations stand together, and what each block saw, come of the edits one by one.
TEST_F(PipelineEditsTest, PoolsOfOtherHistoriesAreOthers) {
  const auto settings = with(settings_of({"dbsa", 1, 2}, false), "append");
  const Run before = run(settings);
  const auto texts = texts_;
  const auto edit = [&](size_t place) {
    texts_[static_cast<size_t>(before.pool.blocks[place].demonstrations[0])] += "?";
  };
  std::set<std::string> lines, keys;
  const auto note = [&](const Run& run) {
    lines.insert(run.pool.line_hash());
    keys.insert(run.report.blocks_hash);
  };
  edit(1), edit(3);
  note(run(settings));  // at once
  std::filesystem::remove_all(workspace_.path("store"));
  texts_ = texts;
  run(settings);
  edit(1);
  run(settings);
  edit(3);
  note(run(settings));  // one after the other
  std::filesystem::remove_all(workspace_.path("store"));
  texts_ = texts;
  run(settings);
  edit(3);
  run(settings);
  edit(1);
  note(run(settings));
  std::filesystem::remove_all(workspace_.path("store"));
  note(run(settings));  // a new store
  EXPECT_EQ(lines.size(), 4u);
  // The two edits come to the same keys and values at once and one by one in the pool's order,
  // here: the second new block sees the first one in both.
  EXPECT_EQ(keys.size(), 3u);
}

TEST_F(PipelineEditsTest, InPlaceAndAppendAreOtherPools) {
  const auto mask = settings_of({"dbsa", 1, 2}, false);
  const Run in_place = run(with(mask, "in_place"));
  const Run append = run(with(mask, "append"));
  EXPECT_EQ(append.report.blocks_encoded, 0);
  EXPECT_EQ(append.report.blocks_hash, in_place.report.blocks_hash);
  EXPECT_NE(append.report.pool_id, in_place.report.pool_id);
  EXPECT_EQ(run(mask).report.pool_id, in_place.report.pool_id) << "the default";
}

TEST_F(PipelineEditsTest, AStoreInMemoryHasNoHistory) {
  std::string text = workspace_.read("pipeline.toml");
  const std::string path_line = "path = \"store\"\n";
  text.erase(text.find(path_line), path_line.size());
  workspace_.write("pipeline.toml", text);
  auto settings = with(settings_of({"dbsa", 1, 2}, false), "append");
  settings.push_back({"kv_store.plugin", "\"memory\""});
  for (int i = 0; i < 2; ++i) {
    write_demonstrations();
    const EncodeReport report = encode(settings);
    EXPECT_EQ(report.blocks_encoded, kBlocks);
    EXPECT_FALSE(report.history);
    EXPECT_TRUE(report.dealt_at_once);
    texts_[3] += "?";
  }
}

// What is announced under `in_place` is what is done, for each edit: run() checks it.
TEST_F(PipelineEditsTest, InPlaceAnnouncesWhatItEncodesForEveryShapeOfEdit) {
  for (const Mask& mask : kMasks) {
    std::filesystem::remove_all(workspace_.path("store"));
    const auto settings = settings_of(mask, false);
    const Run first = run(settings);
    EXPECT_EQ(first.report.estimate.reasons.dealt, kBlocks);
    EXPECT_FALSE(first.report.estimate.change);
    const auto all = std::pair(texts_, topics_);
    topics_[3] = (topics_[3] + 1) % 3;
    const Run label = run(settings);
    EXPECT_EQ(label.report.estimate.reasons.changed, 1);
    EXPECT_EQ(label.report.estimate.reasons.behind, label.report.blocks_encoded - 1);
    EXPECT_EQ(label.report.estimate.change->edited_lines, std::vector<int64_t>{4});
    texts_[1] += "?", texts_[8] = "another text altogether";
    EXPECT_GE(run(settings).report.estimate.reasons.changed, 1);
    remove_demonstration(6);
    EXPECT_EQ(run(settings).report.estimate.change->removed, 1);
    add_demonstration(0, "a new question", 1);
    EXPECT_EQ(run(settings).report.estimate.reasons.added, 1);
    std::tie(texts_, topics_) = all;
    const Run back = run(settings);
    EXPECT_EQ(back.report.estimate.reasons.dealt, 0);
  }
}

TEST_F(PipelineEditsTest, BlocksThatTheStoreLostAreCountedAsThat) {
  const auto settings = settings_of({"self", 0, 0}, false);
  const Run before = run(settings);
  std::filesystem::remove_all(workspace_.path("store/packs"));
  texts_[static_cast<size_t>(before.pool.blocks[2].demonstrations[0])] += "?";
  const Run after = run(settings);
  EXPECT_EQ(after.report.blocks_encoded, kBlocks);
  EXPECT_EQ(after.report.estimate.reasons.missing, kBlocks - 1);
  EXPECT_EQ(after.report.estimate.reasons.changed, 1);
}

}  // namespace
}  // namespace dbsa
