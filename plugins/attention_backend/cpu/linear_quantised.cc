// Weights that stay in blocks. Some groups' part of the reduction is decoded to bfloat16 into a
// panel that stays in a core's cache, and multiplied with as many rows as there are. Sums are those
// of the plugin's own kernels in bfloat16: one for each element, in ascending steps.
#include "linear.h"

#include <algorithm>

namespace dbsa::cpu {
namespace {

constexpr int64_t kPanelGroups = 4;
constexpr int64_t kBlockValues = 32;  // of the reduction, that kernels decode at once
constexpr int64_t kBlockSteps = kBlockValues / 2;
constexpr int64_t kPanelBlocks = 8;     // of kPanelGroups groups: 32 KiB
constexpr int64_t kFewPanelBlocks = 4;  // where the rows are few: 16 KiB stay in the first cache
constexpr int64_t kSmallPanelRows = 8;
constexpr int64_t kLeastRows = 96;  // decoding a panel costs about as much as 8 rows
constexpr int64_t kMostRows = 512;
constexpr int64_t kMostRowsOfParts = 128;  // of kPartColumns: 264 KiB stay in a cache

class QuantisedMatrix : public PackedMatrix {
 public:
  QuantisedMatrix(LinearContext& context, const QuantisedType& type, int64_t n, int64_t k)
      : context_(context),
        type_(type),
        n_(n),
        k_(k),
        groups_((n + kGroup - 1) / kGroup),
        value_bytes_(k / kBlockValues * type.value_bytes),
        scale_bytes_(k / type.elements * type.scale_bytes) {
    arithmetic_ = context.path.kernels->multiply[kBf16Dot] != nullptr ? kBf16Dot : kBf16Wide;
  }

  void multiply(const Rows& x, const float* bias, const float* residual, float* out) override {
    make_parts(x, {kMostRows, kPanelGroups, kPanelGroups * kGroup}, [&](const ProductPart& part) {
      write_part(*context_.path.kernels, part, {n_, bias, residual, out});
    });
  }

  void multiply_in_parts(const Rows& x, const TakePart& take) override {
    make_parts(x, {kMostRowsOfParts, kPartColumns / kGroup, kPartStride}, take);
  }

 private:
  // Parts of that shape, of fewer rows where threads would wait otherwise.
  template <typename Take>
  void make_parts(const Rows& x, PartShape shape, const Take& take) {
    const RoundedRows a = round_rows(context_, x, k_, arithmetic_);
    shape.rows = rows_at_once(x.count, (groups_ + shape.groups - 1) / shape.groups, shape.rows);
    multiply_rounded(
        context_.host, a, x.count, n_, shape, kPanelGroups,
        [&](MultiplyArgs& args, const char* from, int64_t group) {
          multiply_block(args, from, group);
        },
        take);
  }

  uint64_t weight_bytes() const override {
    return (static_cast<uint64_t>(groups_ * (value_bytes_ + scale_bytes_)) + 63) / 64 * 64;
  }
  std::string layout() const override { return quantised_layout(type_); }

  const uint8_t* values(int64_t group) const {
    return static_cast<const uint8_t*>(packed_.data()) + group * value_bytes_;
  }
  const uint8_t* scales(int64_t group) const { return values(groups_) + group * scale_bytes_; }

  void fill(const WeightRows& weight) override {
    context_.host.parallel_for(groups_, 1, [&](int64_t begin, int64_t end) {
      BlockFields fields = {};
      for (int64_t row = begin * kGroup; row < std::min(end * kGroup, n_); ++row) {
        auto* to_values = const_cast<uint8_t*>(values(row / kGroup));
        auto* to_scales = const_cast<uint8_t*>(scales(row / kGroup));
        const unsigned char* block = weight.blocks(row);
        for (int64_t i = 0; i < k_; i += type_.elements, block += type_.bytes) {
          read_block(type_, block, fields);
          place_block(type_, fields, row % kGroup, to_values, to_scales);
          to_values += type_.elements / kBlockValues * type_.value_bytes;
          to_scales += type_.scale_bytes;
        }
      }
    });
  }

  // As many as can share a panel while every thread has work. Results do not depend on it.
  int64_t rows_at_once(int64_t rows, int64_t column_items, int64_t most) const {
    const int64_t shares = (2 * context_.host.thread_count() + column_items - 1) / column_items;
    return std::clamp((rows + shares - 1) / shares, std::min(rows, kLeastRows), most);
  }

  void multiply_block(MultiplyArgs& args, const char* a, int64_t first_group) const {
    const Kernels& kernels = *context_.path.kernels;
    if (kernels.multiply_quantised != nullptr && args.rows <= kFewRows) {
      return kernels.multiply_quantised({type_.form, a, args.a_stride, args.rows,
                                         values(first_group), value_bytes_, scales(first_group),
                                         scale_bytes_, args.groups, k_ / kBlockValues, args.c,
                                         args.c_stride});
    }
    const int64_t at_once = args.rows <= kSmallPanelRows ? kFewPanelBlocks : kPanelBlocks;
    const int64_t blocks = k_ / kBlockValues;
    const int64_t step_bytes = arithmetic_ == kBf16Wide ? 8 : 4;
    auto* panel =
        context_.host.scratch<uint32_t>(1, kPanelGroups * kPanelBlocks * kBlockSteps * kGroup);
    args.b = panel;
    args.b_step = kGroup;
    for (int64_t block = 0; block < blocks; block += at_once) {
      const int64_t count = std::min(at_once, blocks - block);
      args.steps = count * kBlockSteps;
      args.b_group = args.steps * kGroup;
      for (int64_t g = 0; g < args.groups; ++g)
        context_.path.kernels->decode({type_.form, values(first_group + g), scales(first_group + g),
                                       block, count, panel + g * args.b_group});
      args.a = a + block * kBlockSteps * step_bytes;
      args.accumulate = block > 0;
      context_.path.kernels->multiply[arithmetic_](args);
    }
  }

  LinearContext& context_;
  const QuantisedType& type_;
  const int64_t n_;
  const int64_t k_;
  const int64_t groups_;
  const int64_t value_bytes_;  // of a group
  const int64_t scale_bytes_;
  Arithmetic arithmetic_;
};

}  // namespace

std::string quantised_layout(const QuantisedType& type) {
  return "quantised 1 " + std::string(type.name);
}

std::unique_ptr<PackedMatrix> quantised_matrix(LinearContext& context, const QuantisedType& type,
                                               int64_t n, int64_t k) {
  return std::make_unique<QuantisedMatrix>(context, type, n, k);
}

}  // namespace dbsa::cpu
