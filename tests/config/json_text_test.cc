// parse_json: nesting is bounded, and what is wrong is told apart.
#include "config/json_text.h"

#include <gtest/gtest.h>

#include <string>

namespace dbsa {
namespace {

using nlohmann::json;
using Kind = JsonFault::Kind;

std::string nested(int levels, const std::string& open, const std::string& close) {
  std::string text;
  for (int i = 0; i < levels; ++i) text += open;
  text += "1";
  for (int i = 0; i < levels; ++i) text += close;
  return text;
}

TEST(JsonText, SixtyFourLevelsAreTaken) {
  for (const auto& [open, close] : {std::pair("[", "]"), std::pair("{\"a\":", "}")})
    for (const std::string_view dropped : {"", "b"}) {
      json value;
      EXPECT_FALSE(parse_json(nested(64, open, close), value, dropped));
      EXPECT_EQ(value.dump(), nested(64, open, close));
      for (const int levels : {65, 50000}) {
        const auto fault = parse_json(nested(levels, open, close), value, dropped);
        ASSERT_TRUE(fault) << levels;
        EXPECT_EQ(fault->kind, Kind::kTooDeep);
      }
      EXPECT_EQ(parse_json(std::string(1 << 20, '['), value, dropped)->kind, Kind::kTooDeep);
    }
  nlohmann::ordered_json ordered;
  EXPECT_EQ(parse_json(nested(65, "[", "]"), ordered)->kind, Kind::kTooDeep);
}

TEST(JsonText, BracketsBesideEachOtherAreNotDeep) {
  std::string row = "{\"text\":\"" + std::string(100, '[') + "\",\"list\":[";
  for (int i = 0; i < 1000; ++i) row += i == 0 ? "[{}]" : ",[{}]";
  json value;
  EXPECT_FALSE(parse_json(row + "]}", value));
  EXPECT_EQ(value.at("list").size(), 1000u);
}

TEST(JsonText, SaysWhatIsWrong) {
  json value = 7;
  const auto fault = [&](const std::string& text) { return *parse_json(text, value); };
  EXPECT_EQ(fault("").kind, Kind::kSyntax);
  EXPECT_EQ(fault("").byte, 1u);
  EXPECT_EQ(fault("{\"a\": nul}").byte, 10u);
  EXPECT_EQ(fault("[1] 2").byte, 5u);
  EXPECT_EQ(fault("\"\xff\"").kind, Kind::kSyntax);
  EXPECT_EQ(fault("[1e999]").kind, Kind::kOutOfRange);
  EXPECT_EQ(value, 7);  // stays as it was
}

TEST(JsonText, LeavesOutAMemberButReadsIt) {
  json value;
  EXPECT_FALSE(parse_json(R"({"a": {"q": 1}, "q": [1, {"a": 2}], "b": 3})", value, "q"));
  EXPECT_EQ(value, json::parse(R"({"a": {"q": 1}, "b": 3})"));
  EXPECT_EQ(parse_json(R"({"q": [1, }, "b": 3})", value, "q")->kind, Kind::kSyntax);
}

TEST(JsonText, KeepsTheOrderOfKeysWhereAsked) {
  nlohmann::ordered_json value;
  EXPECT_FALSE(parse_json(R"({"b":1,"a":2})", value));
  EXPECT_EQ(value.dump(), R"({"b":1,"a":2})");
}

}  // namespace
}  // namespace dbsa
