#include "bench/support/ceilings.h"

#include <algorithm>
#include <barrier>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "bench/support/bench.h"
#include "pipeline/machine.h"
#include "pipeline/stopwatch.h"

namespace dbsa::bench {
namespace {

constexpr int kRounds = 5;

// The best of some rounds in which all threads run body(thread) at once, seconds.
template <typename Body>
double best_together(int threads, const Body& body) {
  double best = 0;
  std::barrier start(threads + 1), end(threads + 1);
  std::vector<std::jthread> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        start.arrive_and_wait();
        body(t);
        end.arrive_and_wait();
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    start.arrive_and_wait();
    const Stopwatch clock;
    end.arrive_and_wait();
    const double seconds = clock.seconds();
    if (round == 0 || seconds < best) best = seconds;
  }
  return best;
}

using Buffer = std::unique_ptr<char[]>;

// Random bytes, in pages that are there.
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

Peak bf16_peak(const std::string& backend) {
  if (backend.find("amx_bf16") != backend.npos) return Peak::kAmx;
  if (backend.find("avx512_bf16") != backend.npos) return Peak::kDot;
  return Peak::kF32;
}

const char* peak_name(Peak peak) {
  return peak == Peak::kAmx ? "AMX peak" : peak == Peak::kDot ? "bfloat16 peak" : "float32 peak";
}

}  // namespace dbsa::bench
