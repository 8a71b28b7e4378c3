// Every cases/*.toml is a deliberately broken pipeline; cases/*.expected has the exit code and the
// exact lines a user sees, <folder> standing for the absolute path of this folder. Plugins are the
// manifests in plugins/; nothing is loaded.
//
// DBSA_WRITE_EXPECTED=1 writes the files instead; read them before you commit.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/exit_code.h"
#include "host/resolve.h"

namespace dbsa::host {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(DBSA_SOURCE_DIR) / "tests/bad_pipelines";

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder / "cases"))
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem());
  std::sort(names.begin(), names.end());
  return names;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

Result<ResolvedPipeline> resolve(const std::string& path) {
  DBSA_ASSIGN_OR_RETURN(TomlDocument document, TomlDocument::load(path));
  const std::string plugins = (kFolder / "plugins").string();
  return resolve_pipeline(std::move(document), PluginRegistry::discover({&plugins, 1}));
}

class BadPipeline : public testing::TestWithParam<std::string> {};

TEST_P(BadPipeline, SaysWhatIsWrong) {
  const fs::path base = kFolder / "cases" / GetParam();
  const auto result = resolve(base.string() + ".toml");
  ASSERT_FALSE(result.ok());
  std::string got = "exit " + std::to_string(exit_code(result.error().code)) + "\n" +
                    result.error().message + "\n";
  got =
      replaced(got, base.parent_path().string() + "/" + GetParam() + ".toml", GetParam() + ".toml");
  got = replaced(got, fs::weakly_canonical(kFolder).string(), "<folder>");
  got = replaced(got, kFolder.string(), "<folder>");
  const std::string expected_path = base.string() + ".expected";
  if (std::getenv("DBSA_WRITE_EXPECTED") != nullptr) {
    std::ofstream(expected_path) << got;
    return;
  }
  std::ostringstream expected;
  expected << std::ifstream(expected_path).rdbuf();
  EXPECT_EQ(got, expected.str());
}

INSTANTIATE_TEST_SUITE_P(Cases, BadPipeline, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param; });

TEST(GoodPipeline, HasEveryDefault) {
  const auto document = TomlDocument::parse(
      "[model]\npath = \"model\"\n[data]\ndemonstrations = \"pool.jsonl\"\n[retriever]\nk1 = 2\n",
      (kFolder / "cases/good.toml").string());
  ASSERT_TRUE(document.ok()) << document.error().message;
  const std::string plugins = (kFolder / "plugins").string();
  const PluginRegistry registry = PluginRegistry::discover({&plugins, 1});
  const auto pipeline = resolve_pipeline(*document, registry);
  ASSERT_TRUE(pipeline.ok()) << pipeline.error().message;
  EXPECT_EQ(pipeline->json.at("selection"),
            nlohmann::json::parse(
                R"({"ratio":0.3,"order":"index","positions":"contiguous","recompute":false})"));
  EXPECT_EQ(pipeline->json.at("model").at("path"), (kFolder / "cases/model").string());
  EXPECT_EQ(pipeline->json.at("output").at("directory"), (kFolder / "cases/runs").string());
  EXPECT_EQ(pipeline->json.at("data").at("queries"), "");
  EXPECT_EQ(pipeline->json.at("retriever").at("plugin"), "test.retriever.bm25");
  EXPECT_EQ(pipeline->json.at("prompt").at("separator"), "\n==\n");
  const ResolvedStage& retriever = pipeline->stage(DBSA_KIND_RETRIEVER);
  EXPECT_EQ(retriever.config.dump(), R"({"k1":2.0,"stemmer":"porter"})");
  EXPECT_EQ(pipeline->stage(DBSA_KIND_KV_STORE).config.at("path"), (kFolder / "cases/kv").string());
  // A later fault of the plugin is shown where its key stands.
  EXPECT_EQ(pipeline->located({ErrorCode::kConfig, "k1 is odd", "/retriever/k1"}).message,
            (kFolder / "cases/good.toml").string() + ":6:1: retriever.k1: is odd");
}

TEST(GoodPipeline, FillsInTheDefaultsOfInnerPlugins) {
  const auto document = TomlDocument::parse(
      "[model]\npath = \"model\"\n[data]\ndemonstrations = \"pool.jsonl\"\n[retriever]\n"
      "plugin = \"fused\"\n[retriever.first]\nplugin = \"bm25\"\nk1 = 2\n"
      "[retriever.second]\nplugin = \"dense\"\nencoder = \"words\"\n",
      (kFolder / "cases/good.toml").string());
  ASSERT_TRUE(document.ok()) << document.error().message;
  const std::string plugins = (kFolder / "plugins").string();
  const PluginRegistry registry = PluginRegistry::discover({&plugins, 1});
  const auto pipeline = resolve_pipeline(*document, registry);
  ASSERT_TRUE(pipeline.ok()) << pipeline.error().message;
  const ResolvedStage& retriever = pipeline->stage(DBSA_KIND_RETRIEVER);
  EXPECT_EQ(
      retriever.config.at("first"),
      nlohmann::json::parse(R"({"plugin":"test.retriever.bm25","k1":2.0,"stemmer":"porter"})"));
  EXPECT_EQ(retriever.config.at("weight"), 0.5);
  ASSERT_EQ(retriever.inner.size(), 2u);
  EXPECT_EQ(retriever.inner[0].pointer, "/retriever/first");
  EXPECT_EQ(retriever.inner[0].config.dump(), R"({"k1":2.0,"stemmer":"porter"})");
  EXPECT_EQ(retriever.inner[1].manifest->id, "test.retriever.dense");
  EXPECT_EQ(retriever.inner[1].config.at("encoder"), (kFolder / "cases/words").string());
}

TEST(GoodPipeline, TakesOverrides) {
  auto document =
      TomlDocument::parse("[model]\npath = \"model\"\n[data]\ndemonstrations = \"pool.jsonl\"\n",
                          (kFolder / "cases/good.toml").string());
  ASSERT_TRUE(document.ok());
  ASSERT_TRUE(document->set("selection.count", "16").ok());
  ASSERT_TRUE(document->set("retriever.plugin", "bm25").ok());
  const std::string plugins = (kFolder / "plugins").string();
  const PluginRegistry registry = PluginRegistry::discover({&plugins, 1});
  const auto pipeline = resolve_pipeline(*document, registry);
  ASSERT_TRUE(pipeline.ok()) << pipeline.error().message;
  EXPECT_EQ(pipeline->json.at("selection").at("count"), 16);
  EXPECT_FALSE(pipeline->json.at("selection").contains("ratio"));

  ASSERT_TRUE(document->set("selection.ratio", "2").ok());
  ASSERT_TRUE(document->set("retriever.k1", "fast").ok());
  const auto bad = resolve_pipeline(*document, registry);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message,
            "--set retriever.k1: must be a number, got a string \"fast\"\n"
            "--set selection.count: give either ratio or count, not both\n"
            "--set selection.ratio: must be <= 1, got 2");
}

}  // namespace
}  // namespace dbsa::host
