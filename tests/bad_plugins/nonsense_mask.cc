#include <dbsa/mask_pattern.h>

#include "raw_plugin.h"

namespace {

// Asked about block 2 of lengths 4, 5, 6; right is block 0 in full, then block 2 causally.
int32_t visible(void* instance, const int64_t* lengths, int64_t, int64_t block,
                const dbsa_visible_sink* sink, dbsa_error*) {
  const std::string& fault = fault_of(instance);
  say(instance, "visible");
  dbsa_visible first = {sizeof first, DBSA_SEGMENT_FULL, 0, 0, lengths[0], 0};
  dbsa_visible own = {sizeof own, DBSA_SEGMENT_CAUSAL, block, 0, lengths[block], 0};
  if (fault == "later_block") first.block = block + 1;
  if (fault == "negative_block") first.block = -1;
  if (fault == "past_the_end") first.length = lengths[0] + 1;
  if (fault == "huge") first.length = INT64_MAX;
  if (fault == "negative_token") first.first_token = -1;
  if (fault == "no_length") first.length = 0;
  if (fault == "unknown_kind") first.kind = 9;
  if (fault == "window_without_size") first.kind = DBSA_SEGMENT_WINDOW;
  if (fault == "struct_size") first.struct_size = 8;
  if (fault == "own_full") own.kind = DBSA_SEGMENT_FULL;
  if (fault == "own_missing") own = {sizeof own, DBSA_SEGMENT_FULL, 1, 0, 1, 0};
  if (fault == "own_in_part") own.first_token = 1, --own.length;
  if (sink->emit(sink->context, &first) != DBSA_OK && fault != "goes_on") return DBSA_ERROR_PLUGIN;
  if (fault == "overlap" && sink->emit(sink->context, &first) != DBSA_OK) return DBSA_ERROR_PLUGIN;
  return sink->emit(sink->context, &own);
}

int64_t anchor_blocks(void* instance) {
  say(instance, "anchor_blocks");
  return fault_of(instance) == "negative_block" ? -1 : 1;
}

constexpr dbsa_mask_pattern_vtable kVtable = {sizeof kVtable, visible, anchor_blocks};

}  // namespace

RAW_PLUGIN(DBSA_KIND_MASK_PATTERN, &kVtable);
