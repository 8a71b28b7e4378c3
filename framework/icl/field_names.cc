#include "icl/field_names.h"

#include "config/nearest_name.h"
#include "icl/dataset.h"
#include "icl/unseen.h"
#include "text/unicode.h"

namespace dbsa {
namespace {

// Lower case, without what is neither letter nor digit nor beyond ASCII, without a final s.
std::string folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z')
      out += static_cast<char>(c + ('a' - 'A'));
    else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<signed char>(c) < 0)
      out += c;
  }
  if (out.size() > 1 && out.back() == 's') out.pop_back();
  return out;
}

}  // namespace

std::string field_key(std::string_view name) { return to_nfc(seen_text(name)); }

std::string nearly_named(std::string_view field, std::span<const std::string> names) {
  const std::string wanted = folded(field);
  for (const std::string& name : names)
    if (name != field && folded(name) == wanted) return name;
  return "";
}

std::string likely_named(std::string_view field, std::span<const std::string> names,
                         std::string_view other) {
  std::vector<std::string> candidates;
  for (const std::string& name : names)
    if (!name.empty() && field_key(name) != field_key(other)) candidates.push_back(name);
  if (std::string nearest = nearest_name(field, candidates); !nearest.empty()) return nearest;
  for (const std::string& name : candidates)
    if (folded(name).find(folded(field)) != std::string::npos) return name;
  return candidates.size() == 1 ? candidates.front() : "";
}

std::string quote_names(std::span<const std::string> names) {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "" : ", ") + quote_for_message(name);
  return text.empty() ? "none" : text;
}

std::string name_advice(std::string_view field, std::span<const std::string> names,
                        const std::string& what, const TextFields& text) {
  const std::string same = nearly_named(field, names);
  const std::string near =
      same.empty() ? did_you_mean(field, names) : "; did you mean " + quote_for_message(same) + "?";
  return (near.empty() ? "; name the " : near + " Name the ") + what +
         (text.is_single() ? " in [data] text_field and label_field"
                           : " in prompt.demonstration and data.label_field");
}

}  // namespace dbsa
