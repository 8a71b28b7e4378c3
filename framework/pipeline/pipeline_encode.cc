// Stage one: from the demonstrations' file to an open pool.

#include <utility>

#include "config/folder_access.h"
#include "config/stopwatch.h"
#include "pipeline/pipeline_impl.h"
#include "pipeline/pool/stored_pool.h"

namespace dbsa {
namespace {

// What the pool is, for those who compare runs or repeat one.
void describe(const Pool& pool, std::span<const Example> demonstrations, EncodeReport& report) {
  describe_pool(pool, report);
  for (const PoolBlock& block : pool.blocks) {
    std::vector<int64_t>& lines = report.assignment.emplace_back();
    for (const int64_t id : block.demonstrations)
      lines.push_back(demonstrations[static_cast<size_t>(id)].line);
  }
  report.dealt_at_once = pool.is_dealt_at_once();
  if (!pool.history) return;
  report.history = pool.history;
  report.history->order.clear();
  report.history->plans.clear();
}

}  // namespace

// The pool these settings made before. A damaged manifest is no reason to stop: all in it can be
// made again.
Result<std::optional<Pool>> Pipeline::Impl::previous_pool() {
  Result<StoredPool> previous = get_pool(plugins->store, pool_id);
  if (!previous.ok() && previous.error().code == ErrorCode::kNotFound) return std::optional<Pool>();
  if (!previous.ok()) return previous.error();
  if (previous->pool.ok()) return std::optional<Pool>(std::move(previous->pool).value());
  const Error& error = previous->pool.error();
  if (error.code != ErrorCode::kCorrupt) return error;
  services.log(host::LogLevel::kWarning, error.message + "; dealing blocks again");
  return std::optional<Pool>();
}

// How messages call this pool: where it is stored, or its id.
std::string Pipeline::Impl::pool_name() const {
  const std::string location = pool_location(plugins->store, pool_id);
  return location.empty() ? "pool " + pool_id : location;
}

// What of a pool that is there was made in another way than it would be made here.
void Pipeline::Impl::warn_of_changes(const Pool& previous, Dealing dealing) {
  const std::string name = pool_name();
  if (uses_stored_kv(settings) && previous.kv != identities.kv)
    services.log(host::LogLevel::kWarning,
                 name + ": " + kv_changes(previous.kv) + "; its blocks are encoded again");
  if (dealing == Dealing::kKeep && !previous.blocks.empty() &&
      previous.grouper_library != identities.grouper_library)
    services.log(host::LogLevel::kWarning,
                 name + ": its blocks were grouped by another build of " +
                     identities.pool.at("block_grouper").at("plugin").get<std::string>() + " (" +
                     previous.grouper_library.substr(0, 8) + ", now " +
                     identities.grouper_library.substr(0, 8) +
                     ") of the same revision; they stay as they are, --regroup groups them again");
}

// Accuracy depends on which demonstrations stand together.
void Pipeline::Impl::warn_of_kept_blocks(const Pool& made) {
  if (made.is_dealt_at_once()) return;
  services.log(
      host::LogLevel::kWarning,
      pool_name() +
          ": the demonstrations have changed since they were dealt into blocks, which keep "
          "what they held; a new store would deal them otherwise, and so does --regroup" +
          (made.history ? " (" + std::to_string(made.history->retired.size()) +
                              " blocks are retired: others were encoded behind them, and no query "
                              "is given them)"
                        : std::string()));
}

// How stored blocks were computed otherwise than here, and what helps where only machines differ.
std::string Pipeline::Impl::kv_changes(const nlohmann::json& before) const {
  std::string text = "its blocks were computed differently (";
  bool only_path = true;
  for (const std::string& line : identity_differences(before, identities.kv)) {
    text += (text.ends_with('(') ? "" : "; ") + line;
    only_path = only_path && line.starts_with("code path");
  }
  text += ")";
  if (only_path)
    text +=
        ". Where machines of several kinds share a store, name one path for all of them, as with "
        "attention_backend.instructions = \"avx2\"";
  return text;
}

// Of all blocks that queries are given, where they are stored.
Result<uint64_t> Pipeline::Impl::kv_bytes(const Pool& pool) const {
  uint64_t bytes = 0;
  if (!uses_stored_kv(settings)) return bytes;
  for (const PoolBlock& block : pool.blocks) {
    DBSA_ASSIGN_OR_RETURN(
        const dbsa_kv_format format,
        model->backend().block_format(static_cast<int64_t>(block.token_ids.size())));
    bytes += format.plane_bytes * format.layers;
  }
  return bytes;
}

// A store that lacks nothing need not be writable.
Status Pipeline::Impl::check_writable(const EncodeNeed& need) const {
  const host::StoreKeys& store = plugins->store.keys();
  if (need.blocks.empty() || !store.is_folder) return {};
  const std::string fault = folder_fault(store.location);
  if (fault.empty()) return {};
  return Error{ErrorCode::kEnvironment,
               fault + " (" + std::to_string(need.blocks.size()) +
                   " blocks of this pool are not in the store)",
               store.location_pointer};
}

// Computes what the store lacks of a pool.
Status Pipeline::Impl::encode(const BuiltPool& built, const Pool* previous,
                              std::span<const Example> demonstrations,
                              const EncodeObserver& observer, EncodeReport& report) {
  Encoder encoder = make_encoder();
  DBSA_ASSIGN_OR_RETURN(
      EncodeNeed need,
      encoder.need(built.blocks, uses_stored_kv(settings) ? built.pool.encoded_indices()
                                                          : std::vector<int64_t>()));
  DBSA_RETURN_IF_ERROR(Encoder::check_room(need));
  DBSA_RETURN_IF_ERROR(check_writable(need));
  DBSA_ASSIGN_OR_RETURN(report.kv_bytes, kv_bytes(built.pool));
  report.estimate = estimate_of(built, previous, demonstrations, need.blocks);
  report.estimate.bytes_to_store = need.bytes;
  report.estimate.free_bytes = need.free_bytes;
  if (observer.estimate) observer.estimate(report.estimate);

  const Stopwatch encoding;
  EncodeProgress last;
  const Status encoded =
      encoder.encode(built.blocks, std::move(need), [&](const EncodeProgress& progress) {
        last = progress;
        if (observer.progress) observer.progress(progress);
      });
  if (!encoded.ok()) return with_sources(encoded.error(), settings, plugins->store.keys());
  report.encode_seconds = encoding.seconds();
  report.blocks_encoded = last.blocks_done;
  report.tokens_encoded = last.tokens_done;
  report.bytes_stored = static_cast<uint64_t>(last.bytes_stored);
  report.blocks_rebuilt = encoder.rebuilt();
  return {};
}

Result<EncodeReport> Pipeline::encode(bool regroup, const EncodeObserver& observer) {
  const Stopwatch reading;
  const DataSettings& files = impl_->settings.data;
  log_table(files, files.demonstrations, impl_->services);
  DBSA_ASSIGN_OR_RETURN(const PoolData data, read_pool_data(files));
  const double seconds = reading.seconds();
  Result<EncodeReport> report = encode(data, regroup, observer);
  if (report.ok()) report->setup_seconds += seconds;
  return report;
}

Result<EncodeReport> Pipeline::encode(const PoolData& data, bool regroup,
                                      const EncodeObserver& observer) {
  Impl& self = *impl_;
  const Stopwatch setup;
  EncodeReport report;
  report.pool_id = self.pool_id;
  const std::vector<Example>& demonstrations = data.demonstrations.chosen;
  DBSA_RETURN_IF_ERROR(self.renew_retriever());
  DBSA_ASSIGN_OR_RETURN(const std::optional<Pool> previous, self.previous_pool());
  const Dealing dealing = regroup ? Dealing::kAsNew : Dealing::kKeep;
  if (previous) self.warn_of_changes(*previous, dealing);
  DBSA_ASSIGN_OR_RETURN(BuiltPool built,
                        build_pool(self.indexing_parts(), demonstrations, data.labels.labels,
                                   previous ? &*previous : nullptr, dealing));
  self.warn_of_kept_blocks(built.pool);
  built.pool.demonstration_rows = data.demonstrations.identity;
  built.pool.label_rows = data.labels.identity;
  if (previous) built.pool.calibrations = previous->calibrations;
  report.index_reused = built.index_reused;
  describe(built.pool, demonstrations, report);
  DBSA_RETURN_IF_ERROR(
      self.encode(built, previous ? &*previous : nullptr, demonstrations, observer, report));
  built.pool.stored = uses_stored_kv(self.settings) ||
                      (previous && previous->stored && built.pool.has_blocks_of(*previous));
  if (self.plugins->store.keys().keeps()) {
    report.pool_kept = put_pool(self.plugins->store, built.pool);
    if (report.pool_kept.ok())
      report.pool_location = pool_location(self.plugins->store, self.pool_id);
    else if (report.blocks_encoded > 0)
      return report.pool_kept.error();
  }
  DBSA_ASSIGN_OR_RETURN(std::shared_ptr<Answerer> answerer, self.adopt(std::move(built)));
  DBSA_ASSIGN_OR_RETURN(answerer, self.calibrate(std::move(answerer), data.demonstrations.held_out,
                                                 observer, report));
  self.publish(std::move(answerer));
  report.setup_seconds = setup.seconds();
  return report;
}

Result<EncodeReport> Pipeline::encode_copy(Pool pool, std::optional<Calibration> calibration,
                                           const EncodeObserver& observer) {
  Impl& self = *impl_;
  DBSA_RETURN_IF_ERROR(self.renew_retriever());
  DBSA_ASSIGN_OR_RETURN(BuiltPool built, rebuild_pool(self.indexing_parts(), std::move(pool)));
  EncodeReport report;
  DBSA_RETURN_IF_ERROR(self.encode(built, nullptr, {}, observer, report));
  DBSA_ASSIGN_OR_RETURN(std::shared_ptr<Answerer> answerer, self.adopt(std::move(built)));
  if (calibration) answerer = answerer->with_calibration(*std::move(calibration));
  self.publish(std::move(answerer));
  return report;
}

// What is wrong with a pool that was read is the file's fault, not the pipeline's.
Result<std::shared_ptr<OpenedPool>> Pipeline::Impl::open_stored(Pool stored,
                                                                const std::string& name) {
  std::vector<std::string> table;
  for (const PoolLabel& label : stored.labels) table.push_back(label.text);
  Result<std::vector<PoolLabel>> labels = pool_labels(parts(), table);
  if (!labels.ok())
    return Error{labels.error().code, name + ": " + labels.error().message,
                 labels.error().config_pointer};
  stored.labels = std::move(labels).value();
  Result<std::shared_ptr<OpenedPool>> opened = open_with_retriever(std::move(stored));
  if (opened.ok()) return opened;
  return Error{ErrorCode::kCorrupt,
               name + ": not a sound pool manifest: " + opened.error().message +
                   "; remove the file and run `dbsa-pipe encode` again (stored blocks are reused)",
               ""};
}

// What differs between these settings and the pool of the same data that is most like them.
std::string Pipeline::Impl::nearest_pool() const {
  const auto data_of = [](const nlohmann::json& identity) {
    return identity.value("data", nlohmann::json::object())
        .value("demonstrations", nlohmann::json());
  };
  std::vector<std::string> nearest;
  std::string name;
  const Result<std::vector<StoredPool>> pools = stored_pools(plugins->store);
  if (!pools.ok()) return "";
  for (const StoredPool& stored : *pools) {
    const Result<Pool>& other = stored.pool;
    if (!other.ok() || !other->identity.is_object() ||
        data_of(other->identity) != data_of(identities.pool))
      continue;
    std::vector<std::string> changes = identity_differences(other->identity, identities.pool);
    if (!name.empty() && changes.size() >= nearest.size()) continue;
    nearest = std::move(changes);
    name = other->id;
  }
  constexpr size_t kMost = 5;
  std::string text;
  for (size_t i = 0; i < std::min(kMost, nearest.size()); ++i)
    text += (i == 0 ? "; pool " + name + " of the same data has " : "; ") + nearest[i];
  if (nearest.size() > kMost) text += "; and " + std::to_string(nearest.size() - kMost) + " more";
  return text;
}

Status Pipeline::open_pool() {
  Impl& self = *impl_;
  const host::StoreKeys& store = self.plugins->store.keys();
  if (!store.keeps())
    return Error{ErrorCode::kConfig,
                 "this store is not kept between runs, so there is no encoded pool to open; use "
                 "`dbsa-pipe run`, or a store with a path",
                 "/kv_store/plugin"};
  DBSA_RETURN_IF_ERROR(self.renew_retriever());
  Result<StoredPool> stored = get_pool(self.plugins->store, self.pool_id);
  if (!stored.ok() && stored.error().code == ErrorCode::kNotFound)
    return Error{ErrorCode::kConfig,
                 "no pool was encoded with these settings (" + store.location + " has no pool " +
                     self.pool_id + self.nearest_pool() + "); run `dbsa-pipe encode` first",
                 store.location_pointer};
  if (!stored.ok()) return stored.error();
  Result<Pool>& pool = stored->pool;
  if (!pool.ok()) return pool.error();
  const std::string& name = stored->location;
  if (uses_stored_kv(self.settings) && pool->kv != self.identities.kv)
    return Error{ErrorCode::kConfig,
                 name + ": " + self.kv_changes(pool->kv) + "; or run `dbsa-pipe encode` again",
                 "/attention_backend/plugin"};
  if (pool->made_index != self.identities.index) {
    std::string changes;
    for (const std::string& line : identity_differences(pool->made_index, self.identities.index))
      changes += (changes.empty() ? "" : "; ") + line;
    return Error{ErrorCode::kConfig,
                 name + ": its retriever index was made differently (" + changes +
                     "); run `dbsa-pipe encode` again (stored blocks are reused)",
                 "/retriever/plugin"};
  }
  const int64_t documents = pool->documents(self.settings.retriever.by_demonstration);
  if (Status loaded =
          documents == 0 ? Status() : self.next_index->retriever.load(pool->index, documents);
      !loaded.ok())
    return Error{loaded.error().code,
                 name + ": its retriever index cannot be used: " + loaded.error().message +
                     "; run `dbsa-pipe encode` again",
                 ""};
  // What a key is made of and the identities above do not say shows in the keys themselves.
  std::vector<EncodeBlock> planned;
  if (uses_stored_kv(self.settings)) {
    DBSA_ASSIGN_OR_RETURN(planned, plan_pool(self.parts(), *pool));
  }
  DBSA_ASSIGN_OR_RETURN(const std::shared_ptr<OpenedPool> opened,
                        self.open_stored(std::move(pool).value(), name));
  opened->changed_unix_s = stored->changed_unix_s;
  opened->planned = std::move(planned);
  std::shared_ptr<Answerer> answerer = self.answerer_of(opened);
  DBSA_ASSIGN_OR_RETURN(answerer, self.adopt_calibration(std::move(answerer)));
  self.publish(std::move(answerer));
  return {};
}

}  // namespace dbsa
