// Manual pages, made from what --help shows.
#pragma once

#include <string>
#include <vector>

namespace dbsa::cli {

struct ManualPage {
  std::string file;  // "dbsa-pipe-run.1"
  std::string text;  // roff, man macros
};

// One of the program, one for each command; that of `store` has all of its commands.
std::vector<ManualPage> manual_pages();

}  // namespace dbsa::cli
