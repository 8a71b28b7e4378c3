// All matches of a SplitRegex.
#pragma once

#include <string_view>
#include <vector>

#include "model/tokenizer/split_regex.h"

namespace dbsa::testing {

// Appends them; the error of Matches::next.
inline Status find_all(
    const SplitRegex& regex, std::string_view text, std::vector<SplitRegex::Span>& matches,
    SplitRegex::Clock::time_point deadline = SplitRegex::Clock::time_point::max()) {
  SplitRegex::Matches all(regex, text, deadline);
  for (SplitRegex::Span match;;) {
    DBSA_ASSIGN_OR_RETURN(const bool found, all.next(match));
    if (!found) return {};
    matches.push_back(match);
  }
}

}  // namespace dbsa::testing
