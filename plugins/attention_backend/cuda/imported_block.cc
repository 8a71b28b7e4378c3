#include "imported_block.h"

#include <utility>

namespace dbsa::cuda {

ImportedBlock::ImportedBlock(std::shared_ptr<DevicePool> pool, std::vector<const void*> planes,
                             int64_t plane_bytes)
    : planes_(std::move(planes)),
      sent_(planes_.size(), false),
      plane_bytes_(plane_bytes),
      memory_(std::move(pool), static_cast<uint64_t>(plane_bytes) * planes_.size()) {}

Status ImportedBlock::reserve() {
  DBSA_ASSIGN_OR_RETURN(const bool kept, memory_.reserve());
  if (!kept) sent_.assign(planes_.size(), false);
  return {};
}

PinnedBlocks::~PinnedBlocks() {
  for (const auto& block : blocks_) block->unpin();
}

void PinnedBlocks::add(std::shared_ptr<ImportedBlock> block) {
  blocks_.push_back(std::move(block));
  blocks_.back()->pin();
}

Status PinnedBlocks::reserve() {
  for (const auto& block : blocks_) DBSA_RETURN_IF_ERROR(block->reserve());
  return {};
}

}  // namespace dbsa::cuda
