#include "pipeline/pool/pool.h"

#include <algorithm>

#include "pipeline/identity/identity.h"

namespace dbsa {

bool Pool::has_blocks_of(const Pool& other) const {
  return std::equal(blocks.begin(), blocks.end(), other.blocks.begin(), other.blocks.end(),
                    [](const PoolBlock& a, const PoolBlock& b) { return a.key == b.key; });
}

bool Pool::is_dealt_at_once() const { return !history && dealt == hash_list(demonstrations); }

std::vector<const PoolBlock*> Pool::encoded_blocks() const {
  std::vector<const PoolBlock*> all;
  if (!history) {
    for (const PoolBlock& block : blocks) all.push_back(&block);
    return all;
  }
  for (const int64_t number : history->order)
    all.push_back(&block_at(std::span(blocks), std::span(history->retired), number));
  return all;
}

std::vector<int64_t> Pool::encoded_indices() const {
  std::vector<int64_t> indices(blocks.size());
  const size_t count = history ? history->order.size() : blocks.size();
  for (size_t i = 0; i < count; ++i) {
    const auto place = history ? static_cast<size_t>(history->order[i]) : i;
    if (place < blocks.size()) indices[place] = static_cast<int64_t>(i);
  }
  return indices;
}

std::vector<KvKey> Pool::keys() const {
  std::vector<KvKey> all;
  for (const PoolBlock& block : blocks) all.push_back(block.key);
  if (history)
    for (const PoolBlock& block : history->retired) all.push_back(block.key);
  return all;
}

std::string Pool::line_hash() const {
  std::vector<std::string> line;
  for (const PoolBlock& block : blocks) {
    for (const int64_t demonstration : block.demonstrations)
      line.push_back(demonstrations[static_cast<size_t>(demonstration)]);
    line.emplace_back();  // where a block ends
  }
  if (history) line.push_back(history->hash);
  return hash_list(line);
}

}  // namespace dbsa
