#include "model/gguf/tensor_type.h"

#include <algorithm>
#include <array>

namespace dbsa::gguf {
namespace {

constexpr std::array<TensorType, 12> kTypes = {{
    {0, "F32", TensorDtype::kF32, 1, 4},
    {1, "F16", TensorDtype::kF16, 1, 2},
    {30, "BF16", TensorDtype::kBF16, 1, 2},
    {2, "Q4_0", TensorDtype::kBlocks, 32, 18},
    {3, "Q4_1", TensorDtype::kBlocks, 32, 20},
    {6, "Q5_0", TensorDtype::kBlocks, 32, 22},
    {7, "Q5_1", TensorDtype::kBlocks, 32, 24},
    {8, "Q8_0", TensorDtype::kBlocks, 32, 34},
    {12, "Q4_K", TensorDtype::kBlocks, 256, 144},
    {13, "Q5_K", TensorDtype::kBlocks, 256, 176},
    {14, "Q6_K", TensorDtype::kBlocks, 256, 210},
    {39, "MXFP4", TensorDtype::kBlocks, 32, 17},
}};

struct OtherType {
  uint32_t id;
  std::string_view name;
};
constexpr std::array<OtherType, 23> kOthers = {
    {{9, "Q8_1"},      {10, "Q2_K"},    {11, "Q3_K"},  {15, "Q8_K"},     {16, "IQ2_XXS"},
     {17, "IQ2_XS"},   {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"},   {21, "IQ3_S"},
     {22, "IQ2_S"},    {23, "IQ4_XS"},  {24, "I8"},    {25, "I16"},      {26, "I32"},
     {27, "I64"},      {28, "F64"},     {29, "IQ1_M"}, {31, "Q4_0_4_4"}, {32, "Q4_0_4_8"},
     {33, "Q4_0_8_8"}, {34, "TQ1_0"},   {35, "TQ2_0"}}};

}  // namespace

std::span<const TensorType> tensor_types() { return kTypes; }

const TensorType* find_tensor_type(uint32_t id) {
  const auto* const type =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& t) { return t.id == id; });
  return type == kTypes.end() ? nullptr : type;
}

const TensorType* find_tensor_type(std::string_view name) {
  const auto* const type =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& t) { return t.name == name; });
  return type == kTypes.end() ? nullptr : type;
}

std::string tensor_type_name(uint32_t id) {
  std::string_view name;
  if (const TensorType* type = find_tensor_type(id)) name = type->name;
  for (const OtherType& other : kOthers)
    if (other.id == id) name = other.name;
  return name.empty() ? std::to_string(id) : std::string(name) + " (" + std::to_string(id) + ")";
}

std::string known_tensor_types() {
  std::string text;
  for (const TensorType& type : kTypes) text += (text.empty() ? "" : ", ") + std::string(type.name);
  return text;
}

}  // namespace dbsa::gguf
