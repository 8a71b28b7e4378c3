#include "host/host_services.h"

#include <dbsa/sdk/plugin.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "host/plugin_call.h"

namespace dbsa::host {
namespace {

constexpr int kScratchSlots = 8;
constexpr uint64_t kScratchAlignment = 64;
constexpr uint64_t kMostScratch = uint64_t{1} << 39;  // more is a mistake in a size
// More ranges than threads, so that uneven ones balance out.
constexpr int64_t kRangesPerThread = 16;

// Debian's libtbb is built without ThreadSanitizer, which hence does not see that a loop's body
// runs after all that its caller did before, and before all that it does after. This says so in
// terms it sees; it costs nothing elsewhere. What finds its way to this object must not be looked
// at.
#ifdef DBSA_SANITIZED_THREADS
#define DBSA_UNSEEN_BY_TSAN __attribute__((no_sanitize("thread")))
#else
#define DBSA_UNSEEN_BY_TSAN
#endif
class LoopOrder {
#ifdef DBSA_SANITIZED_THREADS
 public:
  void caller_begins() { begun_.store(true, std::memory_order_release); }
  void body_begins() { begun_.load(std::memory_order_acquire); }
  void body_ends() { ended_.fetch_add(1, std::memory_order_release); }
  void caller_goes_on() { ended_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> begun_{false};
  std::atomic<int64_t> ended_{0};
#else
 public:
  void caller_begins() {}
  void body_begins() {}
  void body_ends() {}
  void caller_goes_on() {}
#endif
};

// Memory of one slot of one thread. Grows, never shrinks.
class ScratchSlot {
 public:
  void* reserve(uint64_t bytes) {
    if (bytes <= capacity_ && memory_) return memory_.get();
    if (bytes > kMostScratch) return nullptr;
    uint64_t wanted = std::max({bytes, capacity_ + capacity_ / 2, kScratchAlignment});
    wanted = (wanted + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
    memory_.reset();
    capacity_ = 0;
    memory_.reset(std::aligned_alloc(kScratchAlignment, wanted));
    if (memory_) capacity_ = wanted;
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  uint64_t capacity_ = 0;
};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

// Hands lines to a function; base_sink holds the lock.
class FunctionSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FunctionSink(std::function<void(LogLevel, std::string_view)> function)
      : function_(std::move(function)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    LogLevel level = LogLevel::kError;
    for (const LogLevel candidate : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning})
      if (spdlog_level(candidate) == message.level) level = candidate;
    function_(level, {message.payload.data(), message.payload.size()});
  }
  void flush_() override {}

 private:
  std::function<void(LogLevel, std::string_view)> function_;
};

std::shared_ptr<spdlog::logger> make_logger(HostOptions& options) {
  spdlog::sink_ptr sink;
  if (options.log_sink)
    sink = std::make_shared<FunctionSink>(std::move(options.log_sink));
  else
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("dbsa", std::move(sink));
  logger->set_pattern("%^%l%$: %v");
  logger->set_level(spdlog_level(options.log_level));
  logger->flush_on(spdlog::level::warn);
  return logger;
}

}  // namespace

// What services have in common with those made of them.
struct HostServices::Shared {
  Shared(int threads, HostOptions& options) : arena(threads), logger(make_logger(options)) {
    // TBB starts no more workers than there are processors unless told so.
    if (threads > tbb::info::default_concurrency())
      limit.emplace(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(threads));
  }

  void run(int64_t count, int64_t grain, int threads,
           void (*body)(void* argument, int64_t begin, int64_t end), void* argument) {
    if (count <= 0) return;
    grain = std::max<int64_t>(grain, 1);
    const int64_t ranges = std::clamp<int64_t>(count / grain, 1, threads * kRangesPerThread);
    if (ranges == 1 || threads == 1) {
      body(argument, 0, count);
      return;
    }
    const int64_t width = count / ranges + (count % ranges != 0);
    const int64_t filled = count / width + (count % width != 0);
    // Isolation: a thread that waits here takes up no work of an outer call.
    LoopOrder order;
    const PluginCall call = current_plugin_call();
    order.caller_begins();
    arena.execute([&]() DBSA_UNSEEN_BY_TSAN {
      tbb::this_task_arena::isolate([&]() DBSA_UNSEEN_BY_TSAN {
        tbb::parallel_for(
            tbb::blocked_range<int64_t>(0, filled, 1),
            [&](const tbb::blocked_range<int64_t>& range) DBSA_UNSEEN_BY_TSAN {
              order.body_begins();
              const PluginCallScope scope(call);
              for (int64_t i = range.begin(); i < range.end(); ++i)
                body(argument, i * width, std::min(count, (i + 1) * width));
              order.body_ends();
            },
            tbb::simple_partitioner());
      });
    });
    order.caller_goes_on();
  }

  std::optional<tbb::global_control> limit;
  tbb::task_arena arena;
  tbb::enumerable_thread_specific<std::array<ScratchSlot, kScratchSlots>> scratch;
  std::shared_ptr<spdlog::logger> logger;
};

struct HostServices::Impl {
  explicit Impl(std::shared_ptr<Shared> common) : shared(std::move(common)) {}

  Status embed(const Texts& texts, float* vectors) {
    std::lock_guard lock(embed_mutex);
    if (embedder == nullptr)
      return Error{ErrorCode::kConfig,
                   "needs text embeddings, but the pipeline has no [embedding] table; set "
                   "embedding.method",
                   ""};
    std::vector<std::string_view> views;
    for (int64_t i = 0; i < texts.size(); ++i) views.push_back(texts[i]);
    DBSA_ASSIGN_OR_RETURN(const std::vector<float> values, embedder->embed(views));
    std::copy(values.begin(), values.end(), vectors);
    return {};
  }

  std::shared_ptr<Shared> shared;
  Embedder* embedder = nullptr;
  PluginOpener opener;
  std::mutex embed_mutex;
};

HostServices::HostServices(HostOptions options)
    : abi_{},
      threads_(options.threads > 0 ? options.threads : tbb::info::default_concurrency()),
      impl_(std::make_unique<Impl>(std::make_shared<Shared>(threads_, options))) {
  fill_abi();
}

HostServices::HostServices(HostServices& parent)
    : abi_{},
      threads_(parent.threads_),
      parent_(&parent),
      impl_(std::make_unique<Impl>(parent.impl_->shared)) {
  fill_abi();
}

void HostServices::fill_abi() {
  abi_ = {sizeof(dbsa_host),
          this,
          [](void* context, int32_t level, const char* message) noexcept {
            const int32_t known = std::clamp<int32_t>(level, DBSA_LOG_DEBUG, DBSA_LOG_ERROR);
            static_cast<HostServices*>(context)->log(static_cast<LogLevel>(known),
                                                     message != nullptr ? message : "");
          },
          [](void* context, int64_t count, int64_t grain,
             void (*body)(void* argument, int64_t begin, int64_t end), void* argument) noexcept {
            auto& self = *static_cast<HostServices*>(context);
            self.impl_->shared->run(count, grain, self.threads_, body, argument);
          },
          [](void* context) noexcept {
            return static_cast<int32_t>(static_cast<HostServices*>(context)->threads_);
          },
          [](void* context, int32_t slot, uint64_t bytes) noexcept {
            return static_cast<HostServices*>(context)->scratch(slot, bytes);
          },
          [](void* context) noexcept -> int32_t {
            return static_cast<HostServices*>(context)->cancelled() ? 1 : 0;
          },
          [](void* context) noexcept -> int64_t {
            const Embedder* embedder = static_cast<HostServices*>(context)->impl_->embedder;
            return embedder != nullptr ? embedder->width() : 0;
          },
          [](void* context, const dbsa_texts* texts, float* vectors, dbsa_error* error) noexcept {
            const PluginCallScope none(PluginCall{});  // what is computed here is not the plugin's
            return sdk::guard(error, [&] {
              return static_cast<HostServices*>(context)->impl_->embed(Texts(texts), vectors);
            });
          },
          [](void* context, uint32_t kind, const char* config_json, const dbsa_plugin_table** table,
             void** instance, dbsa_error* error) noexcept {
            return sdk::guard(error, [&]() -> Status {
              const PluginOpener& open = static_cast<HostServices*>(context)->impl_->opener;
              if (!open) return Error{ErrorCode::kUnsupported, "no plugin can be opened here", ""};
              DBSA_ASSIGN_OR_RETURN(const Opened opened, open(kind, config_json));
              *table = opened.table;
              *instance = opened.instance;
              return {};
            });
          },
          [](void*, const char*) noexcept -> const void* { return nullptr; }};
}

HostServices::~HostServices() = default;

void HostServices::parallel_for(int64_t count, int64_t grain,
                                const std::function<void(int64_t begin, int64_t end)>& body) {
  Host(&abi_).parallel_for(count, grain, body);
}

void HostServices::set_embedder(Embedder* embedder) { impl_->embedder = embedder; }

Embedder* HostServices::embedder() const { return impl_->embedder; }

void HostServices::set_plugin_opener(PluginOpener opener) { impl_->opener = std::move(opener); }

void* HostServices::scratch(int slot, uint64_t bytes) {
  if (slot < 0 || slot >= kScratchSlots) return nullptr;
  try {
    return impl_->shared->scratch.local()[static_cast<size_t>(slot)].reserve(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

bool HostServices::logs(LogLevel level) const {
  return impl_->shared->logger->should_log(spdlog_level(level));
}

void HostServices::log(LogLevel level, std::string_view message) {
  impl_->shared->logger->log(spdlog_level(level),
                             spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace dbsa::host
