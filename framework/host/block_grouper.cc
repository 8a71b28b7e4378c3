#include "host/block_grouper.h"

#include "host/texts.h"

namespace dbsa::host {

Result<BlockGrouper> BlockGrouper::create(const LoadedPlugin& plugin, HostServices& services,
                                          const nlohmann::json& config) {
  DBSA_ASSIGN_OR_RETURN(Instance instance,
                        Instance::create(plugin, services, config, DBSA_KIND_BLOCK_GROUPER));
  return BlockGrouper(std::move(instance));
}

Result<Blocks> BlockGrouper::group(std::span<const std::string> texts,
                                   std::span<const std::string> labels,
                                   std::span<const int64_t> token_counts, int64_t block_size,
                                   uint64_t seed) {
  const auto count = static_cast<int64_t>(texts.size());
  if (labels.size() != texts.size() || token_counts.size() != texts.size() || block_size < 1)
    return Error{ErrorCode::kInvalidArgument, "group: lists of different lengths", ""};
  const BorrowedTexts text_list(texts);
  const BorrowedTexts label_list(labels);
  const dbsa_demonstrations demonstrations = {sizeof(dbsa_demonstrations), count, text_list.get(),
                                              label_list.get(), token_counts.data()};
  // -1 stays where the plugin writes nothing.
  std::vector<int64_t> order(texts.size(), -1);
  std::vector<int64_t> ends(texts.size(), -1);
  dbsa_grouping grouping = {sizeof(dbsa_grouping), 0, order.data(), ends.data()};
  DBSA_RETURN_IF_ERROR(instance_.call("group", instance_.vtable<dbsa_block_grouper_vtable>().group,
                                      &demonstrations, block_size, seed, &grouping));

  const auto broken = [&](const std::string& what) { return instance_.broken("group", what); };
  if (grouping.block_count < 0 || grouping.block_count > count)
    return broken("returned " + std::to_string(grouping.block_count) + " blocks for " +
                  std::to_string(count) + " demonstrations");
  Blocks blocks;
  std::vector<bool> seen(texts.size());
  int64_t begin = 0;
  for (int64_t block = 0; block < grouping.block_count; ++block) {
    const int64_t end = ends[static_cast<size_t>(block)];
    if (end <= begin || end > count)
      return broken("returned block " + std::to_string(block) + " from " + std::to_string(begin) +
                    " to " + std::to_string(end) + " of " + std::to_string(count) +
                    " demonstrations");
    if (end - begin > block_size)
      return broken("returned block " + std::to_string(block) + " of " +
                    std::to_string(end - begin) + " demonstrations, block_size is " +
                    std::to_string(block_size));
    auto& members = blocks.emplace_back();
    for (int64_t i = begin; i < end; ++i) {
      const int64_t index = order[static_cast<size_t>(i)];
      if (index < 0 || index >= count)
        return broken("returned demonstration " + std::to_string(index) + " of " +
                      std::to_string(count));
      if (seen[static_cast<size_t>(index)])
        return broken("returned demonstration " + std::to_string(index) + " twice");
      seen[static_cast<size_t>(index)] = true;
      members.push_back(index);
    }
    begin = end;
  }
  if (begin != count)
    return broken("returned " + std::to_string(begin) + " of " + std::to_string(count) +
                  " demonstrations");
  return blocks;
}

}  // namespace dbsa::host
