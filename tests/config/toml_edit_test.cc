#include "config/toml_edit.h"

#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "config/toml_document.h"
#include "config/toml_writer.h"

namespace dbsa {
namespace {

using nlohmann::json;

std::string edited(const std::string& text, const std::vector<TomlEdit>& edits) {
  return edit_toml(text, edits).value_or("NOTHING");
}

TEST(EditToml, ReplacesAValueAndKeepsItsComment) {
  EXPECT_EQ(edited("# mine\n[selection]\n  ratio = 0.3   # a share\norder = \"index\"\n",
                   {{"selection.ratio", 0.5, {"was 0.3", "better"}}}),
            "# mine\n[selection]\n  # was 0.3\n  # better\n  ratio = 0.5   # a share\n"
            "order = \"index\"\n");
  EXPECT_EQ(edited("[a]\nb = 'x # y'\n", {{"a.b", "z\"", {}}}), "[a]\nb = \"z\\\"\"\n");
  EXPECT_EQ(edited("[a]\n\"b\"=\"\\\"\"", {{"a.b", 1, {}}}), "[a]\n\"b\"=1");
}

TEST(EditToml, ReplacesInBracesAndDottedKeys) {
  EXPECT_EQ(edited("a = { b = 1, c = 2 }\n", {{"a.b", 7, {"n"}}}), "# n\na = { b = 7, c = 2 }\n");
  EXPECT_EQ(edited("a.b = 1\na.c = 2\n", {{"a.c", 7, {}}}), "a.b = 1\na.c = 7\n");
  EXPECT_EQ(edited("\"é\" = { x = \"ö\" }\na = 1\n", {{"é.x", "u", {}}}),
            "\"é\" = { x = \"u\" }\na = 1\n");
}

TEST(EditToml, InsertsBelowTheHeader) {
  EXPECT_EQ(edited("[a] # first\nb = 1\n", {{"a.c", true, {"why"}}}),
            "[a] # first\n# why\nc = true\nb = 1\n");
  EXPECT_EQ(edited("[a]", {{"a.c", 1, {}}}), "[a]\nc = 1\n");
  EXPECT_EQ(edited("[a]\nb = 1", {{"d.c", 1, {"new"}}}), "[a]\nb = 1\n\n[d]\n# new\nc = 1\n");
  EXPECT_EQ(edited("[a]\r\nb = 1\r\n", {{"a.c", 1, {"w"}}}), "[a]\r\n# w\r\nc = 1\r\nb = 1\r\n");
}

TEST(EditToml, CommentsAKeyOut) {
  EXPECT_EQ(edited("[a]\nb = 1 # x\nc = 2\n", {{"a.b", {}, {"not wanted"}}}),
            "[a]\n# not wanted\n# b = 1 # x\nc = 2\n");
  EXPECT_EQ(edited("[a]\nb = 1\n", {{"a.c", {}, {}}}), "[a]\nb = 1\n");
}

TEST(EditToml, GivesUpWhereItCannotFollow) {
  EXPECT_EQ(edited("a = { b = 1 }\n", {{"a.c", 2, {}}}), "NOTHING");
  EXPECT_EQ(edited("a = { b = 1, c = 2 }\n", {{"a.b", {}, {}}}), "NOTHING");
  EXPECT_EQ(edited("[a]\nb = \"\"\"x\ny\"\"\"\n", {{"a.b", 2, {}}}), "NOTHING");
  EXPECT_EQ(edited("[a]\nb = [\n1,\n2]\n", {{"a.b", {}, {}}}), "NOTHING");
  EXPECT_EQ(edited("a = 1\n", {{"a.b", 2, {}}}), "NOTHING");
  // A header inside a text is none.
  EXPECT_EQ(edited("[b]\nc = '''\n[a]\n'''\n[a]\nd = 1\n", {{"a.e", 2, {}}}), "NOTHING");
}

// What comes out holds the file's values with the edit.
TEST(EditToml, IsRightForWhatTheWriterWrites) {
  const uint32_t seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  for (int i = 0; i < 300; ++i) {
    json file = json::object();
    for (const char* table : {"a", "b", "c"})
      for (const char* key : {"x", "y", "z"})
        if (random() % 2 == 0)
          file[table][key] = random() % 2 == 0 ? json(static_cast<int>(random() % 100))
                                               : json(std::string(random() % 3, '#') + "\"\\");
    const std::string table(1, static_cast<char>('a' + random() % 3));
    const std::string key(1, static_cast<char>('x' + random() % 3));
    json wanted = file;
    wanted[table][key] = "new";
    const std::vector<TomlEdit> edits = {{table + "." + key, "new", {"comment"}}};
    const std::optional<std::string> text = edit_toml(to_toml(file), edits);
    ASSERT_TRUE(text) << to_toml(file);
    const Result<TomlDocument> read = TomlDocument::parse(*text, "a.toml");
    ASSERT_TRUE(read.ok()) << *text;
    EXPECT_EQ(read->json(), wanted) << *text;
  }
}

}  // namespace
}  // namespace dbsa
