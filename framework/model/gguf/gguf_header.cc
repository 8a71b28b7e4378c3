#include "model/gguf/gguf_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "model/gguf/tensor_type.h"

namespace dbsa::gguf {
namespace {

class HeaderParser {
 public:
  HeaderParser(const std::string& file, std::span<const unsigned char> bytes)
      : file_(file), cursor_(file, bytes) {}

  Result<Header> parse() {
    DBSA_RETURN_IF_ERROR(read_start());
    for (uint64_t i = 0; i < keys_; ++i) {
      DBSA_ASSIGN_OR_RETURN(Key key, read_key(i, cursor_));
      header_.keys.push_back(std::move(key));
    }
    std::sort(header_.keys.begin(), header_.keys.end(), by_name);
    DBSA_RETURN_IF_ERROR(check_names(header_.keys, "key"));
    DBSA_RETURN_IF_ERROR(read_alignment());
    for (uint64_t i = 0; i < tensors_; ++i) DBSA_RETURN_IF_ERROR(read_tensor(i));
    DBSA_RETURN_IF_ERROR(place_tensors());
    std::sort(header_.tensors.begin(), header_.tensors.end(), by_name);
    DBSA_RETURN_IF_ERROR(check_names(header_.tensors, "tensor"));
    return std::move(header_);
  }

 private:
  static constexpr auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };

  Error unsupported(const std::string& place, const std::string& what) const {
    return {ErrorCode::kConfig, file_ + ": " + place + ": " + what, {}};
  }
  static std::string byte(uint64_t at) { return "byte " + std::to_string(at); }

  Status read_start() {
    std::span<const unsigned char> magic;
    uint32_t version = 0;
    if (!cursor_.take(4, magic) || std::memcmp(magic.data(), "GGUF", 4) != 0)
      return cursor_.damaged("byte 0", "expected the four bytes GGUF, found others");
    if (!cursor_.read(version)) return cursor_.ends("header", "the version");
    if (version != 3) {
      const bool swapped = version == 0x03000000;
      return unsupported("byte 4", "expected version 3, found " +
                                       (swapped ? std::string("it in big-endian order")
                                                : std::to_string(version)) +
                                       "; fetch a file of version 3, little endian, or convert "
                                       "the model again with llama.cpp");
    }
    if (!cursor_.read(tensors_) || !cursor_.read(keys_))
      return cursor_.ends("header", "the numbers of tensors and keys");
    DBSA_RETURN_IF_ERROR(check_count("tensors", 8, tensors_, kMaxTensors));
    return check_count("keys", 16, keys_, kMaxKeys);
  }

  Status check_count(const char* what, uint64_t at, uint64_t found, uint64_t most) const {
    if (found <= most) return {};
    return cursor_.damaged(byte(at), "expected at most " + std::to_string(most) + " " + what +
                                         ", found " + std::to_string(found));
  }

  template <typename Named>
  Status check_names(const std::vector<Named>& sorted, const char* what) const {
    const auto same =
        std::adjacent_find(sorted.begin(), sorted.end(),
                           [](const auto& a, const auto& b) { return a.name == b.name; });
    if (same == sorted.end()) return {};
    return cursor_.damaged(std::string(what) + " " + printable_name(same->name),
                           "expected each name once, found it twice");
  }

  Status read_alignment() {
    const Key* key = find_key(header_.keys, "general.alignment");
    if (key == nullptr) return {};
    const auto* value = std::get_if<uint64_t>(&key->value);
    if (value == nullptr || !std::has_single_bit(*value) || *value > kMaxAlignment)
      return cursor_.damaged(
          "key 'general.alignment', " + byte(key->at),
          "expected a power of two up to " + std::to_string(kMaxAlignment) + ", found " +
              (value == nullptr ? value_type_name(*key) : std::to_string(*value)));
    alignment_ = *value;
    return {};
  }

  Status read_tensor(uint64_t index) {
    const uint64_t start = cursor_.at();
    const std::string number = "tensor " + std::to_string(index);
    std::string_view name;
    if (!cursor_.string(name)) return cursor_.ends(number, "the tensor's name");
    if (name.empty() || name.size() > kMaxTensorNameBytes)
      return cursor_.damaged(number + ", " + byte(start),
                             "expected a name of 1 to " + std::to_string(kMaxTensorNameBytes) +
                                 " bytes, found " + std::to_string(name.size()));
    const std::string place = "tensor " + printable_name(name);
    TensorEntry entry;
    entry.name = name;
    uint32_t dimensions = 0, type_id = 0;
    const uint64_t dimensions_at = cursor_.at();
    if (!cursor_.read(dimensions)) return cursor_.ends(place, "the number of dimensions");
    if (dimensions < 1 || dimensions > 4)
      return cursor_.damaged(place + ", " + byte(dimensions_at),
                             "expected 1 to 4 dimensions, found " + std::to_string(dimensions));
    uint64_t elements = 1;
    for (uint32_t i = 0; i < dimensions; ++i) {
      uint64_t extent = 0;
      const uint64_t at = cursor_.at();
      if (!cursor_.read(extent)) return cursor_.ends(place, "a dimension");
      if (extent < 1 || __builtin_mul_overflow(elements, extent, &elements) ||
          elements > static_cast<uint64_t>(INT64_MAX))
        return cursor_.damaged(
            place + ", " + byte(at),
            "expected dimensions of 1 or more with fewer than 2^63 elements in all, "
            "found " +
                std::to_string(extent));
      entry.shape.insert(entry.shape.begin(), static_cast<int64_t>(extent));
    }
    const uint64_t type_at = cursor_.at();
    if (!cursor_.read(type_id)) return cursor_.ends(place, "the type");
    const TensorType* type = find_tensor_type(type_id);
    if (type == nullptr)
      return unsupported(place + ", " + byte(type_at),
                         "expected one of the types " + known_tensor_types() + ", found " +
                             tensor_type_name(type_id) +
                             "; fetch the model in one of them, for example as Q4_K_M or Q8_0");
    entry.dtype = type->dtype;
    entry.dtype_name = type->name;
    if (static_cast<uint64_t>(entry.shape.back()) % type->elements != 0)
      return cursor_.damaged(place + ", " + byte(dimensions_at + 4),
                             "expected rows of a multiple of " + std::to_string(type->elements) +
                                 " elements for " + std::string(type->name) + ", found " +
                                 std::to_string(entry.shape.back()));
    if (__builtin_mul_overflow(elements / type->elements, type->bytes, &entry.bytes))
      return cursor_.damaged(
          place + ", " + byte(dimensions_at + 4),
          "expected fewer than 2^64 bytes, found the shape " + shape_text(entry.shape));
    offset_at_.push_back(cursor_.at());
    if (!cursor_.read(entry.begin)) return cursor_.ends(place, "the offset");
    header_.tensors.push_back(std::move(entry));
    return {};
  }

  // From offsets to places in the file, none of which belongs to two tensors.
  Status place_tensors() {
    const uint64_t start = (cursor_.at() + alignment_ - 1) / alignment_ * alignment_;
    const uint64_t data = cursor_.size() > start ? cursor_.size() - start : 0;
    std::vector<const TensorEntry*> order;
    for (size_t i = 0; i < header_.tensors.size(); ++i) {
      TensorEntry& entry = header_.tensors[i];
      const std::string place = "tensor " + printable_name(entry.name) + ", " + byte(offset_at_[i]);
      if (entry.begin % alignment_ != 0)
        return cursor_.damaged(place, "expected an offset that is a multiple of " +
                                          std::to_string(alignment_) + ", found " +
                                          std::to_string(entry.begin));
      if (entry.begin > data || entry.bytes > data - entry.begin)
        return cursor_.damaged(place, "expected " + std::to_string(entry.bytes) +
                                          " bytes at offset " + std::to_string(entry.begin) +
                                          " of the data, found " + std::to_string(data) +
                                          " bytes of data");
      entry.begin += start;
      order.push_back(&entry);
    }
    std::sort(order.begin(), order.end(),
              [](const auto* a, const auto* b) { return a->begin < b->begin; });
    for (size_t i = 1; i < order.size(); ++i)
      if (order[i]->begin < order[i - 1]->begin + order[i - 1]->bytes)
        return cursor_.damaged("tensor " + printable_name(order[i]->name),
                               "expected bytes that no other tensor has, found some of tensor " +
                                   printable_name(order[i - 1]->name) + " at " +
                                   byte(order[i]->begin));
    return {};
  }

  const std::string& file_;
  Cursor cursor_;
  uint64_t tensors_ = 0, keys_ = 0, alignment_ = 32;
  std::vector<uint64_t> offset_at_;
  Header header_;
};

}  // namespace

Result<Header> parse_header(const std::string& file, std::span<const unsigned char> bytes) {
  static_assert(std::endian::native == std::endian::little);
  return HeaderParser(file, bytes).parse();
}

}  // namespace dbsa::gguf
