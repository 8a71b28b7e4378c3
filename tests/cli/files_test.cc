// What files are left, by a process that was killed and by ones that were not: whose modes, and who
// removes the rest.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "config/file_calls.h"
#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using FilesTest = CliTest;

constexpr const char* kSweep = R"(base = "../pipeline.toml"
[set]
"kv_store.plugin" = "memory"
[output]
directory = "sweep"
[[axis]]
name = "share"
key = "selection.ratio"
values = [0.5, 1.0]
)";

TEST_F(FilesTest, WhereTheCurrentFolderWasRemovedAbsolutePathsWork) {
  const std::string pipeline = make_pipeline();
  const auto from_nowhere = [&](const std::string& words) {
    const std::string script = "mkdir " + path("gone") + " && cd " + path("gone") + " && rmdir " +
                               path("gone") + " && exec " + command({})[0] + " " + words;
    return Process({"/bin/sh", "-c", script}, {}).wait();
  };
  const ProcessResult run = from_nowhere("run " + pipeline);
  EXPECT_EQ(run.exit_code, 0) << run.error;
  const ProcessResult relative = from_nowhere("run " + pipeline + " --output here");
  EXPECT_EQ(relative.exit_code, 4);
  EXPECT_THAT(relative.error, HasSubstr("here"));
  EXPECT_THAT(relative.error, HasSubstr("No such file or directory"));
  EXPECT_THAT(relative.error, testing::Not(HasSubstr("filesystem error")));
}

// Every kind of file the program writes, under one folder.
TEST_F(FilesTest, ModesAreThoseOfTheUmask) {
  const std::string pipeline = make_pipeline();
  for (const int mask : {022, 077}) {
    const std::string name = mask == 022 ? "u022" : "u077", root = path(name);
    fs::create_directories(root);
    ASSERT_EQ(::chmod(root.c_str(), 0777 & ~static_cast<mode_t>(mask)), 0);
    const std::string sweep = workspace_.write(name + "/sweep.toml", kSweep);
    ASSERT_EQ(::chmod(sweep.c_str(), 0666 & ~static_cast<mode_t>(mask)), 0);
    const std::string script = "umask " + name.substr(1) + "; exec \"$@\"";
    const auto under_umask = [&](const Words& given) {
      Words words = {"/bin/sh", "-c", script, "sh"};
      for (const std::string& word : command(given)) words.push_back(word);
      const ProcessResult result = run_process(
          words, {.environment = {{"DBSA_PLUGIN_PATH", ""}, {"XDG_CACHE_HOME", root + "/cache"}}});
      EXPECT_EQ(result.exit_code, 0) << testing::PrintToString(given) << result.error;
    };
    const std::string store = "kv_store.path=" + root + "/store";
    under_umask({"run", pipeline, "--set", store, "--output", root + "/runs"});
    under_umask({"run", pipeline, "--set", store, "--output", root + "/runs"});
    under_umask({"explain", pipeline, "--mask", root + "/mask.svg"});
    under_umask({"sweep", sweep});
    under_umask({"report", root + "/runs", "--no-plots"});
    under_umask({"store", "export", root + "/store", "--all", "--output", root + "/blocks"});
    std::set<std::string> kinds;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      struct stat info = {};
      ASSERT_EQ(::lstat(entry.path().c_str(), &info), 0);
      EXPECT_EQ(info.st_mode & 07777,
                static_cast<mode_t>((entry.is_directory() ? 0777 : 0666) & ~mask))
          << entry.path();
      kinds.insert(entry.path().extension().string());
      if (entry.path().filename() == "lock" ||
          entry.path().string().find("/cache/") != std::string::npos)
        kinds.insert(entry.path().parent_path().filename().string());
    }
    for (const char* kind : {".json", ".html", ".md", ".csv", ".toml", ".pool", ".safetensors",
                             ".h5", ".svg", ".npy", "store", "dbsa-pipe"})
      EXPECT_TRUE(kinds.contains(kind)) << kind;
  }
}

class LeftoversTest : public CliTest {
 protected:
  void SetUp() override {
    pipeline_ = make_pipeline();
    ASSERT_EQ(cli({"encode", pipeline_, "--quiet"}).exit_code, 0);
    workspace_.write("cache/dbsa-pipe/weights/0a.safetensors.tmp-Abc123", std::string(3000, 'x'));
    workspace_.write("store/pools/writing-1-0b", std::string(200, 'x'));
    workspace_.write("store/packs/writing-1-0c.h5", std::string(10, 'x'));
  }
  json list() const {
    return json::parse(cli({"store", "list", path("store"), "--json"}).out).at("leftovers");
  }
  bool exists(const std::string& name) const { return fs::exists(path("store/" + name)); }
  std::string pipeline_;
};

TEST_F(LeftoversTest, ListCountsThemAndGcRemovesThem) {
  EXPECT_EQ(list(), (json{{"files", 3}, {"bytes", 3210}}));
  const std::string text = "3 files left from processes that were killed, 3.1 KiB";
  EXPECT_THAT(cli({"store", "list", path("store")}).out,
              testing::EndsWith(text + "; `dbsa-pipe store gc` removes them\n"));
  const ProcessResult dry = cli({"store", "gc", path("store"), "--dry-run"});
  EXPECT_THAT(dry.out, testing::EndsWith("would remove " + text + "\n"));
  EXPECT_EQ(list().at("files"), 3);
  const ProcessResult removed = cli({"store", "gc", path("store")});
  EXPECT_EQ(removed.exit_code, 0) << removed.error;
  EXPECT_THAT(removed.out, testing::EndsWith("removed " + text + "\n"));
  EXPECT_EQ(list(), (json{{"files", 0}, {"bytes", 0}}));
  EXPECT_THAT(cli({"store", "list", path("store")}).out, testing::Not(HasSubstr("killed")));
  const json again = json::parse(cli({"store", "gc", path("store"), "--json"}).out);
  EXPECT_EQ(again.at("leftovers_removed"), (json{{"files", 0}, {"bytes", 0}}));
  EXPECT_EQ(cli({"store", "verify", path("store")}).exit_code, 0);
}

TEST_F(LeftoversTest, ThoseOfALivingWriterStay) {
  const std::string weights = path("cache/dbsa-pipe/weights/0a.safetensors.tmp-Abc123");
  const Descriptor writer(::open(weights.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(lock_file(writer.get(), LOCK_EX), 0);
  EXPECT_EQ(list(), (json{{"files", 2}, {"bytes", 210}}));
  const json removed = json::parse(cli({"store", "gc", path("store"), "--json"}).out);
  EXPECT_EQ(removed.at("leftovers_removed"), (json{{"files", 2}, {"bytes", 210}}));
  EXPECT_TRUE(fs::exists(weights));
}

TEST_F(LeftoversTest, TheNextWriterIntoAFolderRemovesThem) {
  // Another pool: a manifest is written, and a pack. The weights are packed already.
  ASSERT_EQ(cli({"encode", pipeline_, "--quiet", "--set", "block_grouper.block_size=6"}).exit_code,
            0);
  EXPECT_FALSE(exists("pools/writing-1-0b"));
  EXPECT_FALSE(exists("packs/writing-1-0c.h5"));
  EXPECT_EQ(list(), (json{{"files", 1}, {"bytes", 3000}}));
  ASSERT_EQ(cli({"encode", pipeline_, "--quiet", "--set", "model.dtype=bf16"}).exit_code, 0);
  EXPECT_EQ(list().at("files"), 0);

  workspace_.write("runs/old.json.tmp-abc123", "");
  workspace_.write("runs/report/report.md.tmp-abc123", "");
  workspace_.write("mask.svg.tmp-abc123", "");
  ASSERT_EQ(cli({"run", pipeline_, "--quiet"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(path("runs/old.json.tmp-abc123")));
  ASSERT_EQ(cli({"report", path("runs"), "--no-plots", "--quiet"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(path("runs/report/report.md.tmp-abc123")));
  ASSERT_EQ(cli({"explain", pipeline_, "--mask", path("new.svg")}).exit_code, 0);
  EXPECT_FALSE(fs::exists(path("mask.svg.tmp-abc123")));
}

}  // namespace
}  // namespace dbsa
