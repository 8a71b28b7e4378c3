// Linear layers in bfloat16 by a code path that multiplies tiles.
#pragma once

#include "linear.h"

namespace dbsa::cpu {

class TileMatrix : public PackedMatrix {
 public:
  TileMatrix(LinearContext& context, int64_t n, int64_t k);

  void multiply(const Rows& x, const float* bias, const float* residual, float* out) override;
  void multiply_in_parts(const Rows& x, const TakePart& take) override;
  const TileMatrix* tiles() const override { return this; }

  // A row of tiles per 16 rows, and an even number of them unless it is a single one.
  static int64_t row_tiles(int64_t rows);
  // Bytes of the activations [rows, width()] in tiles.
  uint64_t packed_bytes(int64_t rows) const;
  // x in tiles; until another call.
  const char* pack(const Rows& x) const;
  // As multiply, on activations in tiles.
  void multiply_packed(const char* x, int64_t rows, const float* bias, const float* residual,
                       float* out) const;

  // hidden = silu(x gate^T + gate_bias) * (x up^T + up_bias), from tiles into the tiles that `down`
  // multiplies.
  static void gated(const char* x, int64_t rows, const TileMatrix& gate, const float* gate_bias,
                    const TileMatrix& up, const float* up_bias, const TileMatrix& down,
                    uint32_t activation, char* hidden);

 private:
  static constexpr int64_t kPairGroups = 2;
  static constexpr int64_t kPairColumns = kPairGroups * kGroup;

  uint64_t weight_bytes() const override;
  std::string layout() const override { return "tiles bf16"; }
  void fill(const WeightRows& weight) override;
  // Runs body(block) on the host's threads: rows of tiles by a pair of groups.
  struct Block {
    int64_t first_tile, row_tiles, pair;
  };
  template <typename Body>
  void for_blocks(int64_t rows, const Body& body) const;
  // Into rows of c `stride` floats apart.
  void product(const char* x, const Block& block, float* c, int64_t stride = kPairColumns) const;
  void add_bias(const Block& block, const float* bias, float* c) const;

  LinearContext& context_;
  const int64_t n_;
  const int64_t k_;
  const int64_t step_tiles_;
  const int64_t row_bytes_;
  const int64_t pairs_;  // of groups
};

}  // namespace dbsa::cpu
