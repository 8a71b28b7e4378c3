// The tokenizer of a GGUF file.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <span>
#include <string>

#include "model/gguf/gguf_value.h"
#include "model/tokenizer/tokenizer.h"

namespace dbsa::gguf {

// From the file's tokenizer.json where it holds one, else from its vocabulary (ggml_vocabulary.h).
// path: for messages; keys: ascending by name. Fails with kConfig for a kind that is not known,
// kEnvironment for damaged keys.
Result<std::unique_ptr<Tokenizer>> read_gguf_tokenizer(const std::string& path,
                                                       std::span<const Key> keys);

}  // namespace dbsa::gguf
