// C++17, C++20, and CUDA C++17.
#include "layout.h"

namespace {
[[maybe_unused]] const dbsa_plugin_table kTable = {};
[[maybe_unused]] const dbsa_tensor kTensor = {};
}  // namespace
