// Decoding a label behind stored blocks: all labels by likelihood, and the walks over their trie.
#include <gflags/gflags.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bench/support/bench.h"
#include "bench/support/model.h"
#include "bench/support/planes.h"
#include "pipeline/answer/label_decoder.h"
#include "pipeline/answer/query_run.h"
#include "pipeline/encode/block_cache.h"

DEFINE_int64(cached_tokens, 4096, "tokens of the blocks that every row sees");
DEFINE_int64(block_tokens, 1500, "tokens of one of these blocks");
DEFINE_int64(query_tokens, 32, "tokens of the query");
DEFINE_int64(chunk_tokens, 512, "rows of a forward pass, as model.chunk_tokens");
DEFINE_string(labels, "100,1000,5000", "numbers of labels");

namespace dbsa::bench {
namespace {

// Labels of 1 to 6 tokens, 3 on average, that begin alike as names do: a few first tokens are
// frequent. The terminator is one token.
std::vector<LabelTokens> make_labels(int64_t count, int64_t vocabulary) {
  std::mt19937 random(11);
  std::set<std::vector<int32_t>> made;
  const auto token = [&](int64_t most) {  // low numbers are likelier
    const double x = std::generate_canonical<double, 53>(random);
    return static_cast<int32_t>(x * x * static_cast<double>(std::min(most, vocabulary - 1)));
  };
  while (static_cast<int64_t>(made.size()) < count) {
    std::vector<int32_t> ids(1 + std::binomial_distribution<size_t>(5, 0.4)(random));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = token(i == 0 ? count / 3 + 2 : 2000);
    made.insert(std::move(ids));
  }
  std::vector<LabelTokens> labels;
  for (const std::vector<int32_t>& ids : made)
    labels.push_back({ids, {static_cast<int32_t>(vocabulary) - 1}});
  return labels;
}

// A block of random tokens, encoded by itself, as a pool without a store keeps it.
std::shared_ptr<OpenBlock> make_block(Model& model, int64_t tokens) {
  host::Kv live = model.make_kv(tokens);
  model.pass(model.random_ids(tokens), live, 0, 0);
  BlockPlanes planes = export_block(model.ops(), live);
  host::Kv kv = import_block(model.ops(), planes);
  return std::make_shared<OpenBlock>(KvKey(), std::move(planes), std::move(kv));
}

std::vector<QueryPass::Selected> make_blocks(Model& model) {
  std::vector<QueryPass::Selected> blocks;
  const LayerSet all(static_cast<size_t>(model.config().layers), true);
  for (int64_t at = 0; at < FLAGS_cached_tokens; at += FLAGS_block_tokens) {
    const int64_t tokens = std::min(FLAGS_block_tokens, FLAGS_cached_tokens - at);
    blocks.push_back({make_block(model, tokens), tokens, at, all});
  }
  return blocks;
}

std::vector<std::string> names_of(size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.push_back("label " + std::to_string(i));
  return names;
}

class Labels {
 public:
  Labels(Report& report, Model& model)
      : report_(report),
        model_(model),
        scheduler_(model.decoder(), FLAGS_chunk_tokens),
        blocks_(make_blocks(model)),
        query_(model.random_ids(FLAGS_query_tokens)) {}

  void run(int64_t count) {
    const std::vector<LabelTokens> labels = make_labels(count, model_.config().vocab_size);
    const LikelihoodTree tree(labels);
    const LabelTrie trie = must(LabelTrie::build(labels, names_of(labels.size())));
    const auto rows = static_cast<int64_t>(tree.rows().size());
    const auto run = [&](Decoding& decoding) {
      QueryPass pass = must(QueryPass::begin(model_.ops(), blocks_, FLAGS_cached_tokens,
                                             FLAGS_query_tokens + rows, FLAGS_chunk_tokens));
      const RequestLimits none;
      QueryRun query_run(std::move(pass), {&decoding}, none, model_.services());
      scheduler_.run(query_run);
      must(query_run.status());
    };
    const std::string name = std::to_string(count) + " labels";

    const std::vector<int32_t> ids = model_.random_ids(FLAGS_query_tokens + rows);
    const Timing prefill = measure([&] {
      TokenScoring scoring({0}, ids);
      run(scoring);
    });
    const Timing all = measure([&] {
      LikelihoodDecoding decoding(tree, query_);
      run(decoding);
    });
    report_.add({.name = name + ": likelihood, " + std::to_string(rows) + " rows",
                 .value = all.median * 1e3,
                 .unit = "ms",
                 .ceiling_name = "a prefill of as many rows",
                 .ceiling = prefill.median * 1e3,
                 .less_is_better = true,
                 .goal = 1 / 1.3});
    const Timing greedy = measure([&] {
      GreedyDecoding decoding(trie, query_, nullptr);
      run(decoding);
    });
    const Timing exact = measure([&] {
      BestFirstDecoding decoding(trie, query_, nullptr);
      run(decoding);
    });
    report_.add({.name = name + ": greedy_trie", .value = greedy.median * 1e3, .unit = "ms"});
    report_.add({.name = name + ": trie",
                 .value = exact.median * 1e3,
                 .unit = "ms",
                 .ceiling_name = "greedy_trie",
                 .ceiling = greedy.median * 1e3,
                 .less_is_better = true,
                 .goal = 1 / 1.3});
  }

 private:
  Report& report_;
  Model& model_;
  Scheduler scheduler_;
  const std::vector<QueryPass::Selected> blocks_;
  std::vector<int32_t> query_;
};

int run(int argc, char** argv) {
  Report report("bench_labels", "Decoding a label behind stored blocks", &argc, &argv);
  Model model(report.threads());
  report.note("backend", model.backend());
  report.note("model", model.path());
  std::printf("%s\n", model.backend().c_str());
  Labels labels(report, model);
  for (size_t at = 0; at < FLAGS_labels.size();) {
    const size_t end = std::min(FLAGS_labels.find(',', at), FLAGS_labels.size());
    labels.run(std::stoll(FLAGS_labels.substr(at, end - at)));
    at = end + 1;
  }
  return report.finish();
}

}  // namespace
}  // namespace dbsa::bench

int main(int argc, char** argv) { return dbsa::bench::run(argc, argv); }
