// BlockGrouper: base class of block grouper plugins. See dbsa/block_grouper.h.
#pragma once

#include <dbsa/block_grouper.h>
#include <dbsa/sdk/plugin.h>

#include <vector>

namespace dbsa {

// Borrowed for the call.
struct Demonstrations {
  Texts texts;
  Texts labels;
  std::span<const int64_t> token_counts;
  int64_t size() const { return texts.size(); }
};

// Demonstration indices, block by block.
using Blocks = std::vector<std::vector<int64_t>>;

class BlockGrouper {
 public:
  using Kind = BlockGrouper;
  using Vtable = dbsa_block_grouper_vtable;
  static constexpr uint32_t kKind = DBSA_KIND_BLOCK_GROUPER;
  static const Vtable kVtable;

  virtual ~BlockGrouper() = default;
  virtual Result<Blocks> group(const Demonstrations& demonstrations, int64_t block_size,
                               uint64_t seed) = 0;
};

inline const BlockGrouper::Vtable BlockGrouper::kVtable = {
    sizeof(Vtable),
    [](void* instance, const dbsa_demonstrations* demonstrations, int64_t block_size, uint64_t seed,
       dbsa_grouping* grouping, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        const int64_t count = demonstrations->count;
        DBSA_ASSIGN_OR_RETURN(Blocks blocks,
                              static_cast<BlockGrouper*>(instance)->group(
                                  {Texts(demonstrations->texts),
                                   Texts(demonstrations->labels),
                                   {demonstrations->token_counts, static_cast<size_t>(count)}},
                                  block_size, seed));
        int64_t filled = 0;
        grouping->block_count = 0;
        for (const auto& block : blocks) {
          for (const int64_t index : block) {
            if (filled == count)
              return Error{ErrorCode::kPlugin, "more demonstrations returned than given", ""};
            grouping->order[filled++] = index;
          }
          if (grouping->block_count == count)
            return Error{ErrorCode::kPlugin, "more blocks returned than demonstrations", ""};
          grouping->block_ends[grouping->block_count++] = filled;
        }
        return {};
      });
    },
};

}  // namespace dbsa
