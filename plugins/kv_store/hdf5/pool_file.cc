#include "pool_file.h"

#include <bit>
#include <cstring>
#include <string_view>

#include "pack_reader.h"

namespace dbsa::kv_pack {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kPoolMagic = "DBSAKEYS";
constexpr std::string_view kDocumentAlone = "DBSAPOOL";
constexpr size_t kHeadBytes = 8 + 2 * sizeof(uint64_t);
constexpr size_t kSumBytes = sizeof(uint64_t);

bool begins_with(std::span<const uint8_t> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

uint64_t number_at(std::span<const uint8_t> bytes, size_t offset) {
  uint64_t value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

Error not_a_pool(const std::string& what) { return {ErrorCode::kCorrupt, what, ""}; }

}  // namespace

std::vector<uint8_t> write_pool(std::span<const uint8_t> document, std::span<const KvKey> keys) {
  const uint64_t counts[] = {keys.size(), document.size()};
  std::vector<uint8_t> bytes(kHeadBytes + keys.size_bytes() + document.size() + kSumBytes);
  uint8_t* at = bytes.data();
  const auto append = [&](const void* from, size_t count) {
    if (count > 0) std::memcpy(at, from, count);
    at += count;
  };
  append(kPoolMagic.data(), kPoolMagic.size());
  append(counts, sizeof counts);
  append(keys.data(), keys.size_bytes());
  append(document.data(), document.size());
  const uint64_t sum = checksum(std::span(bytes).first(bytes.size() - kSumBytes));
  append(&sum, sizeof sum);
  return bytes;
}

Result<PoolContent> read_pool(std::span<const uint8_t> bytes) {
  if (begins_with(bytes, kDocumentAlone))
    return PoolContent{{bytes.begin(), bytes.end()}, {}, false};
  if (!begins_with(bytes, kPoolMagic) || bytes.size() < kHeadBytes + kSumBytes)
    return not_a_pool("it does not begin with " + std::string(kPoolMagic));
  const std::span<const uint8_t> body = bytes.first(bytes.size() - kSumBytes);
  if (checksum(body) != number_at(bytes, body.size()))
    return not_a_pool("its checksum does not match");
  const uint64_t keys = number_at(bytes, 8);
  const uint64_t document = number_at(bytes, 16);
  const uint64_t room = body.size() - kHeadBytes;
  if (keys > room / DBSA_KV_KEY_BYTES || document != room - keys * DBSA_KV_KEY_BYTES)
    return not_a_pool(std::to_string(keys) + " keys and a document of " + std::to_string(document) +
                      " bytes are not what it holds");
  PoolContent content;
  content.keys.reserve(keys);
  for (uint64_t k = 0; k < keys; ++k)
    content.keys.push_back(KvKey::from(body.data() + kHeadBytes + k * DBSA_KV_KEY_BYTES));
  content.document.assign(body.end() - static_cast<std::ptrdiff_t>(document), body.end());
  return content;
}

}  // namespace dbsa::kv_pack
