// The header of GGUF files: what sound ones say, and that each thing that can be wrong is refused
// by key or tensor and byte.
#include "model/gguf/gguf_header.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "model/gguf/tensor_type.h"
#include "tests/support/gguf_writer.h"

namespace dbsa::gguf {
namespace {

using test::GgufPlan;
using test::raw;

constexpr const char* kFetch = "; the file is damaged or not a GGUF file: fetch it again";

// Copied to memory of exactly its size, so that a sanitizer sees any read past the end.
Result<Header> parse(const std::string& bytes, std::unique_ptr<unsigned char[]>& memory) {
  memory = std::make_unique<unsigned char[]>(bytes.size());
  std::memcpy(memory.get(), bytes.data(), bytes.size());
  return parse_header("f.gguf", {memory.get(), bytes.size()});
}

std::string fault(const std::string& bytes) {
  std::unique_ptr<unsigned char[]> memory;
  const Result<Header> header = parse(bytes, memory);
  return header.ok() ? "" : header.error().message;
}

GgufPlan sound() {
  GgufPlan plan;
  plan.text("general.architecture", "llama")
      .u32("llama.block_count", 2)
      .add("a.u8", 0, raw<uint8_t>(200))
      .add("a.i8", 1, raw<int8_t>(-3))
      .add("a.u16", 2, raw<uint16_t>(65535))
      .add("a.i16", 3, raw<int16_t>(-300))
      .add("a.i32", 5, raw<int32_t>(70000))
      .f32("a.f32", 0.5f)
      .boolean("a.bool", true)
      .add("a.u64", 10, raw<uint64_t>(~uint64_t{0}))
      .add("a.i64", 11, raw<int64_t>(INT64_MIN))
      .add("a.f64", 12, raw<double>(0.1))
      .texts("tokens", {"a", "", "ccc"})
      .floats("scores", {1.0f, -2.0f})
      .ints("types", {1, 2, 3});
  plan.tensor("b", {3, 2}, 0, std::string(24, '\1'));
  plan.tensor("a", {64, 3}, 2, std::string(6 * 18, '\2'));
  plan.tensor("c", {5}, 30, std::string(10, '\3'));
  return plan;
}

TEST(GgufHeader, SaysWhatTheFileSays) {
  const std::string bytes = sound().bytes();
  std::unique_ptr<unsigned char[]> memory;
  const Result<Header> header = parse(bytes, memory);
  ASSERT_TRUE(header.ok()) << header.error().message;
  const auto value = [&](const char* name) { return find_key(header->keys, name)->value; };
  EXPECT_EQ(find_key(header->keys, "absent"), nullptr);
  EXPECT_EQ(std::get<std::string_view>(value("general.architecture")), "llama");
  EXPECT_EQ(std::get<uint64_t>(value("a.u8")), 200u);
  EXPECT_EQ(std::get<int64_t>(value("a.i8")), -3);
  EXPECT_EQ(std::get<uint64_t>(value("a.u16")), 65535u);
  EXPECT_EQ(std::get<int64_t>(value("a.i16")), -300);
  EXPECT_EQ(std::get<uint64_t>(value("a.i32")), 70000u);
  EXPECT_EQ(std::get<double>(value("a.f32")), 0.5);
  EXPECT_EQ(std::get<bool>(value("a.bool")), true);
  EXPECT_EQ(std::get<uint64_t>(value("a.u64")), ~uint64_t{0});
  EXPECT_EQ(std::get<int64_t>(value("a.i64")), INT64_MIN);
  EXPECT_EQ(std::get<double>(value("a.f64")), 0.1);
  const auto tokens = array_strings("f.gguf", *find_key(header->keys, "tokens"));
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  EXPECT_EQ(*tokens, (std::vector<std::string_view>{"a", "", "ccc"}));
  EXPECT_EQ(std::get<Array>(value("scores")).count, 2u);
  EXPECT_EQ(std::get<Array>(value("scores")).bytes.size(), 8u);

  ASSERT_EQ(header->tensors.size(), 3u);
  const TensorEntry& a = header->tensors[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.shape, (std::vector<int64_t>{3, 64}));
  EXPECT_EQ(a.dtype, TensorDtype::kBlocks);
  EXPECT_EQ(a.dtype_name, "Q4_0");
  for (const TensorEntry& entry : header->tensors) {
    const char mark = entry.name == "b" ? '\1' : entry.name == "a" ? '\2' : '\3';
    EXPECT_EQ(bytes.substr(entry.begin, entry.bytes), std::string(entry.bytes, mark));
    EXPECT_EQ(entry.begin % 32, 0u);
  }
}

TEST(GgufHeader, AlignmentIsTheFiles) {
  GgufPlan plan = sound();
  plan.u32("general.alignment", 8);
  plan.alignment = 8;
  std::unique_ptr<unsigned char[]> memory;
  const Result<Header> header = parse(plan.bytes(), memory);
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(header->tensors[0].begin - header->tensors[1].begin, 24u);
}

// Up to the end of the tensors' list nothing may be missing, and of the data nothing either.
TEST(GgufHeader, EveryShorterFileIsRefused) {
  const std::string bytes = sound().bytes();
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_NE(fault(bytes.substr(0, length)), "") << length << " bytes";
  EXPECT_EQ(fault(bytes), "");
}

struct Mutant {
  const char* name;
  std::function<void(GgufPlan&)> change;
  std::string message;  // part of it
};

std::vector<Mutant> mutants() {
  const auto type = [](uint32_t id) { return [id](GgufPlan& p) { p.tensors[0].type = id; }; };
  const auto refused_type = [](const char* found) {
    return "tensor 'b', byte 476: expected one of the types F32, F16, BF16, Q4_0, Q4_1, Q5_0, "
           "Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, MXFP4, found " +
           std::string(found) + "; fetch the model in one of them, for example as Q4_K_M or Q8_0";
  };
  return {
      {"magic", [](auto& p) { p.magic = "GGUX"; },
       "byte 0: expected the four bytes GGUF, found others"},
      {"version 1", [](auto& p) { p.version = 1; }, "byte 4: expected version 3, found 1; fetch"},
      {"version 2", [](auto& p) { p.version = 2; }, "byte 4: expected version 3, found 2; fetch"},
      {"version 4", [](auto& p) { p.version = 4; }, "byte 4: expected version 3, found 4; fetch"},
      {"big endian", [](auto& p) { p.version = 0x03000000; },
       "byte 4: expected version 3, found it in big-endian order; fetch"},
      {"many tensors", [](auto& p) { p.tensor_count = 65537; },
       "byte 8: expected at most 65536 tensors, found 65537"},
      {"all tensors", [](auto& p) { p.tensor_count = ~uint64_t{0}; },
       "byte 8: expected at most 65536 tensors, found 18446744073709551615"},
      {"many keys", [](auto& p) { p.key_count = 65537; },
       "byte 16: expected at most 65536 keys, found 65537"},
      {"all keys", [](auto& p) { p.key_count = uint64_t{1} << 63; },
       "byte 16: expected at most 65536 keys, found 9223372036854775808"},
      {"one tensor more", [](auto& p) { p.tensor_count = 4; },
       "tensor 3, byte 562: expected a name"},
      {"one key more", [](auto& p) { p.key_count = 16; },
       "tensor 0, byte 462: expected the tensor's name, found"},
      {"one key fewer", [](auto& p) { p.key_count = 14; }, "tensor 'types', byte"},
      {"a key without a name", [](auto& p) { p.keys[0].name = ""; },
       "key 0, byte 24: expected a name of 1 to 65535 bytes, found 0"},
      {"a key's endless name", [](auto& p) { p.keys[0].name = std::string(65536, 'k'); },
       "key 0, byte 24: expected a name of 1 to 65535 bytes, found 65536"},
      {"a key twice", [](auto& p) { p.u32("llama.block_count", 2); },
       "key 'llama.block_count': expected each name once, found it twice"},
      {"value type 13", [](auto& p) { p.keys[0].type = 13; },
       "key 'general.architecture', byte 52: expected a type from 0 to 12, found 13"},
      {"value type 2^31", [](auto& p) { p.keys[0].type = 1u << 31; }, "found 2147483648"},
      {"string past the end",
       [](auto& p) {
         p.keys.back() = {"s", 8, raw<uint64_t>(1 << 30)};
       },
       "key 's', byte 419: expected a string, found"},
      {"string of 2^64 - 1",
       [](auto& p) {
         p.keys.back() = {"s", 8, raw(~uint64_t{0})};
       },
       "key 's', byte 419: expected a string, found"},
      {"array of 2^64 - 1 numbers",
       [](auto& p) {
         p.keys.back() = {"s", 9, raw<uint32_t>(12) + raw(~uint64_t{0})};
       },
       "key 's', byte 431: expected an array of 18446744073709551615 elements, found"},
      {"array of 2^61 numbers",
       [](auto& p) {
         p.keys.back() = {"s", 9, raw<uint32_t>(10) + raw(uint64_t{1} << 61)};
       },
       "expected an array of 2305843009213693952 elements"},
      {"array of 2^40 strings",
       [](auto& p) {
         p.keys.back() = {"s", 9, raw<uint32_t>(8) + raw(uint64_t{1} << 40)};
       },
       "expected an array of 1099511627776 elements whole, string"},
      {"array of arrays",
       [](auto& p) {
         p.keys.back() = {"s", 9, raw<uint32_t>(9) + raw<uint64_t>(0)};
       },
       "key 's', byte 419: expected an array of numbers, booleans or strings, found an array of "
       "arrays"},
      {"array of type 99",
       [](auto& p) {
         p.keys.back() = {"s", 9, raw<uint32_t>(99) + raw<uint64_t>(0)};
       },
       "booleans or strings, found type 99"},
      {"a string of an array past the end",
       [](auto& p) {
         p.keys.back() = {
             "s", 9,
             raw<uint32_t>(8) + raw<uint64_t>(2) + test::gguf_string("x") + raw<uint64_t>(1 << 20)};
       },
       "key 's', byte 440: expected an array of 2 elements whole, string 1 too, found"},
      {"boolean 2",
       [](auto& p) {
         p.keys.back() = {"s", 7, "\2"};
       },
       "key 's', byte 419: expected 0 or 1, found 2"},
      {"alignment 0", [](auto& p) { p.u32("general.alignment", 0); },
       "expected a power of two up to 65536, found 0"},
      {"alignment 3", [](auto& p) { p.u32("general.alignment", 3); }, "found 3"},
      {"alignment 2^17", [](auto& p) { p.u32("general.alignment", 1 << 17); }, "found 131072"},
      {"alignment 2^63", [](auto& p) { p.add("general.alignment", 10, raw(uint64_t{1} << 63)); },
       "found 9223372036854775808"},
      {"alignment -8", [](auto& p) { p.i32("general.alignment", -8); },
       "expected a power of two up to 65536, found i32"},
      {"alignment as text", [](auto& p) { p.text("general.alignment", "32"); }, "found string"},
      {"another alignment than written", [](auto& p) { p.u32("general.alignment", 4096); },
       "tensor 'b', byte 513: expected 24 bytes at offset 0 of the data, found 0 bytes of data"},
      {"a tensor without a name", [](auto& p) { p.tensors[0].name = ""; },
       "tensor 0, byte 447: expected a name of 1 to 64 bytes, found 0"},
      {"a tensor's long name", [](auto& p) { p.tensors[0].name = std::string(65, 't'); },
       "expected a name of 1 to 64 bytes, found 65"},
      {"a tensor twice", [](auto& p) { p.tensors[0].name = "a"; },
       "tensor 'a': expected each name once, found it twice"},
      {"a control character",
       [](auto& p) { p.tensors[0].name = "a\033[2J", p.tensors[0].type = 99; }, "tensor 'a?[2J'"},
      {"no dimension", [](auto& p) { p.tensors[0].dimensions = {}; },
       "tensor 'b', byte 456: expected 1 to 4 dimensions, found 0"},
      {"5 dimensions",
       [](auto& p) {
         p.tensors[0].dimensions = {1, 1, 1, 3, 2};
       },
       "tensor 'b', byte 456: expected 1 to 4 dimensions, found 5"},
      {"dimension 0",
       [](auto& p) {
         p.tensors[0].dimensions = {0, 2};
       },
       "tensor 'b', byte 460: expected dimensions of 1 or more"},
      {"2^64 elements",
       [](auto& p) {
         p.tensors[0].dimensions = {1u << 31, 1ull << 33};
       },
       "tensor 'b', byte 468: expected dimensions of 1 or more with fewer than 2^63 elements"},
      {"2^63 elements", [](auto& p) { p.tensors[0].dimensions = {1ull << 63}; },
       "fewer than 2^63 elements in all, found 9223372036854775808"},
      {"2^64 bytes", [](auto& p) { p.tensors[0].dimensions = {1ull << 62}; },
       "tensor 'b', byte 460: expected fewer than 2^64 bytes, found the shape"},
      {"more elements than bytes",
       [](auto& p) {
         p.tensors[0].dimensions = {3, 1000};
       },
       "tensor 'b', byte 480: expected 12000 bytes at offset 0 of the data, found"},
      {"type 4, which is gone", type(4), refused_type("4")},
      {"type Q2_K", type(10), refused_type("Q2_K (10)")},
      {"type IQ2_XS", type(17), refused_type("IQ2_XS (17)")},
      {"type I32", type(26), refused_type("I32 (26)")},
      {"type 2^32 - 1", type(~0u), refused_type("4294967295")},
      {"rows that are no whole blocks", type(2),
       "tensor 'b', byte 460: expected rows of a multiple of 32 elements for Q4_0, found 3"},
      {"a Q4_K row of 64", [](auto& p) { p.tensors[1].type = 12; },
       "expected rows of a multiple of 256 elements for Q4_K, found 64"},
      {"Q8_0 in the place of Q4_0", [](auto& p) { p.tensors[1].type = 8; },
       "tensor 'a', byte 521: expected 204 bytes at offset 32 of the data, found 170"},
      {"an offset off alignment", [](auto& p) { p.tensors[1].offset = 33; },
       "expected an offset that is a multiple of 32, found 33"},
      {"an offset past the end", [](auto& p) { p.tensors[2].offset = 1 << 20; },
       "expected 10 bytes at offset 1048576 of the data, found 170 bytes of data"},
      {"offset 2^64 - 32", [](auto& p) { p.tensors[2].offset = ~uint64_t{31}; },
       "expected 10 bytes at offset 18446744073709551584 of the data"},
      {"the same bytes twice", [](auto& p) { p.tensors[1].offset = 0; },
       "expected bytes that no other tensor has, found some of tensor"},
      {"the end of another's bytes", [](auto& p) { p.tensors[2].offset = 128; },
       "tensor 'c': expected bytes that no other tensor has, found some of tensor 'a' at byte 704"},
      {"no data", [](auto& p) { p.tensors.back().data = ""; },
       "expected 10 bytes at offset 160 of the data, found 160 bytes of data"},
      {"one byte of data fewer", [](auto& p) { p.tensors.back().data.pop_back(); },
       "expected 10 bytes at offset 160 of the data, found 169 bytes of data"},
      {"a key without its value", [](auto& p) { p.keys.back().value = ""; },
       "key 'types', byte 435: expected an array of 2619930050560 elements, found 279 bytes"},
      {"a zip archive", [](auto& p) { p.magic = "PK\3\4"; },
       "byte 0: expected the four bytes GGUF"},
  };
}

TEST(GgufHeader, EveryMutantIsRefusedByItsPlace) {
  const std::vector<Mutant> all = mutants();
  EXPECT_GE(all.size(), 60u);
  for (const Mutant& mutant : all) {
    GgufPlan plan = sound();
    mutant.change(plan);
    const std::string message = fault(plan.bytes());
    EXPECT_TRUE(message.starts_with("f.gguf: ")) << mutant.name << ": " << message;
    EXPECT_NE(message.find(mutant.message), std::string::npos) << mutant.name << ": " << message;
    EXPECT_NE(message.find("fetch"), std::string::npos) << mutant.name << ": " << message;
  }
}

TEST(GgufHeader, MessageIsWhole) {
  GgufPlan plan = sound();
  plan.tensors[0].dimensions = {};
  EXPECT_EQ(
      fault(plan.bytes()),
      std::string("f.gguf: tensor 'b', byte 456: expected 1 to 4 dimensions, found 0") + kFetch);
}

TEST(TensorTypes, BlocksAreWhatTheFormatSays) {
  // Elements and bytes of a block, by the layouts of ggml.
  const struct {
    uint32_t id;
    const char* name;
    uint32_t elements, bytes;
  } expected[] = {{0, "F32", 1, 4},
                  {1, "F16", 1, 2},
                  {30, "BF16", 1, 2},
                  {2, "Q4_0", 32, 2 + 16},
                  {3, "Q4_1", 32, 4 + 16},
                  {6, "Q5_0", 32, 2 + 4 + 16},
                  {7, "Q5_1", 32, 4 + 4 + 16},
                  {8, "Q8_0", 32, 2 + 32},
                  {12, "Q4_K", 256, 4 + 12 + 128},
                  {13, "Q5_K", 256, 4 + 12 + 32 + 128},
                  {14, "Q6_K", 256, 128 + 64 + 16 + 2},
                  {39, "MXFP4", 32, 1 + 16}};
  EXPECT_EQ(tensor_types().size(), std::size(expected));
  for (const auto& type : expected) {
    const TensorType* found = find_tensor_type(type.id);
    ASSERT_NE(found, nullptr) << type.name;
    EXPECT_EQ(found->name, type.name);
    EXPECT_EQ(found->elements, type.elements) << type.name;
    EXPECT_EQ(found->bytes, type.bytes) << type.name;
    EXPECT_EQ(find_tensor_type(type.name), found);
  }
}

}  // namespace
}  // namespace dbsa::gguf
