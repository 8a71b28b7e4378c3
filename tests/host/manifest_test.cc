#include "host/manifest.h"

#include <dbsa/plugin.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>

#include "host/store_keys.h"

namespace dbsa::host {
namespace {

constexpr const char* kHead = R"(id = "dbsa.retriever.bm25"
kind = "retriever"
revision = 3
version = "0.1.0"
summary = "Ranks by shared terms"
licence = "Apache-2.0"
abi = "0.2"
)";

std::string faults_of(const std::string& text) {
  const auto manifest = parse_manifest(text, "p/x.plugin.toml");
  return manifest.ok() ? "accepted" : manifest.error().message;
}

TEST(Manifest, HasAllFields) {
  const auto manifest = parse_manifest(std::string(kHead) + R"(
[needs]
libraries = ["libx.so.1"]
cuda = true
[config.k1]
type = "number"
default = 1
minimum = 0
description = "Saturation"
[config.b]
type = "number"
description = "Length"
)",
                                       "p/dbsa_retriever_bm25.plugin.toml");
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->id, "dbsa.retriever.bm25");
  EXPECT_EQ(manifest->short_name(), "bm25");
  EXPECT_EQ(manifest->kind, uint32_t{DBSA_KIND_RETRIEVER});
  EXPECT_EQ(manifest->revision, 3u);
  EXPECT_EQ(manifest->abi_major, 0u);
  EXPECT_EQ(manifest->abi_minor, 2u);
  EXPECT_EQ(manifest->needs_libraries, std::vector<std::string>{"libx.so.1"});
  EXPECT_TRUE(manifest->needs_cuda);
  EXPECT_EQ(manifest->library_path, "p/dbsa_retriever_bm25.so");
  EXPECT_EQ(manifest->config_keys, (std::vector<std::string>{"k1", "b"}));
  EXPECT_EQ(manifest->config_schema.dump(),
            R"({"additionalProperties":false,"properties":{)"
            R"("b":{"description":"Length","type":"number"},)"
            R"("k1":{"default":1.0,"description":"Saturation","minimum":0,"type":"number"}},)"
            R"("required":["b"],"type":"object"})");
}

TEST(Manifest, NeedsOnlyAHead) {
  const auto manifest = parse_manifest(kHead, "x.plugin.toml");
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_TRUE(manifest->config_keys.empty());
  EXPECT_FALSE(manifest->needs_cuda);
  EXPECT_TRUE(manifest->needs_libraries.empty());
}

TEST(Manifest, SaysAllThatIsWrong) {
  EXPECT_EQ(faults_of("id = \"bm25\"\nkind = \"retreiver\"\nrevision = 0\nversion = \"\"\n"
                      "licence = 3\nabi = \"new\"\nauthor = \"me\"\n"),
            "p/x.plugin.toml:1:1: summary: is required\n"
            "p/x.plugin.toml:1:1: id: must be three or more names joined by dots, like "
            "dbsa.retriever.bm25, got \"bm25\"\n"
            "p/x.plugin.toml:2:1: kind: must be one of \"block_grouper\", \"mask_pattern\", "
            "\"retriever\", \"kv_store\", \"attention_backend\", got \"retreiver\"; did you mean "
            "\"retriever\"?\n"
            "p/x.plugin.toml:3:1: revision: must be >= 1, got 0\n"
            "p/x.plugin.toml:4:1: version: must not be empty\n"
            "p/x.plugin.toml:5:1: licence: must be a string, got an integer 3\n"
            "p/x.plugin.toml:6:1: abi: must be major.minor, like 0.1, got \"new\"\n"
            "p/x.plugin.toml:7:1: unknown key \"author\"");
}

TEST(Manifest, ChecksEachKey) {
  const auto with_key = [](const std::string& lines) {
    return faults_of(kHead + ("[config.k1]\ndescription = \"Saturation\"\n" + lines));
  };
  EXPECT_EQ(with_key("type = \"number\"\ndefault = \"x\"\n"),
            "p/x.plugin.toml:11:1: config.k1.default: must be a number, got a string \"x\"");
  EXPECT_EQ(with_key("type = \"integer\"\nminimum = 1\ndefault = 0\n"),
            "p/x.plugin.toml:12:1: config.k1.default: must be >= 1, got 0");
  EXPECT_EQ(with_key("type = \"string\"\nenum = [\"a\", \"b\"]\ndefault = \"c\"\n"),
            "p/x.plugin.toml:12:1: config.k1.default: must be one of \"a\", \"b\", got \"c\"");
  EXPECT_EQ(with_key("type = \"float\"\n"),
            "p/x.plugin.toml:10:1: config.k1.type: must be one of \"integer\", \"number\", "
            "\"string\", \"boolean\", \"object\", got \"float\"");
  EXPECT_EQ(with_key("type = \"number\"\nminimun = 1\n"),
            "p/x.plugin.toml:11:1: config.k1: unknown key \"minimun\"; did you mean \"minimum\"?");
  EXPECT_EQ(with_key("type = \"number\"\nminimum = 2\nmaximum = 1\n"),
            "p/x.plugin.toml:12:1: config.k1.maximum: must be >= minimum 2, got 1");
  EXPECT_EQ(with_key("type = \"boolean\"\nminimum = 2\nformat = \"path\"\n"),
            "p/x.plugin.toml:11:1: config.k1.minimum: is for numbers, the key is a boolean\n"
            "p/x.plugin.toml:12:1: config.k1.format: is for strings, the key is a boolean");
  EXPECT_EQ(faults_of(std::string(kHead) + "[config.k1]\ndefault = 1\n"),
            "p/x.plugin.toml:8:9: config.k1.type: is required\n"
            "p/x.plugin.toml:8:9: config.k1.description: is required");
}

TEST(Manifest, ATableIsThatOfAPlugin) {
  const auto with_key = [](const std::string& lines) {
    return faults_of(kHead + ("[config.first]\ndescription = \"One\"\n" + lines));
  };
  const std::string rule =
      "a key of type object takes a plugin's table: format = \"retriever\"; no other key does";
  EXPECT_EQ(with_key("type = \"object\"\nformat = \"retriever\"\n"), "accepted");
  EXPECT_EQ(with_key("type = \"object\"\n"), "p/x.plugin.toml:10:1: config.first.type: " + rule);
  EXPECT_EQ(
      with_key("type = \"object\"\nformat = \"path\"\n"),
      "p/x.plugin.toml:10:1: config.first.type: " + rule +
          "\np/x.plugin.toml:11:1: config.first.format: is for strings, the key is an object");
  EXPECT_EQ(with_key("type = \"string\"\nformat = \"retriever\"\n"),
            "p/x.plugin.toml:11:1: config.first.format: " + rule);
  EXPECT_EQ(with_key("type = \"object\"\nformat = \"retriever\"\n[config.first.default]\n"
                     "plugin = \"bm25\"\n")
                .find("config.first.default: "),
            23u);
}

TEST(Manifest, SaysWhatAKeyAffects) {
  const std::string key = "type = \"integer\"\ndefault = 1\ndescription = \"x\"\n";
  const auto manifest =
      parse_manifest(kHead + ("[config.threads]\naffects = \"speed\"\n" + key + "[config.k1]\n" +
                              key + "[config.b]\naffects = \"results\"\n" + key +
                              "[config.first]\ntype = \"object\"\nformat = \"retriever\"\n"
                              "description = \"x\"\n"),
                     "x.plugin.toml");
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_FALSE(manifest->affects_results("/threads"));
  EXPECT_TRUE(manifest->affects_results("/k1"));
  EXPECT_TRUE(manifest->affects_results("/b"));
  EXPECT_TRUE(manifest->affects_results("/first/threads"));
  EXPECT_TRUE(manifest->affects_results("/none"));

  const auto with_key = [](const std::string& lines) {
    return faults_of(kHead + ("[config.k1]\ndescription = \"Saturation\"\n" + lines));
  };
  EXPECT_EQ(with_key("type = \"number\"\naffects = \"sped\"\n"),
            "p/x.plugin.toml:11:1: config.k1.affects: must be one of \"results\", \"speed\", got "
            "\"sped\"; did you mean \"speed\"?");
  EXPECT_EQ(with_key("type = \"number\"\naffects = false\n"),
            "p/x.plugin.toml:11:1: config.k1.affects: must be a string, got a boolean false");
  EXPECT_EQ(with_key("type = \"object\"\nformat = \"retriever\"\naffects = \"speed\"\n"),
            "p/x.plugin.toml:12:1: config.k1.affects: is not for tables");
}

// What is left out of the identity of results: one more key here is a decision.
TEST(Manifest, FewKeysOfOurPluginsAffectSpeedOnly) {
  std::vector<std::string> speed;
  const std::filesystem::path plugins = std::filesystem::path(DBSA_SOURCE_DIR) / "plugins";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(plugins)) {
    if (entry.path().filename() != "plugin.toml") continue;
    const auto manifest = load_manifest(entry.path().string());
    ASSERT_TRUE(manifest.ok()) << manifest.error().message;
    for (const std::string& key : manifest->config_keys)
      if (!manifest->affects_results("/" + key)) speed.push_back(manifest->id + " " + key);
  }
  EXPECT_THAT(speed,
              testing::UnorderedElementsAre(
                  "dbsa.attention_backend.cpu instructions",
                  "dbsa.attention_backend.cuda memory_gib", "dbsa.kv_store.hdf5 max_bytes",
                  "dbsa.kv_store.hdf5 pack_bytes", "dbsa.kv_store.hdf5 path",
                  "dbsa.kv_store.hdf5 publish_interval_s", "dbsa.kv_store.memory max_bytes"));
}

TEST(Manifest, RolesAreForKeysOfTheirTypeAndKind) {
  const auto said = [](std::string kind, const std::string& key) {
    std::string text = kHead;
    text.replace(text.find("\"retriever\""), 11, "\"" + kind + "\"");
    return faults_of(text + key + "description = \"x\"\n");
  };
  const std::string location = "role = \"location\"\n", bound = "role = \"bound\"\n";
  EXPECT_EQ(said("kv_store", "[config.where]\ntype = \"string\"\n" + location), "accepted");
  EXPECT_EQ(said("kv_store", "[config.most]\ntype = \"integer\"\n" + bound), "accepted");
  EXPECT_EQ(said("retriever", "[config.draw]\ntype = \"integer\"\nrole = \"seed\"\n"), "accepted");
  EXPECT_EQ(said("kv_store", "[config.where]\ntype = \"integer\"\n" + location),
            "p/x.plugin.toml:10:1: config.where.role: is for strings, the key is an integer");
  EXPECT_EQ(said("kv_store", "[config.most]\ntype = \"string\"\n" + bound),
            "p/x.plugin.toml:10:1: config.most.role: is for integers, the key is a string");
  EXPECT_EQ(said("retriever", "[config.draw]\ntype = \"number\"\nrole = \"seed\"\n"),
            "p/x.plugin.toml:10:1: config.draw.role: is for integers, the key is a number");
  EXPECT_EQ(
      said("retriever", "[config.where]\ntype = \"string\"\n" + location),
      "p/x.plugin.toml:10:1: config.where.role: is for keys of a kv_store, this is a retriever");
  EXPECT_EQ(said("kv_store", "[config.a]\ntype = \"string\"\n" + location +
                                 "description = \"x\"\n[config.b]\ntype = \"string\"\n" + location),
            "p/x.plugin.toml:14:1: config.b.role: two keys have it; a is the other one");
  EXPECT_EQ(
      said("kv_store", "[config.a]\ntype = \"string\"\nrole = \"folder\"\n"),
      "p/x.plugin.toml:10:1: config.a.role: must be one of \"location\", \"bound\", \"seed\", got "
      "\"folder\"");
  // A name means nothing.
  EXPECT_EQ(said("mask_pattern", "[config.anchor_blocks]\ntype = \"string\"\n"), "accepted");
  EXPECT_EQ(said("kv_store", "[config.path]\ntype = \"integer\"\n"), "accepted");
}

TEST(Manifest, RolesSayWhereAStoreKeepsBlocksAndWhatItsBoundIs) {
  std::string text = kHead;
  text.replace(text.find("\"retriever\""), 11, "\"kv_store\"");
  const auto keys_of = [&](const std::string& keys, const nlohmann::json& config) {
    const auto manifest = parse_manifest(text + keys, "x.plugin.toml");
    if (!manifest.ok()) throw std::runtime_error(manifest.error().message);
    return store_keys(manifest->roles, config);
  };
  const std::string folder =
      "[config.home]\ntype = \"string\"\nformat = \"path\"\nrole = \"location\"\n"
      "description = \"x\"\n[config.most]\ntype = \"integer\"\nrole = \"bound\"\n"
      "description = \"x\"\n";
  const StoreKeys kept = keys_of(folder, {{"home", "/s"}, {"most", 5}});
  EXPECT_TRUE(kept.keeps());
  EXPECT_TRUE(kept.is_folder);
  EXPECT_EQ(kept.location, "/s");
  EXPECT_EQ(kept.location_pointer, "/kv_store/home");
  EXPECT_EQ(kept.location_name(), "kv_store.home");
  EXPECT_EQ(kept.bound_name(), "kv_store.most");
  EXPECT_FALSE(keys_of(folder, {{"home", ""}, {"most", 5}}).keeps());
  const StoreKeys server =
      keys_of("[config.url]\ntype = \"string\"\nrole = \"location\"\ndescription = \"x\"\n",
              {{"url", "redis://a"}});
  EXPECT_TRUE(server.keeps());
  EXPECT_FALSE(server.is_folder);
  const StoreKeys memory =
      keys_of("[config.path]\ntype = \"string\"\nformat = \"path\"\ndescription = \"x\"\n",
              {{"path", "/s"}});
  EXPECT_FALSE(memory.keeps());
  EXPECT_EQ(memory.location_name(), "the store");
  EXPECT_EQ(memory.bound_name(), "its bound");
}

TEST(Manifest, KeepsTheFrameworksKeysFree) {
  const std::string key = "type = \"string\"\ndefault = \"\"\ndescription = \"x\"\n";
  EXPECT_EQ(faults_of(kHead + ("[config.text]\n" + key)),
            "p/x.plugin.toml:8:9: config.text: is the framework's own key of [retriever]; choose "
            "another name");
  EXPECT_EQ(faults_of(kHead + ("[config.plugin]\n" + key)),
            "p/x.plugin.toml:8:9: config.plugin: is the framework's own key of [retriever]; choose "
            "another name");
  EXPECT_EQ(faults_of(kHead + ("[config.block_size]\n" + key)), "accepted");
  EXPECT_EQ(faults_of(kHead + ("[config.\"K 1\"]\n" + key)),
            "p/x.plugin.toml:8:9: config.\"K 1\": a key is made of a-z, 0-9 and _");
}

TEST(Manifest, KnowsIds) {
  const auto with_id = [](const std::string& id) {
    std::string text = kHead;
    text.replace(text.find("dbsa.retriever.bm25"), 19, id);
    return faults_of(text);
  };
  for (const char* good : {"a.b.c", "org.team.retriever.my_bm25", "a1.b_.c"})
    EXPECT_EQ(with_id(good), "accepted") << good;
  for (const char* bad : {"a.b", "a..c", "a.b.", ".b.c", "A.b.c", "a.b.1c", "a.b.c-d", "a b.c.d"})
    EXPECT_EQ(with_id(bad),
              "p/x.plugin.toml:1:1: id: must be three or more names joined by dots, like "
              "dbsa.retriever.bm25, got \"" +
                  std::string(bad) + "\"");
}

}  // namespace
}  // namespace dbsa::host
