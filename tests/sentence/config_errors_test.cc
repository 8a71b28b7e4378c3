// Everything about a sentence encoder's folder that a user can get wrong, with the exact message.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/model/model_files.h"
#include "tests/sentence/sentence_harness.h"

namespace dbsa::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class BadSentenceModel : public ::testing::Test {
 protected:
  void SetUp() override { fs::copy(small_model(), folder_.path(), fs::copy_options::recursive); }

  // Sets one value of a file.
  void set(const std::string& name, const std::string& pointer, const json& value) {
    json file = json::parse(read_file(folder_.file(name)));
    file[json::json_pointer(pointer)] = value;
    write_file(folder_.file(name), file.dump());
  }
  void remove(const std::string& name) { fs::remove(folder_.file(name)); }

  Result<std::unique_ptr<SentenceEncoder>> open() {
    auto backend = open_backend(*services_, "auto");
    EXPECT_TRUE(backend.ok());
    return SentenceEncoder::open(folder_.path(), std::move(*backend));
  }
  // The message, the folder in it as "$M".
  std::string message(ErrorCode code = ErrorCode::kConfig) {
    const auto made = open();
    EXPECT_FALSE(made.ok());
    if (made.ok()) return "";
    EXPECT_EQ(made.error().code, code);
    std::string text = made.error().message;
    for (size_t at; (at = text.find(folder_.path())) != std::string::npos;)
      text.replace(at, folder_.path().size(), "$M");
    return text;
  }

  TemporaryFolder folder_;
  std::unique_ptr<host::HostServices> services_ = make_services(1);
};

TEST_F(BadSentenceModel, AnAdapterBesideTheWeightsIsRefused) {
  // Beside the weights, or at the top of a folder whose weights lie below.
  write_file(folder_.file("adapter_config.json"), R"({"base_model_name_or_path": "org/base"})");
  write_file(folder_.file("adapter_model.safetensors"), "");
  const std::string refused = "$M: holds a LoRA adapter of org/base beside whole weights; ";
  EXPECT_EQ(message(ErrorCode::kEnvironment).substr(0, refused.size()), refused);
  fs::copy(small_model(), folder_.file("0_Transformer"));
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
    fs::rename(folder_.file(name), folder_.file(std::string("0_Transformer/") + name));
  EXPECT_TRUE(open().ok()) << "another folder's";
  set("modules.json", "/0/path", "0_Transformer");
  const std::string below = "$M/0_Transformer: holds a LoRA adapter of org/base beside whole ";
  EXPECT_EQ(message(ErrorCode::kEnvironment).substr(0, below.size()), below);
}

TEST_F(BadSentenceModel, ConfigIsRefusedByKey) {
  const std::string variant = "; this variant of the model is not supported";
  const struct {
    const char* key;
    json value;
    std::string message;
  } cases[] = {
      {"model_type", "mpnet",
       "expected bert, found \"mpnet\"; use a sentence encoder of the BERT family"},
      {"architectures",
       {"BertForSequenceClassification"},
       "expected [\"BertModel\"], found [\"BertForSequenceClassification\"]; use a sentence "
       "encoder of the BERT family"},
      {"hidden_act", "gelu_new",
       "expected \"gelu\", found \"gelu_new\"; only the exact GELU is supported"},
      {"position_embedding_type", "relative_key",
       "expected \"absolute\", found \"relative_key\"" + variant},
      {"is_decoder", true, "expected false, found true" + variant},
      {"hidden_size", nullptr, "is missing, expected an integer from 1 to 2147483648"},
      {"num_attention_heads", 3, ""},
      {"layer_norm_eps", 0, "expected a number greater than 0, found 0"},
      {"quantization_config",
       {{"bits", 4}},
       "expected null, found {\"bits\":4}; quantised checkpoints are not supported: use the F32, "
       "F16 or BF16 one"},
      {"new_key", 1,
       "unsupported key with value 1; the engine does not know whether it changes the result: "
       "remove it if it does not, or use a supported model"},
  };
  const std::string good = read_file(folder_.file("config.json"));
  for (const auto& c : cases) {
    write_file(folder_.file("config.json"), good);
    set("config.json", std::string("/") + c.key, c.value);
    EXPECT_EQ(message(), c.message.empty()
                             ? "$M/config.json: /hidden_size: expected an even multiple of "
                               "num_attention_heads 3, found 40"
                             : std::string("$M/config.json: /") + c.key + ": " + c.message);
  }
  write_file(folder_.file("config.json"), "[]");
  EXPECT_EQ(message(), "$M/config.json: expected a JSON object, found []");
}

TEST_F(BadSentenceModel, OtherModulesAreRefused) {
  set("modules.json", "/2/type", "sentence_transformers.models.Dense");
  EXPECT_EQ(message(),
            "$M/modules.json: expected the modules Transformer, Pooling and, if any more, "
            "Normalize, found Transformer, Pooling, Dense; other modules are not supported");
  write_file(folder_.file("modules.json"), "{}");
  EXPECT_EQ(message(),
            "$M/modules.json: expected the modules Transformer, Pooling and, if any more, "
            "Normalize, found {}; other modules are not supported");
}

TEST_F(BadSentenceModel, OtherPoolingIsRefused) {
  set("1_Pooling/config.json", "/pooling_mode_cls_token", true);
  set("1_Pooling/config.json", "/pooling_mode_mean_tokens", false);
  EXPECT_EQ(message(),
            "$M/1_Pooling/config.json: /pooling_mode_mean_tokens: expected true, found false; only "
            "mean pooling is supported\n"
            "$M/1_Pooling/config.json: /pooling_mode_cls_token: expected false, found true; only "
            "mean pooling is supported");
  remove("1_Pooling/config.json");
  EXPECT_EQ(message(ErrorCode::kEnvironment),
            "$M/1_Pooling/config.json: cannot be opened: No such file or directory; expected a "
            "whole Hugging Face model folder");
}

TEST_F(BadSentenceModel, WrongLengthOrPrompt) {
  set("sentence_bert_config.json", "/max_seq_length", 41);
  EXPECT_EQ(message(),
            "$M/sentence_bert_config.json: /max_seq_length: expected an integer from 2 to 40, "
            "found 41");
  set("sentence_bert_config.json", "/max_seq_length", 2);
  write_file(folder_.file("config_sentence_transformers.json"),
             R"({"prompts": {"query": "q: "}, "default_prompt_name": "query"})");
  EXPECT_EQ(message(),
            "$M/config_sentence_transformers.json: /default_prompt_name: expected null, found "
            "\"query\"; prompts are not supported");
}

TEST_F(BadSentenceModel, TokenizerThatDoesNotFit) {
  set("config.json", "/vocab_size", 100);
  EXPECT_EQ(message(),
            "$M/model.safetensors: tensor 'embeddings.word_embeddings.weight': expected shape "
            "[100, 40], found [145, 40]; config.json and the weights do not fit together")
      << "ids beyond the model are refused where a text holds them";
  remove("tokenizer.json");
  remove("tokenizer_config.json");
  write_file(folder_.file("vocab.txt"), "[UNK]\n[CLS]\na\n");
  EXPECT_EQ(message(),
            "$M/vocab.txt: the vocabulary has no token [SEP]; expected the tokenizer of "
            "a BERT model");
}

TEST_F(BadSentenceModel, WeightsThatDoNotFit) {
  set("config.json", "/num_hidden_layers", 1);
  EXPECT_EQ(message(),
            "$M/model.safetensors: tensor 'encoder.layer.1.attention.output.LayerNorm.bias' does "
            "not belong to a BERT encoder of this config.json; the model is of a kind that is not "
            "supported or the two do not fit together");
  set("config.json", "/num_hidden_layers", 3);
  EXPECT_EQ(message(),
            "$M: tensor 'encoder.layer.2.attention.self.query.weight' is missing; the checkpoint "
            "is incomplete or does not fit config.json");
}

TEST_F(BadSentenceModel, TextThatIsNotUtf8) {
  for (const bool lowercase : {false, true}) {
    set("sentence_bert_config.json", "/do_lower_case", lowercase);
    const auto made = open();
    ASSERT_TRUE(made.ok()) << made.error().message;
    const auto vectors = (*made)->embed(std::vector<std::string_view>{"a", "b\xff"});
    ASSERT_FALSE(vectors.ok());
    EXPECT_EQ(vectors.error().code, ErrorCode::kConfig);
    EXPECT_EQ(vectors.error().message,
              "text 1 to embed: the text is not valid UTF-8 at byte 1; convert the data to UTF-8");
  }
}

TEST_F(BadSentenceModel, WhatMayBeAbsentOrChangesTheIdentity) {
  const auto whole = open();
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  remove("modules.json");
  remove("sentence_bert_config.json");
  const auto bare = open();
  ASSERT_TRUE(bare.ok()) << bare.error().message;
  EXPECT_EQ((*bare)->max_seq_length(), 24);  // model_max_length of tokenizer_config.json
  EXPECT_EQ((*bare)->identity(), (*whole)->identity());
  const std::vector<std::string_view> text = {"lost card"};
  EXPECT_EQ(*(*bare)->embed(text), *(*whole)->embed(text));
  remove("tokenizer_config.json");
  const auto longer = open();
  ASSERT_TRUE(longer.ok()) << longer.error().message;
  EXPECT_EQ((*longer)->max_seq_length(), 40);
  EXPECT_NE((*longer)->identity(), (*whole)->identity());
}

}  // namespace
}  // namespace dbsa::test
