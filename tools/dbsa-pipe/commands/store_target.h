// StoreTarget: the KV store that a `store` command works on, opened from its folder or from a
// pipeline file.
#pragma once

#include <dbsa/sdk/result.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/attention_backend.h"
#include "host/host_services.h"
#include "host/kv_store.h"
#include "host/plugin_registry.h"
#include "options.h"
#include "pipeline/pool/stored_pool.h"
#include "terminal/cancel.h"
#include "terminal/terminal.h"

namespace dbsa::cli {

class StoreTarget {
 public:
  // A folder is opened by the plugin that keeps stores in folders and finds one there; a file is a
  // pipeline file, whose store is opened as it says. kEnvironment where there is no store.
  static Result<std::unique_ptr<StoreTarget>> open(const CommandLine& line, Terminal& terminal);

  const std::string& path() const { return path_; }
  // output.directory of a pipeline file; "" of a folder.
  const std::string& output_directory() const { return output_directory_; }
  host::KvStore& store() { return *store_; }
  const host::KvStore& store() const { return *store_; }
  bool cancelled() const { return services_.cancelled(); }
  // All blocks, oldest first.
  Result<std::vector<KvEntry>> entries() const;
  // All pools by id, each read. One that cannot be listed is an error.
  Result<std::vector<StoredPool>> pools() const { return stored_pools(*store_); }
  // The backend that reads blocks of this shape: the pipeline's, or the default one.
  Result<host::AttentionBackend> open_backend(const dbsa_kv_format& format);

 private:
  explicit StoreTarget(host::HostOptions options, host::PluginRegistry registry)
      : services_(std::move(options)), registry_(std::move(registry)), cancel_(services_) {}
  Status open_folder(const std::string& path);
  Status open_pipeline(const std::string& path);

  host::HostServices services_;
  host::PluginRegistry registry_;
  CancelOnSignal cancel_;
  std::string path_, output_directory_;
  const host::Manifest* backend_ = nullptr;
  nlohmann::json backend_config_;
  std::optional<host::KvStore> store_;
};

// "token_major", "cpu_panels", or the number
std::string layout_name(uint32_t layout);

CommandLine store_export_command_line();
int store_export_command(std::span<const std::string> words, Terminal& terminal);

}  // namespace dbsa::cli
