// The forward pass against transformers, for every family and RoPE kind of the fixtures.

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

#include "tests/forward/forward_harness.h"
#include "tests/model/model_files.h"

namespace dbsa {
namespace {

using reference::Fixture;
using reference::FixtureCase;
using reference::kFloat32Bound;
using reference::to_double;
using reference::worst_row_error;

// bfloat16 against float32 of the same weights: no worse than half again transformers' own.
constexpr double kBf16Share = 1.5;

Fixture load(const std::string& name) {
  auto fixture = reference::load_fixture(DBSA_SOURCE_DIR, name);
  if (!fixture.ok()) throw std::runtime_error(fixture.error().message);
  return std::move(fixture).value();
}

double error_of(ForwardHarness& harness, const FixtureCase& c, const std::vector<float>& expected,
                int64_t vocabulary) {
  const std::vector<float> logits = harness.prefill(c.ids, c.rows);
  return worst_row_error(to_double(logits), to_double(expected), vocabulary);
}

class Families : public ::testing::TestWithParam<std::string> {};

TEST_P(Families, Float32LogitsEqualTransformers) {
  const Fixture fixture = load(GetParam());
  for (const std::string& path : ForwardHarness::code_paths()) {
    ForwardHarness harness(fixture.folder, {.precision = kF32, .instructions = path});
    for (const FixtureCase& c : fixture.cases) {
      const double error = error_of(harness, c, c.logits, fixture.vocabulary);
      std::cout << fixture.name << " f32 " << path << " length " << c.length << ": " << error
                << "\n";
      EXPECT_LE(error, kFloat32Bound) << path << ", length " << c.length;
    }
  }
}

TEST_P(Families, Bfloat16ErrorIsNoWorseThanTransformersOwn) {
  const Fixture fixture = load(GetParam());
  for (const std::string& path : ForwardHarness::code_paths()) {
    ForwardHarness harness(fixture.folder, {.precision = kBf16, .instructions = path});
    for (const FixtureCase& c : fixture.cases) {
      const double error = error_of(harness, c, c.logits_bf16_weights, fixture.vocabulary);
      std::cout << fixture.name << " bf16 " << path << " length " << c.length << ": " << error
                << ", transformers " << c.bf16_error << "\n";
      EXPECT_LE(error, kBf16Share * c.bf16_error) << path << ", length " << c.length;
    }
  }
}

TEST_P(Families, AWrongRopeIsNoticed) {
  const Fixture fixture = load(GetParam());
  const auto& longest = *std::max_element(
      fixture.cases.begin(), fixture.cases.end(),
      [](const FixtureCase& a, const FixtureCase& b) { return a.length < b.length; });
  std::vector<std::pair<std::string, std::function<void(ModelConfig&)>>> wrong = {
      {"theta", [](ModelConfig& c) { c.rope.theta *= 1.05; }}};
  auto config = load_model_config(fixture.folder);
  ASSERT_TRUE(config.ok());
  if (config->rope.kind != RopeKind::kDefault)
    wrong.push_back({"factor", [](ModelConfig& c) { c.rope.factor *= 1.1; }});
  if (config->rope.kind == RopeKind::kYarn)
    wrong.push_back({"magnitude", [](ModelConfig& c) {
                       c.rope.attention_factor = rope_attention_factor(c.rope) * 1.05;
                     }});
  for (const auto& [what, change] : wrong) {
    ForwardHarness harness(fixture.folder, {.precision = kF32, .change = change});
    const double error = error_of(harness, longest, longest.logits, fixture.vocabulary);
    std::cout << fixture.name << " wrong " << what << ": " << error << "\n";
    EXPECT_GT(error, kFloat32Bound) << "a wrong " << what << " went unnoticed";
  }
}

// The same tensors, each one byte on: they are read from copies, which live as long as they are
// read.
TEST_P(Families, TensorsNeedNotBeAligned) {
  const Fixture fixture = load(GetParam());
  const test::TemporaryFolder shifted;
  for (const auto& entry : std::filesystem::directory_iterator(fixture.folder))
    if (entry.path().extension() == ".json")
      std::filesystem::copy(entry.path(), shifted.file(entry.path().filename().string()));
  for (const auto& entry : std::filesystem::directory_iterator(fixture.folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    const std::string file = test::read_file(entry.path().string());
    uint64_t length = 0;
    std::memcpy(&length, file.data(), sizeof length);
    const std::string header = file.substr(8, length) + " ", data = file.substr(8 + length);
    test::write_file(shifted.file(entry.path().filename().string()),
                     test::safetensors_bytes(header, data));
  }
  const FixtureCase& c = fixture.cases.front();
  ForwardHarness as_stored(fixture.folder, {.precision = kF32});
  ForwardHarness unaligned(shifted.path(), {.precision = kF32});
  EXPECT_EQ(unaligned.prefill(c.ids, c.rows), as_stored.prefill(c.ids, c.rows));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Families, ::testing::ValuesIn(reference::fixture_names()),
                         [](const auto& tested) { return tested.param; });

}  // namespace
}  // namespace dbsa
