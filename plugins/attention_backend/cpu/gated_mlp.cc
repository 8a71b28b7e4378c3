#include "gated_mlp.h"

#include "linear_tiles.h"

#include <algorithm>

namespace dbsa::cpu {
namespace {

constexpr int64_t kRowsPerPass = 512;

}  // namespace

void GatedMlp::run(const Rows& x, const dbsa_gated_mlp_weights& weights, const float* residual,
                   float* out) {
  for (int64_t row = 0; row < x.count; row += kRowsPerPass) {
    const Rows part = {x.data + row * weights.gate->width, std::min(kRowsPerPass, x.count - row),
                       x.content};
    const int64_t at = row * weights.down->rows;
    run_rows(part, weights, residual == nullptr ? nullptr : residual + at, out + at);
  }
}

void GatedMlp::run_rows(const Rows& x, const dbsa_gated_mlp_weights& weights, const float* residual,
                        float* out) {
  const TileMatrix* gate = weights.gate->packed->tiles();
  const TileMatrix* up = weights.up->packed->tiles();
  const TileMatrix* down = weights.down->packed->tiles();
  if (gate != nullptr && up != nullptr && down != nullptr) {
    auto* hidden = static_cast<char*>(hidden_.reserve(down->packed_bytes(x.count)));
    TileMatrix::gated(gate->pack(x), x.count, *gate, values_of(weights.gate_bias), *up,
                      values_of(weights.up_bias), *down, weights.activation, hidden);
    down->multiply_packed(hidden, x.count, values_of(weights.down_bias), residual, out);
    return;
  }
  const int64_t width = weights.gate->rows;
  const int64_t values = x.count * width;
  auto* g = static_cast<float*>(hidden_.reserve(static_cast<uint64_t>(2 * values) * sizeof(float)));
  float* u = g + values;
  weights.gate->packed->multiply(x, values_of(weights.gate_bias), nullptr, g);
  weights.up->packed->multiply(x, values_of(weights.up_bias), nullptr, u);
  context_.host.parallel_for(
      x.count, std::max<int64_t>(1, 16384 / width), [&](int64_t begin, int64_t end) {
        context_.path.kernels->gate[weights.activation](g + begin * width, u + begin * width,
                                                        (end - begin) * width, g + begin * width);
      });
  weights.down->packed->multiply({g, x.count, 0}, values_of(weights.down_bias), residual, out);
}

}  // namespace dbsa::cpu
