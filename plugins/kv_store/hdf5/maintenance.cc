// collect and compact. Both publish new packs before they remove old ones: a crash between the two
// leaves two copies of some blocks, never none, and what replaces a pack was read back first. A
// block is copied only while its planes match their checksums, so that rot never gets a fresh
// checksum; it is dropped only if its planes were read and differ, and what cannot be read now
// stops the work.
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "hdf5_store.h"
#include "pack_name.h"

namespace dbsa {
using kv_pack::PackFile;
using kv_pack::PackSet;
using kv_pack::PackWriter;
using kv_pack::StoredBlock;

namespace {

using Packs = std::vector<std::shared_ptr<const PackFile>>;
using Places = std::vector<PackSet::Place>;

// Live blocks of each pack of the snapshot, in its order.
std::vector<Places> live_by_pack(const PackSet::Snapshot& all) {
  std::vector<Places> result(all.packs.size());
  size_t at = 0;
  for (const PackSet::Place& place : all.live) {
    while (all.packs[at] != place.pack) ++at;
    result[at].push_back(place);
  }
  return result;
}

uint64_t stored_bytes(const PackSet::Place& place) {
  return place.pack->stored_bytes(place.entry());
}

}  // namespace

// Runs `work` with no other writer about; returns the bytes won.
Result<uint64_t> Hdf5Store::maintain(const std::function<Status()>& work) {
  DBSA_RETURN_IF_ERROR(publish());
  std::error_code ignored;
  if (!std::filesystem::exists(settings_.path / "packs", ignored)) return uint64_t{0};
  if (Status locked = lock_.acquire_exclusive(); !locked.ok()) {
    writing_ = false;  // the next put locks again
    return std::move(locked).error();
  }
  kv_pack::remove_leftovers(settings_.path / "packs", host_);
  kv_pack::remove_leftovers(pools_.path(), host_);
  Status status = packs_.refresh();
  const uint64_t before = packs_.stored_bytes();
  if (status.ok()) status = work();
  if (const Status seen = packs_.refresh(); status.ok()) status = seen;
  lock_.release_exclusive();
  DBSA_RETURN_IF_ERROR(std::move(status));
  return before - std::min(before, packs_.stored_bytes());
}

Result<Hdf5Store::Keep> Hdf5Store::needed_keys() const {
  DBSA_ASSIGN_OR_RETURN(const std::vector<KvKey> keys, pools_.keys());
  return Keep(keys.begin(), keys.end());
}

// Blocks that no pool needs, oldest first, as many as must go until max_bytes are stored.
Places Hdf5Store::unneeded(const PackSet::Snapshot& all, const Keep& needed,
                           uint64_t max_bytes) const {
  Places found;
  uint64_t kept_bytes = 0;
  for (const PackSet::Place& place : all.live) {
    kept_bytes += stored_bytes(place);
    if (!needed.contains(place.key())) found.push_back(place);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.entry().created_unix_s < b.entry().created_unix_s;
  });
  if (max_bytes == 0) return found;
  size_t count = 0;
  for (; count < found.size() && kept_bytes > max_bytes; ++count)
    kept_bytes -= stored_bytes(found[count]);
  found.resize(count);
  return found;
}

Result<uint64_t> Hdf5Store::collect(uint64_t max_bytes, bool dry_run, const Dropped& dropped) {
  if (dry_run) {
    DBSA_ASSIGN_OR_RETURN(const Keep needed, needed_keys());
    DBSA_RETURN_IF_ERROR(packs_.refresh());
    uint64_t freed = 0;
    for (const PackSet::Place& place : unneeded(packs_.snapshot(), needed, max_bytes)) {
      dropped(entry_of(place));
      freed += stored_bytes(place);
    }
    return freed;
  }
  return maintain([&]() -> Status {
    // Only now: an encoder that has just finished put its pool before it let go.
    DBSA_ASSIGN_OR_RETURN(const Keep needed, needed_keys());
    DBSA_RETURN_IF_ERROR(remove_bad_packs(packs_.snapshot()));
    // A rewritten pack costs a little more than its blocks' shares did: then drop that much more.
    uint64_t aim = max_bytes;
    for (;;) {
      DBSA_RETURN_IF_ERROR(packs_.refresh());
      const PackSet::Snapshot all = packs_.snapshot();
      const Places drop = unneeded(all, needed, aim);
      Keep keep;
      size_t needed_here = 0;
      for (const PackSet::Place& place : all.live) {
        keep.insert(place.key());
        needed_here += needed.contains(place.key()) ? 1 : 0;
      }
      for (const PackSet::Place& place : drop) keep.erase(place.key());
      DBSA_RETURN_IF_ERROR(keep_only(all, keep));
      for (const PackSet::Place& place : drop) dropped(entry_of(place));
      DBSA_RETURN_IF_ERROR(packs_.refresh());
      const uint64_t now = packs_.stored_bytes();
      const bool all_dropped = keep.size() == needed_here;
      if (max_bytes == 0 || now <= max_bytes || all_dropped) return {};
      aim -= std::min(aim - 1, now - max_bytes);
    }
  });
}

// Leaves the blocks of `keep` and nothing else.
Status Hdf5Store::keep_only(const PackSet::Snapshot& all, const Keep& keep) {
  const std::vector<Places> live = live_by_pack(all);
  Packs removed;
  std::vector<std::pair<std::shared_ptr<const PackFile>, Places>> mixed;
  for (size_t i = 0; i < all.packs.size(); ++i) {
    Places kept;
    for (const PackSet::Place& place : live[i])
      if (keep.contains(place.key())) kept.push_back(place);
    if (kept.empty())
      removed.push_back(all.packs[i]);
    else if (kept.size() < all.packs[i]->rows().size())
      mixed.emplace_back(all.packs[i], std::move(kept));
  }
  // Space first: rewriting needs some.
  DBSA_RETURN_IF_ERROR(remove_packs(removed));
  for (const auto& [pack, kept] : mixed) DBSA_RETURN_IF_ERROR(rewrite(kept, {&pack, 1}));
  return {};
}

Result<uint64_t> Hdf5Store::compact() {
  return maintain([&]() -> Status {
    const PackSet::Snapshot all = packs_.snapshot();
    const std::vector<Places> live = live_by_pack(all);
    Packs group;
    Places places;
    uint64_t bytes = 0;
    bool holes = false;
    const auto flush = [&]() -> Status {
      // One small pack without holes is as compact as can be.
      if (group.size() > 1 || holes) DBSA_RETURN_IF_ERROR(rewrite(places, group));
      group.clear();
      places.clear();
      bytes = 0;
      holes = false;
      return {};
    };
    for (size_t i = 0; i < all.packs.size(); ++i) {
      const auto& pack = all.packs[i];
      const bool full = pack->bytes().size() >= settings_.pack_bytes / 2;
      DBSA_ASSIGN_OR_RETURN(const bool whole, rest_is_sound(*pack));
      const bool intact = live[i].size() == pack->rows().size() && whole;
      if (full && intact) continue;
      group.push_back(pack);
      places.insert(places.end(), live[i].begin(), live[i].end());
      holes = holes || !intact;
      for (const PackSet::Place& place : live[i]) bytes += stored_bytes(place);
      if (bytes >= settings_.pack_bytes) DBSA_RETURN_IF_ERROR(flush());
    }
    DBSA_RETURN_IF_ERROR(flush());
    return remove_bad_packs(all);
  });
}

// Whether the bytes of a pack outside its planes are as written. kEnvironment when they cannot be
// read now.
Result<bool> Hdf5Store::rest_is_sound(const PackFile& pack) const {
  if (const int code = kv_pack::load_pages(pack.bytes()); code != 0 && !pack.cut_short())
    return unreadable(pack, kv_pack::errno_text(code));
  else if (code != 0)
    return false;
  return pack.rest_matches();
}

Error Hdf5Store::unreadable(const PackFile& pack, const std::string& what) const {
  return {ErrorCode::kEnvironment,
          (settings_.path / "packs" / pack.name()).string() + ": " + what +
              "; nothing of it was removed",
          ""};
}

// Copies blocks into one new pack and removes the packs it replaces.
Status Hdf5Store::rewrite(std::span<const PackSet::Place> places,
                          std::span<const std::shared_ptr<const PackFile>> replaced) {
  std::unique_ptr<PackWriter> writer;
  for (const PackSet::Place& place : places) {
    if (host_.cancelled())
      return Error{ErrorCode::kCancelled, settings_.path.string() + ": cancelled", ""};
    const StoredBlock block = PackFile::block(place.pack, place.row);
    if (const Status sound = block.check_planes(); !sound.ok()) {
      if (sound.error().code != ErrorCode::kCorrupt)
        return unreadable(*place.pack, "block " + place.key().hex() + ": " + sound.error().message);
      host_.log_warning(settings_.path.string() + ": dropped block " + place.key().hex() + " of " +
                        place.pack->name() + ": " + sound.error().message);
      continue;
    }
    if (writer == nullptr) {
      DBSA_ASSIGN_OR_RETURN(writer, PackWriter::create(settings_.path));
    }
    std::vector<const void*> planes;
    for (uint32_t i = 0; i < block.format.layers; ++i) planes.push_back(block.plane(i).data());
    DBSA_RETURN_IF_ERROR(
        writer->add(place.key(), block.format, planes, place.entry().created_unix_s));
  }
  if (writer != nullptr) DBSA_RETURN_IF_ERROR(writer->publish(PackWriter::ReadBack::kAll));
  return remove_packs(replaced);
}

Status Hdf5Store::remove_packs(std::span<const std::shared_ptr<const PackFile>> packs) {
  const std::filesystem::path folder = settings_.path / "packs";
  for (const auto& pack : packs)
    if (unlink((folder / pack->name()).c_str()) != 0 && errno != ENOENT)
      return kv_pack::write_error(settings_.path, "removing " + pack->name(), errno);
  if (const int code = packs.empty() ? 0 : kv_pack::sync_folder(folder); code != 0)
    return kv_pack::write_error(settings_.path, "removing packs", code);
  return {};
}

// Removes packs whose header or index is corrupt: nothing in them can be used again. Packs of a
// later version, or ones that cannot be opened, stay.
Status Hdf5Store::remove_bad_packs(const PackSet::Snapshot& all) {
  for (const auto& [number, bad] : all.bad_packs) {
    if (bad.error.code != ErrorCode::kCorrupt) continue;
    const std::string name = kv_pack::pack_name(number);
    if (unlink((settings_.path / "packs" / name).c_str()) != 0 && errno != ENOENT)
      return kv_pack::write_error(settings_.path, "removing " + name, errno);
    host_.log_warning(settings_.path.string() + ": removed " + name + ", which cannot be read");
  }
  return {};
}

}  // namespace dbsa
