#include "config/json_text.h"

#include <algorithm>

namespace dbsa {
namespace {

struct TooDeep {};

template <typename Json>
Json parse(std::string_view text, std::string_view dropped) {
  // Most texts have too few brackets to be deep; without a callback they take half the time.
  const auto brackets =
      std::count_if(text.begin(), text.end(), [](char c) { return c == '[' || c == '{'; });
  if (brackets <= kMaxJsonDepth && dropped.empty()) return Json::parse(text);
  using Event = typename Json::parse_event_t;
  return Json::parse(text, [&](int depth, Event event, const Json& parsed) {
    const bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && depth >= kMaxJsonDepth) throw TooDeep();
    return event != Event::key || depth != 1 || dropped.empty() || parsed != dropped;
  });
}

template <typename Json>
std::optional<JsonFault> parse_into(std::string_view text, std::string_view dropped, Json& value) {
  try {
    value = parse<Json>(text, dropped);
    return {};
  } catch (const TooDeep&) {
    return JsonFault{JsonFault::Kind::kTooDeep, 0};
  } catch (const nlohmann::json::parse_error& e) {
    return JsonFault{JsonFault::Kind::kSyntax, e.byte};
  } catch (const nlohmann::json::out_of_range&) {
    return JsonFault{JsonFault::Kind::kOutOfRange, 0};
  }
}

}  // namespace

std::optional<JsonFault> parse_json(std::string_view text, nlohmann::json& value,
                                    std::string_view dropped) {
  return parse_into(text, dropped, value);
}

std::optional<JsonFault> parse_json(std::string_view text, nlohmann::ordered_json& value) {
  return parse_into(text, {}, value);
}

}  // namespace dbsa
