// Weights that stay in blocks: against double precision on the decoded numbers, and bit-identical
// rows. Blocks are decoded by the framework's decoder, which is held to the format's reference.
#include <dbsa/quantised_weights.h>

#include <iostream>

#include "model/gguf/block_decoder.h"
#include "model/gguf/tensor_type.h"
#include "tests/backend/plan_case.h"
#include "tests/backend/token_scores.h"
#include "tests/support/sanitized.h"

namespace dbsa::test {
namespace {

using gguf::TensorType;

const dbsa_quantised_weights& extension() {
  return *static_cast<const dbsa_quantised_weights*>(
      backend_table()->extension(DBSA_EXTENSION_QUANTISED_WEIGHTS));
}

// A float16 of a scale as files have them, subnormal ones included: 2^-24 to 2^-5.
uint16_t random_half(std::mt19937_64& random) {
  return static_cast<uint16_t>((random() & 0x8000) | random() % (10 << 10));
}

// Where the float16 numbers of a block are.
std::vector<size_t> halves_of(const TensorType& type) {
  if (type.name == "MXFP4") return {};
  if (type.name == "Q6_K") return {208};
  if (type.name == "Q4_1" || type.name == "Q5_1" || type.name == "Q4_K" || type.name == "Q5_K")
    return {0, 2};
  return {0};
}

struct Blocks {
  const TensorType* type;
  int64_t rows, width;
  std::vector<unsigned char> bytes;
  Rows numbers;  // float32, not rounded

  Blocks(std::mt19937_64& random, uint32_t id, int64_t rows_of, int64_t width_of)
      : type(gguf::find_tensor_type(id)), rows(rows_of), width(width_of) {
    const auto count = static_cast<size_t>(rows * width) / type->elements;
    for (size_t b = 0; b < count; ++b) {
      std::vector<unsigned char> block(type->bytes);
      for (unsigned char& byte : block) byte = static_cast<unsigned char>(random());
      for (const size_t at : halves_of(*type)) {
        const uint16_t half = random_half(random);
        std::memcpy(block.data() + at, &half, 2);
      }
      if (type->name == "MXFP4") block[0] = static_cast<unsigned char>(110 + random() % 20);
      bytes.insert(bytes.end(), block.begin(), block.end());
    }
    numbers.resize(static_cast<size_t>(rows * width));
    EXPECT_TRUE(gguf::decode_blocks(*type, bytes, numbers.data()));
  }

  Backend::Handle<dbsa_weight> weight(Backend& backend, int32_t use) const {
    dbsa_weight* made = nullptr;
    backend.check(extension().weight_create(backend.instance(), use, type->id, rows, width,
                                            bytes.data(), bytes.size(), &made, backend.error()));
    return {made, [&](dbsa_weight* w) { backend.table().weight_destroy(backend.instance(), w); }};
  }
  Backend::Handle<dbsa_weight> decoded(Backend& backend) const {
    return backend.weight(DBSA_WEIGHT_LINEAR, numbers, {rows, width});
  }
};

std::vector<uint32_t> types() {
  if (backend_table()->extension == nullptr ||
      backend_table()->extension(DBSA_EXTENSION_QUANTISED_WEIGHTS) == nullptr)
    return {};
  return {extension().types, extension().types + extension().type_count};
}

Shape bf16() {
  Shape shape;
  shape.compute = DBSA_COMPUTE_BF16;
  shape.kv_dtype = DBSA_KV_DTYPE_BF16;
  return shape;
}

Rows multiply(Backend& backend, const Rows& x, const dbsa_weight* weight, int64_t in, int64_t out,
              const dbsa_weight* bias = nullptr, const Rows* residual = nullptr) {
  const int64_t rows = static_cast<int64_t>(x.size()) / in;
  auto from = backend.buffer(x, in);
  auto to = residual == nullptr ? backend.buffer(rows, out) : backend.buffer(*residual, out);
  backend.check(backend.linear(from.get(), rows, weight, bias,
                               residual == nullptr ? nullptr : to.get(), to.get()));
  return backend.read(to, rows, out);
}

struct WeightSize {
  int64_t in, out;
};
const WeightSize kWeightSizes[] = {{256, 1}, {256, 40}, {512, 100}, {2304, 65}};

class Quantised : public testing::Test {
 protected:
  void SetUp() override {
    if (types().empty()) GTEST_SKIP() << "this backend computes with no blocks";
  }
};

TEST_F(Quantised, TakesEveryTypeOfBlocksThatIsRead) {
  std::vector<uint32_t> expected, got = types();
  for (const TensorType& type : gguf::tensor_types())
    if (type.dtype == TensorDtype::kBlocks) expected.push_back(type.id);
  std::sort(expected.begin(), expected.end());
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, expected);
}

TEST_F(Quantised, EqualsTheOracle) {
  const uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(seed);
    Backend backend(path, 2, bf16());
    double worst = 0;
    for (const uint32_t type : types()) {
      for (const WeightSize size : kWeightSizes) {
        const int64_t rows = 9;
        const Blocks blocks(random, type, size.out, size.in);
        const Rows x = random_rows(random, rows * size.in);
        const Rows bias = random_rows(random, size.out),
                   residual = random_rows(random, rows * size.out);
        const auto weight = blocks.weight(backend, DBSA_WEIGHT_LINEAR);
        const auto vector = backend.weight(DBSA_WEIGHT_VECTOR, bias, {size.out});
        const Rows got =
            multiply(backend, x, weight.get(), size.in, size.out, vector.get(), &residual);
        // As for other linear layers: float32 sums of `in` products, each step off by 2^-24 of a
        // partial sum, which is at most the sum of magnitudes.
        const double bound = 4e-7 + 6e-8 * std::sqrt(static_cast<double>(size.in));
        double error = 0;
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t n = 0; n < size.out; ++n) {
            const auto at = static_cast<size_t>(r * size.out + n);
            double sum = double{bias[static_cast<size_t>(n)]} + double{residual[at]};
            double magnitude = std::abs(sum);
            for (int64_t i = 0; i < size.in; ++i) {
              const double product =
                  double{round_bf16(x[static_cast<size_t>(r * size.in + i)])} *
                  double{round_bf16(blocks.numbers[static_cast<size_t>(n * size.in + i)])};
              sum += product;
              magnitude += std::abs(product);
            }
            error = std::max(error, std::abs(got[at] - sum) / magnitude);
          }
        EXPECT_LE(error, bound) << path << ", " << blocks.type->name << ", " << size.in << " to "
                                << size.out;
        worst = std::max(worst, error);
      }
    }
    std::printf("%s: worst error %.2e of the sum of magnitudes\n", path.c_str(), worst);
  }
}

// Where the code path multiplies bfloat16 with its own kernels; oneDNN cuts long sums elsewhere.
TEST_F(Quantised, EqualsTheBfloat16LayerOfTheDecodedNumbers) {
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(41);
    Backend backend(path, 2, bf16());
    const bool other_order =
        std::string(backend.table().code_path(backend.instance())).find("oneDNN") !=
        std::string::npos;
    for (const uint32_t type : types()) {
      const Blocks blocks(random, type, 70, 768);
      const Rows x = random_rows(random, 11 * 768);
      const auto quantised = blocks.weight(backend, DBSA_WEIGHT_LINEAR);
      const auto decoded = blocks.decoded(backend);
      const Rows got = multiply(backend, x, quantised.get(), 768, 70);
      const Rows expected = multiply(backend, x, decoded.get(), 768, 70);
      if (!other_order) {
        EXPECT_EQ(got, expected) << path << ", " << blocks.type->name;
        continue;
      }
      const std::vector<double> wide(expected.begin(), expected.end());
      EXPECT_LE(worst_row_error(got, wide, 70), 2e-6) << path << ", " << blocks.type->name;
    }
  }
}

TEST_F(Quantised, RowsDoNotDependOnThreadsOrOtherRows) {
  const WeightSize size = {768, 330};
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(43);
    Backend one(path, 1, bf16()), three(path, 3, bf16());
    for (const uint32_t type : types()) {
      const Blocks blocks(random, type, size.out, size.in);
      const int64_t all = 600;
      const Rows x = random_rows(random, all * size.in);
      const auto in_one = blocks.weight(one, DBSA_WEIGHT_LINEAR),
                 in_three = blocks.weight(three, DBSA_WEIGHT_LINEAR);
      const Rows whole = multiply(one, x, in_one.get(), size.in, size.out);
      EXPECT_TRUE(same_bits(whole, multiply(three, x, in_three.get(), size.in, size.out)))
          << path << ", " << blocks.type->name;
      for (int64_t rows = 1; rows <= 70; rows += kSanitized ? 23 : 1) {
        const int64_t first = rows * 7;
        const Rows part(x.begin() + first * size.in, x.begin() + (first + rows) * size.in);
        const Rows expected(whole.begin() + first * size.out,
                            whole.begin() + (first + rows) * size.out);
        Backend& backend = rows % 2 == 0 ? one : three;
        const auto& weight = rows % 2 == 0 ? in_one : in_three;
        ASSERT_TRUE(same_bits(multiply(backend, part, weight.get(), size.in, size.out), expected))
            << path << ", " << blocks.type->name << ", " << rows << " rows";
      }
    }
  }
}

TEST_F(Quantised, ScoresOfTokens) {
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(53);
    Backend one(path, 1, bf16()), three(path, 3, bf16());
    for (const uint32_t type : types()) {
      for (const int64_t vocabulary : {40, 1300}) {
        const int64_t rows = 140, width = 256;
        const Blocks blocks(random, type, vocabulary, width);
        float largest = 0;
        for (const float number : blocks.numbers) largest = std::max(largest, std::abs(number));
        const LogitScale scale = {1.0f / (16 * largest), 0};  // of logits of a model
        const Rows x = random_rows(random, rows * width);
        const Asked tokens = draw_tokens(random, rows, vocabulary);
        const auto in_one = blocks.weight(one, DBSA_WEIGHT_LINEAR),
                   in_three = blocks.weight(three, DBSA_WEIGHT_LINEAR);
        const Scores got = score_tokens(one, x, width, in_one.get(), scale, tokens);
        const Rows logits = logits_of(one, x, width, in_one.get(), vocabulary, scale);
        EXPECT_LE(worst_error(got, logits, vocabulary, tokens), kScoreTolerance)
            << path << ", " << blocks.type->name;
        EXPECT_EQ(got, score_tokens(three, x, width, in_three.get(), scale, tokens))
            << path << ", " << blocks.type->name;
        const Rows last(x.end() - 3 * width, x.end());
        const Scores alone = score_tokens(three, last, width, in_three.get(), scale,
                                          {tokens.end() - 3, tokens.end()});
        EXPECT_EQ(alone.best_values,
                  std::vector<double>(got.best_values.end() - 3, got.best_values.end()))
            << path << ", " << blocks.type->name;
      }
    }
  }
}

TEST_F(Quantised, EmbeddingsAreTheDecodedRows) {
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(47);
    Backend backend(path, 1, bf16());
    for (const uint32_t type : types()) {
      const Blocks blocks(random, type, 20, 512);
      // At an odd address, as in a file.
      std::vector<unsigned char> moved(1, 0);
      moved.insert(moved.end(), blocks.bytes.begin(), blocks.bytes.end());
      dbsa_weight* made = nullptr;
      backend.check(extension().weight_create(backend.instance(), DBSA_WEIGHT_EMBEDDING, type, 20,
                                              512, moved.data() + 1, blocks.bytes.size(), &made,
                                              backend.error()));
      const Backend::Handle<dbsa_weight> table(
          made, [&](dbsa_weight* w) { backend.table().weight_destroy(backend.instance(), w); });
      const int32_t ids[] = {19, 0, 7};
      auto out = backend.buffer(3, 512);
      backend.check(backend.table().embedding(backend.instance(), ids, 3, table.get(), out.get(),
                                              backend.error()));
      Rows expected;
      for (const int32_t id : ids)
        for (int64_t i = 0; i < 512; ++i)
          expected.push_back(round_bf16(blocks.numbers[static_cast<size_t>(id * 512 + i)]));
      EXPECT_EQ(backend.read(out, 3, 512), expected) << path << ", " << blocks.type->name;
    }
  }
}

// Any of the three weights may be of blocks.
TEST_F(Quantised, GatedMlpIsThreeLinearLayers) {
  const int64_t in = 256, inner = 512, out = 40, rows = 20;
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(53);
    Backend backend(path, 2, bf16());
    const Blocks gate(random, DBSA_BLOCKS_Q4_K, inner, in), up(random, DBSA_BLOCKS_Q5_0, inner, in),
        down(random, DBSA_BLOCKS_Q6_K, out, inner);
    const Rows x = random_rows(random, rows * in);
    for (int mixed = 0; mixed < 2; ++mixed) {
      const auto g = gate.weight(backend, DBSA_WEIGHT_LINEAR);
      const auto u = mixed == 0 ? up.weight(backend, DBSA_WEIGHT_LINEAR) : up.decoded(backend);
      const auto d = down.weight(backend, DBSA_WEIGHT_LINEAR);
      dbsa_gated_mlp_weights weights = {};
      weights.struct_size = sizeof weights;
      weights.gate = g.get();
      weights.up = u.get();
      weights.down = d.get();
      auto from = backend.buffer(x, in);
      auto to = backend.buffer(rows, out);
      backend.check(backend.table().gated_mlp(backend.instance(), from.get(), rows, &weights,
                                              nullptr, to.get(), backend.error()));
      const Rows got = backend.read(to, rows, out);
      const Rows left = multiply(backend, x, g.get(), in, inner),
                 right = multiply(backend, x, u.get(), in, inner);
      Rows hidden;
      for (size_t i = 0; i < left.size(); ++i)
        hidden.push_back(static_cast<float>(double{left[i]} / (1 + std::exp(-double{left[i]})) *
                                            double{right[i]}));
      const Rows last = multiply(backend, hidden, d.get(), inner, out);
      // A hidden value in the middle of two bfloat16 may be rounded to the other one.
      EXPECT_LE(worst_row_error(got, {last.begin(), last.end()}, out), 4e-3)
          << path << (mixed == 0 ? "" : ", mixed");
    }
  }
}

// Experts of blocks give what those of the decoded numbers give, each row as it does by itself.
TEST_F(Quantised, ExpertsAreOfBlocksToo) {
  const int64_t in = 256, inner = 256, out = 256, count = 6, rows = 40;
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(57);
    Backend backend(path, 2, bf16());
    std::vector<Backend::Handle<dbsa_weight>> kept;
    std::vector<dbsa_gated_mlp_weights> quantised, decoded;
    for (int64_t e = 0; e < count; ++e) {
      const Blocks gate(random, DBSA_BLOCKS_Q4_K, inner, in),
          up(random, DBSA_BLOCKS_Q8_0, inner, in), down(random, DBSA_BLOCKS_Q6_K, out, inner);
      for (auto* const list : {&quantised, &decoded}) {
        dbsa_gated_mlp_weights& own = list->emplace_back();
        own.struct_size = sizeof own;
        for (const auto& [blocks, at] :
             {std::pair(&gate, &own.gate), std::pair(&up, &own.up), std::pair(&down, &own.down)}) {
          kept.push_back(list == &quantised ? blocks->weight(backend, DBSA_WEIGHT_LINEAR)
                                            : blocks->decoded(backend));
          *at = kept.back().get();
        }
      }
    }
    const auto router =
        backend.weight(DBSA_WEIGHT_LINEAR, random_rows(random, count * in, 0.1f), {count, in});
    const Rows x = random_rows(random, rows * in);
    const auto run = [&](const std::vector<dbsa_gated_mlp_weights>& experts, int64_t first,
                         int64_t number) {
      const dbsa_expert_weights weights = {sizeof weights, 1, router.get(),
                                           count,          2, experts.data()};
      auto from =
          backend.buffer(Rows(x.begin() + first * in, x.begin() + (first + number) * in), in);
      auto to = backend.buffer(number, out);
      backend.check(backend.table().experts(backend.instance(), from.get(), number, &weights,
                                            nullptr, to.get(), backend.error()));
      return backend.read(to, number, out);
    };
    const Rows got = run(quantised, 0, rows), expected = run(decoded, 0, rows);
    // As for a gated layer: a hidden value may be rounded to the other bfloat16.
    EXPECT_LE(worst_row_error(got, {expected.begin(), expected.end()}, out), 4e-3) << path;
    for (int64_t row = 0; row < rows; row += 7)
      EXPECT_TRUE(same_bits(run(quantised, row, 1),
                            Rows(got.begin() + row * out, got.begin() + (row + 1) * out)))
          << path << ", row " << row;
  }
}

TEST_F(Quantised, PackedBytesMakeTheSameWeight) {
  for (const std::string& path : code_paths()) {
    std::mt19937_64 random(59);
    for (const uint32_t type : types()) {
      const Blocks blocks(random, type, 48, 768);
      Backend backend(path, 2, bf16());
      const auto& t = backend.table();
      auto made = blocks.weight(backend, DBSA_WEIGHT_LINEAR);
      const Rows x = random_rows(random, 7 * 768);
      const Rows expected = multiply(backend, x, made.get(), 768, 48);
      const void* packed = nullptr;
      uint64_t bytes = 0;
      backend.check(
          t.weight_packed(backend.instance(), made.get(), &packed, &bytes, backend.error()));
      // Kept about as large as in the file.
      EXPECT_LE(bytes, blocks.bytes.size() + blocks.bytes.size() / 20 + 128) << blocks.type->name;
      std::vector<char> memory(bytes + 64);
      char* copy = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
      std::memcpy(copy, packed, bytes);
      made = {};
      Backend other(path, 1, bf16());
      dbsa_weight* adopted = nullptr;
      other.check(t.weight_adopt(other.instance(), 48, 768, copy, bytes, &adopted, other.error()));
      const Backend::Handle<dbsa_weight> handle(
          adopted, [&](dbsa_weight* weight) { t.weight_destroy(other.instance(), weight); });
      EXPECT_TRUE(same_bits(multiply(other, x, handle.get(), 768, 48), expected))
          << path << ", " << blocks.type->name;
      EXPECT_EQ(other
                    .failure(t.weight_adopt(other.instance(), 64, 768, copy, bytes, &adopted,
                                            other.error()))
                    .substr(0, 41),
                "weight_adopt: a weight of 64 x 768 packs ")
          << blocks.type->name;
    }
  }
}

TEST_F(Quantised, RefusesWhatDoesNotFit) {
  Backend backend(any_path(), 1, bf16());
  const std::vector<unsigned char> bytes(2 * 144);
  dbsa_weight* made = nullptr;
  const auto refused = [&](int32_t use, uint32_t type, int64_t rows, int64_t width, uint64_t size,
                           int32_t code = DBSA_ERROR_INVALID_ARGUMENT) {
    return backend.failure(extension().weight_create(backend.instance(), use, type, rows, width,
                                                     bytes.data(), size, &made, backend.error()),
                           code);
  };
  constexpr int32_t kLinear = DBSA_WEIGHT_LINEAR;
  EXPECT_EQ(refused(DBSA_WEIGHT_VECTOR, DBSA_BLOCKS_Q4_K, 2, 256, 288),
            "weight_create: use of blocks must be LINEAR (1) or EMBEDDING (2), got 3");
  EXPECT_EQ(refused(kLinear, 16, 2, 256, 288, DBSA_ERROR_UNSUPPORTED),
            "weight_create: type of blocks 16 is not known here");
  EXPECT_EQ(
      refused(kLinear, DBSA_BLOCKS_Q4_K, 2, 224, 288),
      "weight_create: a weight of Q4_K must have rows of a multiple of 256 values, got 2 x 224");
  EXPECT_EQ(
      refused(kLinear, DBSA_BLOCKS_Q4_K, 0, 256, 0),
      "weight_create: a weight of Q4_K must have rows of a multiple of 256 values, got 0 x 256");
  EXPECT_EQ(refused(kLinear, DBSA_BLOCKS_Q4_K, 2, 256, 287),
            "weight_create: a weight of 2 x 256 in Q4_K has 288 bytes, got 287");
  Shape shape = bf16();
  shape.compute = DBSA_COMPUTE_F32;
  Backend wide(any_path(), 1, shape);
  EXPECT_EQ(wide.failure(extension().weight_create(wide.instance(), kLinear, DBSA_BLOCKS_Q4_K, 2,
                                                   256, bytes.data(), 288, &made, wide.error())),
            "weight_create: blocks are computed with in BF16 (2), configured is F32 (1)");
}

}  // namespace
}  // namespace dbsa::test
