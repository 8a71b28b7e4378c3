// What shells need to complete commands, options and their values, made from what --help shows.
#pragma once

#include <string>

namespace dbsa::cli {

std::string bash_completion();
std::string zsh_completion();
std::string fish_completion();

}  // namespace dbsa::cli
