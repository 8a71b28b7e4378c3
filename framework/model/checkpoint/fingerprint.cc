#include "model/checkpoint/fingerprint.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "config/atomic_file.h"
#include "config/read_file.h"
#include "model/config/model_spec.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCacheHeader = "dbsa-weights 2";
constexpr int64_t kTrustedSeconds = int64_t{30} * 24 * 3600;
constexpr size_t kMostFiles = 256;

// Content hash of every tensor of one file, by name, as hex.
using Digests = std::map<std::string, std::string>;

std::string identity_line(const FileIdentity& id) {
  return std::to_string(id.device) + " " + std::to_string(id.inode) + " " +
         std::to_string(id.bytes) + " " + std::to_string(id.modified_ns) + " " +
         std::to_string(id.changed_ns);
}

std::string cache_path(const std::string& folder, const FileIdentity& id) {
  return (fs::path(folder) /
          ("weights-" + std::to_string(id.device) + "-" + std::to_string(id.inode) + ".txt"))
      .string();
}

// The body, then a line with its hash. Names are hex so that any name is one word.
std::string cache_text(const FileIdentity& id, int64_t hashed_unix_s, const Digests& digests) {
  std::string body = std::string(kCacheHeader) + "\n" + identity_line(id) + "\nhashed " +
                     std::to_string(hashed_unix_s) + "\n";
  for (const auto& [name, digest] : digests) {
    for (unsigned char c : name) {
      char digits[3];
      std::snprintf(digits, sizeof digits, "%02x", c);
      body += digits;
    }
    body += " " + digest + "\n";
  }
  return body + "end " + hash_text(body).hex() + "\n";
}

// What the cache says, or empty if it says nothing that can be trusted for this file as it is.
Digests read_cache(const std::string& folder, const TensorFile& file) {
  constexpr uint64_t kMaxBytes = 64 << 20;  // a hundred bytes a tensor
  const Result<FileText> cached = read_file(cache_path(folder, file.identity()), kMaxBytes);
  if (!cached.ok()) return {};
  Digests digests;
  std::istringstream lines(cached->text);
  std::string line, word, digest;
  std::getline(lines, line);
  std::getline(lines, line);
  int64_t hashed_unix_s = 0;
  if (!(lines >> word >> hashed_unix_s)) return {};
  const int64_t age = std::time(nullptr) - hashed_unix_s;
  if (age < 0 || age > kTrustedSeconds) return {};
  for (const auto& entry : file.entries()) {
    if (!(lines >> word >> digest)) return {};
    digests[entry.name] = digest;
  }
  // Writing what was read must give the same bytes: header, identity, names, hash and all.
  return cache_text(file.identity(), hashed_unix_s, digests) == cached->text ? digests : Digests{};
}

// Removes the files written longest ago where there are too many.
void bound_cache(const std::string& folder) {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (!entries->path().filename().string().starts_with("weights-")) continue;
    std::error_code gone;
    const fs::file_time_type written = entries->last_write_time(gone);
    if (!gone) files.emplace_back(written, entries->path());
  }
  if (files.size() <= kMostFiles) return;
  std::sort(files.begin(), files.end());
  files.resize(files.size() - kMostFiles);
  for (const auto& [written, path] : files) fs::remove(path, error);
}

// Failure costs the next start time and nothing else, so it is not reported.
void write_cache(const std::string& folder, const FileIdentity& id, const Digests& digests) {
  if (write_file_atomically(cache_path(folder, id), cache_text(id, std::time(nullptr), digests))
          .ok())
    bound_cache(folder);
}

Digests hash_file(const TensorFile& file, uint64_t* bytes_hashed) {
  Digests digests;
  for (const auto& entry : file.entries()) {
    const auto bytes = file.bytes(entry);
    digests[entry.name] = hash_bytes(bytes).hex();
    *bytes_hashed += bytes.size();
  }
  return digests;
}

}  // namespace

Result<ModelFingerprint> fingerprint_model(const ModelConfig& config, const Weights& weights,
                                           const DigestCache& cache) {
  return fingerprint_weights(spec_identity(make_model_spec(config)), weights, cache);
}

Result<ModelFingerprint> fingerprint_weights(const std::string& config, const Weights& weights,
                                             const DigestCache& cache) {
  ModelFingerprint out;
  std::map<std::string, std::string> tensors;  // name -> its line
  const std::vector<const TensorFile*> files = weights.tensor_files();
  for (size_t i = 0; i < files.size(); ++i) {
    DBSA_ASSIGN_OR_RETURN(Digests digests, tensor_digests(*files[i], cache, &out.bytes_hashed));
    for (const TensorEntry& entry : files[i]->entries()) {
      if (!weights.is_read_from(i, entry.name)) continue;
      tensors[entry.name] = std::to_string(entry.name.size()) + " " + entry.name + " " +
                            entry.dtype_name + " " + shape_text(entry.shape) + " " +
                            digests[entry.name] + "\n";
    }
  }
  std::string all = config + weights.layout();
  for (const auto& [name, line] : tensors) all += line;
  out.value = hash_text(all);
  return out;
}

Result<Digests> tensor_digests(const TensorFile& file, const DigestCache& cache,
                               uint64_t* bytes_hashed) {
  Digests digests;
  const bool remembers = !cache.folder.empty();
  if (remembers && cache.trusted) digests = read_cache(cache.folder, file);
  if (digests.size() == file.entries().size()) return digests;
  digests = hash_file(file, bytes_hashed);
  DBSA_RETURN_IF_ERROR(file.check_unchanged());
  if (remembers && is_settled(file.identity())) write_cache(cache.folder, file.identity(), digests);
  return digests;
}

std::string default_cache_folder() {
  // Relative ones are to be ignored, says the XDG base directory specification.
  const auto set = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr || *value != '/' ? "" : value;
  };
  if (const std::string cache = set("XDG_CACHE_HOME"); !cache.empty()) return cache + "/dbsa-pipe";
  if (const std::string home = set("HOME"); !home.empty()) return home + "/.cache/dbsa-pipe";
  return "";
}

}  // namespace dbsa
