// Host: the services of dbsa-pipe for a plugin. A thin view of dbsa_host; copy it freely.
#pragma once

#include <dbsa/plugin.h>
#include <dbsa/sdk/result.h>

#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

namespace dbsa {

class Host {
 public:
  explicit Host(const dbsa_host* host) : host_(host) {}

  void log_debug(const std::string& message) const { log(DBSA_LOG_DEBUG, message); }
  void log_info(const std::string& message) const { log(DBSA_LOG_INFO, message); }
  void log_warning(const std::string& message) const { log(DBSA_LOG_WARNING, message); }

  // Calls body(begin, end) on disjoint ranges covering [0, count) on the host's threads. An
  // exception from body is rethrown here, the first one only, after all ranges are done.
  template <typename Body>
  void parallel_for(int64_t count, int64_t grain, Body&& body) const {
    struct Call {
      std::remove_reference_t<Body>* body;
      std::mutex mutex;
      std::exception_ptr failure;
    } call{&body, {}, nullptr};
    host_->parallel_for(
        host_->context, count, grain,
        [](void* argument, int64_t begin, int64_t end) {
          auto& self = *static_cast<Call*>(argument);
          try {
            (*self.body)(begin, end);
          } catch (...) {
            std::lock_guard lock(self.mutex);
            if (!self.failure) self.failure = std::current_exception();
          }
        },
        &call);
    if (call.failure) std::rethrow_exception(call.failure);
  }

  int thread_count() const { return host_->thread_count(host_->context); }
  bool cancelled() const { return host_->cancelled(host_->context) != 0; }

  // Values in an embedding; 0 where the pipeline file has no [embedding].
  int64_t embedding_width() const { return host_->embedding_width(host_->context); }

  // Embeddings of the texts, [count, embedding_width] row-major, each of length 1, made as
  // [embedding] of the pipeline file says; kConfig where it has none.
  Result<std::vector<float>> embed(const dbsa_texts& texts) const {
    dbsa_error error{};
    error.struct_size = sizeof error;
    std::vector<float> vectors(static_cast<size_t>(texts.count * embedding_width()));
    if (const int32_t code = host_->embed(host_->context, &texts, vectors.data(), &error);
        code != DBSA_OK)
      return Error{static_cast<ErrorCode>(code), error.message, ""};
    return vectors;
  }

  // 64-byte aligned memory of this thread for `count` values, undefined, valid until the thread's
  // next call with the same slot (0..7). Throws std::bad_alloc.
  template <typename T>
  T* scratch(int slot, int64_t count) const {
    void* memory = host_->scratch(host_->context, slot, static_cast<uint64_t>(count) * sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }

  // The struct of one of the host's extensions; nullptr: it does not have it.
  const void* extension(const char* id) const { return host_->extension(host_->context, id); }

  const dbsa_host* abi() const { return host_; }

 private:
  void log(int32_t level, const std::string& message) const {
    host_->log(host_->context, level, message.c_str());
  }

  const dbsa_host* host_;
};

}  // namespace dbsa
