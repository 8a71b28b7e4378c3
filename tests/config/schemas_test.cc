// The schemas themselves, and that our words and valijson's verdict agree on random input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <set>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "config/json_pointer.h"
#include "config/schema_check.h"

namespace dbsa {
namespace {

using nlohmann::json;

bool valijson_accepts(const json& schema_json, const json& value) {
  valijson::Schema schema;
  valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
  parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(schema_json), schema);
  valijson::Validator validator;
  return validator.validate(schema, valijson::adapters::NlohmannJsonAdapter(value), nullptr);
}

// Every default must be a value the schema itself accepts.
void check_defaults(const json& schema, const std::string& at) {
  if (schema.contains("default")) {
    const Faults faults = check_schema(schema, schema["default"]);
    for (const Fault& fault : faults.list()) ADD_FAILURE() << at << ": " << fault.message;
  }
  if (schema.contains("properties"))
    for (const auto& [name, property] : schema["properties"].items())
      check_defaults(property, at + "/" + name);
}

void collect_keyword_faults(const json& schema, const std::string& pointer,
                            std::vector<std::string>& faults) {
  static const std::set<std::string> kKnown = {
      "$schema",    "$id",
      "title",      "description",
      "type",       "default",
      "enum",       "minimum",
      "maximum",    "exclusiveMinimum",
      "minLength",  "pattern",
      "minItems",   "exclusiveMaximum",
      "properties", "required",
      "items",      "format",
      "affects",    "role",
      "unit",       "additionalProperties",
  };
  if (!schema.is_object()) {
    faults.push_back(pointer + ": must be an object");
    return;
  }
  for (const auto& [keyword, value] : schema.items()) {
    const std::string at = append_pointer(pointer, keyword);
    if (!kKnown.contains(keyword)) faults.push_back(at + ": unknown keyword");
    if (keyword == "properties")
      for (const auto& [name, item] : value.items())
        collect_keyword_faults(item, append_pointer(at, name), faults);
    if (keyword == "items" || (keyword == "additionalProperties" && !value.is_boolean()))
      collect_keyword_faults(value, at, faults);
  }
}

// Faults of a schema: keywords outside the subset that check_schema puts into words, such as
// misspelt ones, which any validator would ignore. Each is a JSON pointer and what is wrong.
std::vector<std::string> check_keywords(const json& schema) {
  std::vector<std::string> faults;
  collect_keyword_faults(schema, "", faults);
  return faults;
}

TEST(Schemas, UseKnownKeywordsOnly) {
  EXPECT_THAT(check_keywords(pipeline_schema()), ::testing::IsEmpty());
  EXPECT_THAT(check_keywords(plugin_manifest_schema()), ::testing::IsEmpty());
  EXPECT_THAT(check_keywords(sweep_schema()), ::testing::IsEmpty());
  EXPECT_THAT(
      check_keywords(json::parse(R"({"properties":{"a":{"minimun":1,"items":{"tpye":0}}}})")),
      ::testing::ElementsAre("/properties/a/items/tpye: unknown keyword",
                             "/properties/a/minimun: unknown keyword"));
}

TEST(Schemas, HaveValidDefaults) {
  check_defaults(pipeline_schema(), "pipeline");
  check_defaults(plugin_manifest_schema(), "manifest");
  check_defaults(sweep_schema(), "sweep");
}

TEST(Schemas, DescribeEveryKey) {
  for (const auto& [table, schema] : pipeline_schema().at("properties").items())
    for (const auto& [key, property] : schema.at("properties").items())
      EXPECT_TRUE(property.contains("description") && property.contains("type"))
          << table << "." << key;
  for (const auto& [key, property] : sweep_schema().at("properties").items())
    EXPECT_TRUE((property.contains("description") || property.contains("properties")) &&
                property.contains("type"))
        << key;
}

TEST(Schemas, AreTheFilesInTheTree) {
  for (const auto& [name, schema] :
       {std::pair<std::string, const json&>{"pipeline", pipeline_schema()},
        std::pair<std::string, const json&>{"plugin_manifest", plugin_manifest_schema()},
        std::pair<std::string, const json&>{"sweep", sweep_schema()}}) {
    std::ifstream file(std::string(DBSA_SOURCE_DIR) + "/schemas/" + name + ".schema.json");
    EXPECT_EQ(json::parse(file), schema);
  }
}

// Random values, most of them nearly right.
class RandomValue {
 public:
  explicit RandomValue(uint64_t seed) : random_(seed) {}

  json of(const json& schema) {
    if (pick(12) == 0) return anything();
    if (schema.contains("enum") && pick(3) != 0) {
      const json& choices = schema["enum"];
      return choices[pick(choices.size())];
    }
    const std::string type = schema.value("type", "string");
    if (type == "integer") return static_cast<int64_t>(pick(5)) - 2;
    if (type == "number") return (static_cast<double>(pick(9)) - 4) / 2;
    if (type == "boolean") return pick(2) == 0;
    if (type == "string") return std::string(pick(3), 'x');
    if (type == "array") {
      json out = json::array();
      for (size_t i = pick(3); i > 0; --i) out.push_back(of(schema.value("items", json::object())));
      return out;
    }
    json out = json::object();
    const json properties = schema.value("properties", json::object());
    for (const auto& [name, property] : properties.items())
      if (pick(3) != 0) out[name] = of(property);
    if (schema.contains("additionalProperties") && schema["additionalProperties"].is_object())
      out["some_key"] = of(schema["additionalProperties"]);
    if (pick(30) == 0) out["surprise"] = anything();
    return out;
  }

 private:
  size_t pick(size_t count) { return random_() % count; }
  json anything() {
    const json values[] = {1, -1, 0.5, "x", "", true, json::array(), json::object(), 70000};
    return values[pick(std::size(values))];
  }
  std::mt19937_64 random_;
};

TEST(Schemas, WordsAndVerdictAgree) {
  const uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  RandomValue random(seed);
  int accepted = 0;
  for (int round = 0; round < 150; ++round) {
    for (const json* schema : {&pipeline_schema(), &plugin_manifest_schema(), &sweep_schema()}) {
      const json& properties = schema->at("properties");
      for (const auto& [name, property] : properties.items()) {
        const json value = random.of(property);
        const bool verdict = valijson_accepts(property, value);
        const Faults faults = check_schema(property, value);
        ASSERT_EQ(faults.empty(), verdict) << name << " = " << value.dump();
        // Ours, not valijson's: its sentences end with a full stop.
        for (const Fault& fault : faults.list())
          ASSERT_FALSE(fault.message.ends_with(".")) << fault.message << " for " << value.dump();
        accepted += verdict;
      }
    }
  }
  EXPECT_GT(accepted, 150);
}

}  // namespace
}  // namespace dbsa
