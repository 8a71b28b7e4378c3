// Block grouper `bm25_kmeans`: size-constrained k-means over the demonstrations x vocabulary matrix
// of BM25 weights. The matrix stays sparse: a demonstration holds some ten of thousands of terms.
#include <algorithm>
#include <unordered_map>

#include "plugins/shared/grouping/blocks.h"
#include "plugins/shared/grouping/kmeans_grouping.h"
#include "plugins/shared/text/analyzer.h"
#include "plugins/shared/text/bm25_formula.h"

namespace dbsa {
namespace {

struct Counted {
  std::vector<std::vector<std::pair<int32_t, int32_t>>> texts;  // (term, how often), by term
  std::vector<int64_t> lengths;                                 // [texts] in terms
  std::vector<int64_t> holding;                                 // [terms] texts that hold it
};

Result<Counted> count_terms(Texts texts, const text::AnalyzerOptions& options) {
  Counted counted;
  DBSA_ASSIGN_OR_RETURN(text::Analyzer analyzer, text::Analyzer::create(options));
  std::unordered_map<std::string, int32_t> numbers;  // in the order in which terms are met
  for (int64_t i = 0; i < texts.size(); ++i) {
    std::vector<int32_t> terms;
    analyzer.start(texts[i]);
    for (std::string_view term; analyzer.next(term);)
      terms.push_back(numbers.try_emplace(std::string(term), static_cast<int32_t>(numbers.size()))
                          .first->second);
    counted.holding.resize(numbers.size(), 0);
    counted.lengths.push_back(static_cast<int64_t>(terms.size()));
    std::sort(terms.begin(), terms.end());
    auto& row = counted.texts.emplace_back();
    for (const int32_t term : terms) {
      if (row.empty() || row.back().first != term) {
        row.emplace_back(term, 0);
        ++counted.holding[term];
      }
      ++row.back().second;
    }
  }
  return counted;
}

grouping::SparseRows weigh(const Counted& counted, const text::Bm25Weights& weights) {
  const double texts = static_cast<double>(counted.texts.size());
  double total = 0;
  for (const int64_t length : counted.lengths) total += static_cast<double>(length);
  const double mean = total > 0 ? total / texts : 1;
  grouping::SparseRows rows;
  rows.columns = static_cast<int64_t>(counted.holding.size());
  for (size_t i = 0; i < counted.texts.size(); ++i) {
    const double norm = text::bm25_norm(weights, static_cast<double>(counted.lengths[i]), mean);
    for (const auto& [term, times] : counted.texts[i])
      rows.add(term, text::bm25_idf(texts, static_cast<double>(counted.holding[term])) * times /
                         (times + norm));
    rows.end_unit_row();
  }
  return rows;
}

class Bm25Kmeans final : public BlockGrouper {
 public:
  static constexpr uint32_t kRevision = 3;

  static Result<std::unique_ptr<Bm25Kmeans>> create(Host host, const Config& config) {
    auto grouper = std::make_unique<Bm25Kmeans>(host);
    DBSA_ASSIGN_OR_RETURN(grouper->options_, grouping::KmeansOptions::read(config));
    DBSA_ASSIGN_OR_RETURN(grouper->weights_.k1, config.get<double>("k1"));
    DBSA_ASSIGN_OR_RETURN(grouper->weights_.b, config.get<double>("b"));
    DBSA_ASSIGN_OR_RETURN(grouper->analysis_, text::AnalyzerOptions::read(config));
    return grouper;
  }

  explicit Bm25Kmeans(Host host) : host_(host) {}

  Result<Blocks> group(const Demonstrations& demonstrations, int64_t block_size,
                       uint64_t seed) override {
    DBSA_RETURN_IF_ERROR(grouping::check_block_size(block_size));
    text::ScriptCounts scripts;
    for (int64_t i = 0; i < demonstrations.texts.size(); ++i) scripts.add(demonstrations.texts[i]);
    if (const std::string warning = text::script_warning(scripts, analysis_); !warning.empty())
      host_.log_warning("block grouper bm25_kmeans: " + warning +
                        " (block_grouper.plugin = \"embedding_kmeans\")");
    DBSA_ASSIGN_OR_RETURN(const Counted counted, count_terms(demonstrations.texts, analysis_));
    const grouping::SparseRows rows = weigh(counted, weights_);
    const auto start = [&](int64_t clusters, Random& random) -> Result<grouping::Centroids> {
      return grouping::spread_centroids(rows, clusters, random);
    };
    return grouping::group_by_kmeans(rows, block_size, seed, options_, start, host_);
  }

 private:
  Host host_;
  grouping::KmeansOptions options_;
  text::Bm25Weights weights_;
  text::AnalyzerOptions analysis_;
};

}  // namespace
}  // namespace dbsa

DBSA_PLUGIN(dbsa::Bm25Kmeans);
