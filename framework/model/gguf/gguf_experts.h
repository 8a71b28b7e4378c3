// Experts of a model in a GGUF file: keys.
#pragma once

#include "model/gguf/config_reader.h"

namespace dbsa::gguf {

// After the shape. `llama` with experts is Mixtral; other architectures than that and `qwen3moe`
// have none. The shares of a token's experts are always divided by their sum, as in llama.cpp: for
// these two architectures no key says whether the model does it.
void read_gguf_experts(ConfigReader& reader);

}  // namespace dbsa::gguf
