// Quantised blocks decoded to the bits that gguf-py decodes them to
// (tools/reference/make_gguf_reference.py), and refused where their numbers are none.
#include "model/gguf/block_decoder.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "model/checkpoint/safetensors.h"

namespace dbsa::gguf {
namespace {

class BlockDecoder : public testing::TestWithParam<std::string> {
 protected:
  const TensorType& type() const { return *find_tensor_type(GetParam()); }
};

TEST_P(BlockDecoder, BitsOfTheReference) {
  const auto file = SafetensorsFile::open(std::string(DBSA_SOURCE_DIR) +
                                          "/tests/gguf/blocks_reference.safetensors");
  ASSERT_TRUE(file.ok()) << file.error().message;
  const TensorEntry* entry = file->find(GetParam() + ".blocks");
  ASSERT_NE(entry, nullptr);
  const auto blocks = file->bytes(*entry);
  const auto expected = file->bytes(*file->find(GetParam() + ".elements"));
  const size_t count = blocks.size() / type().bytes * type().elements;
  ASSERT_GT(count, 0u);
  ASSERT_EQ(expected.size(), count * sizeof(float));
  std::vector<float> decoded(count);
  ASSERT_TRUE(decode_blocks(type(), blocks, decoded.data()));
  EXPECT_TRUE(are_numbers(type(), blocks));
  for (size_t i = 0; i < count; ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, expected.data() + 4 * i, 4);
    ASSERT_EQ(std::bit_cast<uint32_t>(decoded[i]), bits)
        << "element " << i << ": " << decoded[i] << ", expected " << std::bit_cast<float>(bits);
  }
}

// A scale that is no number in the last of three blocks.
TEST_P(BlockDecoder, ScalesThatAreNoNumbers) {
  const bool k = GetParam().ends_with("_K");
  std::vector<size_t> scales = {GetParam() == "Q6_K" ? size_t{208} : size_t{0}};
  if (GetParam().ends_with("_1") || (k && GetParam() != "Q6_K")) scales.push_back(2);
  std::vector<float> decoded(3 * type().elements);
  const std::vector<unsigned char> sound(3 * type().bytes, 0x11);
  EXPECT_TRUE(decode_blocks(type(), sound, decoded.data()));
  EXPECT_TRUE(are_numbers(type(), sound));
  for (const size_t scale : scales) {
    for (const uint16_t bits : {0x7c00, 0xfc00, 0x7e00, 0xffff}) {
      std::vector<unsigned char> blocks = sound;
      unsigned char* at = blocks.data() + 2 * type().bytes + scale;
      if (GetParam() == "MXFP4")
        *at = 255;
      else
        std::memcpy(at, &bits, sizeof bits);
      EXPECT_FALSE(decode_blocks(type(), blocks, decoded.data())) << scale << " " << bits;
      EXPECT_FALSE(are_numbers(type(), blocks)) << scale << " " << bits;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, BlockDecoder,
                         testing::Values("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K",
                                         "Q6_K", "MXFP4"),
                         [](const auto& tested) { return tested.param; });

// Every float16 there is, as the scale of a Q8_0 block whose first element is 1.
TEST(BlockDecoderHalf, EveryFloat16) {
  const TensorType& type = *find_tensor_type("Q8_0");
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    std::vector<unsigned char> block(type.bytes, 1);
    const auto half = static_cast<uint16_t>(bits);
    std::memcpy(block.data(), &half, sizeof half);
    std::vector<float> decoded(32);
    const bool sound = decode_blocks(type, block, decoded.data());
    const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
    ASSERT_EQ(sound, exponent != 31) << bits;
    ASSERT_EQ(are_numbers(type, block), sound) << bits;
    if (!sound) continue;
    const double magnitude = exponent == 0
                                 ? std::ldexp(fraction, -24)
                                 : std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25);
    const auto expected = static_cast<float>((bits & 0x8000) != 0 ? -magnitude : magnitude);
    ASSERT_EQ(std::bit_cast<uint32_t>(decoded[0]), std::bit_cast<uint32_t>(expected)) << bits;
  }
}

// Every exponent with every magnitude: some products are beyond float32.
TEST(BlockDecoderExponent, EveryExponent) {
  const TensorType& type = *find_tensor_type("MXFP4");
  for (int exponent = 0; exponent < 256; ++exponent)
    for (int nibble = 0; nibble < 16; ++nibble) {
      std::vector<unsigned char> block(type.bytes, static_cast<unsigned char>(17 * nibble));
      block[0] = static_cast<unsigned char>(exponent);
      std::vector<float> decoded(32);
      ASSERT_EQ(are_numbers(type, block), decode_blocks(type, block, decoded.data()))
          << exponent << " " << nibble;
    }
}

// The nearest of the two bfloat16 numbers around each float32, the even one where both are as near.
TEST(BlockDecoderHalf, RoundsToBfloat16) {
  const uint32_t seed = 20261129;
  std::cout << "seed " << seed << "\n";
  std::mt19937 draw(seed);
  std::vector<float> numbers = {0.0f, -0.0f, 1.0f, 1.00390625f, 1.01171875f, -1.00390625f};
  while (numbers.size() < 20000) {
    const auto number = std::bit_cast<float>(static_cast<uint32_t>(draw()));
    if (std::abs(number) < 1e38f) numbers.push_back(number);
  }
  std::vector<uint16_t> rounded(numbers.size());
  round_to_bf16(numbers, rounded.data());
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto value = [](uint32_t high) { return double{std::bit_cast<float>(high << 16)}; };
    const uint32_t below = std::bit_cast<uint32_t>(numbers[i]) >> 16;
    const double down = std::abs(double{numbers[i]} - value(below)),
                 up = std::abs(value(below + 1) - double{numbers[i]});
    const uint32_t expected = down < up || (down == up && below % 2 == 0) ? below : below + 1;
    ASSERT_EQ(rounded[i], expected) << numbers[i];
  }
}

}  // namespace
}  // namespace dbsa::gguf
