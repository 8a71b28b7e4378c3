// What chooses without the model: indexing and querying blocks, and grouping demonstrations.
#include <gflags/gflags.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bench/support/bench.h"
#include "bench/support/inputs.h"
#include "bench/support/plugins.h"
#include "config/stopwatch.h"
#include "host/block_grouper.h"
#include "host/retriever.h"

DEFINE_int64(demonstrations, 100000, "demonstrations to retrieve from");
DEFINE_int64(grouped, 10000, "demonstrations to group");
DEFINE_int64(block_size, 50, "demonstrations of a block");
DEFINE_double(share, 0.3, "share of the blocks that a query wants");
DEFINE_int64(queries, 200, "queries");

namespace dbsa::bench {
namespace {

constexpr int64_t kDemonstrationBytes = 80;
constexpr int64_t kQueryBytes = 60;

std::vector<std::string> texts(int64_t count, int64_t bytes, Texts& source) {
  std::vector<std::string> all;
  for (int64_t i = 0; i < count; ++i) all.push_back(source.next(bytes));
  return all;
}

void retrieve(Report& report, Plugins& plugins, const std::vector<std::string>& demonstrations,
              const std::vector<std::string>& queries, int64_t block_size) {
  std::vector<std::string> blocks;
  for (size_t i = 0; i < demonstrations.size(); ++i) {
    if (i % static_cast<size_t>(block_size) == 0) blocks.emplace_back();
    blocks.back() += demonstrations[i] + "\n";
  }
  const auto wanted = static_cast<int64_t>(FLAGS_share * static_cast<double>(blocks.size()));
  host::Retriever bm25 = plugins.create<host::Retriever>(DBSA_KIND_RETRIEVER, "bm25");
  const std::string of = ", " + std::to_string(blocks.size()) + " documents of " +
                         std::to_string(block_size) + " demonstrations";
  Stopwatch clock;
  must(bm25.index(blocks));
  report.add({.name = "BM25: index" + of, .value = clock.seconds(), .unit = "s"});
  const std::string saved = must(bm25.save());
  clock = Stopwatch();
  must(bm25.load(saved, static_cast<int64_t>(blocks.size())));
  report.add({.name = "BM25: load the index", .value = clock.seconds() * 1e3, .unit = "ms"});
  // Best first, none twice: the wrapper checks the ids, this the order.
  const std::vector<Hit> hits = must(bm25.query(queries.front(), wanted));
  if (!std::is_sorted(hits.begin(), hits.end(),
                      [](const Hit& a, const Hit& b) { return a.score > b.score; }))
    give_up("hits are not in order");
  size_t next = 0;
  const Timing timing = measure([&] {
    must(bm25.query(queries[next], wanted));
    next = (next + 1) % queries.size();
  });
  report.add({.name = "BM25: best " + std::to_string(wanted) + of,
              .value = timing.median * 1e3,
              .unit = "ms",
              .ceiling_name = "the goal of 1 ms a query",
              .ceiling = 1.0,
              .less_is_better = true,
              .goal = block_size > 1 ? std::optional(1.0) : std::nullopt});
}

void group(Report& report, Plugins& plugins, const std::vector<std::string>& demonstrations) {
  std::vector<std::string> labels;
  for (size_t i = 0; i < demonstrations.size(); ++i)
    labels.push_back("label " + std::to_string(i % 77));
  const std::vector<int64_t> tokens(demonstrations.size(), 30);
  for (const char* name : {"random", "sorted", "stratified", "bm25_kmeans"}) {
    host::BlockGrouper grouper = plugins.create<host::BlockGrouper>(DBSA_KIND_BLOCK_GROUPER, name);
    const Stopwatch clock;
    const Blocks blocks = must(grouper.group(demonstrations, labels, tokens, FLAGS_block_size, 1));
    report.add({.name = std::string("group: ") + name + ", " +
                        std::to_string(demonstrations.size()) + " demonstrations into " +
                        std::to_string(blocks.size()) + " blocks",
                .value = clock.seconds(),
                .unit = "s"});
  }
}

int run(int argc, char** argv) {
  Report report("bench_selection", "Retrieval and grouping", &argc, &argv);
  Plugins plugins(report.threads());
  Texts source(20000);
  const auto demonstrations = texts(FLAGS_demonstrations, kDemonstrationBytes, source);
  const auto queries = texts(FLAGS_queries, kQueryBytes, source);
  retrieve(report, plugins, demonstrations, queries, FLAGS_block_size);
  retrieve(report, plugins, demonstrations, queries, 1);
  group(report, plugins, texts(FLAGS_grouped, kDemonstrationBytes, source));
  return report.finish();
}

}  // namespace
}  // namespace dbsa::bench

int main(int argc, char** argv) { return dbsa::bench::run(argc, argv); }
