// What people write where the folder of a model is expected, and what to write instead.
#pragma once

#include <string>

namespace dbsa {

// For a path where nothing is: "; nothing is fetched from the Hugging Face hub: ..." where what was
// written reads like a model's name or address there and its first folder does not exist; else "".
std::string absent_model_hint(const std::string& written, const std::string& path);

// For a path that leads to a file: "; it is a GGUF file, ...", by the file's first bytes; "" where
// nothing is known of it.
std::string model_file_hint(const std::string& path);

}  // namespace dbsa
