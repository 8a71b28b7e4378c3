#include "host/describe.h"

#include <gtest/gtest.h>

#include "config/toml_document.h"

namespace dbsa::host {
namespace {

Manifest bm25() {
  return *parse_manifest(R"(id = "dbsa.retriever.bm25"
kind = "retriever"
revision = 1
version = "0.1.0"
summary = "Ranks by shared terms\nand more"
licence = "Apache-2.0"
abi = "0.2"
[config.k1]
type = "number"
default = 1.2
minimum = 0
maximum = 10
description = "Saturation of a term's count"
[config.stemmer]
type = "string"
default = "porter"
enum = ["porter", "none"]
description = "Stemmer of English words"
[config.word_list]
type = "string"
format = "path"
unit = "words | lines"
affects = "speed"
description = "Words to leave out"
)",
                         "p/dbsa_retriever_bm25.plugin.toml");
}

TEST(Describe, MakesATableForAPipelineFile) {
  const std::string toml = config_toml(bm25());
  EXPECT_EQ(toml, R"([retriever]
# Ranks by shared terms and more
plugin = "bm25"
# A block's score from those of its demonstrations (unit = "demonstration"); one that is not ranked counts as 0 in mean and sum. string, "max" | "mean" | "sum"
block_score = "max"
# What is indexed: whole demonstrations as in the prompt, or only inputs. string, "demonstration" | "text"
text = "demonstration"
# What is ranked: whole blocks, or single demonstrations whose scores then make their block's. string, "block" | "demonstration"
unit = "block"
# Saturation of a term's count. number, >= 0, <= 10
k1 = 1.2
# Stemmer of English words. string, "porter" | "none"
stemmer = "porter"
# Words to leave out; does not affect results. path [words | lines], required
word_list = ""
)");
  EXPECT_TRUE(TomlDocument::parse(toml, "a.toml").ok());
}

// A short name may mean one of ours.
TEST(Describe, ATableOfAStrangersPluginNamesItsId) {
  Manifest stranger = bm25();
  stranger.id = "acme.retriever.bm25";
  EXPECT_NE(config_toml(stranger).find("plugin = \"acme.retriever.bm25\"\n"), std::string::npos);
}

// A table of a stage's table ends it, so it comes last wherever its key stands.
TEST(Describe, MakesTablesOfInnerPlugins) {
  const Manifest fused = *parse_manifest(R"(id = "dbsa.retriever.fused"
kind = "retriever"
revision = 1
version = "0.1.0"
summary = "Two as one"
licence = "Apache-2.0"
abi = "0.2"
[config.first]
type = "object"
format = "retriever"
description = "A retriever"
[config.weight]
type = "number"
default = 0.5
description = "Of the first"
)",
                                         "p/fused.plugin.toml");
  const std::string toml = config_toml(fused);
  EXPECT_TRUE(toml.ends_with(R"(# Of the first. number
weight = 0.5

# A retriever. retriever, required
[retriever.first]
plugin = "bm25"
)")) << toml;
  const auto parsed = TomlDocument::parse(toml, "a.toml");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->json().at("retriever").at("first").dump(), R"({"plugin":"bm25"})");
}

TEST(Describe, GivesMachinesEverything) {
  const nlohmann::json out = describe_plugin(bm25());
  EXPECT_EQ(out.at("id"), "dbsa.retriever.bm25");
  EXPECT_EQ(out.at("name"), "bm25");
  EXPECT_EQ(out.at("kind"), "retriever");
  EXPECT_EQ(out.at("abi"), "0.2");
  EXPECT_EQ(out.at("config").at("required").dump(), "[\"word_list\"]");
  EXPECT_EQ(out.at("library"), "p/dbsa_retriever_bm25.so");
}

}  // namespace
}  // namespace dbsa::host
