#include "model/checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <utility>

#include "model/checkpoint/safetensors_header.h"
#include "tests/model/model_files.h"

namespace dbsa {
namespace {

using test::safetensors_bytes;
using test::TemporaryFolder;
using test::write_file;

constexpr const char* kFix = "; the file is damaged or not a safetensors file: fetch it again";

std::string floats(std::initializer_list<float> values) {
  std::string out;
  for (float v : values) out.append(reinterpret_cast<const char*>(&v), 4);
  return out;
}

// The message for a file of these bytes, or "" if it is accepted.
std::string refusal_of(const std::string& bytes) {
  TemporaryFolder folder;
  const std::string path = folder.file("m.safetensors");
  write_file(path, bytes);
  const auto file = SafetensorsFile::open(path);
  if (file.ok()) return "";
  EXPECT_EQ(file.error().code, ErrorCode::kEnvironment);
  const std::string prefix = path + ": ";
  EXPECT_EQ(file.error().message.substr(0, prefix.size()), prefix);
  return file.error().message.substr(prefix.size());
}

TEST(Safetensors, ReadsTensorsInPlace) {
  TemporaryFolder folder;
  const std::string path = folder.file("m.safetensors");
  write_file(path, safetensors_bytes({{"b", "F32", {2, 2}, floats({1, 2, 3, 4})},
                                      {"a", "BF16", {3}, std::string(6, 'x')},
                                      {"empty", "F16", {0, 5}, ""},
                                      {"scalar", "F16", {}, "zz"},
                                      {"ids", "I64", {1}, std::string(8, '\0')}}));
  auto opened = SafetensorsFile::open(path);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const SafetensorsFile file = std::move(*opened);
  ASSERT_EQ(file.entries().size(), 5u);
  EXPECT_EQ(file.entries()[0].name, "a");
  auto b = file.tensor("b");
  ASSERT_TRUE(b.ok());
  EXPECT_EQ(b->dtype, TensorDtype::kF32);
  EXPECT_EQ(shape_text(b->shape), "[2, 2]");
  ASSERT_EQ(b->bytes, 16u);
  EXPECT_EQ(std::memcmp(b->data, floats({1, 2, 3, 4}).data(), 16), 0);
  EXPECT_EQ(file.tensor("empty")->bytes, 0u);
  EXPECT_EQ(file.tensor("scalar")->bytes, 2u);
  EXPECT_EQ(file.tensor("none").error().message, path + ": tensor 'none' is not in this file");
  EXPECT_EQ(file.tensor("ids").error().message,
            path +
                ": tensor 'ids': expected F32, F16 or BF16, found I64; convert the checkpoint to "
                "one of these types (quantised checkpoints are not read)");
}

TEST(Safetensors, ReleasedPagesReadTheSame) {
  TemporaryFolder folder;
  const std::string path = folder.file("m.safetensors");
  std::string bytes(1 << 20, '\0');
  std::mt19937 random(7);
  for (char& c : bytes) c = static_cast<char>(random());
  write_file(path, safetensors_bytes({{"w", "F16", {1 << 19}, bytes}}));
  auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok());
  const auto view = file->tensor("w");
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(std::memcmp(view->data, bytes.data(), bytes.size()), 0);
  file->release_pages(file->bytes(*file->find("w")));
  EXPECT_EQ(std::memcmp(view->data, bytes.data(), bytes.size()), 0);
}

TEST(Safetensors, AcceptsMetadataAndPadding) {
  EXPECT_EQ(refusal_of(safetensors_bytes("{\"__metadata__\":{\"format\":\"pt\"}}   ", "")), "");
}

TEST(Safetensors, RefusesMissingAndIrregularFiles) {
  TemporaryFolder folder;
  EXPECT_EQ(SafetensorsFile::open(folder.file("none")).error().message,
            folder.file("none") +
                ": cannot be opened: No such file or directory; expected a whole Hugging Face "
                "model folder");
  EXPECT_EQ(SafetensorsFile::open(folder.path()).error().message,
            folder.path() + ": expected a regular file");
}

TEST(Safetensors, RefusesBadLengths) {
  EXPECT_EQ(refusal_of(""), std::string("expected at least 8 bytes, found 0") + kFix);
  EXPECT_EQ(refusal_of("1234567"), std::string("expected at least 8 bytes, found 7") + kFix);
  EXPECT_EQ(refusal_of(safetensors_bytes("{}", "", 3)),
            std::string("the header's length at byte 0 is 3, but the file has only 2 bytes after "
                        "it") +
                kFix);
  EXPECT_EQ(
      refusal_of(safetensors_bytes("{}", "", 100'000'001)),
      std::string("the header's length at byte 0 is 100000001, expected at most 100000000") + kFix);
  EXPECT_EQ(refusal_of(safetensors_bytes("{}", "", INT64_MAX)),
            std::string("the header's length at byte 0 is 9223372036854775807, expected at most "
                        "100000000") +
                kFix);
}

struct BadHeader {
  const char* name;
  std::string header, data, message;
  friend void PrintTo(const BadHeader& bad, std::ostream* out) { *out << bad.header; }
};

class SafetensorsBadHeader : public testing::TestWithParam<BadHeader> {};

TEST_P(SafetensorsBadHeader, IsRefusedWithItsMessage) {
  EXPECT_EQ(refusal_of(safetensors_bytes(GetParam().header, GetParam().data)),
            GetParam().message + kFix);
}

const std::string kFour(4, '\0');

INSTANTIATE_TEST_SUITE_P(
    Each, SafetensorsBadHeader,
    testing::Values(
        BadHeader{"NotJson", "{\"a\":", "", "byte 14: the header is not valid JSON"},
        BadHeader{"TrailingBytes", "{}x", "", "byte 11: the header is not valid JSON"},
        BadHeader{"BadUtf8", "{\"\xff\":0}", "", "byte 11: the header is not valid JSON"},
        BadHeader{"List", "[]", "", "header: expected an object, found an array"},
        BadHeader{"Number", "7", "", "header: expected an object, found 7"},
        BadHeader{"TensorNotObject", R"({"a":1})", "", "tensor 'a': expected an object, found 1"},
        BadHeader{"Metadata", R"({"__metadata__":{"a":1}})", "",
                  "header: __metadata__ must hold strings, found 1"},
        BadHeader{"MetadataNotObject", R"({"__metadata__":[]})", "",
                  "header: __metadata__ must be an object, found an array"},
        BadHeader{"NoOffsets", R"({"a":{"dtype":"F32","shape":[1]}})", kFour,
                  "tensor 'a': expected dtype, shape and data_offsets [first, end]"},
        BadHeader{"OneOffset", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", kFour,
                  "tensor 'a': expected dtype, shape and data_offsets [first, end]"},
        BadHeader{"ThreeOffsets", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}})",
                  kFour, "tensor 'a': data_offsets must hold two non-negative integers, found 4"},
        BadHeader{"UnknownField", R"({"a":{"dtype":"F32","scale":2}})", kFour,
                  "tensor 'a': unknown field 'scale'"},
        BadHeader{"FieldTwice", R"({"a":{"dtype":"F32","dtype":"F16"}})", kFour,
                  "tensor 'a': field 'dtype' appears twice"},
        BadHeader{"NameTwice", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}})",
                  kFour, "tensor 'a': is listed twice in the header"},
        BadHeader{"NegativeShape", R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
                  kFour, "tensor 'a': shape must hold non-negative integers below 2^63, found -1"},
        BadHeader{"HugeDimension",
                  R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}})",
                  kFour,
                  "tensor 'a': shape must hold non-negative integers below 2^63, found "
                  "9223372036854775808"},
        BadHeader{"FractionalShape", R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})",
                  kFour, "tensor 'a': shape must hold non-negative integers below 2^63, found 1.5"},
        BadHeader{"Overflow",
                  R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})",
                  kFour, "tensor 'a': shape [4294967296, 4294967296] overflows 2^64 bytes"},
        BadHeader{"DtypeNotText", R"({"a":{"dtype":4,"shape":[1],"data_offsets":[0,4]}})", kFour,
                  "tensor 'a': field 'dtype' has the wrong type, found 4"},
        BadHeader{"UnknownDtype", R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})",
                  kFour, "tensor 'a': unknown dtype 'F31'"},
        BadHeader{"PastTheEnd", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", kFour,
                  "its header describes 70 bytes, the file has 66"},
        BadHeader{"PastEverything",
                  R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}})",
                  kFour,
                  "tensor 'a': data_offsets [0, 18446744073709551615] leave the data, which has 4 "
                  "bytes"},
        BadHeader{"Reversed", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", kFour,
                  "tensor 'a': data_offsets [4, 0] leave the data, which has 4 bytes"},
        BadHeader{"WrongSize", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", kFour,
                  "tensor 'a': data_offsets [0, 4] hold 4 bytes, expected 8 for F32 [2]"},
        BadHeader{"Gap", R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}})", kFour,
                  "tensor 'a': starts at byte 64, expected byte 62 (tensors must not overlap or "
                  "leave gaps)"},
        BadHeader{"Overlap",
                  R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                  R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                  kFour,
                  "tensor 'b': starts at byte 115, expected byte 119 (tensors must not overlap or "
                  "leave gaps)"},
        BadHeader{"BytesLeft", R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})", kFour,
                  "the tensors end at byte 64, the file has 66 bytes"},
        BadHeader{"ControlCharacters", "{\"a\\u001b[31m\":1}", "",
                  "tensor 'a?[31m': expected an object, found 1"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(Safetensors, TakesDataAtAnyByte) {
  TemporaryFolder folder;
  const std::string path = folder.file("m.safetensors");
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} )";
  ASSERT_EQ(header.size() % 4, 3u);
  write_file(path, safetensors_bytes(header, kFour));
  auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto view = file->tensor("a");
  ASSERT_TRUE(view.ok()) << view.error().message;
  EXPECT_EQ(std::memcmp(view->data, kFour.data(), 4), 0);
}

// Truncation anywhere, and any one bit of the header flipped, is refused or changes nothing that
// lies outside the file.
TEST(Safetensors, SurvivesTruncationAndFlippedBits) {
  const std::string whole = safetensors_bytes(
      {{"a", "F32", {2, 2}, floats({1, 2, 3, 4})}, {"b", "BF16", {4}, std::string(8, 'x')}});
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_NE(refusal_of(whole.substr(0, n)), "") << n;
  for (size_t bit = 0; bit < 8 * (whole.size() - 24); ++bit) {
    std::string bad = whole;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    const auto header = parse_safetensors_header(
        "f", bad.size(), {reinterpret_cast<const unsigned char*>(bad.data()), bad.size()});
    if (!header.ok()) continue;
    uint64_t total = 0;
    for (const auto& entry : header->entries) {
      EXPECT_LE(entry.begin + entry.bytes, bad.size());
      total += entry.bytes;
    }
    EXPECT_EQ(total, 24u);
  }
}

}  // namespace
}  // namespace dbsa
