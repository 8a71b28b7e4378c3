// Products of few rows against a double-precision oracle and, bit for bit, against the library's
// products of many rows; and how fast both are.
#include "plugins/attention_backend/cuda/blas.h"
#include "plugins/attention_backend/cuda/kernels.h"
#include "plugins/attention_backend/cuda/linear.h"
#include "plugins/attention_backend/cuda/memory.h"
#include "tests/backend/cuda/kernel_check.h"

#include <cmath>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace dbsa::cuda {
namespace {

// bfloat16 normal numbers times `scale`.
std::vector<uint16_t> random_bf16(std::mt19937_64& random, int64_t count, float scale) {
  std::normal_distribution<float> normal;
  std::vector<uint16_t> all(static_cast<size_t>(count));
  for (uint16_t& x : all) x = to_bf16(scale * normal(random));
  return all;
}
std::vector<float> random_floats(std::mt19937_64& random, int64_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> all(static_cast<size_t>(count));
  for (float& x : all) x = normal(random);
  return all;
}
template <class T>
std::unique_ptr<DeviceArray> on_device(const std::vector<T>& host) {
  auto array = std::make_unique<DeviceArray>(host.size() * sizeof(T));
  require(cudaMemcpy(array->data, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice),
          "copy to the device");
  return array;
}
template <class T>
std::vector<T> on_host(const DeviceArray& array, int64_t count) {
  std::vector<T> host(static_cast<size_t>(count));
  require(cudaMemcpy(host.data(), array.data, host.size() * sizeof(T), cudaMemcpyDeviceToHost),
          "what was enqueued");
  return host;
}
template <class T>
T* pointer(const std::unique_ptr<DeviceArray>& array) {
  return static_cast<T*>(array->data);
}
void must(const Status& status) {
  if (status.ok()) return;
  std::printf("%s\n", status.error().message.c_str());
  std::exit(2);
}

class LinearChecker {
 public:
  LinearChecker() {
    auto blas = Blas::open(make_gpu_pool(0));
    if (!blas.ok()) must(Status(blas.error()));
    blas_ = std::move(*blas);
  }

  // One x against three weights at once and SwiGLU of two of them, for many numbers of rows.
  void check(std::mt19937_64& random, int64_t n, int64_t k) {
    constexpr int64_t kMany = 300;  // rows that the library takes
    const float scale = 1 / std::sqrt(static_cast<float>(k));
    const auto x = random_bf16(random, kMany * k, 1.0f);
    const auto residual = random_floats(random, kMany * n), bias = random_floats(random, n);
    const auto x_at = on_device(x), residual_at = on_device(residual), bias_at = on_device(bias);
    std::vector<std::vector<uint16_t>> w;
    std::vector<std::unique_ptr<DeviceArray>> w_at;
    std::vector<TensorMap> maps(kMostProducts);
    std::vector<std::vector<float>> many;  // what the library gives
    for (size_t i = 0; i < kMostProducts; ++i) {
      w.push_back(random_bf16(random, n * k, scale));
      w_at.push_back(on_device(w.back()));
      if (!encode_weight(w_at.back()->data, n, k, &maps[i])) {
        std::printf("no tensor map\n");
        std::exit(2);
      }
      DeviceArray out(static_cast<uint64_t>(kMany * n) * sizeof(float));
      const bool added = i == 1;  // the second has a residual and a bias
      must(blas_->multiply(nullptr, x_at->data, w_at.back()->data,
                           added ? pointer<float>(residual_at) : nullptr, kMany, n, k,
                           static_cast<float*>(out.data)));
      if (added)
        require(add_bias(nullptr, pointer<float>(bias_at), kMany, n, static_cast<float*>(out.data)),
                "add_bias");
      many.push_back(on_host<float>(out, kMany * n));
    }
    DeviceArray many_inner(static_cast<uint64_t>(kMany * n) * 2);
    {
      const auto gate = on_device(many[0]), up = on_device(many[2]);
      require(silu_mul(nullptr, pointer<float>(gate), pointer<float>(up), kMany * n,
                       many_inner.data, Number::kBf16),
              "silu_mul");
    }
    const auto inner_of_many = on_host<uint16_t>(many_inner, kMany * n);

    for (const int64_t rows : {1, 5, 16, 17, 50, 64, 65, 128, 129, 192}) {
      std::vector<std::unique_ptr<DeviceArray>> outs;
      std::vector<FewRowsProduct> products;
      for (size_t i = 0; i < kMostProducts; ++i) {
        outs.push_back(
            std::make_unique<DeviceArray>(static_cast<uint64_t>(rows * n) * sizeof(float)));
        outs.back()->poison();
        const bool added = i == 1;
        products.push_back({&maps[i], added ? pointer<float>(bias_at) : nullptr,
                            added ? pointer<float>(residual_at) : nullptr,
                            pointer<float>(outs.back()), n});
      }
      require(few_rows_linear(nullptr, x_at->data, rows, k, products.data(), kMostProducts),
              "few_rows_linear");
      DeviceArray inner(static_cast<uint64_t>(rows * n) * 2);
      inner.poison();
      require(few_rows_swiglu(nullptr, x_at->data, rows, k, maps[0], nullptr, maps[2], nullptr, n,
                              inner.data),
              "few_rows_swiglu");
      bool same = true;
      double error = 0;
      for (size_t i = 0; i < kMostProducts; ++i) {
        const auto few = on_host<float>(*outs[i], rows * n);
        same = same && std::memcmp(few.data(), many[i].data(), few.size() * 4) == 0;
        error = std::max(error, error_of(few, x, w[i], i == 1 ? &residual : nullptr,
                                         i == 1 ? &bias : nullptr, rows, n, k, random));
      }
      const auto few_inner = on_host<uint16_t>(inner, rows * n);
      const bool same_inner =
          std::memcmp(few_inner.data(), inner_of_many.data(), few_inner.size() * 2) == 0;
      // Sums of k products in float32, each exact: k 2^-24 of sums of magnitudes, at worst; the
      // magnitudes are about 1.
      const double bound = static_cast<double>(k) * 0x1p-24 + 1e-6;
      const bool good = same && same_inner && error <= bound;
      failed_ = failed_ || !good;
      if (!good || rows == 50)
        std::printf("few rows %4lld x %5lld x %5lld: error %.2e%s%s%s\n",
                    static_cast<long long>(rows), static_cast<long long>(n),
                    static_cast<long long>(k), error, error <= bound ? "" : "  ABOVE ITS BOUND",
                    same ? "" : "  DIFFERS FROM MANY ROWS",
                    same_inner ? "" : "  SWIGLU DIFFERS FROM MANY ROWS");
    }
  }
  bool failed() const { return failed_; }

 private:
  // The largest, over some places drawn.
  static double error_of(const std::vector<float>& out, const std::vector<uint16_t>& x,
                         const std::vector<uint16_t>& w, const std::vector<float>* residual,
                         const std::vector<float>* bias, int64_t rows, int64_t n, int64_t k,
                         std::mt19937_64& random) {
    double worst = 0;
    for (int i = 0; i < 200; ++i) {
      const int64_t row = std::uniform_int_distribution<int64_t>(0, rows - 1)(random);
      const int64_t column = std::uniform_int_distribution<int64_t>(0, n - 1)(random);
      const auto place = static_cast<size_t>(row * n + column);
      double sum = 0;
      for (int64_t j = 0; j < k; ++j)
        sum += static_cast<double>(from_bf16(x[static_cast<size_t>(row * k + j)])) *
               static_cast<double>(from_bf16(w[static_cast<size_t>(column * k + j)]));
      if (residual != nullptr) sum += static_cast<double>((*residual)[place]);
      if (bias != nullptr) sum += static_cast<double>((*bias)[static_cast<size_t>(column)]);
      const double error = std::abs(static_cast<double>(out[place]) - sum);
      if (!(error <= worst)) worst = error;  // a NaN stays
    }
    return worst;
  }

  std::unique_ptr<Blas> blas_;
  bool failed_ = false;
};

}  // namespace

bool check_linear(uint64_t seed) {
  if (!has_few_rows_linear()) return true;
  LinearChecker checker;
  std::mt19937_64 random(seed);
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{64, 64},
                             {4, 64},
                             {128, 256},
                             {1024, 4096},
                             {4096, 1024},
                             {512, 14336}})
    checker.check(random, n, k);
  return !checker.failed();
}

void bench_linear(double copy_bandwidth) {
  if (!has_few_rows_linear()) return;
  auto opened = Blas::open(make_gpu_pool(0));
  if (!opened.ok()) must(Status(opened.error()));
  const std::unique_ptr<Blas> blas = std::move(*opened);
  cudaStream_t stream = nullptr;  // not the default, on which nothing begins early
  require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  constexpr int64_t kMostN = 32064, kMostK = 14336;
  constexpr uint64_t kWeights = uint64_t{1} << 30;
  std::mt19937_64 random(1);
  const auto numbers = on_device(random_bf16(random, 1 << 20, 0.02f));
  DeviceArray weights(kWeights), x(kMostFewRows * kMostK * 2), out(kMostFewRows * kMostN * 4);
  for (DeviceArray* to : {&weights, &x})
    for (uint64_t at = 0; at < to->bytes; at += numbers->bytes)
      require(cudaMemcpy(static_cast<char*>(to->data) + at, numbers->data,
                         std::min(numbers->bytes, to->bytes - at), cudaMemcpyDeviceToDevice),
              "copy");
  struct Shape {
    const char* name;
    std::vector<int64_t> n;  // of products of one x
    int64_t k;
    bool swiglu;
  };
  for (const Shape& shape : {Shape{"q_proj", {4096}, 4096, false},
                             {"k_proj", {1024}, 4096, false},
                             {"q, k and v_proj", {4096, 1024, 1024}, 4096, false},
                             {"gate and up_proj, silu", {14336, 14336}, 4096, true},
                             {"down_proj", {4096}, 14336, false},
                             {"lm_head / 4", {32064}, 4096, false}}) {
    // Enough of them that none is still in the cache when its turn comes again.
    int64_t bytes = 0;
    for (const int64_t n : shape.n) bytes += n * shape.k * 2;
    const int64_t copies = std::max<int64_t>(1, static_cast<int64_t>(kWeights) / bytes);
    const auto weight = [&](int64_t copy, size_t i) {
      int64_t at = copy * bytes;
      for (size_t before = 0; before < i; ++before) at += shape.n[before] * shape.k * 2;
      return static_cast<char*>(weights.data) + at;
    };
    std::vector<TensorMap> maps;
    for (int64_t copy = 0; copy < copies; ++copy)
      for (size_t i = 0; i < shape.n.size(); ++i)
        if (!encode_weight(weight(copy, i), shape.n[i], shape.k, &maps.emplace_back()))
          std::exit(2);
    const auto map = [&](int64_t copy, size_t i) {
      return maps[static_cast<size_t>(copy) * shape.n.size() + i];
    };
    for (const int64_t rows : {1, 8, 50, 128, 170, 192}) {
      int64_t copy = 0;
      constexpr int kTimes = 8;
      const double few =
          milliseconds(
              [&] {
                for (int t = 0; t < kTimes; ++t) {
                  copy = (copy + 1) % copies;
                  if (shape.swiglu) {
                    require(few_rows_swiglu(stream, x.data, rows, shape.k, map(copy, 0), nullptr,
                                            map(copy, 1), nullptr, shape.n[0], out.data),
                            "few_rows_swiglu");
                    continue;
                  }
                  std::vector<TensorMap> own;
                  for (size_t i = 0; i < shape.n.size(); ++i) own.push_back(map(copy, i));
                  std::vector<FewRowsProduct> products;
                  float* to = static_cast<float*>(out.data);
                  for (size_t i = 0; i < shape.n.size(); ++i) {
                    products.push_back({&own[i], nullptr, nullptr, to, shape.n[i]});
                    to += rows * shape.n[i];
                  }
                  require(few_rows_linear(stream, x.data, rows, shape.k, products.data(),
                                          static_cast<int>(products.size())),
                          "few_rows_linear");
                }
              },
              9, stream) /
          kTimes;
      const double library = milliseconds(
                                 [&] {
                                   for (int t = 0; t < kTimes; ++t) {
                                     copy = (copy + 1) % copies;
                                     float* to = static_cast<float*>(out.data);
                                     for (size_t i = 0; i < shape.n.size(); ++i) {
                                       must(blas->multiply(stream, x.data, weight(copy, i), nullptr,
                                                           rows, shape.n[i], shape.k, to));
                                       to += rows * shape.n[i];
                                     }
                                   }
                                 },
                                 9, stream) /
                             kTimes;
      const double rate = static_cast<double>(bytes) / few * 1e3;
      std::printf(
          "%-24s %4lld rows: %7.1f us, weights %5.0f GB/s (%3.0f %% of copying), %6.1f TFLOP/s; by "
          "the library %7.1f us\n",
          shape.name, static_cast<long long>(rows), few * 1e3, rate * 1e-9,
          100 * rate / copy_bandwidth, static_cast<double>(bytes * rows) / few * 1e-9,
          library * 1e3);
    }
  }
  require(cudaStreamDestroy(stream), "stream");
}

}  // namespace dbsa::cuda
