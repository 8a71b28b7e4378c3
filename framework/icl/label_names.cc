#include "icl/label_names.h"

#include <utility>

#include "icl/dataset.h"
#include "icl/field_names.h"
#include "icl/unseen.h"
#include "text/unicode.h"

namespace dbsa {
namespace {

Error names_fault(const std::string& what) {
  return Error{ErrorCode::kConfig, "data.label_names: " + what, "/data/label_names"};
}

}  // namespace

Result<LabelNames> LabelNames::make(const std::map<std::string, std::string>& names) {
  LabelNames made;
  for (const auto& [given_code, given_name] : names) {
    const std::string code = to_nfc(given_code), name = to_nfc(given_name);
    if (trim_unseen(name).size() != name.size() || name.empty())
      return names_fault("the name of code " + quote_for_message(code) +
                         " must be a text without white space around it, got " +
                         quote_for_message(name));
    if (!made.names_.emplace(code, name).second)
      return names_fault("code " + quote_for_message(code) +
                         " is there twice, in two spellings that look the same");
    if (const auto [first, is_new] = made.codes_.emplace(name, code); !is_new)
      return names_fault("codes " + quote_for_message(first->second) + " and " +
                         quote_for_message(code) + " must have different names, got " +
                         quote_for_message(name) + " for both");
  }
  return made;
}

Status LabelNames::translate(std::string& label) const {
  if (empty()) return {};
  const auto found = names_.find(to_nfc(label));
  if (found != names_.end()) {
    label = found->second;
    return {};
  }
  constexpr size_t kMost = 12;
  std::vector<std::string> codes;
  for (const auto& [code, name] : names_)
    if (codes.size() < kMost) codes.push_back(code);
  return Error{ErrorCode::kConfig,
               "expected a label that data.label_names has a name for, found " +
                   quote_for_message(label) + "; it has names for " + quote_names(codes) +
                   (names_.size() > kMost ? " and others" : "") + "; add it there",
               ""};
}

std::string LabelNames::code_of(const std::string& name) const {
  const auto found = codes_.find(to_nfc(name));
  return found == codes_.end() ? name : found->second;
}

std::string LabelNames::description() const {
  std::string text;
  for (const auto& [code, name] : names_) text += code + '\n' + name + '\n';
  return text;
}

}  // namespace dbsa
