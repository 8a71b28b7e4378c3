// What a report's page is made of besides its document.
#pragma once

#include <string>

namespace dbsa {

// The style sheet and the script, without their tags. Nothing in them depends on a report.
std::string page_style();
std::string page_script();

// The marker of a method, as plots have it: an SVG of the size of a letter.
std::string method_marker(size_t style);

}  // namespace dbsa
