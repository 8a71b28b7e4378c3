// What a path is that is no Hugging Face model folder, and what makes one of it.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>

namespace dbsa {

// An error (kEnvironment) where the path is something else that people have: the name of a model on
// the Hugging Face hub, a folder above the model's, a hub cache, a LoRA adapter, PyTorch
// files, an archive, a file. It says what the path is and what to do. Nothing where config.json and
// safetensors weights are there, or nothing is known about the path: reading it tells more.
Status check_model_folder(const std::string& path);

}  // namespace dbsa
