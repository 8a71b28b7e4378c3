#include "model/checkpoint/safetensors_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

namespace dbsa {
namespace {

constexpr std::string_view kFix = "; the file is damaged or not a safetensors file: fetch it again";

struct DtypeInfo {
  std::string_view name;
  int bytes;
  TensorDtype dtype;
};
constexpr std::array<DtypeInfo, 16> kDtypes = {{
    {"F32", 4, TensorDtype::kF32},
    {"F16", 2, TensorDtype::kF16},
    {"BF16", 2, TensorDtype::kBF16},
    {"BOOL", 1, TensorDtype::kOther},
    {"U8", 1, TensorDtype::kOther},
    {"I8", 1, TensorDtype::kOther},
    {"F8_E5M2", 1, TensorDtype::kOther},
    {"F8_E4M3", 1, TensorDtype::kOther},
    {"F8_E8M0", 1, TensorDtype::kOther},
    {"U16", 2, TensorDtype::kOther},
    {"I16", 2, TensorDtype::kOther},
    {"U32", 4, TensorDtype::kOther},
    {"I32", 4, TensorDtype::kOther},
    {"U64", 8, TensorDtype::kOther},
    {"I64", 8, TensorDtype::kOther},
    {"F64", 8, TensorDtype::kOther},
}};

Error damaged(const std::string& file, const std::string& what) {
  return {ErrorCode::kEnvironment, file + ": " + what + std::string(kFix), {}};
}

struct RawEntry {
  TensorEntry entry;
  bool has_dtype = false, has_shape = false;
  std::vector<uint64_t> offsets;
  bool has_offsets = false;
};

// Accepts exactly the form of a header and stops at the first thing that is not of it, so memory
// stays proportional to the tensors listed for any bytes.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<RawEntry> tensors;
  std::map<std::string, std::string> metadata;
  std::string fault;

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_float(double, const std::string& text) override { return unexpected(text); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool number_integer(int64_t value) override { return unexpected(std::to_string(value)); }

  bool number_unsigned(uint64_t value) override {
    if (place_ == Place::kShape) {
      if (value > static_cast<uint64_t>(INT64_MAX)) return unexpected(std::to_string(value));
      if (tensors.back().entry.shape.size() >= 16) return fail("has more than 16 dimensions");
      tensors.back().entry.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (place_ == Place::kOffsets && tensors.back().offsets.size() < 2) {
      tensors.back().offsets.push_back(value);
      return true;
    }
    return unexpected(std::to_string(value));
  }

  bool string(std::string& value) override {
    if (place_ == Place::kMetadata) {
      metadata[field_] = std::move(value);
      return true;
    }
    if (place_ != Place::kTensor || field_ != "dtype") return unexpected("a string");
    tensors.back().entry.dtype_name = std::move(value);
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      place_ = in_metadata_ ? Place::kMetadata : Place::kTensor;
    } else {
      return unexpected("an object");
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      const RawEntry& raw = tensors.back();
      if (!raw.has_dtype || !raw.has_shape || !raw.has_offsets || raw.offsets.size() != 2) {
        return fail("expected dtype, shape and data_offsets [first, end]");
      }
    }
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }

  bool key(std::string& value) override {
    if (place_ == Place::kMetadata) {
      field_ = std::move(value);
      return true;
    }
    if (place_ == Place::kTop) {
      in_metadata_ = value == "__metadata__";
      if (!names_.insert(value).second) {
        fault = "tensor " + printable_name(value) + ": is listed twice in the header";
        return false;
      }
      if (!in_metadata_) tensors.emplace_back().entry.name = std::move(value);
      return true;
    }
    field_ = std::move(value);
    RawEntry& raw = tensors.back();
    bool* seen = field_ == "dtype"          ? &raw.has_dtype
                 : field_ == "shape"        ? &raw.has_shape
                 : field_ == "data_offsets" ? &raw.has_offsets
                                            : nullptr;
    if (seen == nullptr) return fail("unknown field " + printable_name(field_));
    if (*seen) return fail("field " + printable_name(field_) + " appears twice");
    *seen = true;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::kTensor && (field_ == "shape" || field_ == "data_offsets")) {
      place_ = field_ == "shape" ? Place::kShape : Place::kOffsets;
      return true;
    }
    return unexpected("an array");
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fault = "byte " + std::to_string(8 + position) + ": the header is not valid JSON";
    return false;
  }

 private:
  enum class Place { kOutside, kTop, kMetadata, kTensor, kShape, kOffsets };

  bool fail(const std::string& what) {
    fault = (tensors.empty() ? "header" : "tensor " + printable_name(tensors.back().entry.name)) +
            ": " + what;
    return false;
  }

  bool unexpected(const std::string& found) {
    switch (place_) {
      case Place::kOutside:
        fault = "header: expected an object, found " + found;
        return false;
      case Place::kMetadata:
        fault = "header: __metadata__ must hold strings, found " + found;
        return false;
      case Place::kTop:
        if (in_metadata_) {
          fault = "header: __metadata__ must be an object, found " + found;
          return false;
        }
        return fail("expected an object, found " + found);
      case Place::kShape:
        return fail("shape must hold non-negative integers below 2^63, found " + found);
      case Place::kOffsets:
        return fail("data_offsets must hold two non-negative integers, found " + found);
      case Place::kTensor:
        break;
    }
    return fail("field " + printable_name(field_) + " has the wrong type, found " + found);
  }

  Place place_ = Place::kOutside;
  bool in_metadata_ = false;
  std::string field_;
  std::set<std::string> names_;
};

// Bytes that a file of these tensors has; nothing where that overflows.
std::optional<uint64_t> described_bytes(const std::vector<RawEntry>& tensors, uint64_t data_start) {
  uint64_t most = 0;
  for (const RawEntry& tensor : tensors) most = std::max(most, tensor.offsets[1]);
  uint64_t bytes = 0;
  if (__builtin_add_overflow(data_start, most, &bytes)) return std::nullopt;
  return bytes;
}

// Fills dtype, begin and bytes of an entry, or says what is wrong with it.
std::string check_entry(RawEntry& raw, uint64_t data_start, uint64_t data_bytes) {
  TensorEntry& entry = raw.entry;
  const auto* info = std::find_if(kDtypes.begin(), kDtypes.end(),
                                  [&](const auto& d) { return d.name == entry.dtype_name; });
  if (info == kDtypes.end()) return "unknown dtype " + printable_name(entry.dtype_name);
  entry.dtype = info->dtype;

  uint64_t bytes = static_cast<uint64_t>(info->bytes);
  bool overflow = false;
  for (int64_t n : entry.shape) {
    overflow |= __builtin_mul_overflow(bytes, static_cast<uint64_t>(n), &bytes);
  }
  if (overflow) return "shape " + shape_text(entry.shape) + " overflows 2^64 bytes";

  const uint64_t first = raw.offsets[0], end = raw.offsets[1];
  const std::string offsets =
      "data_offsets [" + std::to_string(first) + ", " + std::to_string(end) + "]";
  if (first > end || end > data_bytes) {
    return offsets + " leave the data, which has " + std::to_string(data_bytes) + " bytes";
  }
  if (end - first != bytes) {
    return offsets + " hold " + std::to_string(end - first) + " bytes, expected " +
           std::to_string(bytes) + " for " + entry.dtype_name + " " + shape_text(entry.shape);
  }
  entry.begin = data_start + first;
  entry.bytes = bytes;
  return {};
}

// Every byte of the data belongs to exactly one tensor.
std::string check_coverage(const std::vector<TensorEntry>& entries, uint64_t data_start,
                           uint64_t file_bytes) {
  std::vector<const TensorEntry*> order;
  for (const auto& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->begin, a->bytes) < std::pair(b->begin, b->bytes);
  });
  uint64_t expected = data_start;
  for (const auto* entry : order) {
    if (entry->begin != expected) {
      return "tensor " + printable_name(entry->name) + ": starts at byte " +
             std::to_string(entry->begin) + ", expected byte " + std::to_string(expected) +
             " (tensors must not overlap or leave " + "gaps)";
    }
    expected += entry->bytes;
  }
  if (expected != file_bytes) {
    return "the tensors end at byte " + std::to_string(expected) + ", the file has " +
           std::to_string(file_bytes) + " bytes";
  }
  return {};
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors_header(const std::string& file, uint64_t file_bytes,
                                                   std::span<const unsigned char> start) {
  static_assert(std::endian::native == std::endian::little);
  if (file_bytes < 8 || start.size() < 8) {
    return damaged(file, "expected at least 8 bytes, found " + std::to_string(file_bytes));
  }
  uint64_t length = 0;
  std::memcpy(&length, start.data(), 8);
  const std::string says = "the header's length at byte 0 is " + std::to_string(length);
  if (length > kSafetensorsHeaderLimit) {
    return damaged(file, says + ", expected at most " + std::to_string(kSafetensorsHeaderLimit));
  }
  if (length > file_bytes - 8 || length > start.size() - 8) {
    return damaged(file, says + ", but the file has only " + std::to_string(file_bytes - 8) +
                             " bytes after it");
  }

  HeaderReader reader;
  const char* json = reinterpret_cast<const char*>(start.data()) + 8;
  if (!nlohmann::json::sax_parse(json, json + length, &reader)) return damaged(file, reader.fault);

  SafetensorsHeader header;
  header.metadata = std::move(reader.metadata);
  const uint64_t data_start = 8 + length;
  if (const auto described = described_bytes(reader.tensors, data_start);
      described && *described > file_bytes)
    return damaged(file, "its header describes " + std::to_string(*described) +
                             " bytes, the file has " + std::to_string(file_bytes));
  for (RawEntry& raw : reader.tensors) {
    if (std::string fault = check_entry(raw, data_start, file_bytes - data_start); !fault.empty()) {
      return damaged(file, "tensor " + printable_name(raw.entry.name) + ": " + fault);
    }
    header.entries.push_back(std::move(raw.entry));
  }
  if (std::string fault = check_coverage(header.entries, data_start, file_bytes); !fault.empty()) {
    return damaged(file, fault);
  }
  std::sort(header.entries.begin(), header.entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return header;
}

}  // namespace dbsa
