#include "tools/make_checkpoint/checkpoint_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "config/atomic_file.h"
#include "config/file_calls.h"
#include "model/checkpoint/checkpoint.h"
#include "model/config/model_config.h"
#include "tools/make_checkpoint/byte_tokenizer.h"
#include "tools/make_checkpoint/random_weights.h"

namespace dbsa::tools {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Preset {
  const char* name;
  int64_t hidden, wide, layers, heads, kv_heads, vocabulary;
  double theta;
  bool tied;
};
// 110m and 1b have a small vocabulary, so that benches measure layers and not the head; 8b is the
// shape of Llama 3.1 8B.
constexpr Preset kPresets[] = {
    {"tiny", 64, 176, 2, 4, 2, 320, 10000.0, true},
    {"110m", 768, 2048, 12, 12, 4, 4096, 500000.0, true},
    {"1b", 2048, 8192, 16, 32, 8, 4096, 500000.0, true},
    {"8b", 4096, 14336, 32, 32, 8, 128256, 500000.0, false},
};

Error failed(const std::string& path, const std::string& what, int cause) {
  return {ErrorCode::kEnvironment, path + ": " + what + ": " + std::strerror(cause), {}};
}

// The header with its length, padded so that the data starts at a multiple of 64.
std::string safetensors_head(const std::vector<TensorSpec>& tensors, bool bf16, uint64_t* data) {
  json header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t at = 0;
  for (const TensorSpec& tensor : tensors) {
    uint64_t bytes = bf16 ? 2 : 4;
    for (int64_t n : tensor.shape) bytes *= static_cast<uint64_t>(n);
    header[tensor.name] = {{"dtype", bf16 ? "BF16" : "F32"},
                           {"shape", tensor.shape},
                           {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');
  uint64_t length = text.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  *data = at;
  return out + text;
}

// Writes at a place of the file; false, with errno, where it cannot.
bool write_at(int file, const char* data, size_t bytes, uint64_t at) {
  while (bytes > 0) {
    const ssize_t wrote =
        uninterrupted([&] { return ::pwrite(file, data, bytes, static_cast<off_t>(at)); });
    if (wrote == 0) errno = ENOSPC;
    if (wrote <= 0) return false;
    data += wrote;
    bytes -= static_cast<size_t>(wrote);
    at += static_cast<uint64_t>(wrote);
  }
  return true;
}

int64_t elements(const TensorSpec& tensor) {
  int64_t count = 1;
  for (const int64_t n : tensor.shape) count *= n;
  return count;
}

bool write_tensor(int file, uint64_t at, const TensorSpec& tensor, const CheckpointPlan& plan) {
  constexpr int64_t kChunk = 1 << 18;
  int64_t left = elements(tensor);
  RandomStream stream(plan.seed, tensor.name);
  std::vector<float> values(static_cast<size_t>(std::min(left, kChunk)));
  std::vector<uint16_t> halves(values.size());
  for (; left > 0; left -= static_cast<int64_t>(values.size())) {
    values.resize(static_cast<size_t>(std::min(left, kChunk)));
    draw_weights(tensor.name, tensor.shape, stream, values);
    const auto* bytes = reinterpret_cast<const char*>(values.data());
    size_t size = values.size() * sizeof(float);
    if (plan.bf16) {
      for (size_t i = 0; i < values.size(); ++i) halves[i] = to_bf16(values[i]);
      bytes = reinterpret_cast<const char*>(halves.data());
      size = values.size() * sizeof(uint16_t);
    }
    if (!write_at(file, bytes, size, at)) return false;
    at += size;
  }
  return true;
}

// Every tensor has its own stream, so they are drawn on all processors. 0, or an errno.
int write_tensors(int file, uint64_t at, const std::vector<TensorSpec>& tensors,
                  const CheckpointPlan& plan) {
  std::vector<uint64_t> places;
  for (const TensorSpec& tensor : tensors) {
    places.push_back(at);
    at += static_cast<uint64_t>(elements(tensor)) * (plan.bf16 ? 2 : 4);
  }
  std::atomic<size_t> next = 0;
  std::atomic<int> cause = 0;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
      threads.emplace_back([&] {
        for (size_t t = next++; t < tensors.size() && cause == 0; t = next++)
          if (!write_tensor(file, places[t], tensors[t], plan)) cause = errno;
      });
  }
  return cause;
}

Result<CheckpointSize> write_files(const std::string& folder, const ModelConfig& config,
                                   const CheckpointPlan& plan) {
  const std::vector<TensorSpec> tensors = expected_tensors(config);
  uint64_t data = 0;
  const std::string head = safetensors_head(tensors, plan.bf16, &data);
  const CheckpointSize size{static_cast<int64_t>(data / (plan.bf16 ? 2 : 4)), head.size() + data};

  std::error_code error;
  const auto space = fs::space(folder, error);
  if (!error && space.available < size.bytes) {
    return Error{ErrorCode::kEnvironment,
                 folder + ": the checkpoint needs " + std::to_string(size.bytes) +
                     " bytes, the disk has " + std::to_string(space.available) + " free",
                 {}};
  }
  const std::string weights = folder + "/model.safetensors";
  const Descriptor file(uninterrupted(
      [&] { return ::open(weights.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666); }));
  int cause = !file.valid() || !write_at(file.get(), head.data(), head.size(), 0) ? errno : 0;
  if (cause == 0) cause = write_tensors(file.get(), head.size(), tensors, plan);
  if (cause == 0 && uninterrupted([&] { return ::fsync(file.get()); }) != 0) cause = errno;
  if (cause == 0) cause = flush_as_closing(file.get());
  if (cause != 0) return failed(weights, "cannot be written", cause);
  DBSA_RETURN_IF_ERROR(write_file_atomically(folder + "/config.json", plan.config.dump(2) + "\n"));
  DBSA_RETURN_IF_ERROR(write_file_atomically(folder + "/tokenizer.json", byte_tokenizer_json()));
  DBSA_RETURN_IF_ERROR(sync_folder(folder));
  return size;
}

Descriptor open_folder(const std::string& path) {
  return Descriptor(uninterrupted(
      [&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
}

// Removes what runs for the same folder that were killed have left: <base>.tmp-<process> that no
// process has locked, and the folder that was to be replaced once the new one is there.
void remove_leftovers_of(const std::string& base) {
  const fs::path whole = fs::absolute(base);
  const std::string begin = whole.filename().string() + ".tmp-";
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(whole.parent_path(), error), end; !error && it != end;
       it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!name.starts_with(begin)) continue;
    name.erase(0, begin.size());
    if (name.ends_with(".old") && fs::exists(whole)) name.resize(name.size() - 4);
    if (!name.empty() && name.find_first_not_of("0123456789") == name.npos)
      found.push_back(it->path().string());
  }
  for (const std::string& path : found)
    if (const Descriptor folder = open_folder(path);
        folder.valid() && lock_file(folder.get(), LOCK_EX | LOCK_NB) == 0)
      fs::remove_all(path, error);
}

// Puts `made` in the place of `folder`; an old folder is removed only once the new one stands.
Status publish(const std::string& made, const std::string& folder) {
  std::error_code error;
  const std::string old = made + ".old";
  if (fs::exists(folder)) {
    fs::rename(folder, old, error);
    if (error) return failed(folder, "cannot be replaced", error.value());
  }
  fs::rename(made, folder, error);
  if (error) {
    std::error_code ignored;
    fs::rename(old, folder, ignored);
    return failed(folder, "cannot be made", error.value());
  }
  DBSA_RETURN_IF_ERROR(sync_folder(fs::absolute(folder).parent_path().string()));
  fs::remove_all(old, error);
  return {};
}

// Only a folder that holds nothing but what this tool writes may be replaced.
Status check_target(const std::string& folder, bool overwrite) {
  if (!fs::exists(folder)) return {};
  if (!overwrite) {
    return Error{ErrorCode::kEnvironment,
                 folder + ": exists already; give another folder, or --overwrite to replace it",
                 {}};
  }
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name == "config.json" || name == "model.safetensors" || name == "tokenizer.json") continue;
    return Error{
        ErrorCode::kEnvironment,
        folder + ": holds '" + name +
            "', which this tool does not write; it is not overwritten: give another folder",
        {}};
  }
  if (error) return failed(folder, "cannot be listed", error.value());
  return {};
}

}  // namespace

Result<json> preset_config(const std::string& name) {
  for (const Preset& p : kPresets) {
    if (name != p.name) continue;
    return json{{"architectures", {"LlamaForCausalLM"}},
                {"model_type", "llama"},
                {"hidden_size", p.hidden},
                {"intermediate_size", p.wide},
                {"num_hidden_layers", p.layers},
                {"num_attention_heads", p.heads},
                {"num_key_value_heads", p.kv_heads},
                {"vocab_size", p.vocabulary},
                {"rms_norm_eps", 1e-5},
                {"rope_theta", p.theta},
                {"max_position_embeddings", 131072},
                {"tie_word_embeddings", p.tied},
                {"hidden_act", "silu"},
                {"bos_token_id", kBeginToken},
                {"eos_token_id", kEndToken}};
  }
  return Error{
      ErrorCode::kConfig, "--preset: expected tiny, 110m, 1b or 8b, found \"" + name + "\"", {}};
}

Result<CheckpointSize> write_checkpoint(const std::string& folder, const CheckpointPlan& plan) {
  CheckpointPlan full = plan;
  full.config["torch_dtype"] = plan.bf16 ? "bfloat16" : "float32";
  DBSA_ASSIGN_OR_RETURN(const ModelConfig config,
                        parse_model_config("config.json", full.config.dump()));
  if (config.vocab_size < kByteVocabulary) {
    return Error{ErrorCode::kConfig,
                 "config.json: /vocab_size: expected at least " + std::to_string(kByteVocabulary) +
                     " (the bytes, begin and end), found " + std::to_string(config.vocab_size),
                 {}};
  }
  DBSA_RETURN_IF_ERROR(check_target(folder, plan.overwrite));
  const std::string target = fs::path(folder).lexically_normal().string();
  const std::string base = target.ends_with('/') ? target.substr(0, target.size() - 1) : target;
  const std::string made = base + ".tmp-" + std::to_string(::getpid());
  remove_leftovers_of(base);
  DBSA_RETURN_IF_ERROR(make_folders(made));
  const Descriptor locked = open_folder(made);
  lock_file(locked.get(), LOCK_EX | LOCK_NB);
  std::error_code error;
  auto size = write_files(made, config, full);
  if (size.ok()) {
    if (Status published = publish(made, base); !published.ok()) size = published.error();
  }
  if (!size.ok()) fs::remove_all(made, error);
  return size;
}

}  // namespace dbsa::tools
