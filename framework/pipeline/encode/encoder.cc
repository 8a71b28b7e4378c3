#include "pipeline/encode/encoder.h"

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "pipeline/encode/block_content.h"

namespace dbsa {

// A block being computed.
struct Encoder::Live {
  int64_t block = 0;  // index into the pool
  int64_t done = 0;   // tokens computed, this chunk included
  host::Kv kv;
  // What others in this chunk see of it, where that is not `kv`; filled layer by layer.
  std::unique_ptr<BlockPlanes> sealed_planes;
  host::Kv sealed;
};

// The blocks of a chunk, in pool order. Addresses are stable: plans point to them.
struct Encoder::LiveBlocks {
  std::vector<std::unique_ptr<Live>> blocks;
  std::unordered_map<KvKey, Live*, KvKeyHash> by_key;
};

// Rows to be computed, and the stored blocks that they see, open as long as it lives.
struct Encoder::Chunk {
  ForwardInput input;
  std::vector<std::shared_ptr<OpenBlock>> in_view;
};

Result<std::vector<int64_t>> absent_blocks(
    std::span<const EncodeBlock> pool, std::span<const int64_t> wanted,
    const std::function<Result<bool>(const EncodeBlock&)>& is_stored) {
  std::vector<int64_t> absent;
  std::unordered_set<KvKey, KvKeyHash> seen;
  // From the back, so that of blocks with one key the first is listed: nothing that sees it comes
  // before it.
  std::vector<int64_t> open(wanted.begin(), wanted.end());
  std::sort(open.rbegin(), open.rend());
  while (!open.empty()) {
    const int64_t index = open.back();
    open.pop_back();
    const EncodeBlock& block = pool[static_cast<size_t>(index)];
    if (!seen.insert(block.key).second) continue;
    DBSA_ASSIGN_OR_RETURN(const bool stored, is_stored(block));
    if (stored) continue;
    absent.push_back(index);
    for (const PlacedSegment& segment : block.plan.segments)
      if (segment.visible.block != index) open.push_back(segment.visible.block);
  }
  std::sort(absent.begin(), absent.end());
  return absent;
}

Result<EncodeNeed> Encoder::need(std::span<const EncodeBlock> pool,
                                 std::span<const int64_t> wanted) {
  EncodeNeed need;
  DBSA_ASSIGN_OR_RETURN(const StoredFormats formats, stored_formats(pool));
  DBSA_ASSIGN_OR_RETURN(need.blocks, absent_blocks(pool, wanted, [&](const EncodeBlock& block) {
                          return is_stored(block, formats);
                        }));
  for (const int64_t index : need.blocks) {
    const auto tokens = static_cast<int64_t>(pool[static_cast<size_t>(index)].token_ids.size());
    DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format format, backend_.block_format(tokens));
    need.tokens += tokens;
    need.bytes += format.plane_bytes * format.layers;
  }
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_stats stats, store_.stats());
  need.free_bytes = stats.free_bytes;
  need.stored_bytes = stats.stored_bytes;
  need.max_bytes = stats.max_bytes;
  need.keys = store_.keys();
  return need;
}

Result<Encoder::StoredFormats> Encoder::stored_formats(std::span<const EncodeBlock> pool) const {
  StoredFormats formats;
  std::unordered_set<KvKey, KvKeyHash> keys;
  for (const EncodeBlock& block : pool) keys.insert(block.key);
  DBSA_RETURN_IF_ERROR(store_.list([&](const KvEntry& entry) {
    if (keys.contains(entry.key)) formats[entry.key] = {entry.format, entry.location};
    return true;
  }));
  return formats;
}

Result<bool> Encoder::is_stored(const EncodeBlock& block, const StoredFormats& stored) {
  if (cache_.keeps(block.key)) return true;
  const auto found = stored.find(block.key);
  if (found == stored.end()) return store_.contains(block.key);
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format expected,
                        backend_.block_format(static_cast<int64_t>(block.token_ids.size())));
  const Status same = check_format(expected, found->second.format);
  if (same.ok()) return true;
  services_.log(host::LogLevel::kWarning, found->second.location + ": block " + block.key.hex() +
                                              " " + same.error().message + "; it is encoded again");
  DBSA_RETURN_IF_ERROR(cache_.discard(block.key));
  return false;
}

Status Encoder::check_room(const EncodeNeed& need) {
  if (need.bytes > need.free_bytes)
    return Error{ErrorCode::kEnvironment,
                 "the store needs " + std::to_string(need.bytes) + " more bytes and " +
                     std::to_string(need.free_bytes) + " are free; free some" +
                     (need.keys.keeps() ? ", choose another " + need.keys.location_name() : "") +
                     ", or use fewer demonstrations",
                 ""};
  if (need.bytes > 0 && need.max_bytes != 0 && need.stored_bytes + need.bytes > need.max_bytes)
    return Error{ErrorCode::kEnvironment,
                 "the store holds " + std::to_string(need.stored_bytes) + " bytes and needs " +
                     std::to_string(need.bytes) + " more; " + need.keys.bound_name() + " is " +
                     std::to_string(need.max_bytes) +
                     "; raise it, or free blocks no pool uses with `dbsa-pipe store gc`",
                 ""};
  return {};
}

Status Encoder::encode(std::span<const EncodeBlock> pool, EncodeNeed need, const Report& report,
                       bool keep_in_memory) {
  keeps_ = keep_in_memory;
  EncodeProgress progress;
  progress.blocks_total = static_cast<int64_t>(need.blocks.size());
  progress.tokens_total = need.tokens;
  const std::vector<int64_t> wanted = need.blocks;
  // Every pass that fails mends one block. Passes that win nothing mean a disk that spoils what is
  // written.
  constexpr int kIdlePasses = 8;
  for (int idle = 0;;) {
    const int64_t done_before = progress.blocks_done;
    const bool refused_before = refused_;
    Status status = encode_pass(pool, need, progress, report);
    cache_.drop_unused();
    if (status.ok()) {
      DBSA_RETURN_IF_ERROR(publish());
      if (refused_ == refused_before) return {};
      // What was put and not published when the store refused is computed again.
      DBSA_ASSIGN_OR_RETURN(need, this->need(pool, wanted));
      if (need.blocks.empty()) return {};
      continue;
    }
    idle = progress.blocks_done > done_before ? 0 : idle + 1;
    const bool corrupt = status.error().code == ErrorCode::kCorrupt;
    const bool gone = status.error().code == ErrorCode::kNotFound;  // another process collected it
    Result<EncodeNeed> rest = status.error();
    if ((corrupt || gone) && idle < kIdlePasses) rest = this->need(pool, wanted);
    if (!rest.ok()) {
      if (Status kept = store_.publish(); !kept.ok()) return kept;
      return std::move(rest).error();
    }
    // A block that others see was corrupt and is discarded by now, or is gone: it joins the list.
    rebuilt_ += corrupt ? 1 : 0;
    need = std::move(rest).value();
    progress.blocks_total = progress.blocks_done + static_cast<int64_t>(need.blocks.size());
    progress.tokens_total = progress.tokens_done + need.tokens;
  }
}

// Whether a store that could not take something is to be done without.
bool Encoder::refuses(const Status& stored, const std::string& what) {
  if (stored.ok() || !keeps_ || stored.error().code != ErrorCode::kEnvironment) return false;
  if (!refused_)
    services_.log(host::LogLevel::kWarning,
                  what + " cannot be stored and is kept in memory: " + stored.error().message);
  refused_ = true;
  return true;
}

Status Encoder::put(const EncodeBlock& block, BlockPlanes& planes) {
  Status stored = Error{ErrorCode::kEnvironment, "", ""};
  if (!keeps_ || !refused_) stored = store_.put(block.key, planes.format(), planes.all());
  if (!refuses(stored, "block " + block.key.hex())) return stored;
  return cache_.keep(block.key, std::exchange(planes, {}));
}

Status Encoder::publish() {
  Status published = store_.publish();
  return refuses(published, "what was encoded") ? Status() : published;
}

Status Encoder::encode_pass(std::span<const EncodeBlock> pool, const EncodeNeed& need,
                            EncodeProgress& progress, const Report& report) {
  LiveBlocks live;
  BlockPlanes planes;
  size_t next = 0;  // first block of the list that has not begun
  while (next < need.blocks.size() || !live.blocks.empty()) {
    if (services_.cancelled()) return Error{ErrorCode::kCancelled, "stopped while encoding", ""};
    DBSA_ASSIGN_OR_RETURN(const Chunk chunk, make_chunk(pool, need.blocks, next, live));
    const auto seal_layer = [&](int32_t layer) -> Status {
      for (const std::unique_ptr<Live>& block : live.blocks)
        if (block->sealed_planes != nullptr)
          DBSA_RETURN_IF_ERROR(backend_.block_export(block->kv, block->sealed_planes->format(),
                                                     layer, block->sealed_planes->plane(layer)));
      return {};
    };
    DBSA_RETURN_IF_ERROR(scheduler_.run_work([&]() -> Status {
      const auto computed = model_.forward(chunk.input, {}, nullptr, seal_layer);
      return computed.ok() ? Status() : computed.error();
    }));
    progress.tokens_done += static_cast<int64_t>(chunk.input.ids.size());
    cache_.drop_unused();
    LiveBlocks unfinished;
    for (std::unique_ptr<Live>& block : live.blocks) {
      const EncodeBlock& source = pool[static_cast<size_t>(block->block)];
      if (block->done == static_cast<int64_t>(source.token_ids.size())) {
        DBSA_RETURN_IF_ERROR(store_block(pool, *block, planes, progress));
        continue;
      }
      unfinished.by_key.emplace(source.key, block.get());
      unfinished.blocks.push_back(std::move(block));
    }
    live = std::move(unfinished);
    if (report) report(progress);
  }
  return {};
}

// Takes rows from the unfinished block, then from new ones, until the chunk is full.
Result<Encoder::Chunk> Encoder::make_chunk(std::span<const EncodeBlock> pool,
                                           std::span<const int64_t> todo, size_t& next,
                                           LiveBlocks& live) {
  Chunk chunk;
  int64_t room = chunk_tokens_;
  for (size_t i = 0; room > 0; ++i) {
    if (i == live.blocks.size()) {
      if (next == todo.size()) break;
      const EncodeBlock& block = pool[static_cast<size_t>(todo[next])];
      auto begun = std::make_unique<Live>();
      begun->block = todo[next++];
      DBSA_ASSIGN_OR_RETURN(begun->kv,
                            backend_.kv_create(static_cast<int64_t>(block.token_ids.size())));
      live.by_key.emplace(block.key, begun.get());
      live.blocks.push_back(std::move(begun));
    }
    Live& own = *live.blocks[i];
    const auto tokens = static_cast<int64_t>(pool[static_cast<size_t>(own.block)].token_ids.size());
    const int64_t rows = std::min(room, tokens - own.done);
    DBSA_RETURN_IF_ERROR(add_range(pool, own, rows, live, chunk));
    room -= rows;
  }
  return chunk;
}

// Adds the next `rows` rows of a block to a chunk.
Status Encoder::add_range(std::span<const EncodeBlock> pool, Live& own, int64_t rows,
                          const LiveBlocks& live, Chunk& chunk) {
  const EncodeBlock& block = pool[static_cast<size_t>(own.block)];
  RowRange range;
  range.rows = rows;
  range.kv = &own.kv;
  range.first_token = own.done;
  own.done += rows;
  for (const PlacedSegment& placed : block.plan.segments) {
    const Visible& visible = placed.visible;
    dbsa_segment segment = {sizeof(dbsa_segment), visible.kind, own.kv.get(),  visible.first_token,
                            visible.length,       placed.start, visible.window};
    if (visible.block == own.block) {
      // Own tokens that do not exist yet are behind every row of this chunk.
      segment.length = std::min(visible.length, own.done - visible.first_token);
      if (segment.length > 0) range.segments.push_back(segment);
      continue;
    }
    const EncodeBlock& other = pool[static_cast<size_t>(visible.block)];
    if (const auto same = live.by_key.find(other.key); same != live.by_key.end()) {
      Live& seen = *same->second;  // whole by now: its rows came before
      DBSA_RETURN_IF_ERROR(seal(static_cast<int64_t>(other.token_ids.size()), seen));
      segment.kv = seen.sealed ? seen.sealed.get() : seen.kv.get();
    } else {
      DBSA_ASSIGN_OR_RETURN(
          std::shared_ptr<OpenBlock> stored,
          open_sound(other, layers_reading(placed, block.plan.start + range.first_token), false));
      segment.kv = stored->kv().get();
      chunk.in_view.push_back(std::move(stored));
    }
    range.segments.push_back(segment);
  }
  for (int64_t i = range.first_token; i < own.done; ++i) {
    chunk.input.ids.push_back(block.token_ids[static_cast<size_t>(i)]);
    chunk.input.positions.push_back(static_cast<int32_t>(block.plan.start + i));
  }
  chunk.input.ranges.push_back(std::move(range));
  return {};
}

// The layers in which rows from position first_row on read a segment.
LayerSet Encoder::layers_reading(const PlacedSegment& segment, int64_t first_row) const {
  return model_.layers_reading(first_row, segment.start + segment.visible.length - 1);
}

// A stored block whose planes of these layers match their checksums, and, where the content is
// asked for, are numbers. One that does not is discarded: kCorrupt.
Result<std::shared_ptr<OpenBlock>> Encoder::open_sound(const EncodeBlock& block,
                                                       const LayerSet& wanted, bool content) {
  Result<std::shared_ptr<OpenBlock>> stored =
      cache_.open(block.key, static_cast<int64_t>(block.token_ids.size()));
  Status sound = !stored.ok() ? Status(stored.error())
                 : content    ? (*stored)->verify_content(wanted)
                              : (*stored)->verify(wanted);
  if (sound.ok()) return stored;
  if (sound.error().code == ErrorCode::kCorrupt) DBSA_RETURN_IF_ERROR(cache_.discard(block.key));
  return std::move(sound).error();
}

// Makes ready what others see of a block in this chunk, where storing it changes it.
Status Encoder::seal(int64_t tokens, Live& live) {
  if (live.sealed || model_.precision().kv_dtype != DBSA_KV_DTYPE_I8) return {};
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format format, backend_.block_format(tokens));
  live.sealed_planes = std::make_unique<BlockPlanes>();
  DBSA_RETURN_IF_ERROR(live.sealed_planes->reserve(format));
  DBSA_ASSIGN_OR_RETURN(live.sealed,
                        backend_.block_import(format, live.sealed_planes->all().data()));
  return {};
}

Status Encoder::store_block(std::span<const EncodeBlock> pool, const Live& live,
                            BlockPlanes& memory, EncodeProgress& progress) {
  const EncodeBlock& block = pool[static_cast<size_t>(live.block)];
  BlockPlanes* planes = live.sealed_planes.get();
  if (planes == nullptr) {
    planes = &memory;
    DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format format,
                          backend_.block_format(static_cast<int64_t>(block.token_ids.size())));
    DBSA_RETURN_IF_ERROR(memory.reserve(format));
    const Status exported = scheduler_.run_work([&]() -> Status {
      for (int32_t layer = 0; layer < static_cast<int32_t>(format.layers); ++layer)
        DBSA_RETURN_IF_ERROR(backend_.block_export(live.kv, format, layer, memory.plane(layer)));
      return {};
    });
    DBSA_RETURN_IF_ERROR(exported);
  }
  const dbsa_kv_format format = planes->format();
  for (int32_t layer = 0; layer < static_cast<int32_t>(format.layers); ++layer)
    if (!check_finite(format, layer, planes->plane(layer)).ok()) return not_finite(pool, block);
  DBSA_RETURN_IF_ERROR(put(block, *planes));
  ++progress.blocks_done;
  progress.bytes_stored += static_cast<int64_t>(format.plane_bytes * format.layers);
  return {};
}

// Why a block's numbers are not finite: a stored block that it sees, which is discarded then
// (kCorrupt), or the model.
Error Encoder::not_finite(std::span<const EncodeBlock> pool, const EncodeBlock& block) {
  for (const PlacedSegment& segment : block.plan.segments) {
    const EncodeBlock& seen = pool[static_cast<size_t>(segment.visible.block)];
    if (seen.key == block.key) continue;
    const Result<std::shared_ptr<OpenBlock>> opened =
        open_sound(seen, layers_reading(segment, block.plan.start), true);
    if (!opened.ok() && opened.error().code == ErrorCode::kCorrupt)
      return {ErrorCode::kCorrupt, "block " + seen.key.hex() + ": " + opened.error().message, ""};
  }
  return {ErrorCode::kRun,
          "block " + block.key.hex() +
              ": the model computes keys or values that are not finite; check its weights, or set "
              "model.dtype = \"f32\"",
          "/model/path"};
}

}  // namespace dbsa
