#include "model/decoder/packed_weights.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "config/atomic_file.h"
#include "config/file_calls.h"
#include "model/decoder/packed_files.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

constexpr size_t kAlignment = 64;

std::string digest_of(const std::map<std::string, std::string>& tensors) {
  std::string all;
  for (const auto& [name, digest] : tensors) all += name + "\n" + digest + "\n";
  return hash_text(all).hex();
}

// Of a model and a packing.
std::string file_name(const std::string& model, const std::string& packing) {
  return hash_text(model + "\n" + packing).hex() + ".safetensors";
}

std::string metadata_of(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? "" : found->second;
}

Status expect(const SafetensorsFile& file, const std::string& key, const std::string& value) {
  const std::string found = metadata_of(file, key);
  if (found == value) return {};
  return Error{ErrorCode::kCorrupt,
               file.path() + ": expected " + key + " \"" + value + "\", found " +
                   (found.empty() ? "none" : "\"" + found + "\""),
               ""};
}

Status check_content(const SafetensorsFile& file, const DigestCache& cache) {
  for (const TensorEntry& entry : file.entries())
    if (entry.begin % kAlignment != 0)
      return Error{ErrorCode::kCorrupt, file.path() + ": a weight is not 64-byte aligned", ""};
  uint64_t hashed = 0;
  DBSA_ASSIGN_OR_RETURN(const auto digests, tensor_digests(file, cache, &hashed));
  return expect(file, "digest", digest_of(digests));
}

// Header length and header, padded so that the data begin aligned.
std::string header_text(const nlohmann::json& header) {
  std::string text = header.dump();
  text.append((kAlignment - (8 + text.size()) % kAlignment) % kAlignment, ' ');
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  return length + text;
}

}  // namespace

PackedWeights::PackedWeights(std::string folder, const Hash128& model, DigestCache cache,
                             host::HostServices& services)
    : folder_(std::move(folder)),
      model_(model.hex()),
      cache_(std::move(cache)),
      services_(services) {}

void PackedWeights::warn(const std::string& what) const {
  services_.log(host::LogLevel::kWarning, what);
}

void PackedWeights::open(const host::AttentionBackend& backend, bool quantised) {
  backend_ = &backend;
  packing_ = backend.packing();
  if (packing_.empty()) return;
  if (quantised) packing_ += ", blocks";
  path_ = folder_ + "/" + file_name(model_, packing_);
  std::error_code failed;
  if (!fs::exists(path_, failed)) return;
  if (const Status status = read(); !status.ok()) reject(status.error().message);
}

void PackedWeights::reject(const std::string& why) {
  file_.reset();
  warn(why + "; the weights are packed again");
}

Status PackedWeights::read() {
  DBSA_ASSIGN_OR_RETURN(file_, SafetensorsFile::open(path_));
  DBSA_RETURN_IF_ERROR(expect(*file_, "model", model_));
  DBSA_RETURN_IF_ERROR(expect(*file_, "packing", packing_));
  return check_content(*file_, cache_);
}

Status check_packed_weights(const std::string& path) {
  DBSA_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(path));
  const std::string name = file_name(metadata_of(file, "model"), metadata_of(file, "packing"));
  if (fs::path(path).filename() != name)
    return Error{ErrorCode::kCorrupt,
                 path + ": expected the name " + name + " for what it says it holds", ""};
  return check_content(file, {});
}

std::optional<std::span<const unsigned char>> PackedWeights::find(const std::string& name) const {
  const TensorEntry* entry = file_ ? file_->find(name) : nullptr;
  if (entry == nullptr) return std::nullopt;
  return file_->bytes(*entry);
}

Status PackedWeights::add(const std::string& name, const host::Weight& weight) {
  if (packing_.empty()) return {};
  DBSA_ASSIGN_OR_RETURN(added_[name], backend_->weight_packed(weight));
  return {};
}

void PackedWeights::keep() {
  if (added_.empty()) return;
  uint64_t bytes = 0;
  nlohmann::json header = nlohmann::json::object();
  std::map<std::string, std::string> digests;
  std::vector<std::string_view> pieces(1);
  for (const auto& [name, packed] : added_) {
    header[name] = {{"dtype", "U8"},
                    {"shape", {packed.size()}},
                    {"data_offsets", {bytes, bytes + packed.size()}}};
    bytes += packed.size();
    digests[name] = hash_bytes(packed).hex();
    pieces.emplace_back(reinterpret_cast<const char*>(packed.data()), packed.size());
  }
  header["__metadata__"] = {
      {"model", model_}, {"packing", packing_}, {"digest", digest_of(digests)}};
  const std::string text = header_text(header);
  pieces[0] = text;
  added_.clear();

  (void)make_folders(folder_);  // where it fails, so does writing
  remove_leftovers(folder_);    // which may be what fills the disk
  make_packed_room(folder_, path_, bytes);
  std::error_code failed;
  if (const fs::space_info space = fs::space(folder_, failed);
      !failed && space.available < bytes + bytes / 10) {
    warn(path_ + ": packed weights take " + std::to_string(bytes >> 20) + " MiB and " +
         std::to_string(space.available >> 20) +
         " MiB are free; they are not kept (set model.packed_weights = false to skip this)");
    return;
  }
  if (const Status status = write_file_atomically(path_, pieces); !status.ok())
    warn(status.error().message +
         "; packed weights are not kept (set model.packed_weights = false to skip this)");
}

}  // namespace dbsa
