// A model as model.path names it. No other code asks of what kind the files are.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <string>

#include "model/checkpoint/model_source.h"

namespace dbsa {

// Finds out what the path leads to: a Hugging Face model folder or a GGUF file. Fails with
// kEnvironment where it is something else, and says what (model_folder.h).
Result<std::unique_ptr<ModelSource>> open_model(const std::string& path);

}  // namespace dbsa
