// The tokenizer of a GGUF file.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>

#include "model/gguf/gguf_file.h"
#include "model/tokenizer/tokenizer.h"

namespace dbsa::gguf {

// From the file's tokenizer.json where it holds one, else from its vocabulary (ggml_vocabulary.h).
// Fails with kConfig for a kind that is not known, kEnvironment for damaged keys.
Result<std::unique_ptr<Tokenizer>> read_gguf_tokenizer(const GgufFile& file);

}  // namespace dbsa::gguf
