#include "model/checkpoint/fingerprint.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <thread>

#include "tests/model/model_files.h"
#include "tests/reference/fixtures.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;
using test::read_file;
using test::TemporaryFolder;
using test::write_file;

class FingerprintTest : public testing::Test {
 protected:
  void SetUp() override {
    copy_fixture("llama2");
    settle();
  }

  void copy_fixture(const std::string& name) {
    for (const auto& entry : fs::directory_iterator(model.path())) fs::remove(entry.path());
    const auto source = fs::path(DBSA_SOURCE_DIR) / "tests/reference/fixtures" / name;
    for (const auto& entry : fs::directory_iterator(source)) {
      if (entry.path().filename() == "expected.safetensors") continue;
      fs::copy_file(entry.path(), model.path() / entry.path().filename());
    }
  }

  // Files younger than a tick of the clock are waited for.
  static void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(80)); }

  ModelFingerprint compute(const std::string& cache_folder) {
    const auto config = load_model_config(model.path());
    EXPECT_TRUE(config.ok()) << config.error().message;
    return compute(*config, cache_folder);
  }
  ModelFingerprint compute(const ModelConfig& config, const std::string& cache_folder) {
    const auto checkpoint = Checkpoint::open(model.path());
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    const auto result = fingerprint_model(config, *checkpoint, {cache_folder});
    EXPECT_TRUE(result.ok()) << result.error().message;
    return *result;
  }
  std::string cache_file() {
    std::string found;
    for (const auto& entry : fs::directory_iterator(cache)) found = entry.path().string();
    return found;
  }

  TemporaryFolder model, home;
  std::string weights = model.file("model.safetensors");
  std::string cache = home.file("new/cache");
};

TEST_F(FingerprintTest, IsRememberedWhileTheFileIsUnchanged) {
  const auto first = compute(cache);
  EXPECT_GT(first.bytes_hashed, 100000u);
  const auto second = compute(cache);
  EXPECT_EQ(second.bytes_hashed, 0u);
  EXPECT_EQ(second.value, first.value);
  const auto uncached = compute("");
  EXPECT_EQ(uncached.bytes_hashed, first.bytes_hashed);
  EXPECT_EQ(uncached.value, first.value);
  EXPECT_EQ(first.value.hex().size(), 32u);
}

TEST_F(FingerprintTest, ATouchedFileIsReadAgain) {
  const auto first = compute(cache);
  fs::last_write_time(weights, fs::last_write_time(weights) - std::chrono::hours(1));
  settle();
  const auto second = compute(cache);
  EXPECT_EQ(second.bytes_hashed, first.bytes_hashed);
  EXPECT_EQ(second.value, first.value);
  EXPECT_EQ(compute(cache).bytes_hashed, 0u);
}

TEST_F(FingerprintTest, AChangedByteChangesIt) {
  const auto first = compute(cache);
  const auto time = fs::last_write_time(weights);
  std::string bytes = read_file(weights);
  bytes[bytes.size() - 100] ^= 1;
  write_file(weights, bytes);
  fs::last_write_time(weights, time);  // ctime still tells
  settle();
  const auto second = compute(cache);
  EXPECT_EQ(second.bytes_hashed, first.bytes_hashed);
  EXPECT_NE(second.value, first.value);
}

// Another change within the same tick of the clock would not show, so that tick is waited for.
TEST_F(FingerprintTest, AFileJustWrittenIsWaitedForAndRemembered) {
  std::string bytes = read_file(weights);
  for (int i = 0; i < 10; ++i) {
    bytes[bytes.size() - 100] ^= 1;
    write_file(weights, bytes);
    const auto fresh = compute(cache);
    EXPECT_GT(fresh.bytes_hashed, 0u);
    const auto again = compute(cache);
    EXPECT_EQ(again.bytes_hashed, 0u);
    EXPECT_EQ(again.value, fresh.value);
  }
}

TEST_F(FingerprintTest, AFileChangedSinceItWasOpenedIsRefused) {
  const auto config = load_model_config(model.path());
  const auto checkpoint = Checkpoint::open(model.path());
  ASSERT_TRUE(config.ok() && checkpoint.ok());
  const std::string bytes = read_file(weights);
  write_file(weights, bytes);  // in place
  const auto result = fingerprint_model(*config, *checkpoint, {cache});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(result.error().message.find(weights + ": was changed while it was in use"), 0u)
      << result.error().message;
  EXPECT_FALSE(fs::exists(cache));
}

TEST_F(FingerprintTest, IsComputedAgainWhenAskedAndAfterThirtyDays) {
  const auto first = compute(cache);
  const auto config = load_model_config(model.path());
  const auto checkpoint = Checkpoint::open(model.path());
  ASSERT_TRUE(config.ok() && checkpoint.ok());
  const auto again = fingerprint_model(*config, *checkpoint, {cache, false});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->bytes_hashed, first.bytes_hashed);
  EXPECT_EQ(compute(cache).bytes_hashed, 0u);

  // The same file as of 29 and of 31 days ago.
  const std::string path = cache_file();
  for (const int days : {29, 31}) {
    std::string text = read_file(path);
    const size_t at = text.find("\nhashed ") + 8;
    text.replace(at, text.find('\n', at) - at,
                 std::to_string(std::time(nullptr) - days * int64_t{24} * 3600));
    text.resize(text.rfind("end "));
    text += "end " + hash_text(text).hex() + "\n";
    write_file(path, text);
    EXPECT_EQ(compute(cache).bytes_hashed, days < 30 ? 0u : first.bytes_hashed) << days;
  }
}

TEST_F(FingerprintTest, FilesOfTheCacheAreBounded) {
  compute(cache);
  for (int i = 0; i < 300; ++i) {
    const std::string path = cache + "/weights-1-" + std::to_string(i) + ".txt";
    write_file(path, "old");
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(300 - i));
  }
  write_file(cache + "/another.txt", "not ours");
  const std::string bytes = read_file(weights);
  write_file(weights, bytes);
  compute(cache);
  const auto files = std::distance(fs::directory_iterator(cache), fs::directory_iterator());
  EXPECT_EQ(files, 257);
  EXPECT_FALSE(fs::exists(cache + "/weights-1-0.txt"));
  EXPECT_TRUE(fs::exists(cache + "/weights-1-299.txt"));
  EXPECT_EQ(compute(cache).bytes_hashed, 0u);
}

TEST_F(FingerprintTest, ADamagedCacheCostsTimeOnly) {
  const auto first = compute(cache);
  const std::string path = cache_file();
  const std::string good = read_file(path);
  for (const std::string& bad :
       {std::string(), std::string("\0\xff garbage", 10), good.substr(0, good.size() / 2),
        good + "x", good.substr(0, good.size() - 40) + std::string(40, '0')}) {
    write_file(path, bad);
    const auto again = compute(cache);
    EXPECT_EQ(again.value, first.value);
    EXPECT_EQ(again.bytes_hashed, first.bytes_hashed);
    EXPECT_EQ(compute(cache).bytes_hashed, 0u);
  }
  // A digest altered in place is caught by the hash of the file.
  std::string bad = good;
  const size_t at = bad.find(' ', bad.find('\n', bad.find('\n') + 1)) + 1;
  bad[at] = bad[at] == 'a' ? 'b' : 'a';
  write_file(path, bad);
  EXPECT_EQ(compute(cache).value, first.value);
}

TEST_F(FingerprintTest, AnUnusableCacheCostsTimeOnly) {
  write_file(home.file("file"), "");
  const auto first = compute(home.file("file/below"));
  EXPECT_GT(first.bytes_hashed, 0u);
  EXPECT_EQ(first.value, compute("").value);
}

TEST_F(FingerprintTest, DependsOnTheConfigurationInUse) {
  const auto first = compute("");
  const auto config = load_model_config(model.path());
  ASSERT_TRUE(config.ok());
  const auto differs = [&](auto change) {
    ModelConfig other = *config;
    change(other);
    return compute(other, "").value != first.value;
  };
  EXPECT_TRUE(differs([](auto& c) { c.rms_norm_eps = 1e-6; }));
  EXPECT_TRUE(differs([](auto& c) { c.kv_heads = 2; }));
  EXPECT_TRUE(differs([](auto& c) { c.tie_word_embeddings = true; }));
  EXPECT_FALSE(differs([](auto& c) { c.torch_dtype = "float16"; }));
  EXPECT_FALSE(differs([](auto& c) { c.rope.theta = 5; }));
}

TEST_F(FingerprintTest, DoesNotDependOnSharding) {
  copy_fixture("llama3");
  const auto sharded = compute("");
  // The same tensors in one file.
  const auto checkpoint = Checkpoint::open(model.path());
  ASSERT_TRUE(checkpoint.ok());
  std::vector<test::TestTensor> tensors;
  for (const auto& file : checkpoint->files()) {
    for (const auto& entry : file.entries()) {
      const auto bytes = file.bytes(entry);
      tensors.push_back(
          {entry.name, entry.dtype_name, entry.shape, std::string(bytes.begin(), bytes.end())});
    }
  }
  write_file(weights, test::safetensors_bytes(tensors));
  const auto whole = compute("");
  EXPECT_EQ(whole.value, sharded.value);
  EXPECT_EQ(whole.bytes_hashed, sharded.bytes_hashed);
  tensors.back().shape = {1, static_cast<int64_t>(tensors.back().bytes.size() / 4)};
  write_file(weights, test::safetensors_bytes(tensors));
  EXPECT_NE(compute("").value, sharded.value);
}

TEST(Fingerprint, DefaultCacheFolder) {
  const auto get = [](const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
  };
  const std::string old_cache = get("XDG_CACHE_HOME"), old_home = get("HOME");
  ::setenv("HOME", "/home/someone", 1);
  ::setenv("XDG_CACHE_HOME", "/var/cache/someone", 1);
  EXPECT_EQ(default_cache_folder(), "/var/cache/someone/dbsa-pipe");
  ::unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(default_cache_folder(), "/home/someone/.cache/dbsa-pipe");
  ::unsetenv("HOME");
  EXPECT_EQ(default_cache_folder(), "");
  if (!old_home.empty()) ::setenv("HOME", old_home.c_str(), 1);
  if (!old_cache.empty()) ::setenv("XDG_CACHE_HOME", old_cache.c_str(), 1);
}

}  // namespace
}  // namespace dbsa
