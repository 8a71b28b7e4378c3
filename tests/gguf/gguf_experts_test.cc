// Models with experts in GGUF files: their keys, and the parts of stacked tensors.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/gguf/gguf_model_test.h"

namespace dbsa::gguf {
namespace {

using test::GgufPlan;
using test::raw;
using enum ModelFamily;

test::GgufTensor& tensor(GgufPlan& plan, const std::string& name) {
  return *std::find_if(plan.tensors.begin(), plan.tensors.end(),
                       [&](const auto& tensor) { return tensor.name == name; });
}

std::string expert_name(const std::string& layer, int expert, const std::string& kind) {
  return "model.layers." + layer + ".mlp.experts." + std::to_string(expert) + "." + kind +
         "_proj.weight";
}

class GgufExpertsTest : public GgufModelTest {
 protected:
  // What check says of a Qwen3-MoE that is changed, without the file's name.
  std::string refusal(const std::function<void(GgufPlan&)>& change,
                      ModelFamily family = kQwen3Moe) {
    GgufPlan plan = small_model(family);
    change(plan);
    const Status status = check(plan);
    if (status.ok()) return "";
    EXPECT_EQ(status.error().code, ErrorCode::kConfig);
    return status.error().message.substr(std::min(path_.size() + 2, status.error().message.size()));
  }
};

TEST_F(GgufExpertsTest, Qwen3Moe) {
  const GgufPlan plan = small_model(kQwen3Moe);
  const ModelConfig c = config(plan);
  EXPECT_EQ(c.family, kQwen3Moe);
  EXPECT_EQ(c.model_type, "qwen3_moe");
  EXPECT_EQ(c.experts.count, 4);
  EXPECT_EQ(c.experts.used, 2);
  EXPECT_EQ(c.experts.intermediate_size, 16);
  EXPECT_TRUE(c.experts.normalised);
  EXPECT_TRUE(c.expert_layers.empty());
  EXPECT_EQ(c.intermediate_size, 32);
  EXPECT_TRUE(check(plan).ok()) << check(plan).error().message;
}

TEST_F(GgufExpertsTest, LlamaWithExpertsIsMixtral) {
  GgufPlan plan = small_model(kMixtral);
  ModelConfig c = config(plan);
  EXPECT_EQ(c.family, kMixtral);
  EXPECT_EQ(c.model_type, "mixtral");
  EXPECT_EQ(c.experts.count, 4);
  EXPECT_EQ(c.experts.used, 2);
  EXPECT_EQ(c.experts.intermediate_size, 32) << "feed_forward_length";
  EXPECT_TRUE(c.experts.normalised);
  EXPECT_TRUE(check(plan).ok()) << check(plan).error().message;
  plan.u32("llama.expert_feed_forward_length", 48).u32("llama.attention.sliding_window", 40);
  c = config(plan);
  EXPECT_EQ(c.experts.intermediate_size, 48);
  EXPECT_EQ(c.sliding_window, 40);
  // Dense files may have the keys.
  plan = small_model(kLlama);
  plan.u32("llama.expert_count", 0).u32("llama.expert_used_count", 0);
  c = config(plan);
  EXPECT_EQ(c.family, kLlama);
  EXPECT_EQ(c.experts.count, 0);
}

TEST_F(GgufExpertsTest, KeysThatChangeNothing) {
  for (const ModelFamily family : {kMixtral, kQwen3Moe}) {
    const std::string a = test::gguf_architecture(family) + ".";
    GgufPlan plan = small_model(family);
    plan.boolean(a + "expert_weights_norm", true).f32(a + "expert_weights_scale", 1);
    plan.u32(a + "expert_gating_func", 1).u32(a + "expert_shared_count", 0);
    plan.u32(a + "expert_shared_feed_forward_length", 0).u32(a + "leading_dense_block_count", 0);
    plan.u32(a + "expert_group_count", 1).u32(a + "expert_group_used_count", 1);
    EXPECT_EQ(config(plan).experts.count, 4);
  }
}

TEST_F(GgufExpertsTest, FaultsOfKeys) {
  for (const ModelFamily family : {kMixtral, kQwen3Moe}) {
    const std::string a = test::gguf_architecture(family) + ".";
    const auto set = [&](const std::string& key, uint32_t value) {
      return [=](GgufPlan& plan) {
        plan.remove(a + key);
        plan.u32(a + key, value);
      };
    };
    expect_part(family, "expected an integer from 1 to 4, found 5; fetch the file again",
                set("expert_used_count", 5));
    expect_part(family, "expected an integer from 1 to 4, found 0; fetch the file again",
                set("expert_used_count", 0));
    expect_part(family, "expert_used_count': is missing, expected an integer from 1 to 4",
                [&](auto& p) { p.remove(a + "expert_used_count"); });
    expect_part(family, " to 65536, found 65537; fetch the file again",
                set("expert_count", 65'537));
    expect_part(family, "expected an integer from 1 to 4, found an array of i32;", [&](auto& p) {
      p.remove(a + "expert_used_count");
      p.ints(a + "expert_used_count", {2, 2});
    });
    expect_part(family, "expected an integer from 1 to 2147483648, found 0; fetch the file again",
                set("expert_feed_forward_length", 0));
    const std::string use =
        " are not computed for this architecture; use a Mixtral or Qwen3-MoE model without them";
    expect_part(family, "expected 0, found 1: experts that every token gets" + use,
                set("expert_shared_count", 1));
    expect_part(family, "expected 0, found 64: experts that every token gets" + use,
                set("expert_shared_feed_forward_length", 64));
    expect_part(family, "expected 0 or 1, found 2: experts in groups" + use,
                set("expert_group_count", 2));
    expect_part(family, "expected 0 or 1, found 2: gates other than softmax, 1," + use,
                set("expert_gating_func", 2));
    expect_part(family, "expected 0, found 1: first layers without experts" + use,
                set("leading_dense_block_count", 1));
    expect_part(family, "expected 1, found 2.500000: scaled shares of experts" + use,
                [&](auto& p) { p.f32(a + "expert_weights_scale", 2.5f); });
    expect_part(
        family,
        "expected true, found false: shares of experts that are not divided by their sum" + use,
        [&](auto& p) { p.boolean(a + "expert_weights_norm", false); });
    expect_part(family, "unsupported key with value 2; ", set("expert_latent_length", 2));
    // Before a list of their tensors takes memory.
    expect_part(family, "expert_count', byte", [&](auto& p) {
      set("expert_count", 65'536)(p);
      set("block_count", 5)(p);
    });
    expect_part(family,
                "expected at most 262144 experts in all layers, found 65536 in each of 65536; use "
                "a smaller model",
                [&](auto& p) {
                  set("expert_count", 65'536)(p);
                  set("block_count", 65'536)(p);
                });
  }
  expect_part(kQwen3Moe, "expert_feed_forward_length': is missing, expected an integer from 1 ",
              [](auto& p) { p.remove("qwen3moe.expert_feed_forward_length"); });
  expect_part(kQwen3Moe, "expert_count': is missing, expected an integer from 1 to 65536;",
              [](auto& p) { p.remove("qwen3moe.expert_count"); });
  expect_part(kQwen3Moe, "expected an integer from 1 to 65536, found 0; fetch the file again",
              [](auto& p) { p.key("qwen3moe.expert_count").value = raw<uint32_t>(0); });
  expect_part(kQwen2,
              "expected a model without experts, found one with them; use a dense model, Mixtral "
              "or Qwen3-MoE",
              [](auto& p) { p.u32("qwen2.expert_count", 4).u32("qwen2.expert_used_count", 2); });
}

TEST_F(GgufExpertsTest, StacksThatDoNotFit) {
  const auto reshaped = [](std::vector<uint64_t> dimensions) {
    return [dimensions](GgufPlan& plan) {
      test::GgufTensor& stack = tensor(plan, "blk.1.ffn_up_exps.weight");
      stack.dimensions = dimensions;
      uint64_t elements = 1;
      for (const uint64_t extent : dimensions) elements *= extent;
      stack.data.assign(4 * elements, '\0');
    };
  };
  const auto misfit = [](const std::string& found) {
    return "tensor 'blk.1.ffn_up_exps.weight': expected shape [4, 16, 64], found " + found +
           "; the keys and the tensors do not fit together";
  };
  EXPECT_EQ(refusal(reshaped({64, 16, 4})), "");
  EXPECT_EQ(refusal(reshaped({64, 16, 3})), misfit("[3, 16, 64]"));
  EXPECT_EQ(refusal(reshaped({64, 16, 5})), misfit("[5, 16, 64]"));
  EXPECT_EQ(refusal(reshaped({16, 64, 4})), misfit("[4, 64, 16]"));
  EXPECT_EQ(refusal(reshaped({4, 16, 64})), misfit("[64, 16, 4]"));
  EXPECT_EQ(refusal(reshaped({64, 64})), misfit("[64, 64]"));
  EXPECT_EQ(refusal(reshaped({64, 16, 4, 1})), misfit("[1, 4, 16, 64]"));
  EXPECT_EQ(refusal(reshaped({64, 16, 1, 4})), misfit("[4, 1, 16, 64]"));
  EXPECT_EQ(refusal(reshaped({4096})), misfit("[4096]"));
  EXPECT_EQ(refusal([](auto& p) {
              tensor(p, "blk.0.ffn_gate_inp.weight").dimensions = {4, 64};
            }),
            "tensor 'blk.0.ffn_gate_inp.weight': expected shape [4, 64], found [64, 4]; the keys "
            "and the tensors do not fit together");
  // Keys that say another number.
  EXPECT_NE(refusal([](auto& p) { p.key("qwen3moe.expert_count").value = raw<uint32_t>(3); })
                .find("tensor 'blk.*.ffn_up_exps.weight': expected shape [3, 16, 64], found "
                      "[4, 16, 64]; the keys and the tensors do not fit together (layers 0-1)"),
            std::string::npos);
  EXPECT_NE(refusal([](auto& p) {
              p.key("qwen3moe.expert_feed_forward_length").value = raw<uint32_t>(8);
            }).find("tensor 'blk.*.ffn_down_exps.weight': expected shape [4, 64, 8], found "),
            std::string::npos);
}

TEST_F(GgufExpertsTest, MissingAndForeignTensors) {
  EXPECT_EQ(refusal([](auto& p) {
              std::erase_if(p.tensors,
                            [](const auto& t) { return t.name.ends_with("ffn_up_exps.weight"); });
            }),
            "2 tensors (layers 0-1: ffn_up_exps.weight) are missing; the file is incomplete or "
            "does not fit its keys");
  EXPECT_EQ(refusal([](auto& p) {
              std::erase_if(p.tensors,
                            [](const auto& t) { return t.name == "blk.1.ffn_gate_inp.weight"; });
            }),
            "tensor 'blk.1.ffn_gate_inp.weight' is missing; the file is incomplete or does not "
            "fit its keys");
  for (const char* name :
       {"blk.0.ffn_gate.weight", "blk.0.ffn_gate.bias", "blk.0.ffn_up_shexp.weight",
        "blk.0.ffn_gate_up_exps.weight", "blk.0.ffn_up_exps.scale", "blk.0.exp_probs_b.bias",
        "blk.0.ffn_gate_inp.bias"})
    EXPECT_EQ(refusal([&](auto& p) { p.tensor(name, {4}, 0, std::string(16, '\0')); }),
              std::string("tensor '") + name +
                  "' is not part of a model of architecture qwen3moe with these keys; the model is "
                  "of a kind that is not supported");
  // A dense layer among those with experts, which llama.cpp does not read either.
  const std::string dense = refusal([](auto& p) {
    for (const char* kind : {"gate", "up", "down"})
      tensor(p, std::string("blk.1.ffn_") + kind + "_exps.weight").name =
          std::string("blk.1.ffn_") + kind + ".weight";
  });
  EXPECT_NE(dense.find("3 tensors (layer 1: ffn_down_exps.weight, "), std::string::npos) << dense;
}

TEST_F(GgufExpertsTest, ATensorForEachExpertIsAnOldFile) {
  const auto old = [](GgufPlan& plan) {
    for (const int layer : {0, 1})
      for (const char* kind : {"gate", "up", "down"}) {
        const std::string stem = "blk." + std::to_string(layer) + ".ffn_" + kind;
        const test::GgufTensor stack = tensor(plan, stem + "_exps.weight");
        std::erase_if(plan.tensors, [&](const auto& t) { return t.name == stack.name; });
        for (int e = 0; e < 4; ++e)
          plan.tensor(stem + "." + std::to_string(e) + ".weight",
                      {stack.dimensions[0], stack.dimensions[1]}, 0,
                      stack.data.substr(0, stack.data.size() / 4));
      }
  };
  EXPECT_EQ(refusal(old, kMixtral),
            "tensor 'blk.0.ffn_gate.0.weight': expected the experts of a layer in one tensor, "
            "blk.0.ffn_gate_exps.weight, found a tensor for each; fetch a newer conversion of the "
            "model, or convert it again with llama.cpp");
}

TEST_F(GgufExpertsTest, AnExpertIsAPartOfItsStack) {
  GgufPlan plan = small_model(kQwen3Moe);
  std::vector<float> numbers(4 * 64 * 16);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  tensor(plan, "blk.1.ffn_down_exps.weight").data = raw(numbers);
  const auto weights = (*open(plan))->weights();
  const std::vector<int64_t> shape = {64, 16};
  for (int e = 0; e < 4; ++e) {
    const auto data = (*weights)->read(expert_name("1", e, "down"), shape, TensorDtype::kF32);
    ASSERT_TRUE(data.ok()) << data.error().message;
    EXPECT_TRUE(
        std::equal(data->view.shape.begin(), data->view.shape.end(), shape.begin(), shape.end()));
    ASSERT_EQ(data->view.bytes, 4u * 64 * 16);
    EXPECT_EQ(std::memcmp(data->view.data, numbers.data() + e * 64 * 16, data->view.bytes), 0) << e;
  }
  for (const int e : {4, 1000}) {
    const auto data = (*weights)->read(expert_name("1", e, "down"), shape, TensorDtype::kF32);
    ASSERT_FALSE(data.ok());
    EXPECT_EQ(data.error().message, path_ +
                                        ": tensor 'blk.1.ffn_down_exps.weight': expected shape [" +
                                        std::to_string(e + 1) +
                                        ", 64, 16], found [4, 64, 16]; the keys and the tensors do "
                                        "not fit together");
    (*weights)->release_pages(expert_name("1", e, "down"));
  }
  for (const char* name :
       {"model.layers.1.mlp.experts.-1.down_proj.weight",
        "model.layers.1.mlp.experts..down_proj.weight", "model.layers.1.mlp.experts.0.weight",
        "model.layers.1.mlp.experts.99999999999999999999.down_proj.weight"})
    EXPECT_FALSE((*weights)->read(name, shape, TensorDtype::kF32).ok()) << name;
}

// A backend names the types that it computes with; the others come decoded from the same call.
TEST_F(GgufExpertsTest, BlocksStayAsTheyAreOrAreDecodedByTheirType) {
  GgufPlan plan = small_model(kMixtral);
  test::GgufTensor& stack = tensor(plan, "blk.1.ffn_up_exps.weight");  // [4, 32, 64]
  stack.type = 8;
  stack.data.assign(4 * 32 * 2 * 34, '\0');
  const auto weights = (*open(plan))->weights();
  const auto read = [&](const std::vector<uint32_t>& kept) {
    return (*weights)->read("model.layers.1.block_sparse_moe.experts.1.w3.weight",
                            std::vector<int64_t>{32, 64}, TensorDtype::kBF16, kept);
  };
  EXPECT_EQ(read({2, 8})->view.dtype, TensorDtype::kBlocks);
  EXPECT_EQ(read({2, 8})->view.bytes, 32U * 2 * 34);
  EXPECT_EQ(read({2})->view.dtype, TensorDtype::kBF16);
  EXPECT_EQ(read({2})->view.bytes, 32U * 64 * 2);
}

TEST_F(GgufExpertsTest, BlocksWithoutNumbersAreOfAnExpert) {
  GgufPlan plan = small_model(kMixtral);
  test::GgufTensor& stack = tensor(plan, "blk.1.ffn_up_exps.weight");  // [4, 32, 64]
  stack.type = 8;
  stack.data.assign(4 * 32 * 2 * 34, '\0');
  stack.data[(2 * 32 + 7) * 68 + 35] = 0x7e;  // a scale of expert 2
  const auto weights = (*open(plan))->weights();
  const std::vector<int64_t> shape = {32, 64};
  const std::vector<uint32_t> kept_types[] = {{}, {8}};
  for (const std::vector<uint32_t>& kept : kept_types)
    for (int e = 0; e < 4; ++e) {
      const auto data = (*weights)->read(
          "model.layers.1.block_sparse_moe.experts." + std::to_string(e) + ".w3.weight", shape,
          TensorDtype::kBF16, kept);
      ASSERT_EQ(data.ok(), e != 2) << e;
      if (data.ok()) continue;
      EXPECT_EQ(data.error().message,
                path_ +
                    ": tensor 'blk.1.ffn_up_exps.weight': expert 2, row 7: expected numbers, "
                    "found a scale or an element that is none; fetch the file again");
    }
}

// What is written into a private mapping is gone with the page that held it.
TEST_F(GgufExpertsTest, PagesOfOtherExpertsStay) {
  const GgufPlan plan = small_model(kQwen3Moe, 256);
  const auto source = open(plan);
  ASSERT_TRUE(source.ok());
  const auto weights = (*source)->weights();
  const TensorFile& file = *(*weights)->tensor_files().at(0);
  const auto stack = file.bytes(*file.find("blk.0.ffn_up_exps.weight"));
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(stack.data());
  const uintptr_t expert_bytes = 4 * 256 * 64;
  ASSERT_EQ(stack.size(), 4 * expert_bytes);
  auto* const first_page = reinterpret_cast<void*>(begin / page * page);
  ASSERT_EQ(::mprotect(first_page, begin % page + stack.size(), PROT_READ | PROT_WRITE), 0);
  std::memset(const_cast<unsigned char*>(stack.data()), 1, stack.size());
  std::vector<unsigned char> expected(stack.size(), 1);
  for (const uintptr_t e : {1, 3, 0}) {
    (*weights)->release_pages(expert_name("0", static_cast<int>(e), "up"));
    const uintptr_t from = begin + e * expert_bytes;
    uintptr_t released = 0;
    for (uintptr_t at = (from + page - 1) / page * page; at + page <= from + expert_bytes;
         at += page) {
      std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(at - begin), page, 0);
      released += page;
    }
    EXPECT_GE(released + 2 * page, expert_bytes);
    EXPECT_TRUE(std::equal(stack.begin(), stack.end(), expected.begin())) << e;
  }
}

}  // namespace
}  // namespace dbsa::gguf
