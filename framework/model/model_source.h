// A model as model.path names it: where its configuration, its weights and its tokenizer come from.
// No other code asks of what kind the files are.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <string>

#include "model/model_config.h"
#include "model/tokenizer/tokenizer.h"
#include "model/weights.h"

namespace dbsa {

class ModelSource {
 public:
  // Finds out what the path leads to: a Hugging Face model folder or a GGUF file. Fails with
  // kEnvironment where it is something else, and says what (model_folder.h).
  static Result<std::unique_ptr<ModelSource>> open(const std::string& path);

  virtual ~ModelSource() = default;
  ModelSource(const ModelSource&) = delete;
  ModelSource& operator=(const ModelSource&) = delete;

  // Each reads its files, so that the faults of all of them can be told at once. Errors: those of
  // load_model_config, Checkpoint::open and Tokenizer::load, and of what gguf/ has instead. The
  // weights may outlive this.
  virtual Result<ModelConfig> config() const = 0;  // with its end tokens
  virtual Result<std::unique_ptr<Weights>> weights() const = 0;
  virtual Result<std::unique_ptr<Tokenizer>> tokenizer() const = 0;

 protected:
  ModelSource() = default;
};

}  // namespace dbsa
