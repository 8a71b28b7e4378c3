// The pipeline on pools of growing size: encoding under the dbsa mask, answers at a fixed
// selection, and the start on a pool that is stored.
#include <gflags/gflags.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "bench/support/bench.h"
#include "bench/support/ceilings.h"
#include "bench/support/cost.h"
#include "bench/support/inputs.h"
#include "bench/support/plugins.h"
#include "config/stopwatch.h"
#include "config/toml_document.h"
#include "host/resolve.h"
#include "pipeline/pipeline.h"
#include "pipeline/record/machine.h"

DEFINE_string(model, "",
              "a Hugging Face folder; dbsa-make-checkpoint makes one with random weights");
DECLARE_string(instructions);
DEFINE_string(tokens, "10000,30000,90000", "sizes of the pools, ascending");
DEFINE_int64(block_tokens, 1800, "tokens of a block, about");
DEFINE_int64(selected, 3, "blocks that answer a query, the anchor aside");
DEFINE_int64(queries, 50, "queries of each pool");

namespace dbsa::bench {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kAnchor = 1, kPrevious = 2;
constexpr int64_t kDemonstrationsOfBlock = 20;

void write_examples(const std::string& path, Texts& texts, int64_t count, int64_t bytes) {
  std::ofstream file(path);
  for (int64_t i = 0; i < count; ++i)
    file << nlohmann::json{{"text", texts.next(bytes)},
                           {"label", "label " + std::to_string(i % 50)}}
         << "\n";
}

class Pool {
 public:
  Pool(const std::string& model, int64_t tokens, int threads) : plugins_(threads) {
    ::setenv("XDG_CACHE_HOME", folder_.file("cache").c_str(), 1);  // the user's takes no part
    Texts texts;
    const int64_t blocks = std::max<int64_t>(1, tokens / FLAGS_block_tokens);
    // Prompt pieces and label are some 30 bytes; a byte is a token of dbsa-make-checkpoint's.
    const int64_t bytes = FLAGS_block_tokens / kDemonstrationsOfBlock - 30;
    write_examples(folder_.file("pool.jsonl"), texts, blocks * kDemonstrationsOfBlock, bytes);
    write_examples(folder_.file("queries.jsonl"), texts, FLAGS_queries, 24);
    std::ostringstream text;
    text << "[model]\npath = " << nlohmann::json(model) << "\n"
         << "[data]\ndemonstrations = \"pool.jsonl\"\nqueries = \"queries.jsonl\"\n"
         << "[block_grouper]\nplugin = \"random\"\nblock_size = " << kDemonstrationsOfBlock << "\n"
         << "[mask_pattern]\nplugin = \"dbsa\"\nanchor_blocks = " << kAnchor
         << "\nprevious_blocks = " << kPrevious << "\n"
         << "[retriever]\nplugin = \"bm25\"\n"
         << "[selection]\ncount = " << FLAGS_selected << "\n"
         << "[attention_backend]\nplugin = \"cpu\"\ninstructions = "
         << nlohmann::json(FLAGS_instructions) << "\n"
         << "[kv_store]\nplugin = \"hdf5\"\npath = \"store\"\n";
    const std::string path = folder_.file("pipeline.toml");
    std::ofstream(path) << text.str();
    pipeline_ = must(host::resolve_pipeline(must(TomlDocument::load(path)), plugins_.registry()));
  }

  std::unique_ptr<Pipeline> open() {
    return must(Pipeline::open(pipeline_, plugins_.registry(), plugins_.services()));
  }

 private:
  Folder folder_;
  Plugins plugins_;
  host::ResolvedPipeline pipeline_;
};

// Pairs of a row and a token that it sees, of blocks of one length.
double visible_pairs(int64_t blocks, double length) {
  double pairs = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t previous = std::min(b, kPrevious);
    const int64_t seen = previous + (b > kPrevious ? kAnchor : 0);
    pairs += length * (length + 1) / 2 + static_cast<double>(seen) * length * length;
  }
  return pairs;
}

struct Answers {
  double total = 0, retrieve = 0, load = 0, prefill = 0, decode = 0;  // medians, seconds
};

// Bytes of this process that are in memory now.
double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

Answers answer_all(Pipeline& pipeline) {
  std::vector<double> total, retrieve, load, prefill, decode;
  for (const Example& query : must(pipeline.load_queries())) {
    const AnswerTimings seconds = must(pipeline.answer(query.text)).seconds;
    total.push_back(seconds.total());
    retrieve.push_back(seconds[AnswerStep::kRetrieve]);
    load.push_back(seconds[AnswerStep::kLoad]);
    prefill.push_back(seconds[AnswerStep::kPrefill]);
    decode.push_back(seconds[AnswerStep::kDecode]);
  }
  return {median(total), median(retrieve), median(load), median(prefill), median(decode)};
}

int run(int argc, char** argv) {
  Report report("bench_pool", "Encoding and answering on pools of growing size", &argc, &argv);
  if (FLAGS_model.empty()) give_up("--model is required; see --help");
  const std::string model = fs::absolute(FLAGS_model);
  std::istringstream sizes(FLAGS_tokens);
  double operations = 0, weights_and_kv = 0;
  for (std::string size; std::getline(sizes, size, ',');) {
    Pool pool(model, std::stoll(size), report.threads());
    std::unique_ptr<Pipeline> pipeline = pool.open();
    const ModelInfo info = pipeline->model_info();
    const Peak peak = info.compute == "f32" ? Peak::kF32 : bf16_peak(info.backend);
    if (operations == 0) {
      report.note("backend", info.backend);
      operations = peak_rate(peak, report.threads()).value_or(0);
    }
    const EncodeReport encoded = must(pipeline->encode(false, {}));
    const Cost cost(must(load_model_config(model)));
    const int64_t blocks = encoded.estimate.blocks, tokens = encoded.tokens_encoded;
    const double work = cost.linear_operations(tokens, 0) +
                        cost.attention_operations(visible_pairs(
                            blocks, static_cast<double>(tokens) / static_cast<double>(blocks)));
    const std::string of =
        ", " + std::to_string(tokens) + " tokens in " + std::to_string(blocks) + " blocks";
    report.add({.name = "encode" + of,
                .value = static_cast<double>(tokens) / encoded.encode_seconds,
                .unit = "tokens/s"});
    report.add({.name = "encode" + of,
                .value = work / encoded.encode_seconds / 1e9,
                .unit = "GFLOP/s",
                .ceiling_name = peak_name(peak),
                .ceiling = operations / 1e9,
                .goal = 0.65});
    pipeline.reset();

    const Stopwatch start;
    pipeline = pool.open();
    const double opened = start.seconds();
    must(pipeline->open_pool());
    const std::string text = must(pipeline->load_queries()).front().text;
    const double first = must(pipeline->answer(text)).seconds.total();
    report.add({.name = "start to first answer" + of,
                .value = start.seconds(),
                .unit = "s",
                .ceiling_name = "opening the model and one answer",
                .ceiling = opened + first,
                .less_is_better = true,
                .goal = 1 / 1.2});
    weights_and_kv =
        std::max(weights_and_kv, cost.weight_bytes() + static_cast<double>(encoded.kv_bytes));
    answer_all(*pipeline);  // every plane read and verified once
    const double before = resident_bytes();
    const Answers warm = answer_all(*pipeline);
    report.add({.name = "answer" + of, .value = warm.total * 1e3, .unit = "ms"});
    report.add({.name = "  retrieve and select", .value = warm.retrieve * 1e3, .unit = "ms"});
    report.add({.name = "  load", .value = warm.load * 1e3, .unit = "ms"});
    report.add({.name = "  prefill", .value = warm.prefill * 1e3, .unit = "ms"});
    report.add({.name = "  decode the label", .value = warm.decode * 1e3, .unit = "ms"});
    report.add({.name = "memory grown over " + std::to_string(FLAGS_queries) + " answers",
                .value = (resident_bytes() - before) / 1e6,
                .unit = "MB"});
  }
  report.add({.name = "most memory resident",
              .value = static_cast<double>(peak_memory_bytes()) / 1e9,
              .unit = "GB",
              .ceiling_name = "weights and KV of the largest pool",
              .ceiling = weights_and_kv / 1e9,
              .less_is_better = true,
              .goal = 1 / 1.1});
  return report.finish();
}

}  // namespace
}  // namespace dbsa::bench

int main(int argc, char** argv) { return dbsa::bench::run(argc, argv); }
