#include "bench/support/ceilings.h"

#include <algorithm>
#include <array>
#include <barrier>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "bench/support/bench.h"
#include "bench/support/gpu.h"
#include "bench/support/plugins.h"
#include "config/stopwatch.h"
#include "pipeline/record/machine.h"

namespace dbsa::bench {
namespace {

constexpr size_t kRounds = 5;

// The best of some rounds in which all threads run body(thread) at once: seconds from the first to
// begin to the last to end. Each thread takes its own times, for the one that waits for them may be
// late to wake.
template <typename Body>
double best_together(int threads, const Body& body) {
  struct Span {
    double begin = 0, end = 0;
  };
  std::vector<std::array<Span, kRounds>> spans(static_cast<size_t>(threads));
  const Stopwatch clock;
  {
    std::barrier start(threads);
    std::vector<std::jthread> all;
    for (int t = 0; t < threads; ++t) {
      all.emplace_back([&, t] {
        for (Span& span : spans[static_cast<size_t>(t)]) {
          start.arrive_and_wait();
          span.begin = clock.seconds();
          body(t);
          span.end = clock.seconds();
        }
      });
    }
  }
  double best = 0;
  for (size_t round = 0; round < kRounds; ++round) {
    Span whole = spans.front()[round];
    for (const auto& thread : spans) {
      whole.begin = std::min(whole.begin, thread[round].begin);
      whole.end = std::max(whole.end, thread[round].end);
    }
    const double seconds = whole.end - whole.begin;
    if (round == 0 || seconds < best) best = seconds;
  }
  return best;
}

using Buffer = std::unique_ptr<char[]>;

// Random bytes, in pages already touched.
Buffer filled(int64_t bytes, unsigned seed) {
  Buffer buffer(new char[static_cast<size_t>(bytes)]);
  std::mt19937_64 random(seed);
  for (int64_t i = 0; i + 8 <= bytes; i += 8) {
    const uint64_t word = random();
    std::memcpy(buffer.get() + i, &word, 8);
  }
  return buffer;
}

std::vector<Buffer> one_each(int64_t bytes, int threads) {
  std::vector<Buffer> buffers;
  for (int t = 0; t < threads; ++t) buffers.push_back(filled(bytes, static_cast<unsigned>(t)));
  return buffers;
}

}  // namespace

std::optional<double> peak_rate(Peak peak, int threads) {
  const PeakLoop loop = peak_loop(peak);
  if (loop == nullptr) return {};
  constexpr int64_t kOperations = int64_t{20} << 30;
  int64_t done = 0;
  const double seconds = best_together(threads, [&](int thread) {
    const int64_t did = loop(kOperations);
    if (thread == 0) done = did;
  });
  return static_cast<double>(done) * threads / seconds;
}

double read_rate(int64_t bytes, int threads) {
  const std::vector<Buffer> buffers = one_each(bytes, threads);
  const int64_t times = std::max<int64_t>(1, (int64_t{2} << 30) / bytes);
  const double seconds = best_together(threads, [&](int thread) {
    for (int64_t i = 0; i < times; ++i) read_all(buffers[static_cast<size_t>(thread)].get(), bytes);
  });
  return static_cast<double>(bytes * times) * threads / seconds;
}

double copy_rate(int64_t bytes, int threads) {
  const std::vector<Buffer> from = one_each(bytes, threads), to = one_each(bytes, threads);
  const double seconds = best_together(threads, [&](int thread) {
    const auto t = static_cast<size_t>(thread);
    std::memcpy(to[t].get(), from[t].get(), static_cast<size_t>(bytes));
  });
  return static_cast<double>(bytes) * threads / seconds;
}

int64_t memory_buffer_bytes() {
  const auto memory = static_cast<int64_t>(machine_info().memory_bytes);
  return std::clamp<int64_t>(memory / 16, int64_t{64} << 20, int64_t{1} << 30) / 1024 * 1024;
}

Ceilings backend_ceilings(const std::string& backend, bool bf16, int threads) {
  if (on_gpu())
    return {gpu_matmul_rate(), "a bfloat16 product", gpu_copy_rate(), "copying on the GPU"};
  const Peak peak = bf16 ? bf16_peak(backend) : Peak::kF32;
  return {peak_rate(peak, threads).value_or(0), peak_name(peak),
          read_rate(memory_buffer_bytes(), threads), "reading memory"};
}

Peak bf16_peak(const std::string& backend) {
  if (backend.find("amx_bf16") != backend.npos) return Peak::kAmx;
  if (backend.find("avx512_bf16") != backend.npos) return Peak::kDot;
  return Peak::kF32;
}

const char* peak_name(Peak peak) {
  return peak == Peak::kAmx ? "AMX peak" : peak == Peak::kDot ? "bfloat16 peak" : "float32 peak";
}

}  // namespace dbsa::bench
