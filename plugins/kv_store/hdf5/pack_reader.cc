#include "pack_reader.h"

#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#endif

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>

namespace dbsa::kv_pack {
namespace {

Error corrupt(std::string message) { return {ErrorCode::kCorrupt, std::move(message), ""}; }

std::string number(uint64_t value) { return std::to_string(value); }

// Whether [offset, offset + count * size) lies in [kHeaderBytes, limit).
bool fits(uint64_t offset, uint64_t count, uint64_t size, uint64_t limit) {
  return offset >= kHeaderBytes && offset <= limit && count <= (limit - offset) / size;
}

struct StateDeleter {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};
using State = std::unique_ptr<XXH3_state_t, StateDeleter>;

State new_state() {
  State state(XXH3_createState());
  if (state == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(state.get());
  return state;
}

}  // namespace

uint64_t checksum(std::span<const uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t checksum(std::span<const uint8_t> first, std::span<const uint8_t> second) {
  const State state = new_state();
  XXH3_64bits_update(state.get(), first.data(), first.size());
  XXH3_64bits_update(state.get(), second.data(), second.size());
  return XXH3_64bits_digest(state.get());
}

uint64_t checksum_without(std::span<const uint8_t> bytes, uint64_t from,
                          std::span<const std::pair<uint64_t, uint64_t>> holes) {
  const State state = new_state();
  for (const auto& [begin, end] : holes) {
    XXH3_64bits_update(state.get(), bytes.data() + from, begin - from);
    from = end;
  }
  XXH3_64bits_update(state.get(), bytes.data() + from, bytes.size() - from);
  return XXH3_64bits_digest(state.get());
}

std::vector<std::pair<uint64_t, uint64_t>> plane_ranges(std::span<const PackRow> rows) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const PackRow& row : rows)
    for (uint32_t layer = 0; layer < row.layers; ++layer) {
      const uint64_t begin = row.plane_offset + layer * row.plane_stride;
      ranges.emplace_back(begin, begin + row.plane_bytes);
    }
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

Result<PackView> PackView::parse(std::span<const uint8_t> file) {
  PackView view(file);
  DBSA_RETURN_IF_ERROR(view.check_header());
  DBSA_RETURN_IF_ERROR(view.check_index());
  return view;
}

Status PackView::check_header() const {
  if (file_.size() < kHeaderBytes)
    return corrupt("is " + number(file_.size()) +
                   " bytes long, shorter than the header of a pack (" + number(kHeaderBytes) +
                   "): truncated");
  if (std::memcmp(header().magic, kMagic, sizeof kMagic) != 0)
    return corrupt("does not begin as a pack does");
  if (checksum(file_.first(offsetof(PackHeader, header_xxh3))) != header().header_xxh3)
    return corrupt("the header does not match its checksum");
  if (header().version != kVersion || header().header_bytes != kHeaderBytes)
    return Error{ErrorCode::kUnsupported,
                 "has pack version " + number(header().version) + ", this program reads version " +
                     number(kVersion) + "; use the program that wrote it",
                 ""};
  if (header().file_bytes != file_.size())
    return corrupt(
        "is " + number(file_.size()) + " bytes long, its header says " +
        number(header().file_bytes) +
        (file_.size() < header().file_bytes ? ": truncated" : ": something was appended"));
  return {};
}

Status PackView::check_index() {
  const PackHeader& head = header();
  if (!fits(head.rows_offset, head.block_count, sizeof(PackRow), file_.size()) ||
      !fits(head.checksums_offset, head.plane_count, sizeof(uint64_t), file_.size()) ||
      head.rows_offset % alignof(PackRow) != 0 || head.checksums_offset % alignof(uint64_t) != 0)
    return corrupt("the index lies outside the file");
  rows_ = {reinterpret_cast<const PackRow*>(file_.data() + head.rows_offset), head.block_count};
  checksums_ = {reinterpret_cast<const uint64_t*>(file_.data() + head.checksums_offset),
                head.plane_count};
  const uint64_t found = checksum(file_.subspan(head.rows_offset, rows_.size_bytes()),
                                  file_.subspan(head.checksums_offset, checksums_.size_bytes()));
  if (found != head.index_xxh3) return corrupt("the index does not match its checksum");
  for (size_t i = 0; i < rows_.size(); ++i) DBSA_RETURN_IF_ERROR(check_row(i));
  return check_overlaps();
}

Status PackView::check_row(size_t index) const {
  const PackRow& row = rows_[index];
  const std::string where = "row " + number(index) + " of the index ";
  if (row.layers == 0 || row.layers > kMaxLayers || row.plane_bytes == 0)
    return corrupt(where + "has " + number(row.layers) + " layers of " + number(row.plane_bytes) +
                   " bytes");
  if (row.tokens == 0 || row.kv_heads == 0 || row.head_dim == 0)
    return corrupt(where + "has " + number(row.tokens) + " tokens of " + number(row.kv_heads) +
                   " heads of " + number(row.head_dim) + " numbers");
  if (row.plane_offset % kPlaneAlignment != 0 || row.plane_stride % kPlaneAlignment != 0 ||
      row.plane_stride < row.plane_bytes)
    return corrupt(where + "has planes that are not aligned");
  if (!fits(row.plane_offset, row.layers, row.plane_stride, file_.size()))
    return corrupt(where + "has planes outside the file");
  // Checksums stand in the order of the rows, none shared, none left over.
  const uint64_t expected =
      index == 0 ? 0 : rows_[index - 1].first_checksum + rows_[index - 1].layers;
  const uint64_t left = checksums_.size() - expected;
  if (row.first_checksum != expected || row.layers > left ||
      (index + 1 == rows_.size() && row.layers != left))
    return corrupt(where + "has other checksums than its own");
  return {};
}

Status PackView::check_overlaps() const {
  std::vector<std::pair<uint64_t, uint64_t>> extents;
  extents.reserve(rows_.size() + 2);
  extents.emplace_back(header().rows_offset, header().rows_offset + rows_.size_bytes());
  extents.emplace_back(header().checksums_offset,
                       header().checksums_offset + checksums_.size_bytes());
  for (const PackRow& row : rows_)
    extents.emplace_back(row.plane_offset, row.plane_offset + row.layers * row.plane_stride);
  std::sort(extents.begin(), extents.end());
  for (size_t i = 1; i < extents.size(); ++i)
    if (extents[i].first < extents[i - 1].second)
      return corrupt("planes overlap at byte " + number(extents[i].first));
  return {};
}

bool PackView::rest_matches() const {
  return checksum_without(file_, kHeaderBytes, plane_ranges(rows_)) == header().rest_xxh3;
}

}  // namespace dbsa::kv_pack
