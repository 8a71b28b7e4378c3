// Random weights, the same on every machine: a number depends only on the seed, the tensor's name
// and the element's index.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dbsa::tools {

// Close to normal (the sum of four uniform numbers), mean 0, standard deviation 1.
class RandomStream {
 public:
  RandomStream(uint64_t seed, const std::string& name);
  float next();

 private:
  uint64_t state_;
};

// The next values of a tensor of a Llama-family model: matrices with standard deviation
// 1/sqrt(columns), biases 0.25, norm weights 1 +- 0.25.
void draw_weights(const std::string& name, std::span<const int64_t> shape, RandomStream& stream,
                  std::span<float> out);

// Nearest, ties to even.
uint16_t to_bf16(float value);

}  // namespace dbsa::tools
