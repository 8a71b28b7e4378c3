// The commands and options that --help shows.
#pragma once

#include <string>
#include <vector>

namespace dbsa {

struct HelpOption {
  std::string name;    // "quiet"
  std::string letter;  // "q", or ""
  std::string unit;    // "DIR", or ""
};

// "run", "store list": all that take options.
std::vector<std::string> all_commands();
std::vector<std::string> words_of(const std::string& command);
std::vector<HelpOption> options_of(const std::string& command);
bool has_option(const std::vector<HelpOption>& options, const std::string& name);

}  // namespace dbsa
