// Files that are sound by their checksums and wrong all the same: blocks of another program,
// numbers that are none, and a model that is overwritten while it is in use. None of it reaches an
// answer or the store.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>

#include "tests/pipeline/pipeline_fixture.h"
#include "tests/pipeline/workspace_store.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A block of a store, copied.
struct Stored {
  KvKey key;
  dbsa_kv_format format;
  std::vector<std::string> planes;
};

class ForeignFilesTest : public PipelineTest {
 protected:
  const PipelineHarness::Overrides settings_ = {{"selection.ratio", "1.0"},
                                                {"model.dtype", "\"f32\""}};

  // Replaces every pack of the store by one whose blocks were changed, with right checksums.
  void forge(const std::function<void(size_t index, Stored& block)>& change) const {
    std::vector<Stored> blocks;
    {
      WorkspaceStore store(workspace_, "store");
      const Status listed = store->list([&](const KvEntry& entry) {
        blocks.push_back({entry.key, entry.format, {}});
        return true;
      });
      ASSERT_TRUE(listed.ok());
      for (Stored& block : blocks) {
        const auto lease = store->get(block.key);
        ASSERT_TRUE(lease.ok());
        for (uint32_t layer = 0; layer < block.format.layers; ++layer)
          block.planes.emplace_back(static_cast<const char*>(lease->plane(layer)),
                                    block.format.plane_bytes);
      }
    }
    fs::remove_all(workspace_.path("store/packs"));
    WorkspaceStore store(workspace_, "store");
    for (size_t i = 0; i < blocks.size(); ++i) {
      change(i, blocks[i]);
      std::vector<const void*> planes;
      for (const std::string& plane : blocks[i].planes) planes.push_back(plane.data());
      const Status put = store->put(blocks[i].key, blocks[i].format, planes);
      ASSERT_TRUE(put.ok()) << put.error().message;
    }
    ASSERT_TRUE(store->publish().ok());
  }

  // Encodes, asks, forges; what was answered before.
  Told forge_after_encoding(const std::function<void(size_t, Stored&)>& change) const {
    auto harness = open(settings_);
    EXPECT_TRUE(harness->pipeline().encode(false, {}).ok());
    const Told told = ask(harness->pipeline());
    harness.reset();
    forge(change);
    return told;
  }

  static void put_nan(Stored& block, uint32_t layer, size_t at) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(block.planes[layer].data() + at * sizeof nan, &nan, sizeof nan);
  }
};

// One block has the other layout, one more heads, one more tokens than its key's block.
void make_foreign(size_t index, Stored& block) {
  if (index == 0) {
    block.format.layout = DBSA_KV_LAYOUT_TOKEN_MAJOR;
    block.format.panel = 0;
  } else if (index == 1) {
    block.format.kv_heads *= 2;
  } else if (index == 2) {
    ++block.format.tokens;
  }
}

TEST_F(ForeignFilesTest, BlocksOfAnotherFormatAreEncodedAgainByEncode) {
  const Told told = forge_after_encoding(make_foreign);
  auto harness = open(settings_);
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->blocks_encoded, 3);
  ASSERT_EQ(harness->warnings().size(), 3u);
  for (const std::string& warning : harness->warnings()) {
    EXPECT_THAT(warning, HasSubstr("pack-00000001.h5: block "));
    EXPECT_THAT(warning, HasSubstr(" is not of this model and backend: expected "));
    EXPECT_THAT(warning, HasSubstr("; it is encoded again"));
  }
  EXPECT_TRUE(ask(harness->pipeline()) == told);
  // What was mended stays so.
  auto later = open(settings_);
  const auto again = later->pipeline().encode(false, {});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->blocks_encoded, 0);
  EXPECT_TRUE(later->warnings().empty());
}

TEST_F(ForeignFilesTest, BlocksOfAnotherFormatAreEncodedAgainByAQuery) {
  const Told told = forge_after_encoding(make_foreign);
  auto harness = open(settings_);
  ASSERT_TRUE(harness->pipeline().open_pool().ok());
  const Told now = ask(harness->pipeline());
  EXPECT_TRUE(now == told);
  EXPECT_EQ(now.rebuilt, 3);
}

TEST_F(ForeignFilesTest, ANumberThatIsNotFiniteIsNoticedByTheQueryThatSeesIt) {
  const Told told = forge_after_encoding([](size_t index, Stored& block) {
    if (index == 1) put_nan(block, 1, 40);
    if (index == 4) put_nan(block, 0, 0);
  });
  auto harness = open(settings_);
  ASSERT_TRUE(harness->pipeline().open_pool().ok());
  const Told now = ask_together(harness->pipeline());
  EXPECT_TRUE(now == told);
  EXPECT_EQ(now.rebuilt, 2);
  EXPECT_EQ(std::count_if(harness->warnings().begin(), harness->warnings().end(),
                          [](const std::string& warning) {
                            return warning.find(
                                       " holds a number that is not finite; it is encoded "
                                       "again and the query repeated") != warning.npos;
                          }),
            2);
}

// Other blocks would be computed from it.
TEST_F(ForeignFilesTest, ANumberThatIsNotFiniteIsNoticedByTheBlocksThatSeeIt) {
  const Told told = forge_after_encoding([](size_t, Stored& block) { put_nan(block, 0, 7); });
  texts_.back() += " changed";
  write_demonstrations();
  auto harness = open(settings_);
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  texts_.back().resize(texts_.back().size() - std::string(" changed").size());
  write_demonstrations();
  auto back = open(settings_);
  ASSERT_TRUE(back->pipeline().encode(false, {}).ok());
  EXPECT_TRUE(ask(back->pipeline()) == told);
}

// ---- a model that changes ----------------------------------------------------------------------

class ChangingModelTest : public PipelineTest {
 protected:
  // Other weights under the same name and inode, as `cp` leaves them.
  void overwrite_model(uint64_t seed) {
    make_model("other", seed);
    const std::string bytes = workspace_.read("other/model.safetensors");
    std::ofstream(workspace_.path("model/model.safetensors"),
                  std::ios::binary | std::ios::in | std::ios::out)
        << bytes;
  }
  std::vector<fs::path> files_in(const std::string& folder) const {
    std::vector<fs::path> files;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(workspace_.path(folder), none))
      files.push_back(entry.path());
    return files;
  }
};

TEST_F(ChangingModelTest, NothingIsStoredOfAModelThatChangedSinceItWasOpened) {
  const std::string weights = workspace_.path("model/model.safetensors");
  auto harness = open({});
  overwrite_model(2);
  const auto report = harness->pipeline().encode(false, {});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kEnvironment);
  EXPECT_THAT(report.error().message, HasSubstr(weights + ": was changed while it was in use"));
  EXPECT_TRUE(files_in("store/pools").empty());
  for (const fs::path& pack : files_in("store/packs")) ADD_FAILURE() << pack;
}

TEST_F(ChangingModelTest, NoAnswerIsGivenByAModelThatChangedSinceItWasOpened) {
  auto harness = open({});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const Told told = ask(harness->pipeline());
  overwrite_model(2);
  const auto answer = harness->pipeline().answer("something about topic 0");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kEnvironment);
  // The changed model counts as another one, and the first one is what it was.
  auto other = open({});
  ASSERT_TRUE(other->pipeline().encode(false, {}).ok());
  EXPECT_FALSE(ask(other->pipeline()) == told);
  overwrite_model(1);
  auto back = open({});
  const auto report = back->pipeline().encode(false, {});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->blocks_encoded, 0);
  EXPECT_TRUE(ask(back->pipeline()) == told);
}

// For some families a window is in no fingerprint: only the keys of blocks that it reaches have it.
TEST_F(ChangingModelTest, APoolOfAnotherWindowIsNotAnsweredFrom) {
  const auto set_window = [&](int window) {
    nlohmann::json config = nlohmann::json::parse(workspace_.read("model/config.json"));
    config["model_type"] = "mistral";
    config["architectures"] = {"MistralForCausalLM"};
    config["sliding_window"] = window;
    workspace_.write("model/config.json", config.dump());
  };
  set_window(12);
  ASSERT_TRUE(open({})->pipeline().encode(false, {}).ok());
  ASSERT_TRUE(open({})->pipeline().open_pool().ok());
  set_window(9);
  const Status refused = open({})->pipeline().open_pool();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kConfig);
  EXPECT_THAT(refused.error().message, HasSubstr("the model's windows were others"));
  const auto again = open({})->pipeline().encode(false, {});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->blocks_encoded, kBlocks);
  EXPECT_TRUE(open({})->pipeline().open_pool().ok());
}

TEST_F(ChangingModelTest, AModelThatIsReplacedByARenameGoesOnToTheEnd) {
  auto harness = open({});
  ASSERT_TRUE(harness->pipeline().encode(false, {}).ok());
  const Told told = ask(harness->pipeline());
  make_model("other", 2);
  fs::rename(workspace_.path("other/model.safetensors"),
             workspace_.path("model/model.safetensors"));
  EXPECT_TRUE(ask(harness->pipeline()) == told);
}

}  // namespace
}  // namespace dbsa
