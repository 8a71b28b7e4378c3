// The vocabulary of a tokenizer.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dbsa {

// Token text -> id, exact. Open addressing over one text arena.
class TokenTable {
 public:
  static constexpr int64_t kMaxId = (1 << 22) - 1;

  // Errors (kEnvironment): an id twice, a token twice, an id below 0 or above kMaxId.
  static Result<TokenTable> build(const std::vector<std::pair<std::string, int64_t>>& vocab);

  int32_t find(std::string_view token) const;  // -1: absent
  std::optional<std::string_view> text(int32_t id) const;
  int32_t size() const { return static_cast<int32_t>(entries_.size()); }  // largest id + 1

 private:
  struct Entry {
    uint64_t offset = 0;
    uint32_t length = 0;
    bool used = false;
  };
  std::string_view view(const Entry& e) const { return {arena_.data() + e.offset, e.length}; }

  std::string arena_;
  std::vector<Entry> entries_;  // by id
  std::vector<int32_t> slots_;  // id or -1
  uint64_t mask_ = 0;
};

}  // namespace dbsa
