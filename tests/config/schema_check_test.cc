#include "config/schema_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dbsa {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

// "pointer: message" for each fault.
std::vector<std::string> faults_of(const char* schema, const char* value) {
  std::vector<std::string> out;
  const Faults faults = check_schema(json::parse(schema), json::parse(value));
  for (const Fault& fault : faults.list()) out.push_back(fault.pointer + ": " + fault.message);
  return out;
}

TEST(SchemaCheck, NamesTypes) {
  EXPECT_THAT(faults_of(R"({"type":"integer"})", "\"x\""),
              ElementsAre(": must be an integer, got a string \"x\""));
  EXPECT_THAT(faults_of(R"({"type":"integer"})", "1.0"),
              ElementsAre(": must be an integer, got a number 1.0"));
  EXPECT_THAT(faults_of(R"({"type":"number"})", "true"),
              ElementsAre(": must be a number, got a boolean true"));
  EXPECT_THAT(faults_of(R"({"type":"number"})", "1"), IsEmpty());
  EXPECT_THAT(faults_of(R"({"type":"string"})", "[]"),
              ElementsAre(": must be a string, got an array"));
  EXPECT_THAT(faults_of(R"({"type":"object"})", "3"),
              ElementsAre(": must be a table, got an integer 3"));
}

TEST(SchemaCheck, NamesRanges) {
  const char* schema = R"({"type":"number","minimum":0,"maximum":0.1})";
  EXPECT_THAT(faults_of(schema, "-1"), ElementsAre(": must be >= 0, got -1"));
  EXPECT_THAT(faults_of(schema, "0.30000000000000004"),
              ElementsAre(": must be <= 0.1, got 0.30000000000000004"));
  EXPECT_THAT(faults_of(schema, "0.1"), IsEmpty());
  EXPECT_THAT(faults_of(R"({"exclusiveMinimum":0,"exclusiveMaximum":1})", "0"),
              ElementsAre(": must be > 0, got 0"));
  EXPECT_THAT(faults_of(R"({"exclusiveMinimum":0,"exclusiveMaximum":1})", "1"),
              ElementsAre(": must be < 1, got 1"));
}

TEST(SchemaCheck, NamesChoices) {
  const char* schema = R"({"type":"string","enum":["trie","free"]})";
  EXPECT_THAT(
      faults_of(schema, "\"tree\""),
      ElementsAre(": must be one of \"trie\", \"free\", got \"tree\"; did you mean \"trie\"?"));
  EXPECT_THAT(faults_of(schema, "\"\""),
              ElementsAre(": must be one of \"trie\", \"free\", got \"\""));
}

TEST(SchemaCheck, CutsLongTexts) {
  const std::string text = json(std::string(200, 'x') + "\n").dump();
  EXPECT_THAT(
      faults_of(R"({"type":"integer"})", text.c_str()),
      ElementsAre(": must be an integer, got a string \"" + std::string(80, 'x') + "\"..."));
}

TEST(SchemaCheck, FindsAllFaultsAtOnce) {
  const char* schema = R"({"type":"object","additionalProperties":false,"required":["path","k1"],
      "properties":{"path":{"type":"string","minLength":1},"k1":{"type":"number"},
      "list":{"type":"array","minItems":1,"items":{"type":"integer"}}}})";
  EXPECT_THAT(faults_of(schema, R"({"path":"","k11":1,"list":[1,"2"]})"),
              testing::UnorderedElementsAre("/k11: unknown key \"k11\"; did you mean \"k1\"?",
                                            "/k1: is required", "/path: must not be empty",
                                            "/list/1: must be an integer, got a string \"2\""));
  EXPECT_THAT(faults_of(schema, R"({"path":"x","k1":1,"list":[]})"),
              ElementsAre("/list: must not be empty"));
}

TEST(SchemaCheck, NamesTheKeysOfAMissingTable) {
  const char* schema = R"({"type":"object","required":["model"],"properties":{"model":
      {"type":"object","required":["path"],"properties":{"path":{"type":"string"}}}}})";
  EXPECT_THAT(faults_of(schema, "{}"), ElementsAre("/model/path: is required"));
}

// A keyword that has no words of ours is judged all the same.
TEST(SchemaCheck, ObeysEveryKeyword) {
  const char* schema = R"({"properties":{"a":{"multipleOf":3}}})";
  EXPECT_THAT(faults_of(schema, R"({"a":9})"), IsEmpty());
  const auto faults = faults_of(schema, R"({"a":10})");
  ASSERT_FALSE(faults.empty());
  EXPECT_THAT(faults.front(), testing::StartsWith("/a: "));
}

TEST(SchemaCheck, FillsDefaults) {
  const json schema = json::parse(R"({"type":"object","properties":{
      "a":{"type":"number","default":0.5},"b":{"type":"number"},"c":{"type":"string"},
      "table":{"type":"object","properties":{"x":{"type":"integer","default":3}}}}})");
  json value = json::parse(R"({"b":2})");
  apply_defaults(schema, value);
  EXPECT_EQ(value.dump(), R"({"a":0.5,"b":2.0,"table":{"x":3}})");

  const json list = json::parse(R"({"properties":{
      "stop":{"type":"array","items":{"type":"string"},"default":["x"]}}})");
  for (const char* given : {R"({"stop":[]})", R"({"stop":["a","b"]})"}) {
    value = json::parse(given);
    apply_defaults(list, value);
    EXPECT_EQ(value, json::parse(given));
  }
  value = json::object();
  apply_defaults(list, value);
  EXPECT_EQ(value.dump(), R"({"stop":["x"]})");
}

}  // namespace
}  // namespace dbsa
