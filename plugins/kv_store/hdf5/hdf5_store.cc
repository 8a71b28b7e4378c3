#include "hdf5_store.h"

#include <algorithm>

#include "pack_name.h"

namespace dbsa {
namespace fs = std::filesystem;
using kv_pack::PackFile;
using kv_pack::PackRow;
using kv_pack::PackSet;
using kv_pack::PackWriter;
using kv_pack::PlaneState;
using kv_pack::StoredBlock;

namespace {

class Hdf5Lease final : public KvStore::Lease {
 public:
  Hdf5Lease(StoredBlock block, std::string location)
      : block_(std::move(block)), location_(std::move(location)) {
    planes_.reserve(block_.format.layers);
    for (uint32_t i = 0; i < block_.format.layers; ++i) planes_.push_back(block_.plane(i).data());
  }

  const dbsa_kv_format& format() const override { return block_.format; }
  const void* const* planes() const override { return planes_.data(); }

  Result<uint64_t> verify(uint32_t plane) override {
    if (plane >= block_.format.layers)
      return Error{ErrorCode::kInvalidArgument,
                   "plane " + std::to_string(plane) + " of a block that has " +
                       std::to_string(block_.format.layers),
                   ""};
    std::atomic<PlaneState>& state = block_.states[plane];
    if (state.load(std::memory_order_acquire) == PlaneState::kSound) return uint64_t{0};
    // Threads that meet here both read the plane and find the same.
    if (const Status sound = block_.check_plane(plane); !sound.ok()) {
      if (sound.error().code == ErrorCode::kCorrupt)
        state.store(PlaneState::kWrong, std::memory_order_release);
      return Error{sound.error().code, location_ + ": " + sound.error().message, ""};
    }
    state.store(PlaneState::kSound, std::memory_order_release);
    return block_.format.plane_bytes;
  }

  void fetch(uint32_t plane) override {
    if (plane >= block_.format.layers) return;
    if (block_.states[plane].load(std::memory_order_acquire) != PlaneState::kSound)
      kv_pack::fetch_pages(block_.plane(plane));
  }

 private:
  StoredBlock block_;
  std::string location_;
  std::vector<const void*> planes_;
};

// Lock and pools are those of the packs: where `packs` is a link, all that share the packs share
// them, too.
fs::path home_of(const fs::path& store) {
  std::error_code failed;
  if (!fs::is_symlink(store / "packs", failed)) return store;
  const fs::path packs = fs::canonical(store / "packs", failed);
  return failed ? store : packs.parent_path();
}

}  // namespace

KvEntry entry_of(const PackSet::Place& place) {
  return {place.key(), format_of(place.entry()), place.pack->stored_bytes(place.entry()),
          place.entry().created_unix_s, place.pack->name()};
}

Status Hdf5Store::check_config(const Config& config) {
  DBSA_ASSIGN_OR_RETURN(const std::string path, config.get<std::string>("path"));
  if (path.empty()) return Config::fault("path", "must name a folder, got an empty text");
  return {};
}

Result<std::unique_ptr<Hdf5Store>> Hdf5Store::create(Host host, const Config& config) {
  DBSA_RETURN_IF_ERROR(check_config(config));
  Settings settings;
  DBSA_ASSIGN_OR_RETURN(settings.path, config.get<std::string>("path"));
  DBSA_ASSIGN_OR_RETURN(settings.max_bytes, config.get<uint64_t>("max_bytes"));
  DBSA_ASSIGN_OR_RETURN(settings.pack_bytes, config.get<uint64_t>("pack_bytes"));
  DBSA_ASSIGN_OR_RETURN(settings.publish_interval_s, config.get<double>("publish_interval_s"));
  std::error_code failed;
  const fs::file_status status = fs::status(settings.path, failed);
  if (fs::exists(status) && !fs::is_directory(status))
    return Error{ErrorCode::kEnvironment,
                 settings.path.string() +
                     ": is not a folder; set kv_store.path to a folder, or to a name that is free",
                 ""};
  auto store = std::make_unique<Hdf5Store>(host, std::move(settings));
  DBSA_RETURN_IF_ERROR(store->packs_.refresh());
  return store;
}

Hdf5Store::Hdf5Store(Host host, Settings settings)
    : host_(host),
      settings_(std::move(settings)),
      packs_(settings_.path / "packs", host),
      home_(home_of(settings_.path)),
      lock_(home_),
      pools_(settings_.path, home_ / "pools", host) {}

bool Hdf5Store::is_pending(const KvKey& key) const {
  std::shared_lock lock(pending_mutex_);
  return pending_.contains(key);
}

Result<bool> Hdf5Store::contains(const KvKey& key) {
  if (is_pending(key)) return true;
  DBSA_RETURN_IF_ERROR(packs_.refresh());
  return packs_.find(key).has_value();
}

Result<std::unique_ptr<KvStore::Lease>> Hdf5Store::get(const KvKey& key) {
  {
    std::shared_lock lock(pending_mutex_);
    if (const auto found = pending_.find(key); found != pending_.end())
      return std::unique_ptr<Lease>(std::make_unique<Hdf5Lease>(
          found->second.block, settings_.path.string() + ": unpublished block " + key.hex()));
  }
  std::optional<PackSet::Place> place = packs_.find(key);
  if (!place) {
    DBSA_RETURN_IF_ERROR(packs_.refresh());
    place = packs_.find(key);
  }
  if (!place)
    return Error{ErrorCode::kNotFound, settings_.path.string() + ": no block " + key.hex(), ""};
  return std::unique_ptr<Lease>(std::make_unique<Hdf5Lease>(
      PackFile::block(place->pack, place->row),
      (settings_.path / "packs" / place->pack->name()).string() + ": block " + key.hex()));
}

Status Hdf5Store::put(const KvKey& key, const dbsa_kv_format& format,
                      std::span<const void* const> planes) {
  DBSA_ASSIGN_OR_RETURN(bool there, contains(key));
  if (!there && !writing_) {
    DBSA_RETURN_IF_ERROR(begin_writing());
    // Until the lock was held, another process may have come first.
    DBSA_ASSIGN_OR_RETURN(there, contains(key));
  }
  if (!there) {
    DBSA_RETURN_IF_ERROR(check_fits(key, format));
    DropPending half_put(*this);
    DBSA_RETURN_IF_ERROR(append(key, format, planes));
    half_put.keep();
  }
  if (writer_ == nullptr) return {};
  const std::chrono::duration<double> gathered = Clock::now() - first_put_;
  if (writer_->bytes() >= settings_.pack_bytes || gathered.count() >= settings_.publish_interval_s)
    return publish();
  return {};
}

Status Hdf5Store::begin_writing() {
  DBSA_RETURN_IF_ERROR(lock_.acquire_shared(host_));
  kv_pack::remove_leftovers(settings_.path / "packs", host_);
  writing_ = true;
  return {};
}

Status Hdf5Store::check_fits(const KvKey& key, const dbsa_kv_format& format) const {
  if (format.layers == 0 || format.layers > kv_pack::kMaxLayers || format.plane_bytes == 0 ||
      format.plane_bytes > (uint64_t{1} << 62) / format.layers - kv_pack::kPlaneAlignment)
    return Error{ErrorCode::kInvalidArgument,
                 "block " + key.hex() + " has " + std::to_string(format.layers) + " layers of " +
                     std::to_string(format.plane_bytes) + " bytes",
                 ""};
  if (settings_.max_bytes == 0) return {};
  const uint64_t needed = format.layers * format.plane_bytes;
  const uint64_t used = packs_.stored_bytes() + pending_bytes_;
  if (needed <= settings_.max_bytes - std::min(settings_.max_bytes, used)) return {};
  return Error{ErrorCode::kEnvironment,
               settings_.path.string() + ": block " + key.hex() + " needs " +
                   std::to_string(needed) + " bytes, " + std::to_string(used) + " of " +
                   std::to_string(settings_.max_bytes) +
                   " allowed bytes are used; drop unused blocks with `dbsa-pipe store gc` or raise "
                   "kv_store.max_bytes",
               ""};
}

Status Hdf5Store::append(const KvKey& key, const dbsa_kv_format& format,
                         std::span<const void* const> planes) {
  if (writer_ == nullptr) {
    DBSA_ASSIGN_OR_RETURN(writer_, PackWriter::create(settings_.path));
    first_put_ = Clock::now();
  }
  const uint64_t before = writer_->bytes();
  DBSA_RETURN_IF_ERROR(writer_->add(key, format, planes));
  DBSA_ASSIGN_OR_RETURN(StoredBlock block, writer_->last_block(settings_.pack_bytes));
  std::unique_lock lock(pending_mutex_);
  pending_bytes_ = writer_->bytes();
  pending_.emplace(key, Pending{std::move(block), pending_bytes_ - before});
  return {};
}

void Hdf5Store::drop_pending() {
  writer_.reset();
  std::unique_lock lock(pending_mutex_);
  pending_.clear();
  pending_bytes_ = 0;
}

Status Hdf5Store::publish() {
  if (writer_ == nullptr) return {};
  // Published or not, the pack is done. Readers find the blocks in it before they stop being
  // pending.
  const DropPending done(*this);
  DBSA_RETURN_IF_ERROR(writer_->publish());
  return packs_.refresh();
}

Status Hdf5Store::discard(const KvKey& key) {
  if (is_pending(key)) DBSA_RETURN_IF_ERROR(publish());
  packs_.discard(key);
  return packs_.refresh();
}

Status Hdf5Store::list(const std::function<bool(const KvEntry&)>& entry) {
  // Pending blocks first: one that is published meanwhile is then found twice and not missed.
  std::vector<KvEntry> entries;
  std::unordered_set<KvKey, KvKeyHash> seen;
  {
    std::shared_lock lock(pending_mutex_);
    for (const auto& [key, one] : pending_) {
      entries.push_back({key, one.block.format, one.stored_bytes, 0, "unpublished"});
      seen.insert(key);
    }
  }
  DBSA_RETURN_IF_ERROR(packs_.refresh());
  for (const PackSet::Place& place : packs_.snapshot().live)
    if (!seen.contains(place.key())) entries.push_back(entry_of(place));
  for (const KvEntry& one : entries)
    if (!entry(one)) break;
  return {};
}

Status Hdf5Store::check(const std::function<void(const KvFault&)>& fault) {
  DBSA_RETURN_IF_ERROR(packs_.refresh());
  for (const std::string& path : kv_pack::misnamed_packs(settings_.path / "packs"))
    host_.log_warning(path + ": is ignored, its name is not one of a pack: expected " +
                      kv_pack::pack_name(1) + " to " + kv_pack::pack_name(kv_pack::kMaxPackNumber) +
                      "; rename or remove it");
  const PackSet::Snapshot all = packs_.snapshot();
  for (const auto& [number, bad] : all.bad_packs)
    fault({std::nullopt, kv_pack::pack_name(number), bad.error.message});
  for (const auto& pack : all.packs) {
    if (host_.cancelled()) return Error{ErrorCode::kCancelled, "cancelled", ""};
    check_pack(*pack, all, fault);
  }
  return {};
}

void Hdf5Store::check_pack(const PackFile& pack, const PackSet::Snapshot& all,
                           const std::function<void(const KvFault&)>& fault) const {
  const std::string path = (settings_.path / "packs" / pack.name()).string();
  // A fresh look: the file may have rotted since it was opened.
  const auto fresh = PackFile::open(path, pack.number());
  if (!fresh.ok()) {
    if (fresh.error().code != ErrorCode::kNotFound)
      fault({std::nullopt, pack.name(), fresh.error().message});
    return;
  }
  if (const int code = kv_pack::load_pages((*fresh)->bytes()); code != 0)
    return fault(
        {std::nullopt, pack.name(), path + ": cannot be read now: " + kv_pack::errno_text(code)});
  if (!(*fresh)->rest_matches())
    fault({std::nullopt, pack.name(),
           path + ": bytes outside header and planes do not match their checksum; the blocks are "
                  "usable, `dbsa-pipe store compact` rewrites the file"});
  const std::unordered_set<const PackRow*> live = [&] {
    std::unordered_set<const PackRow*> rows;
    for (const PackSet::Place& place : all.live)
      if (place.pack.get() == &pack) rows.insert(&place.entry());
    return rows;
  }();
  for (size_t i = 0; i < (*fresh)->rows().size(); ++i) {
    const PackRow& row = (*fresh)->rows()[i];
    const KvKey key = KvKey::from(row.key);
    const StoredBlock block = PackFile::block(*fresh, i);
    for (uint32_t layer = 0; layer < row.layers; ++layer)
      if (const Status sound = block.check_plane(layer); !sound.ok())
        fault({key, pack.name(),
               path + ": block " + key.hex() + ": " + sound.error().message +
                   (i < pack.rows().size() && live.contains(&pack.rows()[i])
                        ? ""
                        : " (replaced by a newer copy; `dbsa-pipe store compact` removes it)")});
  }
}

Result<dbsa_kv_stats> Hdf5Store::stats() {
  DBSA_RETURN_IF_ERROR(packs_.refresh());
  const PackSet::Snapshot all = packs_.snapshot();
  dbsa_kv_stats stats = {};
  stats.struct_size = sizeof stats;
  stats.max_bytes = settings_.max_bytes;
  stats.free_bytes = kv_pack::free_bytes(settings_.path);
  for (const fs::path& folder : {settings_.path / "packs", pools_.path()}) {
    const kv_pack::Leftovers left = kv_pack::count_leftovers(folder);
    stats.leftover_files += left.files;
    stats.leftover_bytes += left.bytes;
    std::error_code ignored;
    if (fs::is_directory(folder, ignored)) stats.location = settings_.path.c_str();
  }
  std::shared_lock lock(pending_mutex_);
  stats.blocks = all.live.size() + pending_.size();
  stats.stored_bytes = all.stored_bytes + pending_bytes_;
  return stats;
}

Status Hdf5Store::pool_put(const KvPool& pool) { return pools_.put(pool); }

Result<KvPool> Hdf5Store::pool_get(const std::string& id) { return pools_.get(id); }

Result<std::vector<KvPool>> Hdf5Store::pool_list() { return pools_.list(); }

Status Hdf5Store::pool_drop(const std::string& id) { return pools_.drop(id); }

}  // namespace dbsa

DBSA_PLUGIN(dbsa::Hdf5Store);
