#include "linear_tiles.h"

#include <algorithm>

namespace dbsa::cpu {
namespace {

constexpr int64_t kTileValues = 2 * kTileSteps;  // of the reduction
constexpr int64_t kStreamedFloats = int64_t{1}
                                    << 20;  // of results, logits for one: no cache holds them
constexpr int64_t kRowTilesOfParts = 8;     // of kPartColumns: 264 KiB stay in a core's cache
constexpr int64_t kBytesAtOnce = int64_t{768} << 10;  // of activations: they stay in a core's cache

int64_t count(int64_t whole, int64_t of) { return (whole + of - 1) / of; }

}  // namespace

TileMatrix::TileMatrix(LinearContext& context, int64_t n, int64_t k)
    : context_(context),
      n_(n),
      k_(k),
      step_tiles_(count(k_, kTileValues)),
      row_bytes_(tile_row_bytes(step_tiles_)),
      pairs_(count(n_, kPairColumns)) {}

uint64_t TileMatrix::weight_bytes() const {
  return static_cast<uint64_t>(pairs_ * kPairGroups * row_bytes_);
}

void TileMatrix::fill(const WeightRows& weight) {
  context_.host.parallel_for(count(n_, kGroup), 1, [&](int64_t begin, int64_t end) {
    float* row = context_.host.scratch<float>(0, k_);
    for (int64_t g = begin; g < end; ++g)
      pack_bf16_group(weight, g, row, static_cast<uint16_t*>(packed_.data()) + g * row_bytes_ / 2);
  });
}

int64_t TileMatrix::row_tiles(int64_t rows) {
  return rows <= kTileRows ? 1 : count(rows, 2 * kTileRows) * 2;
}

uint64_t TileMatrix::packed_bytes(int64_t rows) const {
  return static_cast<uint64_t>(row_tiles(rows) * row_bytes_);
}

const char* TileMatrix::pack(const Rows& x) const {
  return context_.rounded.get(x, Activations::kTiles, packed_bytes(x.count), [&](char* to) {
    context_.host.parallel_for(row_tiles(x.count), 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const int64_t row = std::min(t * kTileRows, x.count);
        context_.path.kernels->pack_tiles(x.data + row * k_, std::min(kTileRows, x.count - row), k_,
                                          to + t * row_bytes_);
      }
    });
  });
}

template <typename Body>
void TileMatrix::for_blocks(int64_t rows, const Body& body) const {
  const int64_t all = row_tiles(rows);
  // Even shares: each streams the whole weight.
  const int64_t most = std::max<int64_t>(8, kBytesAtOnce / row_bytes_ / 2 * 2);
  const int64_t at_once = all == 1 ? 1 : count(count(all, count(all, most)), 2) * 2;
  context_.host.parallel_for(count(all, at_once) * pairs_, 1, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = item / pairs_ * at_once;
      body(Block{first, std::min(at_once, all - first), item % pairs_});
    }
  });
}

void TileMatrix::product(const char* x, const Block& block, float* c, int64_t stride) const {
  TileProduct product = {};
  product.a = x + block.first_tile * row_bytes_;
  product.row_tiles = block.row_tiles;
  product.b = static_cast<const char*>(packed_.data()) + block.pair * kPairGroups * row_bytes_;
  product.groups = kPairGroups;
  product.step_tiles = step_tiles_;
  product.c = c;
  product.c_stride = stride;
  context_.path.kernels->multiply_tiles(product);
}

void TileMatrix::multiply(const Rows& x, const float* bias, const float* residual, float* out) {
  multiply_packed(pack(x), x.count, bias, residual, out);
}

void TileMatrix::multiply_packed(const char* x, int64_t rows, const float* bias,
                                 const float* residual, float* out) const {
  const bool streamed = bias == nullptr && residual == nullptr && rows * n_ >= kStreamedFloats;
  for_blocks(rows, [&](const Block& block) {
    float* c = context_.host.scratch<float>(0, block.row_tiles * kTileRows * kPairColumns);
    product(x, block, c);
    const int64_t first = block.first_tile * kTileRows, column = block.pair * kPairColumns;
    const int64_t columns = std::min(kPairColumns, n_ - column);
    const int64_t last = std::min(first + block.row_tiles * kTileRows, rows);
    if (streamed && columns == kPairColumns) {
      context_.path.kernels->write_through(c, last - first, columns, out + first * n_ + column, n_);
      return;
    }
    write_part(*context_.path.kernels, {first, last - first, column, columns, c, kPairColumns},
               {n_, bias, residual, out});
  });
}

void TileMatrix::multiply_in_parts(const Rows& x, const TakePart& take) {
  const char* packed = pack(x);
  const int64_t all = row_tiles(x.count);
  const int64_t row_items = count(all, kRowTilesOfParts);
  constexpr int64_t kPartPairs = kPartColumns / kPairColumns;
  context_.host.parallel_for(
      row_items * count(pairs_, kPartPairs), 1, [&](int64_t begin, int64_t end) {
        float* c = context_.host.scratch<float>(0, kRowTilesOfParts * kTileRows * kPartStride);
        for (int64_t item = begin; item < end; ++item) {
          const int64_t first_tile = item % row_items * kRowTilesOfParts;
          const int64_t tiles = std::min(kRowTilesOfParts, all - first_tile);
          const int64_t first_pair = item / row_items * kPartPairs;
          for (int64_t pair = first_pair; pair < std::min(first_pair + kPartPairs, pairs_); ++pair)
            product(packed, {first_tile, tiles, pair}, c + (pair - first_pair) * kPairColumns,
                    kPartStride);
          const int64_t row = first_tile * kTileRows, column = first_pair * kPairColumns;
          take({row, std::min(tiles * kTileRows, x.count - row), column,
                std::min(kPartColumns, n_ - column), c, kPartStride});
        }
      });
}

void TileMatrix::add_bias(const Block& block, const float* bias, float* c) const {
  if (bias == nullptr) return;
  const int64_t column = block.pair * kPairColumns;
  const int64_t columns = std::min(kPairColumns, n_ - column);
  for (int64_t row = 0; row < block.row_tiles * kTileRows; ++row, c += kPairColumns)
    context_.path.kernels->add(c, bias + column, nullptr, columns, c);
}

void TileMatrix::gated(const char* x, int64_t rows, const TileMatrix& gate, const float* gate_bias,
                       const TileMatrix& up, const float* up_bias, const TileMatrix& down,
                       uint32_t activation, char* hidden) {
  static_assert(kPairColumns == kTileValues, "a pair's columns are a tile's steps of what follows");
  const Kernels& kernels = *gate.context_.path.kernels;
  gate.for_blocks(rows, [&](const Block& block) {
    const int64_t floats = block.row_tiles * kTileRows * kPairColumns;
    float* g = gate.context_.host.scratch<float>(0, 2 * floats);
    float* u = g + floats;
    gate.product(x, block, g);
    gate.add_bias(block, gate_bias, g);
    up.product(x, block, u);
    up.add_bias(block, up_bias, u);
    kernels.gate[activation](g, u, floats, g);
    for (int64_t t = 0; t < block.row_tiles; ++t)
      kernels.pack_tiles(
          g + t * kTileRows * kPairColumns, kTileRows, kPairColumns,
          hidden + (block.first_tile + t) * down.row_bytes_ + block.pair * kTileBytes);
  });
}

std::unique_ptr<PackedMatrix> tile_matrix(LinearContext& context, int64_t n, int64_t k) {
  return std::make_unique<TileMatrix>(context, n, k);
}

}  // namespace dbsa::cpu
