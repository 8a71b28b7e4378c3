// What the engine computes of the architectures that GGUF files name, and how their tensors are
// called and laid out there.
#pragma once

#include <string>
#include <string_view>

#include "model/model_config.h"

namespace dbsa::gguf {

struct Architecture {
  std::string_view name;  // general.architecture, and the prefix of its keys
  ModelFamily family = ModelFamily::kLlama;
  std::string_view model_type;     // Hugging Face's
  bool pairs_interleaved = false;  // rows of q and k: see GgufWeights
  bool qkv_bias = false;           // always; else where the file has it
  bool output_norms = false;       // on what attention and the MLP give, before the sum
};

const Architecture* find_architecture(std::string_view name);  // nullptr: not computed
// "llama, qwen2, ...".
std::string known_architectures();

// The name in GGUF files of a tensor that Hugging Face calls `name`; "" for one that is none of a
// decoder.
std::string gguf_tensor_name(const Architecture& architecture, std::string_view name);

}  // namespace dbsa::gguf
