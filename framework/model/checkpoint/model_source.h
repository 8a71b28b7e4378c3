// Where a model's configuration, its weights and its tokenizer come from; opened by open_model.h.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>

#include "model/chat/chat_template.h"
#include "model/checkpoint/weights.h"
#include "model/config/model_config.h"
#include "model/tokenizer/tokenizer.h"

namespace dbsa {

class ModelSource {
 public:
  virtual ~ModelSource() = default;
  ModelSource(const ModelSource&) = delete;
  ModelSource& operator=(const ModelSource&) = delete;

  // Each reads its files, so that the faults of all of them can be told at once. Errors: those of
  // load_model_config, Checkpoint::open and Tokenizer::load, and of what gguf/ has instead. The
  // weights may outlive this.
  virtual Result<ModelConfig> config() const = 0;  // with its end tokens
  virtual Result<std::unique_ptr<Weights>> weights() const = 0;
  virtual Result<std::unique_ptr<Tokenizer>> tokenizer() const = 0;
  // kConfig at /prompt/chat where there is none.
  virtual Result<ChatTemplate> chat_template() const = 0;

 protected:
  ModelSource() = default;
};

}  // namespace dbsa
