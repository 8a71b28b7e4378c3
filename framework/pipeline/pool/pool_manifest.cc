#include "pipeline/pool/pool_manifest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>

namespace dbsa {
namespace {

using nlohmann::json;

constexpr std::string_view kMagic = "DBSAPOOL";
constexpr int kWithoutHistory = 3;  // the version of pools that have none
constexpr size_t kHashBytes = sizeof(XXH128_canonical_t);

XXH128_canonical_t checksum(std::string_view bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  return canonical;
}

// Not json::binary, whose result is destroyed half made, with a crash, where memory runs out.
json to_binary(std::vector<uint8_t> bytes) {
  json value(json::value_t::binary);
  value.get_binary() = json::binary_t(std::move(bytes));
  return value;
}

json ids_to_binary(const std::vector<int32_t>& ids) {
  std::vector<uint8_t> bytes(ids.size() * sizeof(int32_t));
  if (!bytes.empty()) std::memcpy(bytes.data(), ids.data(), bytes.size());
  return to_binary(std::move(bytes));
}

std::vector<int32_t> ids_from_binary(const json& value) {
  const std::vector<uint8_t>& bytes = value.get_binary();
  std::vector<int32_t> ids(bytes.size() / sizeof(int32_t));
  if (!ids.empty()) std::memcpy(ids.data(), bytes.data(), ids.size() * sizeof(int32_t));
  return ids;
}

json key_to_binary(const KvKey& key) {
  return to_binary(std::vector<uint8_t>(key.bytes.begin(), key.bytes.end()));
}

KvKey key_from_binary(const json& value) {
  const std::vector<uint8_t>& bytes = value.get_binary();
  if (bytes.size() != DBSA_KV_KEY_BYTES) throw std::invalid_argument("a key of the wrong length");
  return KvKey::from(bytes.data());
}

// [start, [block, first_token, length, kind, window, start], ...]
json plan_to_json(const BlockPlan& plan) {
  json out = json::array({plan.start});
  for (const PlacedSegment& segment : plan.segments) {
    const Visible& seen = segment.visible;
    out.push_back(
        {seen.block, seen.first_token, seen.length, seen.kind, seen.window, segment.start});
  }
  return out;
}

json history_to_json(const PoolHistory& history) {
  json retired = json::array(), plans = json::array();
  for (const PoolBlock& block : history.retired)
    retired.push_back(
        {{"token_ids", ids_to_binary(block.token_ids)}, {"key", key_to_binary(block.key)}});
  for (const BlockPlan& plan : history.plans) plans.push_back(plan_to_json(plan));
  return {{"edits", history.edits},
          {"hash", history.hash},
          {"retired", std::move(retired)},
          {"order", history.order},
          {"plans", std::move(plans)}};
}

json to_json(const Pool& pool) {
  json blocks = json::array();
  for (const PoolBlock& block : pool.blocks)
    blocks.push_back({{"demonstrations", block.demonstrations},
                      {"token_ids", ids_to_binary(block.token_ids)},
                      {"key", key_to_binary(block.key)}});
  json labels = json::array();
  for (const PoolLabel& label : pool.labels) labels.push_back({{"text", label.text}});
  json value = {{"version", kWithoutHistory},
                {"id", pool.id},
                {"identity", pool.identity},
                {"kv", pool.kv},
                {"has_prefix", pool.has_prefix},
                {"demonstrations", pool.demonstrations},
                {"demonstration_labels", ids_to_binary(pool.demonstration_labels)},
                {"blocks", std::move(blocks)},
                {"labels", std::move(labels)},
                {"made_index", pool.made_index},
                {"grouper_library", pool.grouper_library},
                {"dealt", pool.dealt},
                {"demonstration_rows", pool.demonstration_rows},
                {"label_rows", pool.label_rows},
                {"documents_hash", pool.documents_hash},
                {"index", to_binary(std::vector<uint8_t>(pool.index.begin(), pool.index.end()))}};
  if (!pool.stored) value["stored"] = false;
  for (const PoolCalibration& calibration : pool.calibrations)
    value["calibrations"].push_back({calibration.identity, calibration.document});
  if (pool.history) {
    value["version"] = kPoolManifestVersion;
    value["history"] = history_to_json(*pool.history);
  }
  return value;
}

const json& object_at(const json& value, const char* key) {
  const json& found = value.at(key);
  if (!found.is_object()) throw std::invalid_argument(std::string(key) + " is no object");
  return found;
}

// Checks what answering and encoding rely on: a block sees earlier ones and all of itself, within
// their tokens. lengths: [index + 1] of the blocks up to this one.
void check_plan(const BlockPlan& plan, std::span<const int64_t> lengths) {
  const auto own = static_cast<int64_t>(lengths.size()) - 1;
  int64_t covered = 0;  // tokens of the block itself
  // Far beyond any model, and sums of them are no overflow.
  constexpr int64_t kMaxPosition = int64_t{1} << 40;
  const auto is_position = [](int64_t value) { return value >= 0 && value < kMaxPosition; };
  bool sound = is_position(plan.start);
  for (const PlacedSegment& segment : plan.segments) {
    const Visible& seen = segment.visible;
    sound = sound && seen.block >= 0 && seen.block <= own && is_position(segment.start) &&
            is_position(seen.first_token) && is_position(seen.length) && seen.length > 0 &&
            seen.first_token + seen.length <= lengths[static_cast<size_t>(seen.block)] &&
            (seen.kind == DBSA_SEGMENT_WINDOW ? is_position(seen.window) && seen.window > 0
                                              : seen.window == 0) &&
            seen.kind >= DBSA_SEGMENT_FULL && seen.kind <= DBSA_SEGMENT_WINDOW;
    if (!sound) break;
    if (seen.block == own) {
      sound = seen.kind != DBSA_SEGMENT_FULL && seen.first_token == covered &&
              segment.start == plan.start + covered;
      covered += seen.length;
    } else {
      sound = covered == 0;
    }
    if (!sound) break;
  }
  if (!sound || covered != lengths.back())
    throw std::invalid_argument("a block that sees what is not there");
}

BlockPlan plan_from_json(const json& value) {
  BlockPlan plan;
  plan.start = value.at(0);
  for (size_t i = 1; i < value.size(); ++i) {
    const json& source = value.at(i);
    const Visible seen = {source.at(0), source.at(1), source.at(2), source.at(3), source.at(4)};
    plan.segments.push_back({seen, source.at(5)});
  }
  return plan;
}

PoolHistory history_from_json(const json& value, const std::vector<PoolBlock>& blocks) {
  PoolHistory history;
  history.edits = value.at("edits");
  history.hash = value.at("hash");
  for (const json& source : value.at("retired")) {
    history.retired.push_back(
        {{}, ids_from_binary(source.at("token_ids")), key_from_binary(source.at("key"))});
    if (history.retired.back().token_ids.empty()) throw std::invalid_argument("an empty block");
  }
  history.order = value.at("order").get<std::vector<int64_t>>();
  const size_t count = blocks.size() + history.retired.size();
  std::vector<bool> placed(count, false);
  std::vector<int64_t> lengths;
  if (history.order.size() != count || value.at("plans").size() != count)
    throw std::invalid_argument("not one place and plan for each block");
  for (size_t i = 0; i < count; ++i) {
    const int64_t index = history.order[i];
    if (index < 0 || index >= static_cast<int64_t>(count) || placed[static_cast<size_t>(index)])
      throw std::invalid_argument("not one place and plan for each block");
    placed[static_cast<size_t>(index)] = true;
    const PoolBlock& block =
        block_at(std::span(blocks), std::span<const PoolBlock>(history.retired), index);
    lengths.push_back(static_cast<int64_t>(block.token_ids.size()));
    history.plans.push_back(plan_from_json(value.at("plans").at(i)));
    check_plan(history.plans.back(), lengths);
  }
  return history;
}

Pool from_json(const json& value) {
  // Version 2 had other identities: it keeps its blocks from collection, and is never opened.
  const bool old = value.at("version") == 2;
  if (!old && value.at("version") != kWithoutHistory && value.at("version") != kPoolManifestVersion)
    throw std::invalid_argument("another version");
  Pool pool;
  pool.id = value.at("id");
  if (!old) {
    pool.identity = object_at(value, "identity");
    pool.kv = object_at(value, "kv");
    pool.made_index = object_at(value, "made_index");
    pool.grouper_library = value.at("grouper_library");
    pool.dealt = value.at("dealt");
    pool.demonstration_rows = value.at("demonstration_rows");
    pool.label_rows = value.at("label_rows");
  }
  pool.has_prefix = value.at("has_prefix");
  pool.demonstrations = value.at("demonstrations");
  const auto demonstrations = static_cast<int64_t>(pool.demonstrations.size());
  pool.demonstration_labels = ids_from_binary(value.at("demonstration_labels"));
  if (pool.demonstration_labels.size() != pool.demonstrations.size())
    throw std::invalid_argument("not one label for each demonstration");
  for (const int32_t label : pool.demonstration_labels)
    if (label < 0 || label >= static_cast<int64_t>(value.at("labels").size()))
      throw std::invalid_argument("no such label");
  std::vector<int> placed(pool.demonstrations.size(), 0);  // in how many blocks
  for (const json& source : value.at("blocks")) {
    PoolBlock& block = pool.blocks.emplace_back();
    block.demonstrations = source.at("demonstrations").get<std::vector<int64_t>>();
    for (const int64_t id : block.demonstrations) {
      if (id < 0 || id >= demonstrations) throw std::invalid_argument("no such demonstration");
      if (placed[static_cast<size_t>(id)]++ != 0)
        throw std::invalid_argument("a demonstration in two blocks");
    }
    const bool prefix = pool.has_prefix && pool.blocks.size() == 1;
    if (prefix != block.demonstrations.empty())
      throw std::invalid_argument(prefix ? "a prefix with demonstrations"
                                         : "a block without demonstrations");
    block.token_ids = ids_from_binary(source.at("token_ids"));
    if (block.token_ids.empty()) throw std::invalid_argument("an empty block");
    block.key = key_from_binary(source.at("key"));
  }
  if (pool.blocks.empty() && pool.has_prefix) throw std::invalid_argument("no blocks");
  if (value.at("version") == kPoolManifestVersion)
    pool.history = history_from_json(object_at(value, "history"), pool.blocks);
  pool.stored = value.value("stored", true);
  // Those of before have none.
  for (const json& source : value.value("calibrations", json::array()))
    pool.calibrations.push_back({source.at(0), source.at(1)});
  if (std::find(placed.begin(), placed.end(), 0) != placed.end())
    throw std::invalid_argument("a demonstration in no block");
  for (const json& source : value.at("labels")) pool.labels.push_back({source.at("text"), {}});
  pool.documents_hash = value.at("documents_hash");
  const std::vector<uint8_t>& index = value.at("index").get_binary();
  pool.index.assign(index.begin(), index.end());
  return pool;
}

// Whether bytes are one CBOR item of the kind that is written here: definite lengths, no tags, few
// levels. The library's reader recurses on nesting, so this is looked at first. Cost: O(items).
bool is_plain_cbor(std::string_view bytes) {
  constexpr size_t kMaxDepth = 16;
  std::vector<uint64_t> open = {1};  // items still to come, on each level
  size_t at = 0;
  while (!open.empty()) {
    if (open.back() == 0) {
      open.pop_back();
      continue;
    }
    --open.back();
    if (at == bytes.size()) return false;
    const auto head = static_cast<uint8_t>(bytes[at++]);
    const int major = head >> 5;
    const int info = head & 31;
    if (info > 27 || major == 6) return false;  // indefinite or reserved; a tag
    uint64_t value = static_cast<uint64_t>(info);
    if (info >= 24) {
      const size_t width = size_t{1} << (info - 24);
      if (bytes.size() - at < width) return false;
      value = 0;
      for (size_t i = 0; i < width; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at++]);
    }
    if (major == 2 || major == 3) {  // bytes, text
      if (value > bytes.size() - at) return false;
      at += value;
    } else if (major == 4 || major == 5) {  // array, map
      if (value > bytes.size() || open.size() == kMaxDepth) return false;
      open.push_back(major == 4 ? value : 2 * value);
    }
  }
  return at == bytes.size();
}

Error corrupt(const std::string& name, const std::string& what) {
  return Error{ErrorCode::kCorrupt,
               name + ": not a sound pool manifest: " + what +
                   "; remove the file and run `dbsa-pipe encode` again (stored blocks are reused)",
               ""};
}

}  // namespace

std::string encode_pool_manifest(const Pool& pool) {
  std::string bytes(kMagic);
  json::to_cbor(to_json(pool), bytes);
  const XXH128_canonical_t hash = checksum(bytes);
  bytes.append(reinterpret_cast<const char*>(hash.digest), kHashBytes);
  return bytes;
}

Result<Pool> decode_pool_manifest(std::string_view bytes, const std::string& name) {
  if (bytes.size() < kMagic.size() + kHashBytes || !bytes.starts_with(kMagic))
    return corrupt(name, "it does not begin with " + std::string(kMagic));
  const std::string_view body = bytes.substr(0, bytes.size() - kHashBytes);
  const XXH128_canonical_t hash = checksum(body);
  if (std::memcmp(hash.digest, bytes.data() + body.size(), kHashBytes) != 0)
    return corrupt(name, "its checksum does not match");
  if (!is_plain_cbor(body.substr(kMagic.size())))
    return corrupt(name, "it is not CBOR as written by this program");
  try {
    return from_json(json::from_cbor(body.substr(kMagic.size())));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const json::exception& e) {
    // "[json.exception.type_error.302] type must be binary, but is string"
    const std::string_view what = e.what();
    return corrupt(name, "a field is missing or not of its type: " +
                             std::string(what.substr(what.find("] ") + 2)));
  } catch (const std::exception& e) {
    return corrupt(name, e.what());
  }
}

}  // namespace dbsa
