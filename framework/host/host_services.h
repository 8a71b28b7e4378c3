// HostServices: what plugins get from the host: threads, scratch memory, a log, the cancel flag.
// The framework uses the same threads and the same log; nothing else starts any.
#pragma once

#include <dbsa/plugin.h>
#include <dbsa/sdk/result.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa::host {

// Values as DBSA_LOG_*.
enum class LogLevel : int32_t { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3, kOff = 4 };

struct HostOptions {
  int threads = 0;  // 0: as many as this process may use
  LogLevel log_level = LogLevel::kInfo;
  // Takes the lines instead of standard error; called from any thread, one at a time.
  std::function<void(LogLevel, std::string_view)> log_sink = nullptr;
};

// Makes vectors of texts for plugins that ask for them: dbsa_host.embed.
class Embedder {
 public:
  virtual ~Embedder() = default;
  // Values in a vector, >= 1.
  virtual int64_t width() const = 0;
  // [texts, width] row-major, each row of length 1 and independent of the other texts.
  virtual Result<std::vector<float>> embed(std::span<const std::string_view> texts) = 0;
  // What the vectors depend on: equal for two embedders only if they give the same vectors.
  virtual std::string identity() const = 0;
};

// Outlives every plugin instance made with it. Does not move: plugins hold its address.
class HostServices {
 public:
  explicit HostServices(HostOptions options = {});
  // For what works beside others: it has its own embedder, plugins and cancel flag. Threads,
  // scratch memory and log are those of `parent`, which outlives it and whose flag counts, too.
  explicit HostServices(HostServices& parent);
  ~HostServices();
  HostServices(const HostServices&) = delete;
  HostServices& operator=(const HostServices&) = delete;

  const dbsa_host* abi() const { return &abi_; }
  int thread_count() const { return threads_; }

  // As dbsa_host.parallel_for, for a body that may throw: the first exception is rethrown here.
  void parallel_for(int64_t count, int64_t grain,
                    const std::function<void(int64_t begin, int64_t end)>& body);
  // As dbsa_host.scratch. nullptr when memory is out.
  void* scratch(int slot, uint64_t bytes);

  // What embeds texts for plugins from now on; nullptr: nothing does, and embed is refused. Not
  // while a plugin's call runs. The embedder stays alive until it is taken away.
  void set_embedder(Embedder* embedder);
  Embedder* embedder() const;

  // What makes plugins for plugins from now on (dbsa_host.open_plugin), given the kind and the
  // configuration with its key `plugin`. Not while a plugin's call runs.
  struct Opened {
    const dbsa_plugin_table* table = nullptr;
    void* instance = nullptr;
  };
  using PluginOpener = std::function<Result<Opened>(uint32_t kind, const std::string& config_json)>;
  void set_plugin_opener(PluginOpener opener);

  void log(LogLevel level, std::string_view message);
  // Whether lines of this level are told.
  bool logs(LogLevel level) const;

  // Safe in a signal handler.
  void request_cancel() noexcept { cancelled_.store(1, std::memory_order_relaxed); }
  bool cancelled() const noexcept {
    return cancelled_.load(std::memory_order_relaxed) != 0 ||
           (parent_ != nullptr && parent_->cancelled());
  }

 private:
  struct Shared;
  struct Impl;
  void fill_abi();

  dbsa_host abi_;
  int threads_;
  const HostServices* parent_ = nullptr;
  std::atomic<int32_t> cancelled_{0};
  static_assert(std::atomic<int32_t>::is_always_lock_free);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dbsa::host
