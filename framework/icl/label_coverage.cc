#include "icl/label_coverage.h"

#include <algorithm>

#include "icl/unseen.h"
#include "text/unicode.h"

namespace dbsa {

void LabelCoverage::add(const Example& query) {
  if (query.label.empty()) return;
  ++labelled_;
  bool known = false;
  for (const std::string& label : all_labels(query)) {
    const std::string composed = to_nfc(label);
    const auto found = std::lower_bound(labels_.begin(), labels_.end(), composed);
    if (found == labels_.end() || *found != composed) continue;
    known = true;
    auto expected = expected_[static_cast<size_t>(found - labels_.begin())];
    if (!expected) ++covered_;
    expected = true;
  }
  if (known) return;
  ++unknown_;
  unknown_lines_.emplace(query.label, query.line);
}

// ", which looks like "book room" but has U+00A0": of the first label that looks the same.
std::string LabelCoverage::look_alike(const std::string& label) const {
  const std::string seen = seen_text(to_nfc(label));
  for (const std::string& known : labels_) {
    if (seen_text(known) != seen) continue;
    const std::string own = unseen_names(label), others = unseen_names(known);
    const std::string like = ", which looks like " + quote_for_message(known);
    if (own.empty() && others.empty()) return like + " but has other white space";
    return like + (own.empty() ? ", which has " + others : " but has " + own);
  }
  return "";
}

std::vector<std::string> LabelCoverage::warnings(const std::string& name, bool labels_given) const {
  constexpr size_t kExamples = 3;
  std::vector<std::string> warnings;
  if (unknown_ > 0) {
    std::string examples;
    size_t count = 0;
    for (const auto& [label, line] : unknown_lines_)
      if (++count <= kExamples)
        examples += (count == 1 ? "" : ", ") + quote_for_message(label) + " (" + name + ":" +
                    std::to_string(line) + look_alike(label) + ")";
    warnings.push_back(
        std::to_string(unknown_) + " of " + std::to_string(labelled_) +
        (labelled_ == 1 ? " query" : " queries") + (unknown_ == 1 ? " expects" : " expect") +
        " a label that no demonstration has" + (labels_given ? ", and data.labels neither" : "") +
        ", such as " + examples + "; they count as wrong: add demonstrations with these labels" +
        (labels_given ? "" : ", or name a file with all labels in data.labels"));
  }
  const int64_t possible = std::min(labelled_ - unknown_, labels());
  if (2 * covered_ < possible)
    warnings.push_back(std::to_string(labelled_) + " queries expect " + std::to_string(covered_) +
                       " of the " + std::to_string(labels()) +
                       " labels, so the accuracy says nothing about the others; for a file that is "
                       "sorted by label, draw with data.query_count");
  return warnings;
}

}  // namespace dbsa
