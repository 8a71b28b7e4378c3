#include "pack_set.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "pack_name.h"

namespace dbsa::kv_pack {
namespace fs = std::filesystem;

namespace {

// A folder's time may stand still for a clock tick: a change as fresh as this is looked at again.
constexpr int64_t kFreshNs = 100'000'000;

int64_t now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

Status PackSet::refresh() {
  std::lock_guard lock(refreshing_);
  struct stat info = {};
  if (stat(folder_.c_str(), &info) != 0) {
    if (errno != ENOENT)
      return Error{ErrorCode::kEnvironment,
                   folder_.string() + ": cannot be read: " + errno_text(errno), ""};
    std::unique_lock write(mutex_);
    packs_.clear();
    bad_packs_.clear();
    places_.clear();
    scanned_change_ns_ = 0;
    return {};
  }
  const int64_t changed = modified_ns(info);
  if (changed == scanned_change_ns_) return {};
  const int64_t now = now_ns();
  DBSA_RETURN_IF_ERROR(scan());
  const bool refused = std::any_of(bad_packs_.begin(), bad_packs_.end(), [](const auto& bad) {
    return bad.second.error.code == ErrorCode::kEnvironment;
  });
  scanned_change_ns_ = now - changed > kFreshNs && !refused ? changed : 0;
  return {};
}

Result<std::set<uint64_t>> PackSet::list_numbers() const {
  std::set<uint64_t> numbers;
  std::error_code failed;
  fs::directory_iterator entries(folder_, failed);
  for (; !failed && entries != fs::directory_iterator(); entries.increment(failed))
    if (const auto number = pack_number(entries->path().filename().string()))
      numbers.insert(*number);
  if (failed)
    return Error{ErrorCode::kEnvironment,
                 folder_.string() + ": cannot be read: " + failed.message(), ""};
  return numbers;
}

Status PackSet::scan() {
  std::map<uint64_t, std::shared_ptr<const PackFile>> packs;
  std::map<uint64_t, BadPack> bad_packs;
  // Listing a folder is not atomic: while maintenance replaces packs, a listing may show neither
  // the old nor the new one. So it counts when all it names is there and a second one agrees.
  for (int attempt = 0; attempt < 100; ++attempt) {
    packs.clear();
    bad_packs.clear();
    DBSA_ASSIGN_OR_RETURN(const std::set<uint64_t> numbers, list_numbers());
    bool all_there = true;
    for (const uint64_t number : numbers) {
      DBSA_ASSIGN_OR_RETURN(const bool found, load(number, packs, bad_packs));
      all_there = all_there && found;
    }
    DBSA_ASSIGN_OR_RETURN(const std::set<uint64_t> after, list_numbers());
    if (all_there && after == numbers) break;
  }
  std::unique_lock lock(mutex_);
  if (packs == packs_ && bad_packs == bad_packs_) return {};
  packs_ = std::move(packs);
  bad_packs_ = std::move(bad_packs);
  rebuild_places();
  return {};
}

// Opens pack `number`, or takes it over from the last scan. False when it is gone.
Result<bool> PackSet::load(uint64_t number,
                           std::map<uint64_t, std::shared_ptr<const PackFile>>& packs,
                           std::map<uint64_t, BadPack>& bad_packs) {
  const fs::path path = folder_ / pack_name(number);
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return false;
  // Only refresh changes the maps, one at a time, so they can be read here without the lock.
  if (const auto known = packs_.find(number);
      known != packs_.end() && known->second->same_file(info)) {
    packs.insert(*known);
    return true;
  }
  const BadPack seen{info.st_ino, modified_ns(info), static_cast<uint64_t>(info.st_size), {}};
  const auto known = bad_packs_.find(number);
  const bool told = known != bad_packs_.end() && known->second == seen;
  // What is wrong in the file stays wrong; what the system refused it may grant the next time.
  if (told && known->second.error.code != ErrorCode::kEnvironment) {
    bad_packs.insert(*known);
    return true;
  }
  Result<std::shared_ptr<PackFile>> pack = PackFile::open(path, number);
  if (pack.ok()) {
    packs.emplace(number, *pack);
    return true;
  }
  if (pack.error().code == ErrorCode::kNotFound) return false;
  if (!told) host_.log_warning(pack.error().message + "; its blocks count as missing");
  BadPack& bad = bad_packs.emplace(number, seen).first->second;
  bad.error = pack.error();
  return true;
}

void PackSet::rebuild_places() {
  places_.clear();
  for (const auto& [number, pack] : packs_) {
    const auto rows = pack->rows();
    for (size_t i = 0; i < rows.size(); ++i)
      if (!pack->hidden(i)) places_.insert_or_assign(KvKey::from(rows[i].key), Place{pack, i});
  }
}

std::optional<PackSet::Place> PackSet::find(const KvKey& key) const {
  std::shared_lock lock(mutex_);
  const auto found = places_.find(key);
  if (found == places_.end()) return std::nullopt;
  return found->second;
}

void PackSet::discard(const KvKey& key) {
  std::unique_lock lock(mutex_);
  bool known_wrong = false;
  for (const auto& [number, pack] : packs_) {
    const auto rows = pack->rows();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (KvKey::from(rows[i].key) != key) continue;
      for (uint32_t layer = 0; layer < rows[i].layers; ++layer)
        if (pack->states(rows[i])[layer] == PlaneState::kWrong) {
          pack->hide(i);
          known_wrong = true;
        }
    }
  }
  if (const auto newest = places_.find(key); !known_wrong && newest != places_.end())
    newest->second.pack->hide(newest->second.row);
  rebuild_places();
}

PackSet::Snapshot PackSet::snapshot() const {
  std::shared_lock lock(mutex_);
  Snapshot result;
  for (const auto& [number, pack] : packs_) {
    result.packs.push_back(pack);
    result.stored_bytes += pack->bytes().size();
    const auto rows = pack->rows();
    for (size_t i = 0; i < rows.size(); ++i)
      if (const auto place = places_.find(KvKey::from(rows[i].key));
          place != places_.end() && place->second.pack == pack && place->second.row == i)
        result.live.push_back(place->second);
  }
  result.bad_packs = bad_packs_;
  for (const auto& [number, bad] : bad_packs_) result.stored_bytes += bad.bytes;
  return result;
}

uint64_t PackSet::stored_bytes() const {
  std::shared_lock lock(mutex_);
  uint64_t total = 0;
  for (const auto& [number, pack] : packs_) total += pack->bytes().size();
  for (const auto& [number, bad] : bad_packs_) total += bad.bytes;
  return total;
}

}  // namespace dbsa::kv_pack
