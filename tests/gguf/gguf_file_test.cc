// GGUF files on disk: one, or the parts of a split model.
#include "model/gguf/gguf_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/gguf_writer.h"
#include "tests/support/workspace.h"

namespace dbsa::gguf {
namespace {

using test::GgufPlan;

class GgufPartsTest : public testing::Test {
 protected:
  static std::string name(int part, int of = 3) {
    return "m-0000" + std::to_string(part + 1) + "-of-0000" + std::to_string(of) + ".gguf";
  }
  // A part with one tensor, of the bytes of its number.
  static GgufPlan part(uint16_t number, uint16_t count = 3) {
    GgufPlan plan;
    plan.u16("split.no", number).u16("split.count", count).i32("split.tensors.count", 3);
    plan.tensor("t" + std::to_string(number), {2}, 0, std::string(8, static_cast<char>(number)));
    return plan;
  }
  void SetUp() override {
    for (uint16_t i = 0; i < 3; ++i) put(i, part(i));
  }
  void put(int i, const GgufPlan& plan) { workspace.write(name(i), plan.bytes()); }
  std::string path(int i) const { return workspace.path(name(i)); }
  static std::string fault(const std::string& path) {
    const Result<GgufParts> parts = GgufParts::open(path);
    return parts.ok() ? "" : parts.error().message;
  }
  Workspace workspace;
};

TEST_F(GgufPartsTest, AreOneModel) {
  const Result<GgufParts> parts = GgufParts::open(path(0));
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  ASSERT_EQ(parts->files().size(), 3u);
  for (int i = 0; i < 3; ++i) {
    const std::string tensor = "t" + std::to_string(i);
    const GgufFile* file = parts->file_of(tensor);
    ASSERT_NE(file, nullptr) << tensor;
    EXPECT_EQ(file->path(), path(i));
    EXPECT_EQ(file->bytes(*file->find(tensor))[7], i);
  }
  EXPECT_EQ(parts->file_of("t3"), nullptr);
}

TEST_F(GgufPartsTest, AFileOfOnePartHasNoName) {
  GgufPlan plan;
  plan.tensor("t", {2}, 0, std::string(8, '\1'));
  const std::string one = workspace.write("model.gguf", plan.bytes());
  EXPECT_EQ(fault(one), "");
  plan.u16("split.no", 0).u16("split.count", 1).i32("split.tensors.count", 1);
  workspace.write("model.gguf", plan.bytes());
  EXPECT_EQ(fault(one), "");
  plan.key("split.no").value = test::raw<uint16_t>(1);
  workspace.write("model.gguf", plan.bytes());
  EXPECT_EQ(
      fault(one),
      one + ": expected split.no 0 in a file that is not split, found 1; fetch the file again");
}

TEST_F(GgufPartsTest, AnotherPartThanTheFirst) {
  EXPECT_EQ(fault(path(1)), path(1) + ": is part 2 of 3; name the first part, " + path(0));
}

TEST_F(GgufPartsTest, Renamed) {
  std::filesystem::rename(path(0), workspace.path("x.gguf"));
  EXPECT_EQ(fault(workspace.path("x.gguf")),
            workspace.path("x.gguf") +
                ": is part 1 of 3; expected a name that ends in -00001-of-00003.gguf: rename the "
                "parts as they were published");
}

TEST_F(GgufPartsTest, MissingPart) {
  std::filesystem::remove(path(2));
  EXPECT_EQ(fault(path(0)),
            path(0) + ": is the first of 3 parts, and part 3 is not there: fetch " + path(2));
}

TEST_F(GgufPartsTest, PartOfAnotherModel) {
  put(1, part(1, 4));
  EXPECT_EQ(fault(path(0)), path(1) +
                                ": expected split.no 1 and split.count 3, found 1 and 4; "
                                "fetch all parts of one model again");
  put(1, part(2));
  EXPECT_EQ(fault(path(0)), path(1) +
                                ": expected split.no 1 and split.count 3, found 2 and 3; "
                                "fetch all parts of one model again");
  GgufPlan unsplit;
  unsplit.tensor("t1", {2}, 0, std::string(8, '\1'));
  put(1, unsplit);
  EXPECT_EQ(fault(path(0)), path(1) +
                                ": expected split.no 1 and split.count 3, found none and "
                                "none; fetch all parts of one model again");
}

TEST_F(GgufPartsTest, TensorInTwoParts) {
  GgufPlan plan = part(2);
  plan.tensors[0].name = "t0";
  put(2, plan);
  EXPECT_EQ(fault(path(0)), path(2) + ": tensor 't0': expected it once, found it in " + path(0) +
                                ", too; fetch all parts of one model again");
}

TEST_F(GgufPartsTest, AnotherNumberOfTensors) {
  GgufPlan plan = part(0);
  plan.key("split.tensors.count").value = test::raw<int32_t>(4);
  put(0, plan);
  EXPECT_EQ(fault(path(0)), path(0) +
                                ": expected 4 tensors in all parts (split.tensors.count), "
                                "found 3; fetch all parts of one model again");
}

TEST_F(GgufPartsTest, KeysOfOtherTypesAndTooManyParts) {
  GgufPlan plan = part(0);
  plan.key("split.count") = {"split.count", 8, test::gguf_string("3")};
  put(0, plan);
  EXPECT_NE(fault(path(0)).find("key 'split.count', byte 69: expected an integer from 0 to 1000, "
                                "found string; fetch the file again"),
            std::string::npos)
      << fault(path(0));
  put(0, part(0, 1001));
  EXPECT_NE(fault(path(0)).find("expected an integer from 0 to 1000, found 1001"),
            std::string::npos)
      << fault(path(0));
}

TEST_F(GgufPartsTest, OnlyRegularFilesAreRead) {
  ASSERT_EQ(::mkfifo(workspace.path("fifo.gguf").c_str(), 0600), 0);
  EXPECT_NE(fault(workspace.path("fifo.gguf")), "");
  EXPECT_NE(fault(workspace.path()), "");
  EXPECT_EQ(fault(workspace.path("none.gguf")),
            workspace.path("none.gguf") +
                ": cannot be opened: No such file or directory; expected a GGUF file");
  EXPECT_NE(fault(workspace.write("empty.gguf", "")).find("byte 0: expected the four bytes GGUF"),
            std::string::npos);
}

}  // namespace
}  // namespace dbsa::gguf
