#include "host/plugin_registry.h"

#include <dbsa/plugin.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace dbsa::host {
namespace {

namespace fs = std::filesystem;

// A folder of manifests, gone at the end.
class Registry : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "dbsa_registry_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = fs::canonical(name);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string add(const std::string& file, const std::string& id, const std::string& kind) {
    const fs::path path = folder_ / (file + ".plugin.toml");
    fs::create_directories(path.parent_path());
    std::ofstream(path) << "id = \"" << id << "\"\nkind = \"" << kind
                        << "\"\nrevision = 1\nversion = \"1\"\nsummary = \"x\"\nlicence = \"x\"\n"
                           "abi = \"0.2\"\n";
    return path.string();
  }

  static PluginRegistry discover(std::vector<std::string> folders) {
    return PluginRegistry::discover(folders);
  }

  fs::path folder_;
};

TEST_F(Registry, FindsByNameAndId) {
  add("b", "dbsa.retriever.bm25", "retriever");
  add("a", "dbsa.kv_store.memory", "kv_store");
  add("c", "org.kv_store.bm25", "kv_store");
  const PluginRegistry registry = discover({folder_.string()});
  ASSERT_EQ(registry.manifests().size(), 3u);
  EXPECT_EQ(registry.manifests()[0].id, "dbsa.retriever.bm25");  // by kind, then id
  EXPECT_EQ((*registry.find(DBSA_KIND_RETRIEVER, "bm25"))->id, "dbsa.retriever.bm25");
  EXPECT_EQ((*registry.find(DBSA_KIND_KV_STORE, "bm25"))->id, "org.kv_store.bm25");
  EXPECT_EQ((*registry.find(DBSA_KIND_KV_STORE, "org.kv_store.bm25"))->id, "org.kv_store.bm25");
  EXPECT_EQ(registry.find(DBSA_KIND_RETRIEVER, "org.kv_store.bm25").error().message,
            "org.kv_store.bm25 is a kv_store plugin, not a retriever");
}

TEST_F(Registry, ABadManifestHidesNoOther) {
  add("good", "dbsa.retriever.all", "retriever");
  std::ofstream(folder_ / "bad.plugin.toml") << "id = ";
  std::ofstream(folder_ / "notes.toml") << "no manifest";
  fs::create_directory(folder_ / "odd.plugin.toml");
  const PluginRegistry registry = discover({folder_.string()});
  EXPECT_EQ(registry.manifests().size(), 1u);
  ASSERT_EQ(registry.failed().size(), 2u);
  EXPECT_EQ(registry.failed()[0].path, (folder_ / "bad.plugin.toml").string());
  EXPECT_EQ(registry.failed()[0].cause.rfind((folder_ / "bad.plugin.toml").string() + ":1:6: ", 0),
            0u)
      << registry.failed()[0].cause;
  EXPECT_EQ(registry.failed()[1].cause,
            (folder_ / "odd.plugin.toml").string() +
                ": expected a regular file, found a folder; name a regular file");
}

TEST_F(Registry, UsesNeitherOfTwoInOneFolder) {
  const std::string first = add("x/one", "dbsa.retriever.all", "retriever");
  const std::string second = add("x/two", "dbsa.retriever.all", "retriever");
  const std::string later = add("y/all", "dbsa.retriever.all", "retriever");
  add("x/other", "dbsa.retriever.bm25", "retriever");
  const PluginRegistry registry =
      discover({(folder_ / "x").string(), (folder_ / "y").string(), (folder_ / "x/").string()});
  EXPECT_EQ(registry.searched().size(), 2u);  // one folder twice is one folder
  const std::string cause = "more than one plugin has the id dbsa.retriever.all: " + first +
                            " and " + second + "; remove all but one";
  EXPECT_EQ(registry.find(DBSA_KIND_RETRIEVER, "all").error().message, cause);
  EXPECT_EQ(registry.find(DBSA_KIND_RETRIEVER, "dbsa.retriever.all").error().message, cause);
  ASSERT_EQ(registry.failed().size(), 2u);
  EXPECT_EQ(registry.failed()[1].path, second);
  ASSERT_EQ(registry.shadowed().size(), 1u);  // which of the first two was meant is not known
  EXPECT_EQ(registry.shadowed()[0].path, later);
  EXPECT_TRUE(registry.find(DBSA_KIND_RETRIEVER, "bm25").ok());
}

TEST_F(Registry, UsesTheFirstFoldersCopy) {
  const std::string used = add("mine/own", "dbsa.retriever.all", "retriever");
  const std::string second = add("theirs/all", "dbsa.retriever.all", "retriever");
  const std::string third = add("theirs/copy", "dbsa.retriever.all", "retriever");
  add("theirs/bm25", "dbsa.retriever.bm25", "retriever");
  const PluginRegistry registry =
      discover({(folder_ / "mine").string(), (folder_ / "theirs").string()});
  EXPECT_EQ((*registry.find(DBSA_KIND_RETRIEVER, "all"))->path, used);
  EXPECT_EQ((*registry.find(DBSA_KIND_RETRIEVER, "dbsa.retriever.all"))->path, used);
  EXPECT_TRUE(registry.find(DBSA_KIND_RETRIEVER, "bm25").ok());
  EXPECT_EQ(registry.manifests().size(), 2u);
  EXPECT_TRUE(registry.failed().empty());
  ASSERT_EQ(registry.shadowed().size(), 2u);
  EXPECT_EQ(registry.shadowed()[0].id, "dbsa.retriever.all");
  EXPECT_EQ(registry.shadowed()[0].path, second);
  EXPECT_EQ(registry.shadowed()[0].used, used);
  EXPECT_EQ(registry.shadowed()[1].path, third);
  const PluginRegistry other =
      discover({(folder_ / "theirs").string(), (folder_ / "mine").string()});
  EXPECT_FALSE(other.find(DBSA_KIND_RETRIEVER, "all").ok());
}

// Whoever looks there first wants that one, not what happens to lie behind it.
TEST_F(Registry, AManifestThatCannotBeUsedStillStandsFirst) {
  const std::string behind = add("theirs/dbsa_retriever_all", "dbsa.retriever.all", "retriever");
  const auto said = [&](const std::string& file, const std::string& text) {
    fs::remove_all(folder_ / "mine");
    fs::create_directory(folder_ / "mine");
    std::ofstream(folder_ / "mine" / file) << text;
    const PluginRegistry registry =
        discover({(folder_ / "mine").string(), (folder_ / "theirs").string()});
    EXPECT_EQ(registry.failed().size(), 1u);
    const auto found = registry.find(DBSA_KIND_RETRIEVER, "all");
    return found.ok() ? (*found)->path : found.error().message;
  };
  const std::string mine = (folder_ / "mine").string();
  // Known by its id, or, where that cannot be read, by its name.
  EXPECT_TRUE(said("x.plugin.toml", "id = \"dbsa.retriever.all\"\nkind = 3\n")
                  .starts_with(mine + "/x.plugin.toml, which is looked for before " + behind +
                               ", cannot be used: " + mine + "/x.plugin.toml:1:1: revision: "));
  EXPECT_TRUE(said("dbsa_retriever_all.plugin.toml", "id = ")
                  .starts_with(mine +
                               "/dbsa_retriever_all.plugin.toml, which is looked for before " +
                               behind + ", cannot be used: "));
  EXPECT_EQ(said("other.plugin.toml", "id = "), behind);
}

TEST_F(Registry, AShortNameMeansOurs) {
  add("one", "dbsa.retriever.all", "retriever");
  const std::string strange = add("two", "org.retriever.all", "retriever");
  add("three", "dbsa.own.all", "retriever");  // begins like ours and is none
  const PluginRegistry registry = discover({folder_.string()});
  EXPECT_EQ((*registry.find(DBSA_KIND_RETRIEVER, "all"))->id, "dbsa.retriever.all");
  const auto other = registry.find(DBSA_KIND_RETRIEVER, "org.retriever.all");
  ASSERT_TRUE(other.ok());
  EXPECT_EQ((*other)->path, strange);
  EXPECT_EQ(registry.name_of(**other), "org.retriever.all");
  EXPECT_EQ(registry.name_of(**registry.find(DBSA_KIND_RETRIEVER, "all")), "all");
  EXPECT_TRUE(registry.find(DBSA_KIND_RETRIEVER, "alll")
                  .error()
                  .message.starts_with("no retriever plugin \"alll\"; did you mean \"all\"? "
                                       "available: dbsa.own.all, all, org.retriever.all; "));
}

TEST_F(Registry, AShortNameOfOneStrangerMeansThatOne) {
  add("one", "org.retriever.fast", "retriever");
  add("two", "org.mask_pattern.fast", "mask_pattern");
  const PluginRegistry registry = discover({folder_.string()});
  EXPECT_EQ((*registry.find(DBSA_KIND_RETRIEVER, "fast"))->id, "org.retriever.fast");
  EXPECT_EQ(registry.meant(0, "fast"),
            (std::vector<std::string>{"org.mask_pattern.fast", "org.retriever.fast"}));
}

TEST_F(Registry, AsksForTheIdWhereANameIsNotEnough) {
  add("one", "acme.retriever.all", "retriever");
  add("two", "org.retriever.all", "retriever");
  add("three", "team.search.all", "retriever");
  const PluginRegistry registry = discover({folder_.string()});
  EXPECT_EQ(registry.find(DBSA_KIND_RETRIEVER, "all").error().message,
            "\"all\" may be acme.retriever.all, org.retriever.all or team.search.all; write the "
            "full id");
  EXPECT_TRUE(registry.find(DBSA_KIND_RETRIEVER, "org.retriever.all").ok());
}

// Ours that cannot be used is not replaced by a stranger's in silence.
TEST_F(Registry, ARefusedPluginOfOursIsStillMeant) {
  add("x/one", "dbsa.retriever.all", "retriever");
  add("x/two", "dbsa.retriever.all", "retriever");
  add("x/three", "org.retriever.all", "retriever");
  const PluginRegistry registry = discover({(folder_ / "x").string()});
  EXPECT_TRUE(registry.find(DBSA_KIND_RETRIEVER, "all")
                  .error()
                  .message.starts_with("more than one plugin has the id dbsa.retriever.all: "));
  EXPECT_TRUE(registry.find(DBSA_KIND_RETRIEVER, "org.retriever.all").ok());
}

// A name of any kind, as `inspect` takes.
TEST_F(Registry, AShortNameOfAnyKindMeansOurs) {
  add("a", "dbsa.mask_pattern.self", "mask_pattern");
  add("b", "acme.retriever.self", "retriever");
  const PluginRegistry registry = discover({folder_.string()});
  const auto found = registry.find(0, "self");
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ((*found)->id, "dbsa.mask_pattern.self");
  EXPECT_EQ((*registry.find(DBSA_KIND_RETRIEVER, "self"))->id, "acme.retriever.self");
}

// Its id shows in its text though it is no TOML.
TEST_F(Registry, AManifestWithASyntaxErrorStillStandsFirst) {
  const std::string mine = (folder_ / "mine").string(), behind = (folder_ / "behind").string();
  std::ofstream(add("mine/other_name", "dbsa.retriever.all", "retriever"), std::ios::app)
      << "licence == 3\n";
  add("behind/dbsa_retriever_all", "dbsa.retriever.all", "retriever");
  const auto found = discover({mine, behind}).find(DBSA_KIND_RETRIEVER, "all");
  ASSERT_FALSE(found.ok());
  EXPECT_TRUE(found.error().message.starts_with(
      mine + "/other_name.plugin.toml, which is looked for before " + behind +
      "/dbsa_retriever_all.plugin.toml, cannot be used: "))
      << found.error().message;
}

TEST_F(Registry, SaysWhyAPluginIsRefusedByItsIdAndByItsName) {
  std::ofstream(add("x", "acme.retriever.lengths", "retriever"), std::ios::app) << "odd = 1\n";
  const PluginRegistry registry = discover({folder_.string()});
  for (const char* name : {"lengths", "acme.retriever.lengths"}) {
    const auto found = registry.find(DBSA_KIND_RETRIEVER, name);
    ASSERT_FALSE(found.ok());
    EXPECT_NE(found.error().message.find("; refused: " + folder_.string() + "/x.plugin.toml:8:1"),
              std::string::npos)
        << found.error().message;
  }
  EXPECT_TRUE(registry.find(DBSA_KIND_RETRIEVER, "bm25")
                  .error()
                  .message.ends_with("; 1 manifest was refused: `dbsa-pipe inspect --failed` says "
                                     "why"));
}

TEST_F(Registry, NamesEveryPlaceSearched) {
  const PluginRegistry registry = discover({folder_.string(), (folder_ / "none").string()});
  EXPECT_EQ(registry.find(DBSA_KIND_RETRIEVER, "all").error().message,
            "no retriever plugin \"all\"; available: none; searched: " + folder_.string() +
                " (0 manifests), " + (folder_ / "none").string() + " (no such folder)");
  EXPECT_EQ(registry.find(DBSA_KIND_RETRIEVER, "all").error().code, ErrorCode::kPlugin);
  EXPECT_EQ(discover({}).find(DBSA_KIND_RETRIEVER, "all").error().message,
            "no retriever plugin \"all\"; available: none; no folder was searched");
}

TEST_F(Registry, SearchesInOrder) {
  const std::string option = (folder_ / "option").string();
  const std::string first = (folder_ / "first").string();
  const std::string second = (folder_ / "second").string();
  ASSERT_EQ(setenv("DBSA_PLUGIN_PATH", (first + "::" + second + ":" + option).c_str(), 1), 0);
  const std::vector<std::string> folders = plugin_search_path({&option, 1});
  ASSERT_EQ(unsetenv("DBSA_PLUGIN_PATH"), 0);
  ASSERT_GE(folders.size(), 4u);
  EXPECT_EQ(folders[0], option);
  EXPECT_EQ(folders[1], first);
  EXPECT_EQ(folders[2], second);
  // Beside the program: <build>/tests/../lib/dbsa/plugins.
  EXPECT_EQ(folders[3], fs::weakly_canonical(fs::path(DBSA_BINARY_DIR) / "lib/dbsa/plugins"));
}

TEST_F(Registry, HashesTheLibraryFile) {
  add("one", "dbsa.retriever.all", "retriever");
  const PluginRegistry registry = discover({folder_.string()});
  Manifest manifest = registry.manifests().front();
  EXPECT_EQ(plugin_file_hash(manifest).error().message,
            (folder_ / "one.so").string() + ": cannot be opened: No such file or directory");
  std::ofstream(folder_ / "one.so").close();
  // XXH3-128 of nothing.
  EXPECT_EQ(plugin_file_hash(manifest).value(), "99aa06d3014798d86001c324468d497f");
  std::ofstream(folder_ / "one.so") << std::string(200000, 'x');
  const std::string hash = plugin_file_hash(manifest).value();
  std::ofstream(folder_ / "one.so") << std::string(199999, 'x') + "y";
  EXPECT_NE(plugin_file_hash(manifest).value(), hash);
  EXPECT_EQ(hash.size(), 32u);
}

}  // namespace
}  // namespace dbsa::host
