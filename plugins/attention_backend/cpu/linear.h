// Linear layers: y = x W^T, by oneDNN or by the plugin's own kernels, the weights packed once.
//
// Both sum each output element in an order that depends only on the weight's shape, so a row's
// result is the same bits for every number of rows and threads. For oneDNN that holds for its
// batched-reduce kernels ("brg:..."), whose packed layout and blocking do not depend on the number
// of rows; a weight for which it would choose anything else is left to our own kernels.
#pragma once

#include "code_path.h"
#include "memory.h"
#include "objects.h"
#include "quantised.h"

#include <dbsa/attention_backend.h>
#include <dbsa/sdk/host.h>
#include <dbsa/sdk/result.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

namespace dbsa::cpu {

// Rows of activations, [count, width].
struct Rows {
  const float* data;
  int64_t count;
  uint64_t content;  // of their buffer (objects.h); 0: of none
};

class TileMatrix;
class WeightRows;

// A part of a product x W^T, in some thread's memory.
struct ProductPart {
  int64_t first_row;
  int64_t rows;
  int64_t first_column;
  int64_t columns;
  float* values;   // [rows, columns]; may be overwritten
  int64_t stride;  // floats from row to row
};
using TakePart = std::function<void(const ProductPart& part)>;

// How a product is cut into parts.
struct PartShape {
  int64_t rows;    // at most
  int64_t groups;  // of columns, at most
  int64_t stride;  // floats from row to row
};

// Cuts a product of `rows` rows and `columns` columns into parts of that shape, each on one of the
// host's threads: fill(part, first_group) writes its values, then take(part) reads them. Parts of
// the same columns follow each other, so that their weights may stay in a cache.
template <typename Fill, typename Take>
void for_parts(const Host& host, int64_t rows, int64_t columns, const PartShape& shape,
               const Fill& fill, const Take& take) {
  const int64_t groups = (columns + kGroup - 1) / kGroup;
  const int64_t row_items = (rows + shape.rows - 1) / shape.rows;
  const int64_t column_items = (groups + shape.groups - 1) / shape.groups;
  host.parallel_for(row_items * column_items, 1, [&](int64_t begin, int64_t end) {
    float* values = host.scratch<float>(0, shape.rows * shape.stride);
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first_row = item % row_items * shape.rows;
      const int64_t first_group = item / row_items * shape.groups;
      const int64_t column = first_group * kGroup;
      const int64_t end_column = std::min((first_group + shape.groups) * kGroup, columns);
      const ProductPart part = {first_row, std::min(shape.rows, rows - first_row),
                                column,    end_column - column,
                                values,    shape.stride};
      fill(part, first_group);
      take(part);
    }
  });
}

// Columns of the parts that multiply_in_parts hands out, except the last ones. Their rows lie a
// little farther apart where they can: powers of two would share few lines of the caches.
constexpr int64_t kPartColumns = 512;
constexpr int64_t kPartStride = kPartColumns + kGroup;

// A weight [n, k], packed.
class PackedMatrix {
 public:
  virtual ~PackedMatrix() = default;
  void pack(const WeightRows& weight);
  // Reads in place what pack made of the same weight: packed_bytes() bytes, 64-byte aligned. False
  // where they were packed in another layout.
  [[nodiscard]] bool adopt(const void* packed);
  const void* packed() const { return packed_.data(); }
  // Whether packed bytes, at least kTagBytes, are of this layout.
  static bool is_layout(const std::string& layout, const void* packed, uint64_t bytes);
  // Of the packed weight and, behind it, 64 bytes that name its layout.
  static constexpr uint64_t kTagBytes = 64;
  uint64_t packed_bytes() const { return weight_bytes() + kTagBytes; }
  // out[count, n] = x[count, k] W^T (+ bias[n]) (+ residual[count, n]); residual may be out.
  virtual void multiply(const Rows& x, const float* bias, const float* residual, float* out) = 0;
  // Hands out x W^T, the numbers that multiply gives, each once, on the host's threads: in parts of
  // some rows and kPartColumns columns that begin at a multiple of these.
  virtual void multiply_in_parts(const Rows& x, const TakePart& take) = 0;
  // Itself, where it multiplies tiles.
  virtual const TileMatrix* tiles() const { return nullptr; }

 protected:
  // Of the packed weight, a multiple of 64.
  virtual uint64_t weight_bytes() const = 0;
  // How its bytes are laid out. Sizes do not tell: oneDNN has several layouts of one size, and
  // which one it chooses may depend on more than its version.
  virtual std::string layout() const = 0;
  // Into packed_, which is zeros.
  virtual void fill(const WeightRows& weight) = 0;

  Memory packed_;
};

// Reads rows of a weight tensor [n, k] of any supported type, as float32; of blocks rounded to
// bfloat16.
class WeightRows {
 public:
  explicit WeightRows(const dbsa_tensor& tensor);
  WeightRows(const QuantisedType& type, const void* data, int64_t rows, int64_t width)
      : data_(static_cast<const char*>(data)),
        dtype_(),
        quantised_(&type),
        rows_(rows),
        width_(width) {}
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  void read(int64_t row, float* out) const;
  // The first block of a row, where they are blocks.
  const unsigned char* blocks(int64_t row) const {
    return reinterpret_cast<const unsigned char*>(data_) +
           row * (width_ / quantised_->elements * quantised_->bytes);
  }

 private:
  const char* data_;
  dbsa_dtype dtype_;
  const QuantisedType* quantised_ = nullptr;
  int64_t rows_;
  int64_t width_;
};

// Group `group` of a weight rounded to bfloat16, pairs of a row's values side by side, as
// right-hand matrices have them: [steps][16 columns][2]. Columns and values past the weight are not
// written.
void pack_bf16_group(const WeightRows& weight, int64_t group, float* row, uint16_t* to);

// Activations as products read them, rounded. Layers that read the same ones one after another
// round them once.
class Activations {
 public:
  enum Form { kRows, kWideRows, kTiles };

  // make(char* to) writes them to `bytes` bytes, unless they are those of the last call.
  template <typename Make>
  const char* get(const Rows& x, Form form, uint64_t bytes, Make&& make) {
    const Key key{x.content, x.data, x.count, form, bytes};
    if (x.content == 0 || !(key == key_)) {
      key_ = {};
      make(static_cast<char*>(memory_.reserve(bytes)));
      key_ = key;
    }
    return static_cast<const char*>(memory_.data());
  }

 private:
  struct Key {
    uint64_t content = 0;
    const float* data = nullptr;
    int64_t count = 0;
    Form form = kRows;
    uint64_t bytes = 0;
    bool operator==(const Key&) const = default;
  };
  Memory memory_;
  Key key_;
};

// What products share.
struct LinearContext {
  Host host;
  CodePath path;
  Activations rounded;
};

// Activations [count, width] rounded to bfloat16, in the type that a kernel takes, rows padded to
// whole steps and `stride` bytes apart. arithmetic: not kF32.
struct RoundedRows {
  const char* data;
  int64_t stride;
};
RoundedRows round_rows(LinearContext& context, const Rows& x, int64_t width, Arithmetic arithmetic);

// Hands out a product of rounded rows in parts of that shape. multiply(args, a, group) multiplies
// args.rows rows from `a` on with args.groups groups from `group` on, groups_at_once at most, into
// args.c.
template <typename Multiply, typename Take>
void multiply_rounded(const Host& host, const RoundedRows& a, int64_t rows, int64_t columns,
                      const PartShape& shape, int64_t groups_at_once, const Multiply& multiply,
                      const Take& take) {
  const int64_t groups = (columns + kGroup - 1) / kGroup;
  const auto fill = [&](const ProductPart& part, int64_t first_group) {
    MultiplyArgs args = {};
    args.rows = part.rows;
    args.a_stride = a.stride;
    args.c_stride = part.stride;
    const int64_t last_group = std::min(first_group + shape.groups, groups);
    for (int64_t group = first_group; group < last_group; group += groups_at_once) {
      args.groups = std::min(groups_at_once, last_group - group);
      args.c = part.values + (group - first_group) * kGroup;
      multiply(args, a.data + part.first_row * a.stride, group);
    }
  };
  for_parts(host, rows, columns, shape, fill, take);
}

// Where a product belongs, and what is added to it. bias and residual may be null.
struct ProductOut {
  int64_t width;
  const float* bias;      // [width]
  const float* residual;  // [*, width]
  float* out;             // [*, width]
};
// Writes a part there, bias and residual added.
void write_part(const Kernels& kernels, const ProductPart& part, const ProductOut& to);

// Matrices [n, k] without their weight. bfloat16 in tiles, for a code path that has them.
std::unique_ptr<PackedMatrix> tile_matrix(LinearContext& context, int64_t n, int64_t k);

// The plugin's own kernels otherwise.
std::unique_ptr<PackedMatrix> own_matrix(LinearContext& context, int64_t n, int64_t k, bool bf16);

// Blocks, k a multiple of their elements. quantised_layout: see PackedMatrix::layout.
std::unique_ptr<PackedMatrix> quantised_matrix(LinearContext& context, const QuantisedType& type,
                                               int64_t n, int64_t k);
std::string quantised_layout(const QuantisedType& type);

// oneDNN; null where it has no kernel that keeps the promise above.
class OneDnn;
std::shared_ptr<OneDnn> make_onednn();
std::unique_ptr<PackedMatrix> onednn_matrix(LinearContext& context, std::shared_ptr<OneDnn> onednn,
                                            int64_t n, int64_t k, bool bf16);
std::string onednn_version();
// What its packed layouts depend on: version and instruction set.
std::string onednn_identity();

}  // namespace dbsa::cpu

struct dbsa_weight {
  int32_t use = 0;
  int64_t rows = 0;  // output width, vocabulary, or 1
  int64_t width = 0;
  std::unique_ptr<dbsa::cpu::PackedMatrix> packed;  // LINEAR
  std::unique_ptr<dbsa::cpu::WeightRows> in_place;  // EMBEDDING
  dbsa::cpu::Memory vector;                         // VECTOR, float32

  const float* values() const { return static_cast<const float*>(vector.data()); }
};

namespace dbsa::cpu {

// Rows of a matrix this wide that are worth a thread's while.
inline int64_t row_grain(int64_t width) { return std::max<int64_t>(1, 16384 / width); }

// Of a bias, which may be null.
inline const float* values_of(const dbsa_weight* bias) {
  return bias == nullptr ? nullptr : bias->values();
}

}  // namespace dbsa::cpu
