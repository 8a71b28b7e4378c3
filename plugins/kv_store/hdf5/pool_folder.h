// PoolFolder: the pools of a store, each a file `<id>.pool` in one folder. A file is written beside
// its name, synced and renamed over it, so that a reader sees the old pool or the new one.
#pragma once

#include <dbsa/sdk/host.h>

#include <filesystem>

#include "pool_file.h"

namespace dbsa::kv_pack {

class PoolFolder {
 public:
  // `root` is the folder that errors of writing name.
  PoolFolder(std::filesystem::path root, std::filesystem::path folder, Host host)
      : root_(std::move(root)), folder_(std::move(folder)), host_(host) {}

  const std::filesystem::path& path() const { return folder_; }
  Status put(const KvPool& pool) const;
  // kNotFound, kCorrupt; kEnvironment where the file cannot be read now.
  Result<KvPool> get(const std::string& id) const;
  // All pools, without document and keys.
  Result<std::vector<KvPool>> list() const;
  Status drop(const std::string& id) const;
  // Keys of the blocks that pools need. Fails, rather than leave one out.
  Result<std::vector<KvKey>> keys() const;

 private:
  Result<std::filesystem::path> file_of(const std::string& id) const;
  Result<PoolContent> read(const std::filesystem::path& path) const;

  const std::filesystem::path root_, folder_;
  const Host host_;
};

}  // namespace dbsa::kv_pack
