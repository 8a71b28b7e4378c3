#include "bench/support/inputs.h"

#include <gflags/gflags.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "bench/support/bench.h"

DEFINE_string(folder, "/tmp",
              "where files are made, and removed; best on the disk of the KV store");

namespace dbsa::bench {

Folder::Folder() : path_(FLAGS_folder + "/dbsa-bench-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) give_up(FLAGS_folder + ": cannot make a folder there");
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Texts::next(int64_t bytes) {
  std::string text;
  while (static_cast<int64_t>(text.size()) < bytes) text += word() + " ";
  text.resize(static_cast<size_t>(bytes), 'x');
  return text;
}

std::string Texts::word() {
  std::uniform_real_distribution<double> share(0.0, 1.0);
  std::mt19937 letters(static_cast<uint32_t>(std::pow(words_, share(random_))));
  std::string word;
  for (uint32_t i = 3 + letters() % 6; i > 0; --i) word += static_cast<char>('a' + letters() % 26);
  return word;
}

}  // namespace dbsa::bench
