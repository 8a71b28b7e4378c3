// Weights that are kept packed give what freshly packed ones give, and a file with anything wrong
// about it is packed again.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <numeric>

#include "model/decoder/packed_files.h"
#include "tests/forward/forward_harness.h"
#include "tests/model/model_files.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using test::read_file;
using test::write_file;

class PackedWeightsTest : public testing::Test {
 protected:
  // Logits of a prefill, with weights kept in the folder.
  std::vector<float> logits(Precision precision = kBf16, const std::string& path = "auto",
                            const std::string& model = "llama2") {
    log.clear();
    HarnessOptions options;
    options.precision = precision;
    options.instructions = path;
    options.packed = folder;
    options.cache = cache;
    options.log = &log;
    ForwardHarness harness(fixture(model), options);
    return prefill(harness);
  }
  std::vector<float> logits_without(Precision precision = kBf16, const std::string& path = "auto",
                                    const std::string& model = "llama2") {
    HarnessOptions options;
    options.precision = precision;
    options.instructions = path;
    ForwardHarness harness(fixture(model), options);
    return prefill(harness);
  }
  static std::vector<float> prefill(ForwardHarness& harness) {
    std::vector<int32_t> ids(40);
    std::iota(ids.begin(), ids.end(), 5);
    std::vector<int64_t> rows(ids.size());
    std::iota(rows.begin(), rows.end(), 0);
    return harness.prefill(ids, rows);
  }
  static std::string fixture(const std::string& name) {
    return std::string(DBSA_SOURCE_DIR) + "/tests/reference/fixtures/" + name;
  }

  std::vector<std::string> files() const {
    std::vector<std::string> found;
    if (fs::exists(folder))
      for (const auto& entry : fs::directory_iterator(folder)) found.push_back(entry.path());
    return found;
  }
  // The one file there is.
  std::string file() const {
    const std::vector<std::string> all = files();
    EXPECT_EQ(all.size(), 1u);
    return all.at(0);
  }
  static fs::file_time_type written(const std::string& path) { return fs::last_write_time(path); }

  // With the one file changed: a warning that says `expected`, the same logits, and the file as it
  // was.
  void expect_packed_again(const std::string& changed, const std::string& expected) {
    const std::vector<float> right = logits();
    const std::string sound = read_file(file());
    write_file(file(), changed);
    EXPECT_EQ(logits(), right);
    ASSERT_EQ(log.size(), 1u) << expected;
    EXPECT_NE(log[0].find(expected), std::string::npos) << log[0];
    EXPECT_NE(log[0].find("; the weights are packed again"), std::string::npos) << log[0];
    EXPECT_EQ(read_file(file()), sound);
    EXPECT_EQ(logits(), right);
    EXPECT_TRUE(log.empty());
  }

  test::TemporaryFolder home;
  std::string folder = home.file("store/weights");
  std::string cache = home.file("cache");
  std::vector<std::string> log;
};

TEST_F(PackedWeightsTest, AreMappedByTheNextStartAndGiveTheSameBits) {
  for (const std::string& path : ForwardHarness::code_paths()) {
    for (const Precision precision : {kF32, kBf16}) {
      for (const char* model : {"llama2", "qwen3_moe"}) {
        fs::remove_all(folder);
        const std::vector<float> expected = logits_without(precision, path, model);
        EXPECT_EQ(logits(precision, path, model), expected) << path << ", " << model;
        const std::string kept = file();
        const fs::file_time_type first = written(kept);
        EXPECT_EQ(logits(precision, path, model), expected) << path << ", " << model;
        EXPECT_EQ(file(), kept);
        EXPECT_EQ(written(kept), first) << "was packed again";
        EXPECT_TRUE(log.empty());
      }
    }
  }
}

TEST_F(PackedWeightsTest, AreReadInPlaceAndNotFromTheCheckpoint) {
  const std::vector<float> right = logits();
  // A weight changed together with its checksum: what is computed is what the file says.
  const Result<SafetensorsFile> opened = SafetensorsFile::open(file());
  ASSERT_TRUE(opened.ok());
  std::string bytes = read_file(file());
  const TensorEntry* head = opened->find("lm_head.weight");
  ASSERT_NE(head, nullptr);
  EXPECT_EQ(head->begin % 64, 0u);
  // Its last 64 bytes name the layout.
  for (uint64_t i = 0; i + 64 < head->bytes; ++i) bytes[head->begin + i] = 0;
  write_file(file(), bytes);
  const std::string digest = opened->metadata().at("digest");
  // The checksum of what stands there now, as the program itself computes it.
  uint64_t hashed = 0;
  const Result<SafetensorsFile> changed = SafetensorsFile::open(file());
  ASSERT_TRUE(changed.ok());
  const auto digests = tensor_digests(*changed, {}, &hashed);
  ASSERT_TRUE(digests.ok());
  std::string all;
  for (const auto& [name, content] : *digests) all += name + "\n" + content + "\n";
  const std::string now = hash_text(all).hex();
  ASSERT_NE(now, digest);
  bytes.replace(bytes.find(digest), digest.size(), now);
  write_file(file(), bytes);
  const std::vector<float> zeros = logits();
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(zeros, std::vector<float>(right.size(), 0.0F));
}

TEST_F(PackedWeightsTest, EachModelPrecisionAndCodePathHasItsOwnFile) {
  logits(kBf16);
  EXPECT_EQ(files().size(), 1u);
  logits(kF32);
  EXPECT_EQ(files().size(), 2u);
  logits(kF32, "portable");
  EXPECT_EQ(files().size(), 3u);
  logits(kF32, "portable", "mistral");
  EXPECT_EQ(files().size(), 4u);
  EXPECT_TRUE(log.empty());
}

TEST_F(PackedWeightsTest, AChangedBitIsFound) {
  logits();
  std::string bytes = read_file(file());
  bytes[bytes.size() - 100] = static_cast<char>(bytes[bytes.size() - 100] ^ 4);
  expect_packed_again(bytes, "expected digest \"");
}

TEST_F(PackedWeightsTest, ATruncatedFileIsFound) {
  logits();
  const std::string bytes = read_file(file());
  expect_packed_again(bytes.substr(0, bytes.size() - 64), "its header describes");
  expect_packed_again(bytes.substr(0, 5), "expected at least 8 bytes, found 5");
  expect_packed_again("", "expected at least 8 bytes, found 0");
}

TEST_F(PackedWeightsTest, AFileOfAnotherModelUnderThisNameIsFound) {
  logits(kBf16, "auto", "mistral");
  const std::string other = read_file(file());
  fs::remove_all(folder);
  expect_packed_again(other, "expected model \"");
}

TEST_F(PackedWeightsTest, AFolderThatCannotBeWrittenCostsAWarning) {
  fs::create_directories(home.file("store"));
  write_file(folder, "a file where the folder should be");
  EXPECT_EQ(logits(), logits_without());
  ASSERT_EQ(log.size(), 1u);
  EXPECT_NE(log[0].find("packed weights are not kept (set model.packed_weights = false to skip "
                        "this)"),
            std::string::npos)
      << log[0];
  EXPECT_EQ(read_file(folder), "a file where the folder should be");
}

// A file of packed weights that was last read so many seconds after another.
std::string packed_file(const std::string& folder, char digit, size_t bytes, int read_s) {
  const std::string path = folder + "/" + std::string(32, digit) + ".safetensors";
  write_file(path, std::string(bytes, 'w'));
  const timespec times[] = {{1000 + read_s, 0}, {1000, 0}};  // read, written
  EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  return path;
}

TEST_F(PackedWeightsTest, RoomIsThatOfFilesThatWereNotUsedForLongest) {
  fs::create_directories(folder);
  const std::string a = packed_file(folder, 'a', 100, 30), b = packed_file(folder, 'b', 100, 10),
                    c = packed_file(folder, 'c', 100, 20), d = packed_file(folder, 'd', 100, 40);
  const std::string other = folder + "/model.safetensors";
  write_file(other, std::string(1000, 'x'));
  const auto left = [&] {
    std::vector<std::string> paths;
    for (const PackedFile& kept : packed_files(folder)) paths.push_back(kept.path);
    return paths;
  };
  EXPECT_EQ(left(), (std::vector{b, c, a, d}));
  make_packed_room(folder, folder + "/new", 100, 500);
  EXPECT_EQ(left(), (std::vector{b, c, a, d}));
  make_packed_room(folder, folder + "/new", 101, 500);
  EXPECT_EQ(left(), (std::vector{c, a, d}));
  make_packed_room(folder, c, 150, 300);  // replaces c
  EXPECT_EQ(left(), (std::vector{c, d}));
  make_packed_room(folder, folder + "/new", 1000, 500);
  EXPECT_TRUE(left().empty());
  EXPECT_TRUE(fs::exists(other)) << "is no file of packed weights";
}

TEST_F(PackedWeightsTest, AFileThatIsRemovedWhileItIsUsedIsStillRead) {
  logits();
  HarnessOptions options;
  options.precision = kBf16;
  options.packed = folder;
  ForwardHarness harness(fixture("llama2"), options);
  fs::remove(file());
  EXPECT_EQ(prefill(harness), logits_without());
}

}  // namespace
}  // namespace dbsa
