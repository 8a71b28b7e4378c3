// "Did you mean": the valid name nearest to a misspelt one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace dbsa {

// The candidate with the fewest edits (insert, delete, replace, swap of neighbours), the first one
// on a tie; "" when none is near enough to be meant. Cost: O(candidates * length^2).
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

// `; did you mean "x"?`, or "" when nothing is near.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

}  // namespace dbsa
