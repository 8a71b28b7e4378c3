#include "tests/forward/forward_harness.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "host/plugin_registry.h"

namespace dbsa {
namespace {

// The value, or an exception that GoogleTest reports as the test's failure.
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

host::HostOptions quiet(int threads, std::vector<std::string>* log) {
  host::HostOptions options;
  options.threads = threads;
  options.log_level = host::LogLevel::kWarning;
  if (log != nullptr)
    options.log_sink = [log](host::LogLevel, std::string_view line) { log->emplace_back(line); };
  return options;
}

Result<host::AttentionBackend> open_backend(host::HostServices& services,
                                            const std::string& instructions) {
  host::PluginRegistry registry =
      host::PluginRegistry::discover(std::vector<std::string>{DBSA_PLUGIN_DIR});
  DBSA_ASSIGN_OR_RETURN(const host::Manifest* manifest,
                        registry.find(DBSA_KIND_ATTENTION_BACKEND, "cpu"));
  DBSA_ASSIGN_OR_RETURN(const host::LoadedPlugin plugin, registry.load(*manifest));
  return host::AttentionBackend::create(plugin, services, {{"instructions", instructions}});
}

}  // namespace

std::vector<std::string> ForwardHarness::code_paths() {
  host::HostServices services;
  std::vector<std::string> usable;
  for (const char* path : {"amx_bf16", "avx512_bf16", "avx2", "portable"})
    if (open_backend(services, path).ok()) usable.push_back(path);
  return usable;
}

ForwardHarness::ForwardHarness(const std::string& path, const HarnessOptions& options)
    : services_(std::make_unique<host::HostServices>(quiet(options.threads, options.log))),
      source_(must(open_model(path))),
      config_(must(source_->config())),
      weights_(must(source_->weights())) {
  if (options.change) options.change(config_);
  backend_ = std::make_unique<host::AttentionBackend>(
      must(open_backend(*services_, options.instructions)));
  if (!options.packed.empty())
    packed_ = std::make_unique<PackedWeights>(
        options.packed, must(fingerprint_model(config_, *weights_, {options.cache})).value,
        DigestCache{options.cache}, *services_);
  model_ = must(Decoder::load(*weights_, config_, options.precision, *backend_, packed_.get()));
}

host::Kv ForwardHarness::make_kv(int64_t tokens) { return must(backend_->kv_create(tokens)); }

std::vector<float> ForwardHarness::pass(std::span<const int32_t> ids, host::Kv& kv, int64_t first,
                                        int64_t position, std::vector<dbsa_segment> visible,
                                        std::span<const int64_t> logit_rows) {
  const auto rows = static_cast<int64_t>(ids.size());
  ForwardInput input;
  input.ids.assign(ids.begin(), ids.end());
  for (int64_t i = 0; i < rows; ++i) input.positions.push_back(static_cast<int32_t>(position + i));
  visible.push_back(segment_of(kv, DBSA_SEGMENT_CAUSAL, first + rows, position - first));
  input.ranges.push_back({rows, &kv, first, std::move(visible)});
  return must(model_->forward(input, logit_rows));
}

std::vector<float> ForwardHarness::prefill(std::span<const int32_t> ids,
                                           std::span<const int64_t> rows, int64_t chunk) {
  const auto count = static_cast<int64_t>(ids.size());
  if (chunk == 0) chunk = count;
  host::Kv kv = make_kv(count);
  std::vector<float> logits;
  for (int64_t first = 0; first < count; first += chunk) {
    const int64_t end = std::min(count, first + chunk);
    std::vector<int64_t> wanted;
    for (const int64_t row : rows)
      if (row >= first && row < end) wanted.push_back(row - first);
    const std::vector<float> some =
        pass(ids.subspan(static_cast<size_t>(first), static_cast<size_t>(end - first)), kv, first,
             first, {}, wanted);
    logits.insert(logits.end(), some.begin(), some.end());
  }
  return logits;
}

std::string fixture_folder(const std::string& name) {
  return std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/" + name;
}

std::vector<int64_t> all_rows(int64_t count) {
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

dbsa_segment segment_of(const host::Kv& kv, int32_t kind, int64_t length, int64_t start) {
  return {sizeof(dbsa_segment), kind, kv.get(), 0, length, start, 0};
}

}  // namespace dbsa
