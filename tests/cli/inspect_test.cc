// inspect, on the plugins of this build.
#include <gmock/gmock.h>

#include <algorithm>

#include <filesystem>
#include <fstream>

#include "tests/cli/cli_fixture.h"

namespace dbsa {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using InspectTest = CliTest;

TEST_F(InspectTest, ListsEveryPluginOfTheBuild) {
  const ProcessResult result = cli({"inspect"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error, "");
  int manifests = 0;
  for (const auto& entry : std::filesystem::directory_iterator(DBSA_PLUGIN_DIR))
    manifests += entry.path().string().ends_with(".plugin.toml") ? 1 : 0;
  EXPECT_GT(manifests, 0);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), manifests + 1);
  for (const char* id : {"dbsa.block_grouper.random", "dbsa.mask_pattern.dbsa",
                         "dbsa.retriever.bm25", "dbsa.kv_store.hdf5", "dbsa.attention_backend.cpu"})
    EXPECT_THAT(result.out, HasSubstr(id));
}

TEST_F(InspectTest, ListsOneKind) {
  const ProcessResult result = cli({"inspect", "--kind", "retriever"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("dbsa.retriever.bm25"));
  EXPECT_THAT(result.out, Not(HasSubstr("dbsa.kv_store")));
}

TEST_F(InspectTest, ShowsAPluginWithItsProperties) {
  for (const char* name : {"bm25", "dbsa.retriever.bm25"}) {
    const ProcessResult result = cli({"inspect", name});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_THAT(result.out, HasSubstr("dbsa.retriever.bm25  "));
    EXPECT_THAT(result.out, HasSubstr("kind      retriever\n"));
    EXPECT_THAT(result.out, HasSubstr("licence   Apache-2.0\n"));
    EXPECT_THAT(result.out, testing::ContainsRegex("key +type +default +range +unit +meaning\n"));
    EXPECT_THAT(result.out, testing::ContainsRegex("k1 +number +1\\.2 +>= 0"));
  }
}

TEST_F(InspectTest, JsonIsOneDocument) {
  const nlohmann::json all = nlohmann::json::parse(cli({"inspect", "--json"}).out);
  ASSERT_TRUE(all.is_array());
  const ProcessResult one = cli({"inspect", "bm25", "--json"});
  EXPECT_EQ(one.exit_code, 0);
  const nlohmann::json plugin = nlohmann::json::parse(one.out);
  EXPECT_EQ(plugin.at("id"), "dbsa.retriever.bm25");
  EXPECT_NE(std::find(all.begin(), all.end(), plugin), all.end());
}

TEST_F(InspectTest, ConfigIsATableThatAPipelineTakes) {
  const std::string pipeline = make_pipeline();
  const ProcessResult table = cli({"inspect", "bm25", "--config"});
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_THAT(table.out, HasSubstr("[retriever]\n"));
  edit_pipeline("[selection]", table.out + "\n[selection]");
  const ProcessResult result = cli({"validate", pipeline});
  EXPECT_EQ(result.exit_code, 0) << result.error;
}

TEST_F(InspectTest, AnUnknownPluginIsNamedWithTheNearestOneAndTheFolders) {
  const ProcessResult result = cli({"inspect", "bm52"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.error,
            "error: no plugin \"bm52\"; did you mean \"bm25\"? `dbsa-pipe inspect` lists those "
            "there are and --failed the broken ones; searched: " +
                std::filesystem::canonical(DBSA_PLUGIN_DIR).string() + "\n");
}

TEST_F(InspectTest, FailedNamesBrokenManifestsAndLibraries) {
  // Without a GPU its backend is listed, too.
  const auto failed_plugins = [&](const Words& options) {
    Words words = {"inspect", "--failed", "--json"};
    words.insert(words.end(), options.begin(), options.end());
    nlohmann::json others = nlohmann::json::array();
    for (const nlohmann::json& plugin : nlohmann::json::parse(cli(words).out)) {
      if (!plugin.at("path").get<std::string>().ends_with("attention_backend_cuda.plugin.toml"))
        others.push_back(plugin);
      else
        EXPECT_THAT(plugin.at("cause").get<std::string>(),
                    StartsWith("cannot run here: it needs an NVIDIA GPU: "));
    }
    return others;
  };
  EXPECT_EQ(failed_plugins({}), nlohmann::json::array());

  workspace_.write("plugins/broken.plugin.toml", "id = 3\n");
  const std::string library = workspace_.write("plugins/text.so", "not a library");
  workspace_.write("plugins/text.plugin.toml",
                   "id = \"dbsa.retriever.text\"\nkind = \"retriever\"\nrevision = 1\n"
                   "version = \"1\"\nsummary = \"s\"\nlicence = \"MIT\"\nabi = \"0.1\"\n");
  const nlohmann::json list = failed_plugins({"--plugin-path", path("plugins")});
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].at("path"), path("plugins/broken.plugin.toml"));
  EXPECT_THAT(list[0].at("cause").get<std::string>(), HasSubstr("broken.plugin.toml:1:"));
  EXPECT_EQ(list[1].at("path"), path("plugins/text.plugin.toml"));
  EXPECT_THAT(list[1].at("cause").get<std::string>(), HasSubstr(library));

  const ProcessResult shown = cli({"inspect", "--plugin-path", path("plugins")});
  EXPECT_THAT(shown.out, HasSubstr("dbsa.retriever.bm25"));
  EXPECT_THAT(shown.error,
              HasSubstr("warning: 1 cannot be used; `dbsa-pipe inspect --failed` says why\n"));
}

TEST_F(InspectTest, FailedIsOfAllPlugins) {
  const ProcessResult result = cli({"inspect", "bm25", "--failed"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.error,
            "error: --failed looks at all plugins; leave out \"bm25\", or name a --kind\n");
}

TEST_F(InspectTest, SaysWhyAPluginThatNeedsAGpuCannotRunHere) {
  workspace_.write("plugins/gpu.plugin.toml",
                   "id = \"dbsa.attention_backend.gpu\"\nkind = \"attention_backend\"\n"
                   "revision = 1\nversion = \"1\"\nsummary = \"s\"\nlicence = \"MIT\"\n"
                   "abi = \"0.1\"\n[needs]\ncuda = true\n");
  const ProcessResult shown =
      cli({"inspect", "dbsa.attention_backend.gpu", "--plugin-path", path("plugins")});
  EXPECT_EQ(shown.exit_code, 0);
  EXPECT_THAT(shown.out, HasSubstr("needs     CUDA\n"));
  if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "there is a GPU here";
  EXPECT_THAT(shown.out, HasSubstr("here      cannot run: it needs an NVIDIA GPU: "));
}

}  // namespace
}  // namespace dbsa
