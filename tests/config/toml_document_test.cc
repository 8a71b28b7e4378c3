#include "config/toml_document.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/faults.h"

namespace dbsa {
namespace {

TomlDocument parsed(std::string_view text) {
  auto document = TomlDocument::parse(text, "a.toml");
  if (!document.ok()) ADD_FAILURE() << document.error().message;
  return document.ok() ? *std::move(document) : TomlDocument();
}

std::string message_of(std::string_view text) {
  const auto document = TomlDocument::parse(text, "a.toml");
  return document.ok() ? "accepted" : document.error().message;
}

TEST(TomlDocument, IsJsonWithPlaces) {
  const TomlDocument document = parsed(
      "[retriever]\n"
      "  k1 = 1.5\n"
      "  \"odd key\" = [1, 2]\n"
      "[a.b]\n"
      "c = { d = true }\n");
  EXPECT_EQ(document.json().dump(),
            R"({"a":{"b":{"c":{"d":true}}},"retriever":{"k1":1.5,"odd key":[1,2]}})");
  EXPECT_EQ(document.where("/retriever/k1"), "a.toml:2:3");
  EXPECT_EQ(document.where("/retriever"), "a.toml:1:2");
  EXPECT_EQ(document.where("/retriever/odd key/1"), "a.toml:3:19");
  EXPECT_EQ(document.where("/a/b/c/d"), "a.toml:5:7");
  // What is not there stands where its table does.
  EXPECT_EQ(document.where("/retriever/b"), "a.toml:1:2");
  EXPECT_EQ(document.where("/nothing/at/all"), "a.toml:1:1");
}

TEST(TomlDocument, KeepsNumbersExactly) {
  const TomlDocument document = parsed("a = 9223372036854775807\nb = 0.1\nc = -0.0\nd = 1e300\n");
  EXPECT_EQ(document.json().dump(), R"({"a":9223372036854775807,"b":0.1,"c":-0.0,"d":1e+300})");
}

TEST(TomlDocument, RefusesWhatIsNoToml) {
  EXPECT_EQ(message_of("k1 = = 2"),
            "a.toml:1:6: Error while parsing value: could not determine value type");
  EXPECT_EQ(message_of("x = 1\nx = 2"),
            "a.toml:2:5: Error while parsing key-value pair: cannot redefine existing integer 'x'");
  EXPECT_EQ(message_of("x = \"\xc3\x28\""), "a.toml:1:5: Encountered invalid utf-8 sequence");
  EXPECT_EQ(message_of("x = 10:30:00\ny = -inf"),
            "a.toml:1:1: x: must not be a date or time; write it as a string\n"
            "a.toml:2:1: y: must be a finite number");
}

TEST(TomlDocument, IsBounded) {
  EXPECT_EQ(message_of("# " + std::string(TomlDocument::kMaxBytes, 'x')),
            "a.toml: larger than 1048576 bytes");
  std::string dots = "a";
  for (int i = 0; i < 200000; ++i) dots += ".a";
  EXPECT_EQ(message_of("x = 1\n" + dots + " = 1"), "a.toml:2:130: a key has too many dots");
  EXPECT_EQ(message_of("[" + dots + "]"), "a.toml:1:131: a key has too many dots");
  EXPECT_EQ(message_of("x = {" + dots + " = 1}"), "a.toml:1:135: a key has too many dots");
  // Dots in texts, comments and lists of numbers are no matter.
  std::string numbers = "x = [";
  for (int i = 0; i < 200; ++i) numbers += "0.5, ";
  const std::string leader(300, '.');
  EXPECT_EQ(message_of(numbers + "]\n# " + leader + "\ny = \"" + leader + "\\\"" + leader +
                       "\"\nz = '" + leader + "'\nm = \"\"\"\n" + leader + "\n\"\" " + leader +
                       "\"\"\"\nn = '''" + leader + "'''\n"),
            "accepted");
}

// Letters outside ASCII belong only in strings and comments.
TEST(TomlDocument, KnowsNoLettersOutsideAscii) {
  EXPECT_EQ(message_of("\xef\xbb\xbf# \xc3\xa9\nx = \"\xc3\xa9\\\"\" # \xc3\xa9\n'\xc3\xa9' = 1\n"),
            "accepted");
  EXPECT_EQ(message_of("x = 1\ny\xc3\xa9 = 1"),
            "a.toml:2:2: Error while parsing key-value pair: expected '=', saw '\xc3\xa9'");
  // One from each range of the parser's tables.
  for (const char* letter : {"\xc2\xa1", "\xc3\xa9", "\xd1\x8e", "\xe1\x9a\x81", "\xe1\xa0\x8f",
                             "\xe2\x81\xa1", "\xe3\x80\x81", "\xef\xbb\xbe"}) {
    EXPECT_NE(message_of(letter), "accepted");
    EXPECT_NE(message_of(std::string("x = -\"") + letter), "accepted");
    EXPECT_NE(message_of(std::string("x") + letter + " = 1"), "accepted");
  }
}

TEST(TomlDocument, SaysWhyAFileCannotBeRead) {
  const auto folder = std::filesystem::temp_directory_path();
  EXPECT_EQ(TomlDocument::load("no/such.toml").error().message,
            "no/such.toml: cannot be opened: No such file or directory");
  EXPECT_EQ(TomlDocument::load("no/such.toml").error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(TomlDocument::load(folder.string()).error().message,
            folder.string() + ": expected a regular file, found a folder; name a regular file");
}

TEST(TomlDocument, TakesOverrides) {
  TomlDocument document = parsed("[selection]\nratio = 0.3\n[retriever]\nplugin = \"all\"\n");
  ASSERT_TRUE(document.set("selection.ratio", "0.5").ok());
  ASSERT_TRUE(document.set("retriever.plugin", "bm25").ok());
  ASSERT_TRUE(document.set("retriever.stemmer", "\"none\"").ok());
  ASSERT_TRUE(document.set("data.seed", "7").ok());
  ASSERT_TRUE(document.set("data.queries", "a b/2024-01-01.jsonl").ok());
  ASSERT_TRUE(document.set("data.text_field", "2024-01-01").ok());
  ASSERT_TRUE(document.set("prompt.bos", "true").ok());
  ASSERT_TRUE(document.set("prompt.tail", "1\nx = 2").ok());
  ASSERT_TRUE(document.set("decoding.stop", "[\"a, b\", '.']").ok());
  EXPECT_EQ(document.json().dump(),
            R"({"data":{"queries":"a b/2024-01-01.jsonl","seed":7,"text_field":"2024-01-01"},)"
            R"("decoding":{"stop":["a, b","."]},)"
            R"("prompt":{"bos":true,"tail":"1\nx = 2"},)"
            R"("retriever":{"plugin":"bm25","stemmer":"none"},"selection":{"ratio":0.5}})");
  EXPECT_EQ(document.where("/selection/ratio"), "--set selection.ratio");
  EXPECT_EQ(document.where("/retriever"), "a.toml:3:2");
  EXPECT_EQ(fault_line(document, "/data/seed", "must be odd"), "--set data.seed: must be odd");
}

TEST(TomlDocument, Erases) {
  TomlDocument document =
      parsed("[retriever]\nplugin = \"hybrid\"\n[retriever.first]\nk1 = 1\n[a]\n\"b/c\" = [1]\n");
  for (const char* absent : {"", "/retriever/k1", "/no/such", "/retriever/plugin/x", "/a/b~1c/0/x"})
    document.erase(absent);
  EXPECT_EQ(document.json().dump(),
            R"({"a":{"b/c":[1]},"retriever":{"first":{"k1":1},"plugin":"hybrid"}})");
  document.erase("/retriever/first");
  document.erase("/a/b~1c");
  EXPECT_EQ(document.json().dump(), R"({"a":{},"retriever":{"plugin":"hybrid"}})");
  EXPECT_EQ(document.where("/retriever/first/k1"), "a.toml:1:2") << "of the nearest table";
  EXPECT_FALSE(document.contains("/retriever/first/k1"));
  EXPECT_TRUE(document.contains("/retriever/plugin"));
}

TEST(TomlDocument, RefusesBadOverrides) {
  TomlDocument document = parsed("[selection]\nratio = 0.3\n");
  EXPECT_EQ(document.set("selection..ratio", "1").error().message,
            "--set selection..ratio: the key must be names joined by dots, like selection.ratio");
  EXPECT_EQ(document.set("", "1").error().message,
            "--set : the key must be names joined by dots, like selection.ratio");
  EXPECT_EQ(document.set("selection.ratio.deep", "1").error().message,
            "--set selection.ratio.deep: selection.ratio is not a table");
  EXPECT_EQ(document.set("a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a", "1").error().message,
            "--set a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a: the key has too many dots");
  EXPECT_EQ(document.set("prompt.tail", "\xff").error().message,
            "--set: the key and the value must be UTF-8 text");
}

TEST(TomlDocument, MadeFromJsonHasANameAndNoLines) {
  auto document = TomlDocument::from_json({{"selection", {{"ratio", 2}}}}, "a cell", "/x/y");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(document->directory(), "/x/y");
  EXPECT_EQ(document->where("/selection/ratio"), "a cell");
  EXPECT_EQ(fault_line(*document, "/selection/ratio", "is high"),
            "a cell: selection.ratio: is high");
  ASSERT_TRUE(document->set("selection.ratio", "3").ok());
  EXPECT_EQ(document->where("/selection/ratio"), "--set selection.ratio");
  EXPECT_EQ(TomlDocument::from_json({1}, "r.json", "").error().message,
            "r.json: must be a table, got an array");
  nlohmann::json deep = 1;
  for (int i = 0; i < 100; ++i) deep = {{"a", std::move(deep)}};
  EXPECT_EQ(TomlDocument::from_json(deep, "r.json", "").error().message,
            "r.json: is nested more than 16 levels deep");
}

TEST(Faults, StandInTheOrderOfTheFile) {
  TomlDocument document = parsed("x = 1\n[b]\ny = 2\n[a]\nz = 3\n");
  ASSERT_TRUE(document.set("q", "1").ok());
  Faults faults;
  faults.add("/q", "fourth");
  faults.add("/a/z", "third");
  faults.add("/b/y", "second", ErrorCode::kEnvironment);
  faults.add("/x", "first");
  faults.add("/x", "first");  // said once
  EXPECT_EQ(faults.lines(document),
            (std::vector<std::string>{"a.toml:1:1: x: first", "a.toml:3:1: b.y: second",
                                      "a.toml:5:1: a.z: third", "--set q: fourth"}));
  EXPECT_EQ(faults.status(document).error().code, ErrorCode::kConfig);
  Faults missing;
  missing.add("/b/y", "second", ErrorCode::kEnvironment);
  EXPECT_EQ(missing.status(document).error().code, ErrorCode::kEnvironment);
  EXPECT_TRUE(Faults().status(document).ok());
}

}  // namespace
}  // namespace dbsa
