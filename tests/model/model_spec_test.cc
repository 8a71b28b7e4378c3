// What is computed of a configuration, the table of its tensors, and the text that identifies it.
#include "model/config/model_spec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/fingerprint.h"
#include "model/checkpoint/model_tensors.h"
#include "model/checkpoint/weights.h"

namespace dbsa {
namespace {

ModelConfig fixture_config(const std::string& name) {
  auto config =
      load_model_config(std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/" + name);
  EXPECT_TRUE(config.ok()) << config.error().message;
  return std::move(config).value();
}

// Stores hold keys made of these: another text would encode every pool again.
TEST(ModelSpec, FamiliesThatWereThereKeepTheirFingerprints) {
  const std::pair<const char*, const char*> expected[] = {
      {"llama2", "1452eaf65860d47af5fbcbd6c79a7cf3"},
      {"llama3", "de31869312b6349e97c18056ec406efc"},
      {"tinyllama", "60fcd27f442d681a5a8093c664dedd92"},
      {"smollm2", "3356c3f153ad8daff1115c096aae11be"},
      {"mistral", "6d9cec6f0713c711e10841f835454f91"},
      {"qwen2", "1cab1870c2cf4a08dac5a3565632bc18"},
      {"qwen2_5_yarn", "cd29334ce1bf0f399c872add03bb9172"},
      {"llama_linear", "e0dac9a8468e65502ec05e5db60a2bf7"},
  };
  for (const auto& [name, fingerprint] : expected) {
    const std::string folder = std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/" + name;
    const auto checkpoint = Checkpoint::open(folder);
    ASSERT_TRUE(checkpoint.ok());
    const auto made = fingerprint_model(fixture_config(name), *checkpoint, {});
    ASSERT_TRUE(made.ok());
    EXPECT_EQ(made->value.hex(), fingerprint) << name;
  }
  EXPECT_EQ(spec_identity(make_model_spec(fixture_config("qwen2"))),
            "model 1 llama-family hidden 112 wide 128 layers 2 heads 7 kv_heads 1 head_dim 16 "
            "vocabulary 192 epsilon 9.9999999999999995e-07 tied 1 bias 1 0 0\n");
}

TEST(ModelSpec, WindowsAreOfTheLayersThatHaveThem) {
  ModelConfig config = fixture_config("mistral");
  EXPECT_EQ(make_model_spec(config).attention_types.size(), 1u);
  EXPECT_EQ(layer_identity(make_model_spec(config)), "");
  config.sliding_window = 64;
  ModelSpec spec = make_model_spec(config);
  ASSERT_EQ(spec.attention_types.size(), 1u);
  EXPECT_EQ(spec.attention_types[0].window, 64);
  EXPECT_NE(layer_identity(spec), "");
  config.window_layers = {false, true};
  spec = make_model_spec(config);
  ASSERT_EQ(spec.attention_types.size(), 2u);
  EXPECT_EQ(spec.attention_types[static_cast<size_t>(spec.layers[0].attention)].window, 0);
  EXPECT_EQ(spec.attention_types[static_cast<size_t>(spec.layers[1].attention)].window, 64);
}

// Pairs (j, j + 2) of the first four of ten dimensions, and (i, i + 3) of the rest, become pairs of
// the halves of the whole.
TEST(ModelSpec, PartialRotationPairsHalvesOfTheWholeHead) {
  ModelConfig config = fixture_config("llama2");
  EXPECT_TRUE(rotary_order(make_model_spec(config)).empty());
  config.head_dim = 10;
  config.rope.head_dim = 4;
  config.rope.rotation_factor = 1.5;
  const ModelSpec spec = make_model_spec(config);
  EXPECT_EQ(rotary_order(spec), (std::vector<int64_t>{0, 1, 4, 5, 6, 2, 3, 7, 8, 9}));
  const AttentionType& type = spec.attention_types[0];
  const std::vector<float> frequencies = pair_frequencies(spec, type);
  EXPECT_EQ(frequencies, (std::vector<float>{1.0f, 0.01f, 0, 0, 0}));
  EXPECT_EQ(pair_factors(spec, type), (std::vector<float>{1.5f, 1.5f, 1, 1, 1}));
  config.unrotated_layers = {true, true};
  const ModelSpec unrotated = make_model_spec(config);
  EXPECT_EQ(pair_frequencies(unrotated, unrotated.attention_types[0]), std::vector<float>(5, 0.0f));
}

// Parts of fused tensors cover them, and each stored tensor counts once.
TEST(ModelTensors, PartsOfFusedTensorsCoverThem) {
  ModelConfig config = fixture_config("llama_linear");
  ModelSpec spec = make_model_spec(config);
  const auto whole = model_tensors(spec);
  spec.fused_qkv = spec.fused_gate_up = true;
  const auto parts = model_tensors(spec);
  ASSERT_EQ(parts.size(), whole.size());
  int64_t elements[2] = {0, 0};
  for (size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i].role, whole[i].role);
    EXPECT_EQ(parts[i].rows, whole[i].rows);
    EXPECT_LE(parts[i].first_row + parts[i].rows, parts[i].shape[0]) << parts[i].name;
    for (const bool part : {false, true}) {
      const ModelTensor& tensor = part ? parts[i] : whole[i];
      elements[part] += tensor.rows * (tensor.shape.size() == 2 ? tensor.shape[1] : 1);
    }
  }
  EXPECT_EQ(elements[0], elements[1]);
  EXPECT_EQ(elements[0], parameter_count(config));
  const auto up = std::find_if(parts.begin(), parts.end(),
                               [](const auto& t) { return t.role == TensorRole::kUp; });
  EXPECT_EQ(up->name, "model.layers.0.mlp.gate_up_proj.weight");
  EXPECT_EQ(up->first_row, config.intermediate_size);
}

TEST(ModelTensors, ExpertsCountAsMemoryAndThoseUsedAsWork) {
  ModelConfig config = fixture_config("llama2");
  const int64_t hidden = config.hidden_size, wide = config.intermediate_size;
  const int64_t dense = parameter_count(config), multiplied = multiplied_elements(config);
  config.experts = {8, 3, 24, true};
  config.expert_layers.assign(static_cast<size_t>(config.layers), false);
  config.expert_layers[1] = true;
  const int64_t router = 8 * hidden, expert = 3 * hidden * 24, mlp = 3 * hidden * wide;
  EXPECT_EQ(parameter_count(config), dense - mlp + router + 8 * expert);
  EXPECT_EQ(multiplied_elements(config), multiplied - mlp + router + 3 * expert);
  EXPECT_EQ(multiplied % hidden, 0);
  EXPECT_LT(multiplied, dense);  // the embedding and the head aside

  std::vector<std::string> names;
  config.family = ModelFamily::kMixtral;
  for (const ModelTensor& tensor : model_tensors(make_model_spec(config)))
    if (tensor.expert == 7) names.push_back(tensor.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"model.layers.1.block_sparse_moe.experts.7.w1.weight",
                                      "model.layers.1.block_sparse_moe.experts.7.w3.weight",
                                      "model.layers.1.block_sparse_moe.experts.7.w2.weight"}));
}

// Each of what a router does is part of the identity.
TEST(ModelSpec, ExpertsAreIdentified) {
  ModelConfig config = fixture_config("qwen3");
  const std::string dense = spec_identity(make_model_spec(config));
  config.family = ModelFamily::kQwen3Moe;
  config.experts = {8, 3, 24, true};
  std::set<std::string> texts = {dense, spec_identity(make_model_spec(config))};
  const auto add = [&](const auto& change) {
    ModelConfig changed = config;
    change(changed);
    EXPECT_TRUE(texts.insert(spec_identity(make_model_spec(changed))).second);
  };
  add([](auto& c) { c.experts.count = 9; });
  add([](auto& c) { c.experts.used = 2; });
  add([](auto& c) { c.experts.intermediate_size = 25; });
  add([](auto& c) { c.experts.normalised = false; });
  add([](auto& c) { c.expert_layers = {true, false, true}; });
}

}  // namespace
}  // namespace dbsa
