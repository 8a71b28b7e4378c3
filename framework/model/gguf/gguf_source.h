// A GGUF file as a model: see ModelSource.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <string>

#include "model/checkpoint/model_source.h"

namespace dbsa::gguf {

// Maps the file, or the parts of a split model. Fails with kEnvironment or kConfig.
Result<std::unique_ptr<ModelSource>> open_gguf_source(const std::string& path);

}  // namespace dbsa::gguf
