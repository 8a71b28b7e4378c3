// Writes a Hugging Face model folder with random weights, tensor by tensor.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace dbsa::tools {

struct CheckpointPlan {
  nlohmann::json config;  // config.json
  bool bf16 = true;       // else float32
  uint64_t seed = 0;
  bool overwrite = false;
};

struct CheckpointSize {
  int64_t parameters = 0;
  uint64_t bytes = 0;  // of model.safetensors
};

// config.json's content for "tiny", "110m", "1b" or "8b". Fails with kConfig for another name.
Result<nlohmann::json> preset_config(const std::string& name);

// Makes `folder` with config.json, model.safetensors and tokenizer.json, under a temporary name
// that is renamed when all is on disk. Fails with kEnvironment if the folder exists (unless
// overwrite) or cannot be written, with kConfig for a configuration the engine would refuse.
// Memory: a few MiB at any size.
Result<CheckpointSize> write_checkpoint(const std::string& folder, const CheckpointPlan& plan);

}  // namespace dbsa::tools
