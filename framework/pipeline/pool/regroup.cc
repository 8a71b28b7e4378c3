#include "pipeline/pool/regroup.h"

#include <deque>
#include <string_view>
#include <unordered_map>

namespace dbsa {

Assignment keep_assignment(const Pool& old, std::span<const std::string> hashes) {
  // New indices by content, in file order: repeated demonstrations are taken one by one.
  std::unordered_map<std::string_view, std::deque<int64_t>> unclaimed;
  for (size_t i = 0; i < hashes.size(); ++i)
    unclaimed[hashes[i]].push_back(static_cast<int64_t>(i));

  constexpr int64_t kGone = -1;
  std::vector<int64_t> new_index(old.demonstrations.size(), kGone);
  std::vector<bool> claimed(hashes.size(), false);
  for (size_t i = 0; i < old.demonstrations.size(); ++i) {
    const auto found = unclaimed.find(old.demonstrations[i]);
    if (found == unclaimed.end() || found->second.empty()) continue;
    new_index[i] = found->second.front();
    found->second.pop_front();
    claimed[static_cast<size_t>(new_index[i])] = true;
  }
  Assignment assignment;
  size_t next = 0;
  for (int64_t& index : new_index) {
    if (index != kGone) continue;
    while (next < hashes.size() && claimed[next]) ++next;
    if (next == hashes.size()) {
      ++assignment.removed;
      continue;
    }
    claimed[next] = true;
    index = static_cast<int64_t>(next);
    assignment.edited.push_back(index);
  }

  for (size_t source = 0; source < old.blocks.size(); ++source) {
    std::vector<int64_t> group;
    for (const int64_t id : old.blocks[source].demonstrations)
      if (new_index[static_cast<size_t>(id)] != kGone)
        group.push_back(new_index[static_cast<size_t>(id)]);
    if (group.empty()) continue;
    assignment.kept.push_back(std::move(group));
    assignment.sources.push_back(static_cast<int64_t>(source));
  }
  for (size_t i = 0; i < hashes.size(); ++i)
    if (!claimed[i]) assignment.fresh.push_back(static_cast<int64_t>(i));
  return assignment;
}

}  // namespace dbsa
