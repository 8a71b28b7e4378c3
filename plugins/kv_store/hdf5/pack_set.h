// PackSet: the published packs of a store as this process sees them, and where each key lies.
//
// A key that several packs hold is taken from the one with the highest number. Packs that cannot be
// read are remembered with the reason and never hide the others. All functions are thread-safe.
#pragma once

#include <dbsa/sdk/host.h>
#include <dbsa/sdk/kv_store.h>

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <unordered_map>

#include "pack_file.h"

namespace dbsa::kv_pack {

class PackSet {
 public:
  // Where a block lies: a row of a pack's index.
  struct Place {
    std::shared_ptr<const PackFile> pack;
    size_t row = 0;
    const PackRow& entry() const { return pack->rows()[row]; }
    KvKey key() const { return KvKey::from(entry().key); }
  };
  struct BadPack {
    uint64_t inode = 0;
    int64_t modified_ns = 0;
    uint64_t bytes = 0;
    Error error;
    bool operator==(const BadPack& other) const {
      return inode == other.inode && modified_ns == other.modified_ns && bytes == other.bytes;
    }
  };
  struct Snapshot {
    std::vector<std::shared_ptr<const PackFile>> packs;  // by number, ascending
    std::map<uint64_t, BadPack> bad_packs;               // by number
    std::vector<Place> live;                             // one for each key, by number and row
    uint64_t stored_bytes = 0;                           // of all packs, the bad ones included
  };

  PackSet(std::filesystem::path folder, Host host) : folder_(std::move(folder)), host_(host) {}

  // Looks for packs that appeared or vanished. Cost: one stat when the folder has not changed.
  Status refresh();
  std::optional<Place> find(const KvKey& key) const;
  // Hides the copies of `key` with a wrong plane; the newest one where none is known wrong.
  void discard(const KvKey& key);
  Snapshot snapshot() const;
  uint64_t stored_bytes() const;

 private:
  Status scan();
  Result<std::set<uint64_t>> list_numbers() const;
  Result<bool> load(uint64_t number, std::map<uint64_t, std::shared_ptr<const PackFile>>& packs,
                    std::map<uint64_t, BadPack>& bad_packs);
  void rebuild_places();

  const std::filesystem::path folder_;
  const Host host_;
  std::mutex refreshing_;
  // When the folder was last changed, as of the last scan; 0 makes the next refresh scan.
  int64_t scanned_change_ns_ = 0;

  mutable std::shared_mutex mutex_;  // guards all below
  std::map<uint64_t, std::shared_ptr<const PackFile>> packs_;
  std::map<uint64_t, BadPack> bad_packs_;
  std::unordered_map<KvKey, Place, KvKeyHash> places_;
};

}  // namespace dbsa::kv_pack
