#include "model/checkpoint/model_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "config/lfs_pointer.h"
#include "config/model_path.h"
#include "model/config/generation_config.h"
#include "tests/model/model_files.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::TemporaryFolder;
using test::write_file;

constexpr const char* kPointer =
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 16060522904\n";

class ModelFolderTest : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& bytes = "{}") {
    fs::create_directories(fs::path(folder_.file(name)).parent_path());
    write_file(folder_.file(name), bytes);
  }
  // Without the folder's name in front.
  std::string fault(const std::string& path) const {
    const Status status = check_model_folder(path);
    if (status.ok()) return "";
    EXPECT_EQ(status.error().code, ErrorCode::kEnvironment);
    const std::string& message = status.error().message;
    EXPECT_TRUE(message.starts_with(path)) << message;
    return message.substr(path.size());
  }
  std::string fault() const { return fault(folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(ModelFolderTest, AWholeFolderAndAnUnknownOneAreLeftToTheirReaders) {
  EXPECT_EQ(fault(), "") << "empty: what is missing is told by name";
  put("config.json");
  EXPECT_EQ(fault(), "");
  put("model.safetensors", "");
  put("pytorch_model.bin", "");
  put("adapter_config.json");
  EXPECT_EQ(fault(), "");
  EXPECT_EQ(check_model_folder(folder_.path() + "/").ok(), true);
}

const std::string kMerge =
    "merge it into its base model: `AutoPeftModelForCausalLM.from_pretrained(FOLDER)"
    ".merge_and_unload().save_pretrained(OUT)` of peft (AutoPeftModelForFeatureExtraction for a "
    "sentence encoder), with the tokenizer beside it, and name OUT";

TEST_F(ModelFolderTest, ALoraAdapter) {
  put("adapter_config.json", R"({"base_model_name_or_path": "org/base"})");
  put("adapter_model.safetensors", "");
  EXPECT_EQ(fault(), ": is a LoRA adapter of org/base, not a whole model; " + kMerge);
}

// transformers' from_pretrained loads it.
TEST_F(ModelFolderTest, ALoraAdapterBesideWholeWeights) {
  put("config.json");
  put("model.safetensors", "");
  put("adapter_config.json", R"({"base_model_name_or_path": "org/base"})");
  EXPECT_EQ(fault(), "") << "what merging leaves behind";
  for (const char* weights : {"adapter_model.safetensors", "adapter_model.bin"}) {
    put(weights, "");
    EXPECT_EQ(fault(),
              ": holds a LoRA adapter of org/base beside whole weights; transformers would load it "
              "and this program does not: " +
                  kMerge +
                  "; or remove adapter_config.json and adapter_model.* to use the whole weights as "
                  "they are");
    fs::remove(folder_.file(weights));
  }
  put("adapter_model.bin", "");
  fs::remove(folder_.file("adapter_config.json"));
  EXPECT_EQ(fault(), "") << "nothing loads it";
}

TEST_F(ModelFolderTest, OtherWeights) {
  put("config.json");
  put("pytorch_model-00001-of-00002.bin", "");
  put("training_args.bin", "");
  EXPECT_EQ(fault(),
            ": has weights in pytorch_model-00001-of-00002.bin and no safetensors; convert them: "
            "`AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(OUT)` of transformers, "
            "with the tokenizer beside it, and name OUT");
  fs::remove(folder_.file("pytorch_model-00001-of-00002.bin"));
  EXPECT_EQ(fault(), "") << "training arguments are no weights";
  put("model-00001-of-00002.safetensors", "");
  put("model-00002-of-00002.safetensors", "");
  EXPECT_EQ(fault(),
            ": has weights in model-00001-of-00002.safetensors, model-00002-of-00002.safetensors "
            "and no model.safetensors.index.json, which says what is in which; fetch it");
  fs::remove(folder_.file("model-00002-of-00002.safetensors"));
  EXPECT_EQ(fault(),
            ": has weights in model-00001-of-00002.safetensors; expected model.safetensors: rename "
            "the file if it holds the whole model in transformers' names");
  put("model.Q4_K_M.gguf", "GGUF");
  EXPECT_EQ(fault(), ": holds a GGUF file; name it: " + folder_.file("model.Q4_K_M.gguf"));
}

TEST_F(ModelFolderTest, AFolderAbove) {
  put("small/config.json");
  put("notes/a.txt");
  EXPECT_EQ(fault(), ": has no config.json, but a folder in it has; name " + folder_.file("small"));
  put("large/config.json");
  EXPECT_EQ(fault(), ": has no config.json, but folders in it have; name one of them: " +
                         folder_.file("large") + ", " + folder_.file("small"));
  const std::string cache = folder_.file("models--org--name");
  put("models--org--name/snapshots/0123abc/config.json");
  put("models--org--name/refs/main");
  EXPECT_EQ(fault(cache),
            ": has no config.json, but a folder in it has; name " + cache + "/snapshots/0123abc");
}

TEST_F(ModelFolderTest, Files) {
  const auto said = [&](const std::string& name, const std::string& bytes) {
    put("files/" + name, bytes);
    return fault(folder_.file("files/" + name));
  };
  const std::string archive =
      ": must be a folder or a GGUF file; it is an archive: unpack it and name the folder that "
      "holds config.json";
  EXPECT_EQ(said("m.zip", "PK\3\4 rest"), archive);
  EXPECT_EQ(said("m.tgz", "\x1F\x8B rest"), archive);
  EXPECT_EQ(said("m.tar", std::string(257, 'x') + "ustar" + std::string(100, ' ')), archive);
  EXPECT_EQ(said("m.txt", "text"), ": must be a folder or a GGUF file");
  put("files/config.json");
  EXPECT_EQ(said("model.safetensors", "x"),
            ": must be a folder or a GGUF file; name the folder that it lies in: " +
                folder_.file("files"));
  EXPECT_EQ(said("pointer", kPointer),
            ": must be a folder or a GGUF file; it is a Git LFS pointer, which stands for a file "
            "of 16060522904 "
            "bytes that was not fetched; run `git lfs pull` in its folder, or fetch the file "
            "itself");
}

TEST_F(ModelFolderTest, NamesOfTheHub) {
  const auto hint = [&](const std::string& written) {
    return absent_model_hint(written, folder_.file(written));
  };
  const std::string fetch =
      "; nothing is fetched from the Hugging Face hub: for a model of that name there run `hf "
      "download meta-llama/Llama-3.1-8B --local-dir FOLDER` and name FOLDER";
  EXPECT_EQ(hint("meta-llama/Llama-3.1-8B"), fetch);
  EXPECT_EQ(hint("https://huggingface.co/meta-llama/Llama-3.1-8B/"), fetch);
  for (const char* written :
       {"model", "./org/name", "../org/name", "a/b/c", "org/", "/org/name", "org/na me"})
    EXPECT_EQ(hint(written), "") << written;
  fs::create_directories(folder_.file("models"));
  EXPECT_EQ(hint("models/SmolLM2"), "") << "the first folder is there";
  EXPECT_EQ(
      fault(folder_.file("org/name")),
      ": no such folder or file; nothing is fetched from the Hugging Face hub: for a model of that "
      "name there run `hf download org/name --local-dir FOLDER` and name FOLDER");
}

TEST(LfsPointer, IsToldFromFiles) {
  EXPECT_EQ(lfs_pointer_fault(kPointer),
            "is a Git LFS pointer, which stands for a file of 16060522904 bytes that was not "
            "fetched; run `git lfs pull` in its folder, or fetch the file itself");
  EXPECT_EQ(lfs_pointer_fault("version 1"), "");
  EXPECT_EQ(lfs_pointer_fault(""), "");
}

class GenerationConfig : public testing::Test {
 protected:
  Status read(const std::string& text) {
    write_file(folder_.file("generation_config.json"), text);
    return read_generation_config(folder_.path(), config_);
  }
  void SetUp() override {
    config_.vocab_size = 100;
    config_.eos_token_ids = {5};
  }
  TemporaryFolder folder_;
  ModelConfig config_;
};

TEST_F(GenerationConfig, AddsEndTokens) {
  EXPECT_TRUE(read_generation_config(folder_.path(), config_).ok()) << "none is there";
  EXPECT_TRUE(read(R"({"eos_token_id": 2})").ok());
  EXPECT_EQ(config_.eos_token_ids, (std::vector<int64_t>{2, 5}));
  EXPECT_TRUE(read(R"({"eos_token_id": [9, 5, 100, -1], "bos_token_id": 7})").ok());
  EXPECT_EQ(config_.eos_token_ids, (std::vector<int64_t>{2, 5, 9})) << "no model writes 100";
  EXPECT_EQ(config_.bos_token_id, 7);
  EXPECT_TRUE(read(R"({"eos_token_id": null, "bos_token_id": 8})").ok());
  EXPECT_EQ(config_.bos_token_id, 7) << "config.json's counts";
  EXPECT_TRUE(config_.ignored_generation.empty());
}

TEST_F(GenerationConfig, ListsWhatIsNotApplied) {
  EXPECT_TRUE(read(R"({"repetition_penalty": 1.1, "num_beams": 1, "suppress_tokens": [],
                       "bad_words_ids": [[3]], "temperature": 0.6, "do_sample": true})")
                  .ok());
  EXPECT_EQ(config_.ignored_generation,
            (std::vector<std::string>{"generation_config.json: repetition_penalty = 1.1",
                                      "generation_config.json: bad_words_ids = [[3]]"}));
}

TEST_F(GenerationConfig, SaysWhatIsWrong) {
  const std::string file = folder_.file("generation_config.json");
  EXPECT_EQ(read(R"({"eos_token_id": "x"})").error().message,
            file +
                ": /eos_token_id: expected a token id or a list of them, found \"x\"; fetch the "
                "file again");
  EXPECT_EQ(read("[]").error().message,
            file + ": expected a JSON object, found []; fetch the file again");
  EXPECT_EQ(read("{").error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(read(kPointer).error().message,
            file +
                ": is a Git LFS pointer, which stands for a file of 16060522904 bytes that was "
                "not fetched; run `git lfs pull` in its folder, or fetch the file itself");
}

}  // namespace
}  // namespace dbsa
