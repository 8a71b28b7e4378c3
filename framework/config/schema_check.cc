#include "config/schema_check.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

// valijson's headers are not ours to warn about.
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "config/json_pointer.h"
#include "config/nearest_name.h"

namespace dbsa {
namespace {

using nlohmann::json;
constexpr size_t kLongestQuote = 80;  // bytes

std::string type_with_article(const std::string& type) {
  if (type == "integer") return "an integer";
  if (type == "number") return "a number";
  if (type == "string") return "a string";
  if (type == "boolean") return "a boolean";
  if (type == "array") return "an array";
  return "a table";
}

bool has_type(const json& value, const std::string& type) {
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "array") return value.is_array();
  return value.is_object();
}

const json* member(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

// Walks schema and value together and puts into words what does not fit.
class Explainer {
 public:
  explicit Explainer(Faults& faults) : faults_(faults) {}

  void explain(const json& schema, const json& value, const std::string& pointer) {
    if (const json* type = member(schema, "type"); type != nullptr && type->is_string()) {
      if (!has_type(value, type->get<std::string>())) {
        faults_.add(pointer, "must be " + type_with_article(*type) + ", got " + described(value));
        return;
      }
    }
    if (const json* choices = member(schema, "enum")) explain_choice(*choices, value, pointer);
    if (value.is_number()) explain_number(schema, value, pointer);
    if (value.is_string()) explain_string(schema, value, pointer);
    if (value.is_object()) explain_object(schema, value, pointer);
    if (value.is_array()) explain_array(schema, value, pointer);
  }

 private:
  void explain_choice(const json& choices, const json& value, const std::string& pointer) {
    if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
    std::string list;
    std::vector<std::string> names;
    for (const json& choice : choices) {
      list += (list.empty() ? "" : ", ") + choice.dump();
      if (choice.is_string()) names.push_back(choice);
    }
    const std::string got =
        value.is_string() ? in_quotes(value.get_ref<const std::string&>()) : value.dump();
    faults_.add(pointer,
                "must be one of " + list + ", got " + got +
                    (value.is_string() ? did_you_mean(value.get<std::string>(), names) : ""));
  }

  void explain_number(const json& schema, const json& value, const std::string& pointer) {
    const auto bound = [&](const char* keyword, const char* sign, auto&& fits) {
      const json* limit = member(schema, keyword);
      if (limit != nullptr && !fits(value, *limit))
        faults_.add(pointer,
                    std::string("must be ") + sign + " " + limit->dump() + ", got " + value.dump());
    };
    bound("minimum", ">=", [](const json& a, const json& b) { return a >= b; });
    bound("exclusiveMinimum", ">", [](const json& a, const json& b) { return a > b; });
    bound("maximum", "<=", [](const json& a, const json& b) { return a <= b; });
    bound("exclusiveMaximum", "<", [](const json& a, const json& b) { return a < b; });
  }

  void explain_string(const json& schema, const json& value, const std::string& pointer) {
    const json* least = member(schema, "minLength");
    if (least != nullptr && *least == 1 && value.get_ref<const std::string&>().empty())
      faults_.add(pointer, "must not be empty");
  }

  void explain_array(const json& schema, const json& value, const std::string& pointer) {
    const json* least = member(schema, "minItems");
    if (least != nullptr && *least == 1 && value.empty()) faults_.add(pointer, "must not be empty");
    const json* items = member(schema, "items");
    if (items == nullptr) return;
    for (size_t i = 0; i < value.size(); ++i)
      explain(*items, value[i], append_pointer(pointer, std::to_string(i)));
  }

  void explain_object(const json& schema, const json& value, const std::string& pointer) {
    static const json kNone = json::object();
    const json* declared = member(schema, "properties");
    const json& properties = declared != nullptr ? *declared : kNone;
    const json* others = member(schema, "additionalProperties");
    std::vector<std::string> names;
    for (const auto& [name, unused] : properties.items()) names.push_back(name);
    for (const auto& [key, item] : value.items()) {
      const auto property = properties.find(key);
      if (property != properties.end())
        explain(*property, item, append_pointer(pointer, key));
      else if (others != nullptr && others->is_object())
        explain(*others, item, append_pointer(pointer, key));
      else if (others != nullptr && *others == false)
        faults_.add_unknown_key(pointer, key, names);
    }
    if (const json* required = member(schema, "required")) {
      for (const json& name : *required) {
        if (value.contains(name.get_ref<const std::string&>())) continue;
        explain_missing(properties.value(name.get<std::string>(), kNone),
                        append_pointer(pointer, name.get<std::string>()));
      }
    }
  }

  // A missing table is named by the keys it must have.
  void explain_missing(const json& schema, const std::string& pointer) {
    if (schema.value("type", "") == "object" && schema.contains("required"))
      explain_object(schema, json::object(), pointer);
    else
      faults_.add(pointer, "is required");
  }

  Faults& faults_;
};

// The place of a valijson error: {"<root>", "[retriever]", "[k1]"}.
std::string pointer_of(const std::vector<std::string>& context) {
  std::string pointer;
  for (size_t i = 1; i < context.size(); ++i) {
    std::string_view key = context[i];
    if (key.size() >= 2 && key.front() == '[' && key.back() == ']')
      key = key.substr(1, key.size() - 2);
    pointer = append_pointer(pointer, key);
  }
  return pointer;
}

// valijson destroys what it has not made where memory runs out, so it starts only where there is
// some. What it takes for a schema of ours is far below this.
void require_memory() {
  constexpr size_t kBytes = size_t{4} << 20;
  const std::unique_ptr<void, decltype(&std::free)> memory(std::malloc(kBytes), &std::free);
  // Or the compiler leaves both calls out.
  asm volatile("" : : "r"(memory.get()) : "memory");
  if (!memory) throw std::bad_alloc();
}

// Errors of the judge where nothing was explained, at or below the place.
void add_unexplained(const json& schema, const json& value, Faults& faults) {
  const auto explained = [&](const std::string& pointer) {
    return std::any_of(faults.list().begin(), faults.list().end(),
                       [&](const Fault& fault) { return fault.pointer.starts_with(pointer); });
  };
  require_memory();
  try {
    valijson::Schema judge;
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(schema), judge);
    valijson::ValidationResults results;
    valijson::Validator validator;
    if (validator.validate(judge, valijson::adapters::NlohmannJsonAdapter(value), &results)) return;
    Faults more;
    for (const auto& error : results)
      if (const std::string pointer = pointer_of(error.context); !explained(pointer))
        more.add(pointer, error.description);
    faults.append(more);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& cause) {
    // How the library tells of missing memory.
    if (std::string_view(cause.what()).starts_with("Failed to allocate memory"))
      throw std::bad_alloc();
    faults.add("", std::string("the schema cannot be used: ") + cause.what());
  }
}

}  // namespace

std::string in_quotes(std::string_view text) {
  const bool cut = text.size() > kLongestQuote;
  return json(text.substr(0, kLongestQuote)).dump(-1, ' ', false, json::error_handler_t::replace) +
         (cut ? "..." : "");
}

std::string described(const json& value) {
  if (value.is_null()) return "nothing";
  if (value.is_string()) return "a string " + in_quotes(value.get_ref<const std::string&>());
  if (value.is_boolean()) return "a boolean " + value.dump();
  if (value.is_number_integer()) return "an integer " + value.dump();
  if (value.is_number()) return "a number " + value.dump();
  return value.is_array() ? "an array" : "a table";
}

Faults check_schema(const json& schema, const json& value) {
  Faults faults;
  Explainer(faults).explain(schema, value, "");
  add_unexplained(schema, value, faults);
  return faults;
}

void apply_defaults(const json& schema, json& value) {
  if (value.is_number_integer() && schema.value("type", "") == "number")
    value = value.get<double>();
  if (value.is_array() && schema.contains("items"))
    for (json& item : value) apply_defaults(schema.at("items"), item);
  if (!value.is_object() || !schema.contains("properties")) return;
  for (const auto& [key, property] : schema.at("properties").items()) {
    if (!value.contains(key)) {
      if (property.contains("default"))
        value[key] = property.at("default");
      else if (property.value("type", "") == "object")
        value[key] = json::object();
      else
        continue;
    }
    apply_defaults(property, value[key]);
  }
}

}  // namespace dbsa
