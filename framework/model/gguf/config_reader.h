// What the parts of reading a configuration share.
#pragma once

#include <string>
#include <vector>

#include "model/config/model_config.h"
#include "model/gguf/architecture.h"
#include "model/gguf/gguf_file.h"
#include "model/gguf/key_reader.h"

namespace dbsa::gguf {

struct ConfigReader {
  const GgufParts& parts;
  const Architecture& architecture;
  KeyReader& keys;                   // of the first part; its faults go to `faults`
  std::vector<std::string>& faults;  // of tensors
  ModelConfig& config;

  // "llama.block_count" for "block_count".
  std::string key(const std::string& name) const {
    return std::string(architecture.name) + "." + name;
  }
};

}  // namespace dbsa::gguf
