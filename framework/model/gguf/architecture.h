// What the engine computes of the architectures that GGUF files name, and how their tensors are
// called and laid out there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/config/model_config.h"

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

// Where files have a tensor of a model: all of one, or one part of a stack [experts, ...].
struct StoredTensor {
  std::string name;     // "": nowhere
  int64_t expert = -1;  // which part of the stack; -1: all of the tensor
};

// What says how tensors are laid out.
struct TensorLayout {
  int64_t head_dim = 0;  // of rows of q and k, see GgufWeights
  int64_t experts = 0;   // of a stack
};

// Of a tensor that Hugging Face calls `name`.
StoredTensor stored_tensor(const Architecture& architecture, std::string_view name);

}  // namespace dbsa::gguf
