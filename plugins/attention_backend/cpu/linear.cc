#include "linear.h"

#include "bf16.h"

#include <algorithm>
#include <cstring>

namespace dbsa::cpu {
namespace {

constexpr int64_t kRowsAtOnce = 96;
constexpr int64_t kGroupsAtOnce = 4;
constexpr int64_t kStepsAtOnce = 128;  // of kGroupsAtOnce groups: 32 KiB of weights

class OwnMatrix : public PackedMatrix {
 public:
  OwnMatrix(LinearContext& context, int64_t n, int64_t k, bool bf16)
      : context_(context), n_(n), k_(k) {
    const Kernels& kernels = *context.path.kernels;
    arithmetic_ = !bf16 ? kF32 : kernels.multiply[kBf16Dot] != nullptr ? kBf16Dot : kBf16Wide;
    steps_ = bf16 ? (k_ + 1) / 2 : k_;
    groups_ = (n_ + kGroup - 1) / kGroup;
  }

  void multiply(const Rows& x, const float* bias, const float* residual, float* out) override {
    make_parts(x, {kRowsAtOnce, kGroupsAtOnce, kGroupsAtOnce * kGroup},
               [&](const ProductPart& part) {
                 write_part(*context_.path.kernels, part, {n_, bias, residual, out});
               });
  }

  void multiply_in_parts(const Rows& x, const TakePart& take) override {
    make_parts(x, {kRowsAtOnce, kPartColumns / kGroup, kPartStride}, take);
  }

 private:
  template <typename Take>
  void make_parts(const Rows& x, const PartShape& shape, const Take& take) {
    const RoundedRows a = arithmetic_ == kF32
                              ? RoundedRows{reinterpret_cast<const char*>(x.data), k_ * 4}
                              : round_rows(context_, x, k_, arithmetic_);
    multiply_rounded(
        context_.host, a, x.count, n_, shape, kGroupsAtOnce,
        [&](MultiplyArgs& args, const char* from, int64_t group) {
          multiply_block(args, from, group);
        },
        take);
  }

  uint64_t weight_bytes() const override {
    return static_cast<uint64_t>(groups_ * steps_ * kGroup) * 4;
  }

  std::string layout() const override { return arithmetic_ == kF32 ? "own f32" : "own bf16"; }

  void fill(const WeightRows& weight) override {
    context_.host.parallel_for(groups_, 1, [&](int64_t begin, int64_t end) {
      float* row = context_.host.scratch<float>(0, k_);
      for (int64_t g = begin; g < end; ++g) pack_group(weight, g, row);
    });
  }

  void pack_group(const WeightRows& weight, int64_t group, float* row) {
    auto* words = static_cast<uint32_t*>(packed_.data()) + group * steps_ * kGroup;
    if (arithmetic_ != kF32)
      return pack_bf16_group(weight, group, row, reinterpret_cast<uint16_t*>(words));
    for (int64_t column = 0; column < kGroup && group * kGroup + column < n_; ++column) {
      weight.read(group * kGroup + column, row);
      for (int64_t i = 0; i < k_; ++i)
        reinterpret_cast<float*>(words)[i * kGroup + column] = row[i];
    }
  }

  void multiply_block(MultiplyArgs& args, const char* a, int64_t first_group) {
    const int64_t step_bytes = arithmetic_ == kBf16Wide ? 8 : 4;
    args.b_step = kGroup;
    args.b_group = steps_ * kGroup;
    const auto* b = static_cast<const uint32_t*>(packed_.data()) + first_group * args.b_group;
    for (int64_t step = 0; step < steps_; step += kStepsAtOnce) {
      args.a = a + step * step_bytes;
      args.b = b + step * kGroup;
      args.steps = std::min(kStepsAtOnce, steps_ - step);
      args.accumulate = step > 0;
      context_.path.kernels->multiply[arithmetic_](args);
    }
  }

  LinearContext& context_;
  const int64_t n_;
  const int64_t k_;
  Arithmetic arithmetic_;
  int64_t steps_;
  int64_t groups_;
};

}  // namespace

RoundedRows round_rows(LinearContext& context, const Rows& x, int64_t width,
                       Arithmetic arithmetic) {
  const bool dot = arithmetic == kBf16Dot;
  const int64_t stride = (width + 1) / 2 * (dot ? 4 : 8);
  const auto round_row = [&](const float* from, char* to) {
    const int64_t pad = std::min<int64_t>(8, stride);  // a row of one or two values is shorter
    std::memset(to + stride - pad, 0, static_cast<size_t>(pad));
    if (dot) {
      context.path.kernels->to_bf16(from, width, reinterpret_cast<uint16_t*>(to));
    } else {
      context.path.kernels->round_bf16(from, width, reinterpret_cast<float*>(to));
    }
  };
  const char* data =
      context.rounded.get(x, dot ? Activations::kRows : Activations::kWideRows,
                          static_cast<uint64_t>(x.count * stride), [&](char* rounded) {
                            context.host.parallel_for(x.count, 16, [&](int64_t begin, int64_t end) {
                              for (int64_t r = begin; r < end; ++r)
                                round_row(x.data + r * width, rounded + r * stride);
                            });
                          });
  return {data, stride};
}

void write_part(const Kernels& kernels, const ProductPart& part, const ProductOut& to) {
  const float* bias = to.bias == nullptr ? nullptr : to.bias + part.first_column;
  for (int64_t r = 0; r < part.rows; ++r) {
    const int64_t at = (part.first_row + r) * to.width + part.first_column;
    kernels.add(part.values + r * part.stride, bias,
                to.residual == nullptr ? nullptr : to.residual + at, part.columns, to.out + at);
  }
}

WeightRows::WeightRows(const dbsa_tensor& tensor)
    : data_(static_cast<const char*>(tensor.data) + tensor.byte_offset),
      dtype_(tensor.dtype),
      rows_(tensor.ndim == 1 ? 1 : tensor.shape[0]),
      width_(tensor.shape[tensor.ndim - 1]) {}

void WeightRows::read(int64_t row, float* out) const {
  if (quantised_ != nullptr)
    return decode_blocks(*quantised_, blocks(row), width_ / quantised_->elements, out);
  const int64_t at = row * width_;
  if (dtype_.bits == 32) {
    std::memcpy(out, data_ + at * 4, static_cast<size_t>(width_) * 4);
    return;
  }
  const char* from = data_ + at * 2;
  const bool bfloat = dtype_.code == DBSA_DTYPE_BFLOAT;
  for (int64_t i = 0; i < width_; ++i) {
    uint16_t half;
    std::memcpy(&half, from + i * 2, 2);
    out[i] = bfloat ? bf16_to_f32(half) : f16_to_f32(half);
  }
}

void pack_bf16_group(const WeightRows& weight, int64_t group, float* row, uint16_t* to) {
  for (int64_t column = 0; column < kGroup && group * kGroup + column < weight.rows(); ++column) {
    weight.read(group * kGroup + column, row);
    for (int64_t i = 0; i < weight.width(); ++i)
      to[(i / 2 * kGroup + column) * 2 + i % 2] = f32_to_bf16(row[i]);
  }
}

std::unique_ptr<PackedMatrix> own_matrix(LinearContext& context, int64_t n, int64_t k, bool bf16) {
  return std::make_unique<OwnMatrix>(context, n, k, bf16);
}

namespace {

// FNV-1a, 64 bits.
uint64_t hash_of(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

void PackedMatrix::pack(const WeightRows& weight) {
  packed_ = Memory::zeroed(packed_bytes());
  fill(weight);
  const uint64_t tag = hash_of(layout());
  std::memcpy(static_cast<char*>(packed_.data()) + weight_bytes(), &tag, sizeof tag);
}

bool PackedMatrix::is_layout(const std::string& layout, const void* packed, uint64_t bytes) {
  uint64_t tag = 0;
  std::memcpy(&tag, static_cast<const char*>(packed) + bytes - kTagBytes, sizeof tag);
  return tag == hash_of(layout);
}

bool PackedMatrix::adopt(const void* packed) {
  if (!is_layout(layout(), packed, packed_bytes())) return false;
  packed_ = Memory::borrowed(packed, packed_bytes());
  return true;
}

}  // namespace dbsa::cpu
