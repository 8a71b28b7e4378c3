#include "tests/cli/schema_judge.h"

#include <fstream>

// valijson's headers are not ours to warn about.
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace dbsa {
namespace {

using nlohmann::json;

// valijson fetches only what has an absolute address.
constexpr const char* kFolder = "file:///";

void make_absolute(json& value) {
  if (value.is_object() && value.contains("$ref") && value["$ref"].is_string() &&
      !value["$ref"].get_ref<const std::string&>().starts_with("#"))
    value["$ref"] = kFolder + value["$ref"].get<std::string>();
  for (json& part : value)
    if (part.is_structured()) make_absolute(part);
}

json read_schema(const std::string& name) {
  std::ifstream file(DBSA_SOURCE_DIR "/schemas/" + name);
  json schema = json::parse(file);
  make_absolute(schema);
  return schema;
}

const json* fetch(const std::string& address) {
  return new json(read_schema(address.substr(std::string_view(kFolder).size())));
}

}  // namespace

std::string schema_faults(const std::string& schema_file, const nlohmann::json& value) {
  const json text = read_schema(schema_file);
  valijson::Schema schema;
  valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
  parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(text), schema, fetch,
                        [](const json* fetched) { delete fetched; });
  valijson::Validator validator;
  valijson::ValidationResults results;
  if (validator.validate(schema, valijson::adapters::NlohmannJsonAdapter(value), &results))
    return "";
  std::string faults;
  valijson::ValidationResults::Error error;
  while (results.popError(error)) {
    for (const std::string& part : error.context) faults += part;
    faults += ": " + error.description + "\n";
  }
  return faults;
}

}  // namespace dbsa
