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

class InspectTest : public CliTest {
 protected:
  // Copies a plugin of this build, "retriever_all", with its manifest: "plugins/own".
  void copy_plugin(const std::string& name, const std::string& to) const {
    std::filesystem::create_directories(std::filesystem::path(path(to)).parent_path());
    for (const char* suffix : {".so", ".plugin.toml"})
      std::filesystem::copy_file(std::string(DBSA_PLUGIN_DIR) + "/dbsa_" + name + suffix,
                                 path(to + suffix),
                                 std::filesystem::copy_options::overwrite_existing);
  }
};

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
  const nlohmann::json all = nlohmann::json::parse(cli({"inspect", "--json"}).out).at("plugins");
  ASSERT_TRUE(all.is_array());
  const ProcessResult one = cli({"inspect", "bm25", "--json"});
  EXPECT_EQ(one.exit_code, 0);
  nlohmann::json plugin = nlohmann::json::parse(one.out);
  EXPECT_EQ(plugin.at("id"), "dbsa.retriever.bm25");
  plugin.erase("schema");
  plugin.erase("schema_version");
  EXPECT_NE(std::find(all.begin(), all.end(), plugin), all.end());
}

TEST_F(InspectTest, ShowsTheKeysOfASection) {
  const ProcessResult data = cli({"inspect", "data"});
  EXPECT_EQ(data.exit_code, 0) << data.error;
  EXPECT_THAT(data.out, StartsWith("[data]\n\nkey "));
  EXPECT_THAT(data.out, testing::ContainsRegex("\ndemonstrations +path +required +The pool"));
  EXPECT_THAT(data.out, testing::ContainsRegex("\ntext_field +string +\"text\" "));
  EXPECT_THAT(data.out, Not(HasSubstr("inspect NAME")));
  EXPECT_THAT(cli({"inspect", "selection"}).out,
              testing::ContainsRegex("\nratio +number +> 0, <= 1 +Share of the blocks"));
  EXPECT_THAT(cli({"inspect", "retriever"}).out,
              testing::ContainsRegex("A plugin has its own keys besides these; `dbsa-pipe inspect "
                                     "NAME` shows them: .*bm25"));
  const ProcessResult near = cli({"inspect", "decodnig"});
  EXPECT_EQ(near.exit_code, 3);
  EXPECT_THAT(near.error, HasSubstr("did you mean \"decoding\"?"));
  EXPECT_EQ(cli({"inspect", "data", "--config"}).error,
            "error: --config prints a plugin's table, and \"data\" is a section of the pipeline "
            "file; `dbsa-pipe inspect` lists plugins\n");
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
  EXPECT_EQ(
      result.error,
      "error: no plugin or section \"bm52\"; did you mean \"bm25\"? `dbsa-pipe inspect` lists "
      "installed plugins, --failed broken ones; searched: " +
          std::filesystem::canonical(DBSA_PLUGIN_DIR).string() + "\n");
}

TEST_F(InspectTest, FailedNamesBrokenManifestsAndLibraries) {
  // Without a GPU its backend is listed, too.
  const auto failed_plugins = [&](const Words& options) {
    Words words = {"inspect", "--failed", "--json"};
    words.insert(words.end(), options.begin(), options.end());
    nlohmann::json others = nlohmann::json::array();
    const nlohmann::json document = nlohmann::json::parse(cli(words).out);
    for (const nlohmann::json& plugin : document.at("plugins")) {
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
                   "version = \"1\"\nsummary = \"s\"\nlicence = \"MIT\"\nabi = \"0.2\"\n");
  const nlohmann::json list = failed_plugins({"--plugin-path", path("plugins")});
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].at("path"), path("plugins/broken.plugin.toml"));
  EXPECT_THAT(list[0].at("cause").get<std::string>(), HasSubstr("broken.plugin.toml:1:"));
  EXPECT_EQ(list[1].at("path"), path("plugins/text.plugin.toml"));
  EXPECT_EQ(list[1].at("cause"),
            "plugin dbsa.retriever.text (" + library +
                "): expected a shared library, found a text file, which begins with \"not a "
                "library\"; build the plugin again, or copy its library again");

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
  const nlohmann::json cpu = nlohmann::json::parse(cli({"inspect", "cpu", "--json"}).out);
  copy_plugin("attention_backend_cpu", "plugins/gpu");
  workspace_.write("plugins/gpu.plugin.toml",
                   "id = \"dbsa.attention_backend.gpu\"\nkind = \"attention_backend\"\n"
                   "revision = " +
                       cpu.at("revision").dump() +
                       "\nversion = \"1\"\nsummary = \"s\"\nlicence = \"MIT\"\n"
                       "abi = \"0.2\"\n[needs]\ncuda = true\n");
  const ProcessResult shown =
      cli({"inspect", "dbsa.attention_backend.gpu", "--plugin-path", path("plugins")});
  EXPECT_EQ(shown.exit_code, 0) << shown.error;
  EXPECT_THAT(shown.out, HasSubstr("needs     CUDA\n"));
  if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "there is a GPU here";
  EXPECT_THAT(shown.out, HasSubstr("here      cannot run: it needs an NVIDIA GPU: "));
}

TEST_F(InspectTest, TheFirstFoldersCopyIsUsedAndTheOthersAreListed) {
  copy_plugin("retriever_all", "mine/own");
  const std::string summary = "Changed by its owner";
  std::string manifest = workspace_.read("mine/own.plugin.toml");
  const size_t at = manifest.find("summary = \"") + 11;
  manifest.replace(at, manifest.find('"', at) - at, summary);
  workspace_.write("mine/own.plugin.toml", manifest);
  const std::string folder = std::filesystem::canonical(path("mine")).string();
  const std::string shipped =
      std::filesystem::canonical(DBSA_PLUGIN_DIR).string() + "/dbsa_retriever_all.plugin.toml";
  const Words first = {"--plugin-path", path("mine")};

  Words words = {"inspect", "all"};
  words.insert(words.end(), first.begin(), first.end());
  const ProcessResult one = cli(words);
  EXPECT_EQ(one.exit_code, 0) << one.error;
  EXPECT_THAT(one.out, HasSubstr(summary));
  EXPECT_THAT(one.out, HasSubstr("library   " + folder + "/own.so\n"));
  EXPECT_THAT(one.out, HasSubstr("shadows   " + shipped + "\n"));
  words.emplace_back("--json");
  EXPECT_EQ(nlohmann::json::parse(cli(words).out).at("shadows"), nlohmann::json::array({shipped}));

  words = {"inspect"};
  words.insert(words.end(), first.begin(), first.end());
  const ProcessResult list = cli(words);
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_EQ(list.error, "");
  EXPECT_THAT(list.out, HasSubstr(summary));
  EXPECT_THAT(list.out, testing::ContainsRegex("\n\nshadowed plugin +not used +used\n"
                                               "dbsa\\.retriever\\.all +" +
                                               shipped + "  " + folder + "/own\\.plugin\\.toml\n"));
  words.insert(words.end(), {"--kind", "kv_store"});
  EXPECT_THAT(cli(words).out, Not(HasSubstr("shadowed")));
  EXPECT_THAT(cli({"inspect"}).out, Not(HasSubstr("shadowed")));

  // A run uses it, too.
  const std::string pipeline = make_pipeline();
  words = {"run", pipeline, "--quiet", "--set", "retriever.plugin=all"};
  words.insert(words.end(), first.begin(), first.end());
  EXPECT_EQ(cli(words).exit_code, 0);
  const nlohmann::json record = only_record();
  for (const nlohmann::json& plugin : record.at("plugins"))
    if (plugin.at("stage") == "retriever") {
      EXPECT_EQ(plugin.at("library"), "own.so");
    }
}

TEST_F(InspectTest, AStrangersPluginTakesNoShortNameOfOurs) {
  copy_plugin("mask_pattern_self", "plugins/strange");
  std::string manifest = workspace_.read("plugins/strange.plugin.toml");
  manifest.replace(manifest.find("dbsa.mask_pattern.self"), 22, "acme.mask.self");
  workspace_.write("plugins/strange.plugin.toml", manifest);
  const Words more = {"--plugin-path", path("plugins")};
  const auto with_more = [&](Words words) {
    words.insert(words.end(), more.begin(), more.end());
    return cli(words);
  };
  EXPECT_THAT(with_more({"inspect", "self"}).out, StartsWith("dbsa.mask_pattern.self  "));
  EXPECT_THAT(with_more({"inspect", "acme.mask.self"}).out, StartsWith("acme.mask.self  "));
  EXPECT_THAT(with_more({"inspect", "acme.mask.self", "--config"}).out,
              HasSubstr("plugin = \"acme.mask.self\"\n"));
  const std::string pipeline = make_pipeline();
  for (const char* name : {"self", "acme.mask.self"}) {
    const ProcessResult result = with_more(
        {"validate", pipeline, "--json", "--set", "mask_pattern.plugin=" + std::string(name)});
    EXPECT_EQ(result.exit_code, 0) << result.out;
  }
  // Two strangers of one name: neither is meant.
  copy_plugin("mask_pattern_self", "plugins/other");
  for (const auto& [file, id] :
       {std::pair{"strange", "acme.mask.plain"}, std::pair{"other", "zeta.mask.plain"}}) {
    std::string text = workspace_.read("plugins/strange.plugin.toml");
    const size_t at = text.find("id = \"") + 6;
    text.replace(at, text.find('"', at) - at, id);
    workspace_.write(std::string("plugins/") + file + ".plugin.toml", text);
  }
  const ProcessResult refused =
      with_more({"validate", pipeline, "--set", "mask_pattern.plugin=plain"});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_EQ(refused.error,
            "error: --set mask_pattern.plugin: \"plain\" may be acme.mask.plain or "
            "zeta.mask.plain; write the full id\n");
}

// The loader would end the process.
TEST_F(InspectTest, ALibraryThatWasCutShortIsAnAnswer) {
  copy_plugin("retriever_all", "plugins/cut");
  std::string manifest = workspace_.read("plugins/cut.plugin.toml");
  manifest.replace(manifest.find("dbsa.retriever.all"), 18, "test.retriever.cut");
  workspace_.write("plugins/cut.plugin.toml", manifest);
  const std::string library = path("plugins/cut.so");
  const uintmax_t whole = std::filesystem::file_size(library);
  for (const uintmax_t size : {whole - 1, whole / 2, whole / 10, uintmax_t{100}, uintmax_t{0}}) {
    std::filesystem::resize_file(library, size);
    const ProcessResult result =
        cli({"inspect", "test.retriever.cut", "--plugin-path", path("plugins")});
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(
        result.error,
        testing::MatchesRegex("error: plugin test.retriever.cut \\(.*cut.so\\): expected a shared "
                              "library, found .*; build the plugin again, or copy its library "
                              "again\n"));
    const ProcessResult failed =
        cli({"inspect", "--failed", "--kind", "retriever", "--plugin-path", path("plugins")});
    EXPECT_EQ(failed.exit_code, 0);
    EXPECT_THAT(failed.out, HasSubstr("cut.plugin.toml\n  plugin test.retriever.cut ("));
  }
}

}  // namespace
}  // namespace dbsa
