// Strings as dbsa_texts, for the time of a call.
#pragma once

#include <dbsa/plugin.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dbsa::host {

class BorrowedTexts {
 public:
  explicit BorrowedTexts(std::span<const std::string> source) {
    data_.reserve(source.size());
    lengths_.reserve(source.size());
    for (const std::string& text : source) {
      data_.push_back(text.data());
      lengths_.push_back(text.size());
    }
    texts_ = {sizeof(dbsa_texts), static_cast<int64_t>(source.size()), data_.data(),
              lengths_.data()};
  }
  BorrowedTexts(const BorrowedTexts&) = delete;
  BorrowedTexts& operator=(const BorrowedTexts&) = delete;

  const dbsa_texts* get() const { return &texts_; }

 private:
  std::vector<const char*> data_;
  std::vector<uint64_t> lengths_;
  dbsa_texts texts_{};
};

}  // namespace dbsa::host
