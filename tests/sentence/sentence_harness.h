// A sentence encoder on the CPU backend, and the fixtures of tools/reference.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/host_services.h"
#include "model/sentence/sentence_encoder.h"

namespace dbsa::test {

// The folder of a small random model, with its expectation.
std::string small_model();

std::unique_ptr<host::HostServices> make_services(int threads);
// The backend's code path: "auto", or one of code_paths.
Result<host::AttentionBackend> open_backend(host::HostServices& services,
                                            const std::string& instructions);
std::vector<std::string> code_paths();  // those this machine can run

struct SentenceFixture {
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> ids;  // [CLS] and [SEP] included
  std::vector<float> embeddings;          // [texts, width]
};
// folder: with reference.json and expected.safetensors. Ends the test when anything fails.
SentenceFixture load_sentence_fixture(const std::string& folder);

// An encoder that keeps its host.
class Encoder {
 public:
  explicit Encoder(const std::string& folder, int threads = 2,
                   const std::string& instructions = "auto");
  SentenceEncoder& operator*() { return *encoder_; }
  SentenceEncoder* operator->() { return encoder_.get(); }
  host::HostServices& services() { return *services_; }
  // Ends the test when it fails.
  std::vector<float> embed(const std::vector<std::string>& texts);

 private:
  std::unique_ptr<host::HostServices> services_;
  std::unique_ptr<SentenceEncoder> encoder_;
};

double max_difference(std::span<const float> a, std::span<const float> b);

}  // namespace dbsa::test
