// Where the planes of a store's blocks lie in its files, so that a test can damage them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/pipeline/workspace_store.h"

namespace dbsa {

struct PlanePlace {
  KvKey key;  // of the block
  uint32_t layer = 0;
  std::string file;  // in the workspace
  size_t offset = 0;
  size_t bytes = 0;
};

// Layers of one block stand together, ascending.
inline std::vector<PlanePlace> find_planes(const Workspace& workspace,
                                           const std::string& store_path) {
  WorkspaceStore store(workspace, store_path);
  std::vector<KvKey> keys;
  const auto listed = store->list([&](const KvEntry& entry) {
    keys.push_back(entry.key);
    return true;
  });
  if (!listed.ok()) throw std::runtime_error(listed.error().message);
  std::vector<PlanePlace> places;
  for (const auto& entry :
       std::filesystem::directory_iterator(workspace.path(store_path + "/packs"))) {
    const std::string file = std::filesystem::relative(entry.path(), workspace.path()).string();
    const std::string bytes = workspace.read(file);
    for (const KvKey& key : keys) {
      const auto lease = store->get(key);
      if (!lease.ok()) throw std::runtime_error(lease.error().message);
      const auto plane = [&](uint32_t layer) {
        return std::string_view(static_cast<const char*>(lease->plane(layer)),
                                lease->format().plane_bytes);
      };
      const size_t first = bytes.find(plane(0));
      if (first == std::string::npos) continue;
      // The planes of a block are mapped from one file.
      for (uint32_t layer = 0; layer < lease->format().layers; ++layer) {
        const auto behind = static_cast<size_t>(plane(layer).data() - plane(0).data());
        places.push_back({key, layer, file, first + behind, plane(layer).size()});
      }
    }
  }
  return places;
}

}  // namespace dbsa
