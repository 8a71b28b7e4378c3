// A backend that says it cannot compute what a model needs: the error names both, and the remedy.
#include <gtest/gtest.h>

#include "model/decoder/decoder.h"
#include "tests/bad_plugins/test_plugins.h"

namespace dbsa {
namespace {

// The message for a fixture's model on a backend without any feature; "": it is configured.
std::string refusal_of(const std::string& fixture) {
  host::HostServices services({.threads = 1});
  const auto plugin = host::load_bad(DBSA_KIND_ATTENTION_BACKEND, "nonsense_backend");
  EXPECT_TRUE(plugin.ok()) << plugin.error().message;
  auto backend = host::AttentionBackend::create(*plugin, services, {{"fault", "supports"}});
  EXPECT_TRUE(backend.ok());
  const auto config =
      load_model_config(std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/" + fixture);
  EXPECT_TRUE(config.ok());
  const Status status = configure_backend(*config, {}, *backend);
  if (status.ok()) return "";
  EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(status.error().config_pointer, "/attention_backend/plugin");
  return status.error().message;
}

TEST(Unsupported, IsToldWithTheFamilyAndTheRemedy) {
  const auto told = [](const std::string& what, const std::string& type) {
    return "attention_backend test.attention_backend.nonsense_backend does not compute " + what +
           ", which models of type " + type + " need; set attention_backend.plugin = \"cpu\"";
  };
  EXPECT_EQ(refusal_of("gemma2"), told("soft caps of attention scores", "gemma2"));
  EXPECT_EQ(refusal_of("gemma3"), told("layers of different attention types", "gemma3_text"));
  EXPECT_EQ(refusal_of("smollm3"), told("layers of different attention types", "smollm3"));
  EXPECT_EQ(refusal_of("phi3"), told("LongRoPE's factor", "phi3"));
  EXPECT_EQ(refusal_of("mixtral"), told("layers of experts", "mixtral"));
  EXPECT_EQ(refusal_of("qwen3_moe"), told("layers of experts", "qwen3_moe"));
}

// Windows lie in the segments, so layers that differ only in them are of one type.
TEST(Unsupported, ModelsWhoseLayersAttendAlikeAreNot) {
  for (const char* fixture : {"llama2", "qwen3", "mistral_window", "olmo2", "granite"})
    EXPECT_EQ(refusal_of(fixture), "") << fixture;
}

}  // namespace
}  // namespace dbsa
