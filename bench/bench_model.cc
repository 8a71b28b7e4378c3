// The forward pass on one model: prefill, a query on cached blocks, decoding.
#include <gflags/gflags.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

#include "bench/support/bench.h"
#include "bench/support/ceilings.h"
#include "bench/support/cost.h"
#include "bench/support/model.h"

DEFINE_int64(cached_tokens, 4096, "tokens of the blocks that a query sees");
DEFINE_int64(block_tokens, 512, "tokens of one of these blocks");

namespace dbsa::bench {
namespace {

// Blocks of a pool in memory, encoded each for itself, and where they stand in an answer.
class Blocks {
 public:
  Blocks(Model& model, int64_t tokens) : tokens_(tokens) {
    for (int64_t at = 0; at < tokens; at += FLAGS_block_tokens) {
      const int64_t length = std::min(FLAGS_block_tokens, tokens - at);
      kv_.push_back(model.make_kv(length));
      model.pass(model.random_ids(length), kv_.back(), 0, 0);
    }
  }
  int64_t tokens() const { return tokens_; }
  std::vector<dbsa_segment> segments() const {
    std::vector<dbsa_segment> all;
    int64_t start = 0;
    for (const host::Kv& kv : kv_) {
      all.push_back(Model::segment(kv, DBSA_SEGMENT_FULL, kv.tokens(), start));
      start += kv.tokens();
    }
    return all;
  }

 private:
  int64_t tokens_;
  std::vector<host::Kv> kv_;
};

// A query on cached blocks must say what a plain prefill of one block and the query says.
void check(Model& model) {
  const std::vector<int32_t> block = model.random_ids(100), query = model.random_ids(20);
  std::vector<int32_t> all = block;
  all.insert(all.end(), query.begin(), query.end());
  host::Kv whole = model.make_kv(120), first = model.make_kv(100), second = model.make_kv(20);
  const std::vector<float> expected = model.pass(all, whole, 0, 0);
  model.pass(block, first, 0, 0);
  const std::vector<float> got =
      model.pass(query, second, 0, 100, {Model::segment(first, DBSA_SEGMENT_FULL, 100, 0)});
  const double relative = relative_error(got, expected);
  // bfloat16 has 8 bits; a layer adds a few roundings, which go on through the layers after it.
  const double most = model.precision().compute == DBSA_COMPUTE_F32 ? 1e-4 : 0.1;
  if (!(relative <= most))
    give_up("a query on a cached block differs from a plain prefill by " +
            std::to_string(relative));
}

int run(int argc, char** argv) {
  Report report("bench_model", "Forward passes of one model", &argc, &argv);
  Model model(report.threads());
  report.note("backend", model.backend());
  report.note("model", model.path());
  report.note("compute", compute_name(model.precision()));
  std::printf("%s\n", model.backend().c_str());
  check(model);

  report.add({.name = "load the weights", .value = model.load_seconds(), .unit = "s"});
  const bool f32 = model.precision().compute == DBSA_COMPUTE_F32;
  const Ceilings ceilings = backend_ceilings(model.backend(), !f32, report.threads());
  const double operations = ceilings.operations, bandwidth = ceilings.bandwidth;
  const Cost cost(model.config(), model.bytes_a_weight());

  for (const int64_t tokens : {int64_t{512}, FLAGS_cached_tokens}) {
    const std::vector<int32_t> ids = model.random_ids(tokens);
    host::Kv kv = model.make_kv(tokens);
    const Timing timing = measure([&] { model.pass(ids, kv, 0, 0); });
    const double n = static_cast<double>(tokens);
    const double work =
        cost.linear_operations(tokens, 1) + cost.attention_operations(n * (n + 1) / 2);
    const std::string name = "prefill " + std::to_string(tokens) + " tokens";
    report.add({.name = name, .value = n / timing.median, .unit = "tokens/s"});
    report.add({.name = name,
                .value = work / timing.median / 1e9,
                .unit = "GFLOP/s",
                .ceiling_name = ceilings.operations_name,
                .ceiling = operations / 1e9,
                .goal = tokens == 512 ? std::optional(0.75) : std::nullopt});
  }

  const Blocks blocks(model, FLAGS_cached_tokens);
  for (const int64_t rows : {1, 32, 128}) {
    const std::vector<int32_t> ids = model.random_ids(rows);
    host::Kv kv = model.make_kv(rows);
    const std::vector<dbsa_segment> segments = blocks.segments();
    const Timing timing = measure([&] { model.pass(ids, kv, 0, blocks.tokens(), segments); });
    const double r = static_cast<double>(rows);
    const double pairs = r * static_cast<double>(blocks.tokens()) + r * (r + 1) / 2;
    // The weights and the KV are read once; what is computed with each takes its own time.
    const double linear =
        std::max(cost.linear_operations(rows, 1) / operations, cost.weight_bytes() / bandwidth);
    const double attention = std::max(cost.attention_operations(pairs) / operations,
                                      cost.kv_bytes(blocks.tokens()) / bandwidth);
    report.add(
        {.name =
             (rows == 1 ? std::string("decode a token") : std::to_string(rows) + "-token query") +
             " on " + std::to_string(blocks.tokens()) + " cached tokens",
         .value = timing.median * 1e3,
         .unit = "ms",
         .ceiling_name = rows == 1 ? "reading weights and KV" : "linear and attention floors",
         .ceiling = (linear + attention) * 1e3,
         .less_is_better = true,
         .goal = rows == 1 ? 0.8 : 1 / 1.2});
  }

  // A token each of several queries in one pass: weights and blocks are read once for all of them.
  for (const int64_t queries : {1, 8}) {
    const std::vector<dbsa_segment> segments = blocks.segments();
    std::vector<host::Kv> kvs;
    for (int64_t i = 0; i < queries; ++i) kvs.push_back(model.make_kv(1));
    const std::vector<int32_t> ids = model.random_ids(queries);
    const Timing timing =
        measure([&] { model.pass_together(ids, kvs, blocks.tokens(), segments); });
    report.add({.name = "a token of " + std::to_string(queries) + " queries on the same " +
                        std::to_string(blocks.tokens()) + " tokens",
                .value = timing.median * 1e3,
                .unit = "ms",
                .ceiling_name = "reading weights and KV once",
                .ceiling = (cost.weight_bytes() + cost.kv_bytes(blocks.tokens())) / bandwidth * 1e3,
                .less_is_better = true});
  }
  return report.finish();
}

}  // namespace
}  // namespace dbsa::bench

int main(int argc, char** argv) { return dbsa::bench::run(argc, argv); }
