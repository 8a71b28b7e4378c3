// Text that cannot drive a terminal: what would move its cursor, answer its questions or turn the
// order of its letters is shown, not sent.
//
// Shown are control characters (C0, DELETE, C1), bidirectional overrides and isolates (U+202A to
// U+202E, U+2066 to U+2069), and bytes that are not UTF-8: C0 and such bytes as \x1b, the others as
// \u009b. So JSON, which has no raw C0 except line ends and is UTF-8, stays the same JSON.
#pragma once

#include <string>
#include <string_view>

namespace dbsa::cli {

// For a part of a line: newlines and tabs as \n and \t.
std::string visible_text(std::string_view text);
// For lines: newlines and tabs stay.
std::string visible_lines(std::string_view text);

}  // namespace dbsa::cli
