// What families of decoders differ by in the keys of GGUF files: windows, scales, caps and layers
// without RoPE. Defaults of absent keys are llama.cpp's, which converters leave out.
#pragma once

#include "model/gguf/config_reader.h"

namespace dbsa::gguf {

// After the shape and RoPE.
void read_gguf_family(ConfigReader& reader);

}  // namespace dbsa::gguf
