// A checked plan, cut into the pieces of work of the attention kernels. No CUDA in it.
//
// What a row computes depends only on its own segments: its tokens are taken in plan order, in
// chunks of kChunk tokens that begin at multiples of kChunk of the KV object, and these in parts.
// Within a part softmax runs on; parts are then merged in order. Rows are grouped, and parts run
// one after the other or side by side, for speed only.
#pragma once

#include "plan_tables.h"

#include <dbsa/attention_backend.h>
#include <dbsa/sdk/result.h>

#include <cstddef>
#include <memory>
#include <vector>

namespace dbsa::cuda {

// A part ends where it has kPartTokens tokens, at the latest at the next multiple of that of the KV
// object; and with the KV object, once it has kPartLeast: a block of ordinary size is one part, for
// which queries are rotated once.
constexpr int64_t kPartTokens = 2048;
constexpr int64_t kPartLeast = 512;

struct PlanShape {
  int64_t query_heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t kv_bytes;  // of a number: 2 or 4
  const std::vector<float>& inv_freq;
  int64_t side_by_side;  // pieces of work below which parts run side by side
  KvPlace (*kv_place)(const dbsa_kv* kv);
  int64_t layers;
  // Fills the map of a KV object of `rows` rows of head_dim bfloat16, of all layers; null: the
  // kernel wants none. See attention.h.
  bool (*encode_map)(const KvPlace& place, int64_t rows, int64_t head_dim, TensorMap* map);
};

// kInvalidArgument with what is wrong where; what kernels count in 32 bits must fit.
Status check_plan(const dbsa_plan_description& description,
                  int64_t (*kv_tokens)(const dbsa_kv* kv));

class Plan {
 public:
  // Of a description that is checked. Cost: rows and segments of each range, and rows times
  // segments of different shifts.
  static Result<std::unique_ptr<Plan>> make(const dbsa_plan_description& description,
                                            const PlanShape& shape);

  // To be copied to the start of device memory of device_bytes, 256-byte aligned; place() says what
  // lies where. The rotations at its end are computed there, by prepare_attention.
  const std::vector<std::byte>& tables() const { return tables_; }
  uint64_t device_bytes() const;
  DevicePlan place(void* device) const;
  // Device memory that an attention call needs, for float32 partial results.
  uint64_t scratch_bytes() const;

 private:
  friend class PlanMaker;
  struct Offsets {
    uint64_t works, parts, pieces, maps, positions, rotation_index, slots, row_slots, distances,
        inv_freq;
  };

  int64_t rows_ = 0;
  int64_t works_ = 0;
  int64_t distances_ = 0;
  int64_t slots_ = 0;
  int64_t query_heads_ = 0;
  int64_t head_dim_ = 0;
  Offsets at_ = {};
  std::vector<std::byte> tables_;
};

}  // namespace dbsa::cuda
