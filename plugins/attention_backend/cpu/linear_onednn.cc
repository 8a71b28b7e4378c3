// oneDNN runs every primitive on one thread; the host's threads share out columns and rows.
#include "bf16.h"
#include "linear.h"

#include <dnnl.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

// Of libgomp, which oneDNN itself is linked with. Declared here because omp.h and -fopenmp would
// bring clang's own runtime in as well.
extern "C" void omp_set_num_threads(int);

namespace dbsa::cpu {

constexpr int64_t kRowsPerPrimitive = 256;
constexpr int64_t kColumnsAtOnce = kPartColumns;

class OneDnn {
 public:
  using Dims = std::tuple<int64_t, int64_t, int64_t, int64_t, bool>;  // m, n, k, out stride, bf16

  struct Product {
    dnnl::matmul::primitive_desc description;
    dnnl::matmul primitive;
  };

  const dnnl::engine& engine() const { return engine_; }

  static dnnl::memory::data_type type(bool bf16) {
    return bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
  }

  dnnl::matmul::primitive_desc describe(const Dims& dims, const dnnl::memory::desc& weights) const {
    const auto [m, n, k, stride, bf16] = dims;
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::memory::desc x({m, k}, type(bf16), dnnl::memory::dims{k, 1});
    const dnnl::memory::desc y({m, n}, type(false), dnnl::memory::dims{stride, 1});
    return {dnnl::matmul::desc(x, weights, y), attributes, engine_};
  }

  // Weights [columns, k] of a matrix n wide, as kernels for any number of rows take them; null
  // where these differ, or are not of the kind that sums rows alike. One thread.
  const dnnl::memory::desc* layout(int64_t n, int64_t columns, int64_t k, bool bf16) {
    const auto [at, made] = layouts_.try_emplace({n, columns, k, bf16});
    if (made) {
      at->second = choose_layout(n, columns, k, bf16);
      // If memory runs out, oneDNN silently continues with its next kind of kernel. Another
      // kind gives other bits, so it is taken only if it is found twice.
      if (!at->second && choose_layout(n, columns, k, bf16)) {
        layouts_.erase(at);
        throw std::bad_alloc();
      }
    }
    return at->second ? &*at->second : nullptr;
  }

  // Made on first use, 40 to 160 us each. Any thread.
  const Product& product(const Dims& dims, const dnnl::memory::desc& weights) {
    std::lock_guard lock(mutex_);
    const auto found = products_.find(dims);
    if (found != products_.end()) return found->second;
    omp_set_num_threads(1);
    dnnl::matmul::primitive_desc description = describe(dims, weights);
    // choose_layout looked at some numbers of rows; another kind of kernel might sum rows unlike.
    if (!std::string_view(description.impl_info_str()).starts_with("brg:"))
      throw std::runtime_error("oneDNN has no kernel of the expected kind for " +
                               std::to_string(std::get<0>(dims)) + " rows");
    dnnl::matmul primitive(description);
    return products_.emplace(dims, Product{description, primitive}).first->second;
  }

 private:
  std::optional<dnnl::memory::desc> choose_layout(int64_t n, int64_t columns, int64_t k,
                                                  bool bf16) const {
    const dnnl::memory::desc any({k, columns}, type(bf16), dnnl::memory::format_tag::any);
    dnnl::memory::desc layout;
    std::string kernel;
    for (const int64_t rows : {kRowsPerPrimitive, int64_t{1}, int64_t{7}, int64_t{32}}) {
      for (const int64_t stride : {n, columns}) {
        const auto chosen = describe({rows, columns, k, stride, bf16}, any);
        if (kernel.empty()) {
          layout = chosen.weights_desc();
          kernel = chosen.impl_info_str();
          if (!kernel.starts_with("brg:")) return std::nullopt;
        }
        if (chosen.weights_desc() != layout || kernel != chosen.impl_info_str())
          return std::nullopt;
      }
    }
    return layout;
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  std::map<std::tuple<int64_t, int64_t, int64_t, bool>, std::optional<dnnl::memory::desc>> layouts_;
  std::mutex mutex_;
  std::map<Dims, Product> products_;
};

namespace {

class OneDnnMatrix : public PackedMatrix {
 public:
  OneDnnMatrix(LinearContext& context, std::shared_ptr<OneDnn> onednn, int64_t n, int64_t k,
               bool bf16)
      : context_(context), onednn_(std::move(onednn)), n_(n), k_(k), bf16_(bf16) {}

  bool choose_layouts() {
    omp_set_num_threads(1);
    for (int64_t first = 0; first < n_; first += kColumnsAtOnce) {
      const int64_t columns = std::min(kColumnsAtOnce, n_ - first);
      const dnnl::memory::desc* packed_as = onednn_->layout(n_, columns, k_, bf16_);
      if (packed_as == nullptr) return false;
      slices_.push_back({first, columns, *packed_as, bytes_});
      bytes_ += (packed_as->get_size() + Memory::kAlignment - 1) / Memory::kAlignment *
                Memory::kAlignment;
    }
    return true;
  }

  void multiply(const Rows& x, const float* bias, const float* residual, float* out) override {
    // Straight to `out` unless a residual, which may be `out`, is still to be read.
    const bool direct = residual == nullptr;
    for_parts(x, direct ? out : nullptr, [&](const ProductPart& part) {
      if (!direct || bias != nullptr)
        write_part(*context_.path.kernels, part, {n_, bias, residual, out});
    });
  }

  void multiply_in_parts(const Rows& x, const TakePart& take) override {
    for_parts(x, nullptr, take);
  }

 private:
  // Parts of some rows and one slice, where they belong in out[*, n], unless that is null.
  template <typename Body>
  void for_parts(const Rows& x, float* out, const Body& body) {
    const char* a = activations(x);
    const int64_t row_items = (x.count + kRowsPerPrimitive - 1) / kRowsPerPrimitive;
    const auto items = static_cast<int64_t>(slices_.size()) * row_items;
    context_.host.parallel_for(items, 1, [&](int64_t begin, int64_t end) {
      omp_set_num_threads(1);
      for (int64_t item = begin; item < end; ++item) {
        const int64_t row = item % row_items * kRowsPerPrimitive;
        const int64_t count = std::min(kRowsPerPrimitive, x.count - row);
        const Slice& slice = slices_[static_cast<size_t>(item / row_items)];
        float* c = out != nullptr ? out + row * n_ + slice.first
                                  : context_.host.scratch<float>(0, count * slice.columns);
        const int64_t stride = out != nullptr ? n_ : slice.columns;
        run({count, slice.columns, k_, stride, bf16_}, slice, a + row * k_ * (bf16_ ? 2 : 4), c);
        body(ProductPart{row, count, slice.first, slice.columns, c, stride});
      }
    });
  }

  uint64_t weight_bytes() const override { return bytes_; }

  std::string layout() const override {
    std::string text = bf16_ ? "onednn bf16" : "onednn f32";
    for (const Slice& slice : slices_) {
      const dnnl_blocking_desc_t& blocks = slice.packed_as.data.format_desc.blocking;
      text += "; strides";
      for (int i = 0; i < slice.packed_as.data.ndims; ++i)
        text += " " + std::to_string(blocks.strides[i]);
      text += " blocks";
      for (int i = 0; i < blocks.inner_nblks; ++i)
        text +=
            " " + std::to_string(blocks.inner_blks[i]) + "@" + std::to_string(blocks.inner_idxs[i]);
    }
    return text;
  }

  struct Slice {
    int64_t first;
    int64_t columns;
    dnnl::memory::desc packed_as;
    uint64_t at;  // in packed_
  };

  void* place(const Slice& slice) { return static_cast<char*>(packed_.data()) + slice.at; }

  void fill(const WeightRows& weight) override {
    for (const Slice& slice : slices_) fill(weight, slice);
  }

  void fill(const WeightRows& weight, const Slice& slice) {
    const int64_t element = bf16_ ? 2 : 4;
    Memory plain = Memory::zeroed(static_cast<uint64_t>(slice.columns * k_ * element));
    context_.host.parallel_for(slice.columns, 16, [&](int64_t begin, int64_t end) {
      float* row = context_.host.scratch<float>(0, k_);
      for (int64_t c = begin; c < end; ++c) {
        if (!bf16_) {
          weight.read(slice.first + c, static_cast<float*>(plain.data()) + c * k_);
          continue;
        }
        weight.read(slice.first + c, row);
        auto* to = static_cast<uint16_t*>(plain.data()) + c * k_;
        for (int64_t i = 0; i < k_; ++i) to[i] = f32_to_bf16(row[i]);
      }
    });
    omp_set_num_threads(1);
    dnnl::stream stream(onednn_->engine());
    dnnl::memory from({{k_, slice.columns}, OneDnn::type(bf16_), dnnl::memory::format_tag::ba},
                      onednn_->engine(), plain.data());
    dnnl::memory to(slice.packed_as, onednn_->engine(), place(slice));
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
  }

  const char* activations(const Rows& x) {
    if (!bf16_) return reinterpret_cast<const char*>(x.data);
    return context_.rounded.get(
        x, Activations::kRows, static_cast<uint64_t>(x.count * k_) * 2, [&](char* to) {
          auto* rounded = reinterpret_cast<uint16_t*>(to);
          context_.host.parallel_for(x.count, 16, [&](int64_t begin, int64_t end) {
            context_.path.kernels->to_bf16(x.data + begin * k_, (end - begin) * k_,
                                           rounded + begin * k_);
          });
        });
  }

  void run(const OneDnn::Dims& dims, const Slice& slice, const char* a, float* to) {
    const OneDnn::Product& product = onednn_->product(dims, slice.packed_as);
    const dnnl::engine& engine = onednn_->engine();
    const dnnl::memory::desc scratch_as = product.description.scratchpad_desc();
    dnnl::stream stream(engine);
    dnnl::memory x(product.description.src_desc(), engine, const_cast<char*>(a));
    dnnl::memory w(slice.packed_as, engine, place(slice));
    dnnl::memory y(product.description.dst_desc(), engine, to);
    dnnl::memory scratch(
        scratch_as, engine,
        context_.host.scratch<char>(
            1, std::max<int64_t>(64, static_cast<int64_t>(scratch_as.get_size()))));
    product.primitive.execute(stream, {{DNNL_ARG_SRC, x},
                                       {DNNL_ARG_WEIGHTS, w},
                                       {DNNL_ARG_DST, y},
                                       {DNNL_ARG_SCRATCHPAD, scratch}});
    stream.wait();
  }

  LinearContext& context_;
  std::shared_ptr<OneDnn> onednn_;
  const int64_t n_;
  const int64_t k_;
  const bool bf16_;
  std::vector<Slice> slices_;
  uint64_t bytes_ = 0;
};

}  // namespace

std::shared_ptr<OneDnn> make_onednn() {
  omp_set_num_threads(1);
  // AMX would sum in another order than the code path's name says. The first call in a process
  // decides; later ones are refused, which changes nothing.
  (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core_bf16);
  return std::make_shared<OneDnn>();
}

std::unique_ptr<PackedMatrix> onednn_matrix(LinearContext& context, std::shared_ptr<OneDnn> onednn,
                                            int64_t n, int64_t k, bool bf16) {
  auto matrix = std::make_unique<OneDnnMatrix>(context, std::move(onednn), n, k, bf16);
  if (!matrix->choose_layouts()) return nullptr;
  return matrix;
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

std::string onednn_identity() {
  return onednn_version() + " isa " +
         std::to_string(static_cast<int>(dnnl::get_effective_cpu_isa()));
}

}  // namespace dbsa::cpu
