#include "config/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>

namespace dbsa {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib's largest window, gzip's header
constexpr size_t kPartBytes = 1 << 16;
constexpr size_t kMaxFed = 1 << 30;  // zlib counts in 32 bits

Error gzip_fault(const std::string& name, const std::string& what) {
  return {ErrorCode::kConfig, name + ": " + what, ""};
}

Error no_memory(const std::string& what) {
  return {ErrorCode::kEnvironment, what + ": out of memory", ""};
}

// zlib takes its input without const and does not write to it.
Bytef* input_of(std::string_view bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

// Members of a gzip file, part by part.
class Unpacker {
 public:
  Unpacker(std::string_view packed, const std::string& name) : packed_(packed), name_(name) {
    ready_ = ::inflateInit2(&stream_, kGzipWindow) == Z_OK;
  }
  ~Unpacker() {
    if (ready_) ::inflateEnd(&stream_);
  }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  // The next bytes, none at the end. They last until the next call.
  Result<std::string_view> next() {
    if (!ready_) return no_memory(name_);
    while (!ended_) {
      const size_t fed = std::min(packed_.size(), kMaxFed);
      stream_.next_in = input_of(packed_);
      stream_.avail_in = static_cast<uInt>(fed);
      stream_.next_out = part_.data();
      stream_.avail_out = static_cast<uInt>(part_.size());
      const int code = ::inflate(&stream_, Z_NO_FLUSH);
      packed_.remove_prefix(fed - stream_.avail_in);
      if (code == Z_STREAM_END) {
        DBSA_RETURN_IF_ERROR(end_member());
      } else if (code != Z_OK) {
        return unpack_error(code);
      }
      const size_t made = part_.size() - stream_.avail_out;
      if (made > 0) return std::string_view(reinterpret_cast<const char*>(part_.data()), made);
    }
    return std::string_view();
  }

 private:
  // Behind a member: another one, or zeros to the end.
  Status end_member() {
    ended_ = packed_.find_first_not_of('\0') == packed_.npos;
    if (ended_ || is_gzip(packed_)) {
      ::inflateReset(&stream_);
      return {};
    }
    return gzip_fault(
        name_,
        "expected the end of the gzip file behind its last member, found other bytes; "
        "copy or pack it again");
  }

  Error unpack_error(int code) const {
    if (code == Z_MEM_ERROR) return no_memory(name_);
    if (code == Z_BUF_ERROR && packed_.empty())
      return gzip_fault(name_,
                        "expected a whole gzip file, found one that is cut short; copy or pack "
                        "it again");
    return gzip_fault(name_, std::string("expected a sound gzip file, found ") +
                                 (stream_.msg == nullptr ? "a fault" : stream_.msg) +
                                 "; copy or pack it again");
  }

  std::string_view packed_;  // what is left of it
  const std::string& name_;
  z_stream stream_ = {};
  std::array<Bytef, kPartBytes> part_;
  bool ready_ = false, ended_ = false;
};

// Bytes that the file holds, unpacked and counted up to max_bytes.
Result<uint64_t> unpacked_bytes(std::string_view packed, const std::string& name,
                                uint64_t max_bytes) {
  Unpacker unpacker(packed, name);
  for (uint64_t total = 0;;) {
    DBSA_ASSIGN_OR_RETURN(const std::string_view part, unpacker.next());
    if (part.empty()) return total;
    total += part.size();
    if (total > max_bytes)
      return gzip_fault(name,
                        "expected a gzip file of at most " + std::to_string(max_bytes) +
                            " bytes when unpacked, found more; check that it is the right file, "
                            "or unpack it and name the file in it");
  }
}

}  // namespace

bool is_gzip_name(std::string_view name) { return name.ends_with(".gz"); }

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1F\x8B"); }

Result<std::string> unpack_gzip(std::string_view packed, const std::string& name,
                                uint64_t max_bytes) {
  if (!is_gzip(packed))
    return gzip_fault(name, packed.empty()
                                ? "expected a gzip file, as its name says, found an empty one"
                                : "expected a gzip file, as its name says, found other "
                                  "bytes; remove .gz from the name, or pack it with gzip");
  DBSA_ASSIGN_OR_RETURN(const uint64_t bytes, unpacked_bytes(packed, name, max_bytes));
  std::string text;
  text.reserve(bytes);
  Unpacker unpacker(packed, name);
  while (true) {
    DBSA_ASSIGN_OR_RETURN(const std::string_view part, unpacker.next());
    if (part.empty()) return text;
    text += part;
  }
}

std::string unpack_gzip_start(std::string_view packed, size_t bytes) {
  std::string text;
  const std::string name;
  Unpacker unpacker(packed, name);
  while (text.size() < bytes) {
    const Result<std::string_view> part = unpacker.next();
    if (!part.ok() || part->empty()) break;
    text += part->substr(0, bytes - text.size());
  }
  return text;
}

Result<std::string> pack_gzip(std::string_view bytes) {
  z_stream stream = {};
  constexpr int kMemoryLevel = 8;  // zlib's default
  if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK)
    return no_memory("packing with gzip");
  std::string packed;
  std::array<Bytef, kPartBytes> part;
  for (int code = Z_OK; code != Z_STREAM_END;) {
    const size_t fed = std::min(bytes.size(), kMaxFed);
    stream.next_in = input_of(bytes);
    stream.avail_in = static_cast<uInt>(fed);
    stream.next_out = part.data();
    stream.avail_out = static_cast<uInt>(part.size());
    code = ::deflate(&stream, fed == bytes.size() ? Z_FINISH : Z_NO_FLUSH);
    bytes.remove_prefix(fed - stream.avail_in);
    packed.append(reinterpret_cast<const char*>(part.data()), part.size() - stream.avail_out);
  }
  ::deflateEnd(&stream);
  return packed;
}

Result<std::string> packed_as_named(const std::string& path, std::string bytes) {
  if (!is_gzip_name(path)) return bytes;
  return pack_gzip(bytes);
}

}  // namespace dbsa
