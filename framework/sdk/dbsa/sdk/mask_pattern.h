// MaskPattern: base class of mask pattern plugins. See dbsa/mask_pattern.h.
#pragma once

#include <dbsa/mask_pattern.h>
#include <dbsa/sdk/plugin.h>

#include <vector>

namespace dbsa {

// A token range of a block of the pool that rows may see.
struct Visible {
  int64_t block = 0;
  int64_t first_token = 0;
  int64_t length = 0;                // tokens
  int32_t kind = DBSA_SEGMENT_FULL;  // DBSA_SEGMENT_*
  int64_t window = 0;                // tokens, for WINDOW
  bool operator==(const Visible&) const = default;
};

class MaskPattern {
 public:
  using Kind = MaskPattern;
  using Vtable = dbsa_mask_pattern_vtable;
  static constexpr uint32_t kKind = DBSA_KIND_MASK_PATTERN;
  static const Vtable kVtable;

  virtual ~MaskPattern() = default;
  // What `block` sees, ascending, disjoint, its own tokens last. Thread-safe.
  virtual Result<std::vector<Visible>> visible(std::span<const int64_t> block_lengths,
                                               int64_t block) const = 0;
  // How many blocks at the start of the pool every query is given. Thread-safe.
  virtual int64_t anchor_blocks() const { return 0; }
};

inline const MaskPattern::Vtable MaskPattern::kVtable = {
    sizeof(Vtable),
    [](void* instance, const int64_t* block_lengths, int64_t block_count, int64_t block,
       const dbsa_visible_sink* sink, dbsa_error* error) noexcept {
      return sdk::guard(error, [&]() -> Status {
        DBSA_ASSIGN_OR_RETURN(std::vector<Visible> segments,
                              static_cast<const MaskPattern*>(instance)->visible(
                                  {block_lengths, static_cast<size_t>(block_count)}, block));
        for (const Visible& s : segments) {
          const dbsa_visible out = {sizeof(dbsa_visible), s.kind,   s.block,
                                    s.first_token,        s.length, s.window};
          if (const int32_t code = sink->emit(sink->context, &out); code != DBSA_OK)
            return Error{static_cast<ErrorCode>(code), "the host refused a segment", ""};
        }
        return {};
      });
    },
    [](void* instance) noexcept {
      return static_cast<const MaskPattern*>(instance)->anchor_blocks();
    },
};

}  // namespace dbsa
