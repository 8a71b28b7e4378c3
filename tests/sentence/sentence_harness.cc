#include "tests/sentence/sentence_harness.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "host/plugin_registry.h"
#include "model/checkpoint/safetensors.h"

namespace dbsa::test {
namespace {

// The value, or an exception that GoogleTest reports as the test's failure.
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

}  // namespace

std::string small_model() {
  return std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/bert";
}

std::unique_ptr<host::HostServices> make_services(int threads) {
  host::HostOptions options;
  options.threads = threads;
  options.log_level = host::LogLevel::kWarning;
  return std::make_unique<host::HostServices>(options);
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

std::vector<std::string> code_paths() {
  host::HostServices services;
  std::vector<std::string> usable;
  for (const char* path : {"amx_bf16", "avx512_bf16", "avx2", "portable"})
    if (open_backend(services, path).ok()) usable.push_back(path);
  return usable;
}

SentenceFixture load_sentence_fixture(const std::string& folder) {
  SentenceFixture out;
  std::ifstream in(folder + "/reference.json");
  const auto reference = nlohmann::json::parse(in);
  reference.at("texts").get_to(out.texts);
  reference.at("ids").get_to(out.ids);
  const auto file = must(SafetensorsFile::open(folder + "/expected.safetensors"));
  const TensorView tensor = must(file.tensor("embeddings"));
  out.embeddings.resize(tensor.bytes / sizeof(float));
  std::memcpy(out.embeddings.data(), tensor.data, tensor.bytes);
  return out;
}

Encoder::Encoder(const std::string& folder, int threads, const std::string& instructions)
    : services_(make_services(threads)),
      encoder_(must(SentenceEncoder::open(folder, must(open_backend(*services_, instructions)),
                                          services_.get()))) {}

std::vector<float> Encoder::embed(const std::vector<std::string>& texts) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  return must(encoder_->embed(views));
}

double max_difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= worst)) worst = difference;  // a NaN stays
  }
  return worst;
}

}  // namespace dbsa::test
