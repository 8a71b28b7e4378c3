// What people write where a model is expected, and what to write instead.
#pragma once

#include <string>

namespace dbsa {

// For a path where nothing is: "; nothing is fetched from the Hugging Face hub: ..." where what was
// written reads like a model's name or address there and its first folder does not exist; else "".
std::string absent_model_hint(const std::string& written, const std::string& path);

// Whether a file begins as a GGUF file does.
bool is_gguf_file(const std::string& path);

// For a path that leads to a file that is no model: "; it is an archive: ...", by the file's first
// bytes; "" where nothing is known of it.
std::string model_file_hint(const std::string& path);

}  // namespace dbsa
