#include <dbsa/block_grouper.h>

#include <stdexcept>

#include "raw_plugin.h"
#include "sudden_ends.h"

namespace {

int32_t group(void* instance, const dbsa_demonstrations* demonstrations, int64_t block_size,
              uint64_t, dbsa_grouping* grouping, dbsa_error* error) {
  const std::string& fault = fault_of(instance);
  const int64_t count = demonstrations->count;
  // On the host's threads, too.
  const dbsa_host* host = static_cast<RawInstance*>(instance)->host;
  host->parallel_for(
      host->context, 64, 1, [](void* argument, int64_t, int64_t) { say(argument, "group"); },
      instance);
  end_suddenly(fault);
  if (fault == "throw") throw std::runtime_error("boom");
  if (fault == "throw_int") throw 7;
  if (fault == "unknown_code") return 77;
  if (fault == "no_message") return DBSA_ERROR_RUN;
  if (fault == "unterminated") {
    std::memset(error->message, 'x', sizeof error->message);
    std::memset(error->config_pointer, 0, sizeof error->config_pointer);
    return DBSA_ERROR_RUN;
  }
  grouping->block_count = 0;
  for (int64_t i = 0; i < count; ++i) {
    grouping->order[i] = i;
    if ((i + 1) % block_size == 0 || i + 1 == count)
      grouping->block_ends[grouping->block_count++] = i + 1;
  }
  if (fault == "too_many_blocks") grouping->block_count = count + 1;
  if (fault == "negative_blocks") grouping->block_count = -1;
  if (fault == "missing_block") --grouping->block_count;
  if (fault == "empty_block") grouping->block_ends[1] = grouping->block_ends[0];
  if (fault == "past_the_end") grouping->block_ends[1] = count + 1;
  if (fault == "large_block") grouping->block_ends[0] = block_size + 1;
  if (fault == "twice") grouping->order[1] = 0;
  if (fault == "out_of_range") grouping->order[1] = count;
  if (fault == "huge") grouping->order[1] = INT64_MIN;
  if (fault == "untouched") grouping->block_count = 0;
  return DBSA_OK;
}

constexpr dbsa_block_grouper_vtable kVtable = {sizeof kVtable, group};

}  // namespace

RAW_PLUGIN(DBSA_KIND_BLOCK_GROUPER, &kVtable);
