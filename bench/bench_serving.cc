// A pool's way through one model without a store: encoding it under the mask "dbsa", and answers on
// blocks that the backend holds or that come from the host's memory.
#include <gflags/gflags.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/support/bench.h"
#include "bench/support/ceilings.h"
#include "bench/support/cost.h"
#include "bench/support/gpu.h"
#include "bench/support/model.h"
#include "bench/support/planes.h"
#include "config/stopwatch.h"

DEFINE_int64(blocks, 60, "blocks of the pool");
DEFINE_int64(block_tokens, 1500, "tokens of a block");
DEFINE_int64(previous_blocks, 2, "blocks before it that a block sees, beside the first");
DEFINE_int64(chunk_tokens, 9000, "tokens that are encoded at once");
DEFINE_int64(selected_tokens, 32768, "tokens of the blocks that a query sees");
DEFINE_int64(request_blocks, 18, "blocks that a request with a label tree sees");
DEFINE_int64(query_tokens, 50, "tokens of a query");
DEFINE_int64(labels, 60, "labels of the tree");
DEFINE_int64(label_tokens, 2, "tokens of a label");

namespace dbsa::bench {
namespace {

// The pool's blocks as the encoder leaves them on the device.
class Pool {
 public:
  explicit Pool(Model& model) : model_(model) {
    for (int64_t i = 0; i < FLAGS_blocks; ++i) blocks_.push_back(model.make_kv(FLAGS_block_tokens));
  }

  // Encodes the first `count` blocks, a chunk at a time.
  void encode(int64_t count) {
    const int64_t at_once = std::max<int64_t>(1, FLAGS_chunk_tokens / FLAGS_block_tokens);
    for (int64_t first = 0; first < count; first += at_once) {
      ForwardInput input;
      for (int64_t b = first; b < std::min(count, first + at_once); ++b) add(b, input);
      must(model_.decoder().forward(input, {}));
    }
  }

  // Pairs of a row and a token that it sees, of all blocks.
  double pairs() const {
    double sum = 0;
    const auto n = static_cast<double>(FLAGS_block_tokens);
    for (int64_t b = 0; b < FLAGS_blocks; ++b)
      sum += n * (n + 1) / 2 + static_cast<double>(seen(b).size()) * n * n;
    return sum;
  }

  // Blocks from the first on, packed, until `tokens` are seen.
  std::vector<dbsa_segment> segments(int64_t tokens) const { return segments(blocks_, tokens); }
  static std::vector<dbsa_segment> segments(const std::vector<host::Kv>& blocks, int64_t tokens) {
    std::vector<dbsa_segment> all;
    int64_t start = 0;
    for (size_t b = 0; start < tokens; ++b) {
      if (b == blocks.size()) give_up("the pool has fewer tokens than are selected");
      const int64_t length = std::min(blocks[b].tokens(), tokens - start);
      all.push_back(Model::segment(blocks[b], DBSA_SEGMENT_FULL, length, start));
      start += length;
    }
    return all;
  }
  const std::vector<host::Kv>& blocks() const { return blocks_; }

 private:
  static std::vector<int64_t> seen(int64_t block) {
    std::vector<int64_t> all;
    for (int64_t b = 0; b < block; ++b)
      if (b == 0 || b >= block - FLAGS_previous_blocks) all.push_back(b);
    return all;
  }

  void add(int64_t block, ForwardInput& input) {
    RowRange range;
    range.rows = FLAGS_block_tokens;
    range.kv = &blocks_[static_cast<size_t>(block)];
    int64_t start = 0;
    for (const int64_t b : seen(block)) {
      range.segments.push_back(Model::segment(blocks_[static_cast<size_t>(b)], DBSA_SEGMENT_FULL,
                                              FLAGS_block_tokens, start));
      start += FLAGS_block_tokens;
    }
    range.segments.push_back(
        Model::segment(*range.kv, DBSA_SEGMENT_CAUSAL, FLAGS_block_tokens, start));
    const std::vector<int32_t> ids = model_.random_ids(FLAGS_block_tokens);
    input.ids.insert(input.ids.end(), ids.begin(), ids.end());
    for (int64_t i = 0; i < FLAGS_block_tokens; ++i)
      input.positions.push_back(static_cast<int32_t>(start + i));
    input.ranges.push_back(std::move(range));
  }

  Model& model_;
  std::vector<host::Kv> blocks_;
};

// Blocks as a store would hand them out.
class HostBlocks {
 public:
  HostBlocks(Model& model, const std::vector<host::Kv>& blocks, int64_t tokens) : model_(model) {
    for (size_t b = 0; tokens > 0; ++b) {
      if (b == blocks.size()) give_up("the pool has fewer tokens than are selected");
      tokens -= blocks[b].tokens();
      planes_.push_back(export_block(model.ops(), blocks[b]));
      const dbsa_kv_format& format = planes_.back().format();
      bytes_ += static_cast<double>(format.plane_bytes * format.layers);
    }
  }
  double bytes() const { return bytes_; }
  std::vector<host::Kv> import() const {
    std::vector<host::Kv> blocks;
    for (const BlockPlanes& planes : planes_) blocks.push_back(import_block(model_.ops(), planes));
    return blocks;
  }

 private:
  Model& model_;
  std::vector<BlockPlanes> planes_;
  double bytes_ = 0;
};

// Rows of labels, each of which sees the selected blocks, `query_length` tokens of the query and
// the label's own.
void add_labels(const std::vector<dbsa_segment>& selected, const host::Kv& kv, host::Kv* own,
                int64_t first_token, int64_t query_length, int64_t start, Model& model,
                ForwardInput& input) {
  for (int64_t label = 0; label < FLAGS_labels; ++label) {
    RowRange range;
    range.rows = FLAGS_label_tokens;
    range.kv = own;
    range.first_token = first_token + label * FLAGS_label_tokens;
    range.segments = selected;
    range.segments.push_back(Model::segment(kv, DBSA_SEGMENT_FULL, query_length, start));
    dbsa_segment itself =
        Model::segment(*own, DBSA_SEGMENT_CAUSAL, FLAGS_label_tokens, start + query_length);
    itself.first_token = range.first_token;
    range.segments.push_back(itself);
    for (const int32_t id : model.random_ids(FLAGS_label_tokens)) input.ids.push_back(id);
    for (int64_t i = 0; i < FLAGS_label_tokens; ++i)
      input.positions.push_back(static_cast<int32_t>(start + query_length + i));
    input.ranges.push_back(std::move(range));
  }
}

class Serving {
 public:
  explicit Serving(Report& report)
      : report_(report), model_(report.threads()), cost_(model_.config()), pool_(model_) {
    report.note("backend", model_.backend());
    report.note("model", model_.path());
    std::printf("%s\n", model_.backend().c_str());
    report.add({.name = "load the weights", .value = model_.load_seconds(), .unit = "s"});
    ceilings_ = backend_ceilings(model_.backend(), model_.precision().compute == DBSA_COMPUTE_BF16,
                                 report.threads());
    report.add({.name = ceilings_.operations_name,
                .value = ceilings_.operations / 1e12,
                .unit = "TFLOP/s"});
    report.add(
        {.name = ceilings_.bandwidth_name, .value = ceilings_.bandwidth / 1e9, .unit = "GB/s"});
  }

  void run() {
    encode();
    const std::vector<dbsa_segment> resident = pool_.segments(FLAGS_selected_tokens);
    const Timing timing = measure([&] { query(resident, FLAGS_selected_tokens); });
    const std::string name = std::to_string(FLAGS_query_tokens) + "-token query on " +
                             std::to_string(FLAGS_selected_tokens) + " selected tokens";
    add_answer(name + ", held", timing, FLAGS_query_tokens, 1, FLAGS_selected_tokens);
    imported(name);
    request();
  }

 private:
  void encode() {
    pool_.encode(std::min(FLAGS_blocks, FLAGS_chunk_tokens / FLAGS_block_tokens));
    const Stopwatch clock;
    pool_.encode(FLAGS_blocks);
    const double seconds = clock.seconds();
    const int64_t tokens = FLAGS_blocks * FLAGS_block_tokens;
    const double work = cost_.encode_operations(tokens) +
                        cost_.attention_operations(pool_.pairs(), model_.config().layers - 1);
    const std::string name = "encode " + std::to_string(tokens) + " tokens, each block on 1 + " +
                             std::to_string(FLAGS_previous_blocks) + " others";
    report_.add({.name = name, .value = seconds, .unit = "s"});
    report_.add({.name = "  of what is seen",
                 .value = work / seconds / 1e9,
                 .unit = "GFLOP/s",
                 .ceiling_name = ceilings_.operations_name,
                 .ceiling = ceilings_.operations / 1e9,
                 .goal = 0.55});
  }

  // A query at the end of the selected blocks, its KV at the beginning of `own`.
  void add_query(const std::vector<dbsa_segment>& selected, int64_t selected_tokens, host::Kv& own,
                 ForwardInput& input) {
    input.ids = model_.random_ids(FLAGS_query_tokens);
    for (int64_t i = 0; i < FLAGS_query_tokens; ++i)
      input.positions.push_back(static_cast<int32_t>(selected_tokens + i));
    RowRange range = {FLAGS_query_tokens, &own, 0, selected};
    range.segments.push_back(
        Model::segment(own, DBSA_SEGMENT_CAUSAL, FLAGS_query_tokens, selected_tokens));
    input.ranges.push_back(std::move(range));
  }

  // Everything from the tokens of a query to the likeliest token after it.
  void query(const std::vector<dbsa_segment>& selected, int64_t selected_tokens) {
    host::Kv own = model_.make_kv(FLAGS_query_tokens);
    ForwardInput input;
    add_query(selected, selected_tokens, own, input);
    must(model_.decoder().score(input, asks_of(FLAGS_query_tokens - 1, 1)));
  }

  void imported(const std::string& name) {
    const HostBlocks blocks(model_, pool_.blocks(), FLAGS_selected_tokens);
    const Timing timing = measure([&] {
      const std::vector<host::Kv> fresh = blocks.import();
      query(Pool::segments(fresh, FLAGS_selected_tokens), FLAGS_selected_tokens);
    });
    Row row = {.name = name + ", from the host", .value = timing.median * 1e3, .unit = "ms"};
    if (on_gpu()) {
      row.ceiling_name = "copying the blocks from pinned memory";
      row.ceiling = blocks.bytes() / gpu_upload_rate() * 1e3;
      row.less_is_better = true;
      row.goal = 1 / 1.15;
    }
    report_.add(row);
  }

  // Of rows first.. of a pass, one token each.
  static std::vector<ScoreAsk> asks_of(int64_t first, int64_t count) {
    static constexpr int32_t kToken[] = {7};
    std::vector<ScoreAsk> asks;
    for (int64_t row = first; row < first + count; ++row) asks.push_back({row, kToken});
    return asks;
  }

  // To the labels' log-likelihoods.
  void request() {
    const int64_t selected_tokens = FLAGS_request_blocks * FLAGS_block_tokens;
    const std::vector<dbsa_segment> selected = pool_.segments(selected_tokens);
    const int64_t label_rows = FLAGS_labels * FLAGS_label_tokens;
    const std::string what = std::to_string(selected_tokens) + " tokens, a query and " +
                             std::to_string(FLAGS_labels) + " labels";
    const Timing together = measure([&] {
      host::Kv own = model_.make_kv(FLAGS_query_tokens + label_rows);
      ForwardInput input;
      add_query(selected, selected_tokens, own, input);
      add_labels(selected, own, &own, FLAGS_query_tokens, FLAGS_query_tokens, selected_tokens,
                 model_, input);
      must(model_.decoder().score(input, asks_of(FLAGS_query_tokens - 1, 1 + label_rows)));
    });
    add_answer("request: " + what + ", one pass", together, FLAGS_query_tokens + label_rows,
               1 + label_rows, selected_tokens);
    const Timing apart = measure([&] {
      host::Kv own = model_.make_kv(FLAGS_query_tokens + label_rows);
      ForwardInput first, second;
      add_query(selected, selected_tokens, own, first);
      must(model_.decoder().score(first, asks_of(FLAGS_query_tokens - 1, 1)));
      add_labels(selected, own, &own, FLAGS_query_tokens, FLAGS_query_tokens, selected_tokens,
                 model_, second);
      must(model_.decoder().score(second, asks_of(0, label_rows)));
    });
    report_.add({.name = "request: the labels in a pass of their own",
                 .value = apart.median * 1e3,
                 .unit = "ms"});
  }

  // Against reading the weights and the KV once, or computing with each of them.
  void add_answer(const std::string& name, const Timing& timing, int64_t rows, int64_t logit_rows,
                  int64_t selected_tokens) {
    const double pairs = static_cast<double>(rows) * static_cast<double>(selected_tokens);
    const double linear = std::max(cost_.linear_operations(rows, logit_rows) / ceilings_.operations,
                                   cost_.weight_bytes() / ceilings_.bandwidth);
    const double attention = std::max(cost_.attention_operations(pairs) / ceilings_.operations,
                                      cost_.kv_bytes(selected_tokens) / ceilings_.bandwidth);
    report_.add({.name = name,
                 .value = timing.median * 1e3,
                 .unit = "ms",
                 .ceiling_name = "linear and attention floors",
                 .ceiling = (linear + attention) * 1e3,
                 .less_is_better = true});
  }

  Report& report_;
  Model model_;
  Cost cost_;
  Pool pool_;
  Ceilings ceilings_;
};

int run(int argc, char** argv) {
  Report report("bench_serving", "A pool encoded and answered from, without a store", &argc, &argv);
  Serving(report).run();
  return report.finish();
}

}  // namespace
}  // namespace dbsa::bench

int main(int argc, char** argv) { return dbsa::bench::run(argc, argv); }
