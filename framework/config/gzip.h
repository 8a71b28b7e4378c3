// Gzip files (RFC 1952), as data files and tables are packed: queries.csv.gz.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace dbsa {

inline constexpr uint64_t kMaxUnpackedBytes = uint64_t{1} << 30;  // of one file

// Whether a file of that name is packed: it ends in .gz.
bool is_gzip_name(std::string_view name);
// Whether bytes begin as a gzip file does.
bool is_gzip(std::string_view bytes);

// What a gzip file holds: its members, one after another; zeros may follow the last one. name: for
// messages. kConfig for a file that is not gzip, is cut or damaged, or holds more than `max_bytes`.
// The bytes are counted before they are kept, so that a file which unpacks to far more than it
// should takes time for max_bytes and no memory. Cost: O(max_bytes), twice.
Result<std::string> unpack_gzip(std::string_view packed, const std::string& name,
                                uint64_t max_bytes = kMaxUnpackedBytes);

// The first `bytes` of it at most; what comes before a fault. Cost: O(bytes).
std::string unpack_gzip_start(std::string_view packed, size_t bytes);

// One member, without a name and a time: equal bytes are packed equally. packed_as_named: only for
// a file whose name says so. kEnvironment where memory runs out.
Result<std::string> pack_gzip(std::string_view bytes);
Result<std::string> packed_as_named(const std::string& path, std::string bytes);

}  // namespace dbsa
