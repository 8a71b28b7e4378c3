#include "report/fields.h"

#include "config/json_pointer.h"
#include "config/json_text.h"
#include "config/schema_check.h"

namespace dbsa {

using nlohmann::json;

const json* ReportFields::find(const std::string& pointer) const {
  const json::json_pointer at(pointer);
  return root_.contains(at) ? &root_.at(at) : nullptr;
}

void ReportFields::fault(const std::string& pointer, const std::string& message) const {
  const std::string name = dotted_name(pointer_ + pointer);
  faults_.push_back(file_ + ": " + (name.empty() ? "" : name + ": ") + message);
}

namespace {

std::string found(const json* value) {
  if (value == nullptr) return "but it is missing";
  if (value->is_null()) return "got null";
  return "got " + (value->is_object() ? std::string("an object") : described(*value));
}

}  // namespace

void ReportFields::wrong(const std::string& pointer, const std::string& expected) const {
  fault(pointer, "expected " + expected + ", " + found(find(pointer)));
}

std::string ReportFields::text(const std::string& pointer) const {
  const json* value = find(pointer);
  if (value != nullptr && value->is_string()) return value->get<std::string>();
  wrong(pointer, "a string");
  return "";
}

double ReportFields::number(const std::string& pointer) const {
  const json* value = find(pointer);
  if (value != nullptr && value->is_number()) {
    const double number = value->get<double>();
    if (number >= 0 && number <= kMostNumber) return number < kLeastNumber ? 0 : number;
  }
  wrong(pointer, "a number from 0 to 1e18");
  return 0;
}

int64_t ReportFields::integer(const std::string& pointer, int64_t least) const {
  const json* value = find(pointer);
  constexpr auto kMost = static_cast<uint64_t>(INT64_MAX);
  if (value != nullptr && value->is_number_integer() &&
      !(value->is_number_unsigned() && value->get<uint64_t>() > kMost) &&
      value->get<int64_t>() >= least)
    return value->get<int64_t>();
  wrong(pointer, "an integer >= " + std::to_string(least));
  return least;
}

std::optional<double> ReportFields::number_or_null(const std::string& pointer) const {
  const json* value = find(pointer);
  if (value != nullptr && value->is_null()) return {};
  return number(pointer);
}

std::optional<double> ReportFields::share_or_null(const std::string& pointer) const {
  const std::optional<double> share = number_or_null(pointer);
  if (!share || *share <= 1) return share;
  wrong(pointer, "a number from 0 to 1");
  return {};
}

std::map<std::string, std::string> ReportFields::texts(const std::string& pointer) const {
  return all_texts(pointer, /*or_null=*/false);
}

std::map<std::string, std::string> ReportFields::texts_or_null(const std::string& pointer) const {
  return all_texts(pointer, /*or_null=*/true);
}

std::map<std::string, std::string> ReportFields::all_texts(const std::string& pointer,
                                                           bool or_null) const {
  std::map<std::string, std::string> out;
  const json* value = find(pointer);
  bool good = value != nullptr && value->is_object();
  if (good)
    for (const auto& [name, text] : value->items()) {
      good = good && (text.is_string() || (or_null && text.is_null()));
      if (text.is_string()) out[name] = text.get<std::string>();
    }
  if (!good) wrong(pointer, or_null ? "an object of strings and null" : "an object of strings");
  return out;
}

const json& ReportFields::array(const std::string& pointer) const {
  static const json kNone = json::array();
  const json* value = find(pointer);
  if (value != nullptr && value->is_array()) return *value;
  wrong(pointer, "an array");
  return kNone;
}

std::optional<json> parse_report_json(const std::string& file, std::string_view text,
                                      const std::string& expected,
                                      std::vector<std::string>& faults) {
  json value;
  const std::optional<JsonFault> fault = parse_json(text, value);
  if (!fault) return value;
  std::string got = "JSON with a number out of range";
  if (fault->kind == JsonFault::Kind::kTooDeep)
    got = "JSON nested deeper than " + std::to_string(kMaxJsonDepth) + " levels";
  if (fault->kind == JsonFault::Kind::kSyntax)
    got = "what is no JSON at byte " + std::to_string(fault->byte) +
          "; the file is damaged or cut short";
  faults.push_back(file + ": expected " + expected + ", got " + got);
  return {};
}

}  // namespace dbsa
