// What benches are fed with: separate folders and random texts.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace dbsa::bench {

// A new folder in --folder, removed with everything in it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Random words, a few of them often and most of them rarely (Zipf's law), so that a retriever has
// something to choose by.
class Texts {
 public:
  explicit Texts(double words = 2000) : words_(words) {}
  std::string next(int64_t bytes);

 private:
  std::string word();

  double words_;  // of the vocabulary
  std::mt19937 random_{20250304};
};

}  // namespace dbsa::bench
