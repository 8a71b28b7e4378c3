#include <dbsa/sdk/kv_store.h>

#include <unistd.h>

#include <stdexcept>

namespace {

using dbsa::Config;
using dbsa::Error;
using dbsa::ErrorCode;
using dbsa::KvKey;
using dbsa::Result;
using dbsa::Status;

class NonsenseStore : public dbsa::KvStore {
 public:
  static constexpr uint32_t kRevision = 1;

  static Status check_config(const Config& config) {
    if (*config.get<std::string>("fault") == "config")
      return Config::fault("fault", "must be fair");
    if (*config.get<std::string>("fault") == "undeclared_in_check")
      DBSA_RETURN_IF_ERROR(config.get<std::string>("host"));
    return {};
  }

  static Result<std::unique_ptr<NonsenseStore>> create(dbsa::Host host, const Config& config) {
    const std::string fault = *config.get<std::string>("fault");
    if (fault == "create_throws") throw std::runtime_error("boom");
    if (fault == "create_throws_int") throw 7;
    if (fault == "create_runs_out_of_memory") throw std::bad_alloc();
    if (fault == "create_returns_nothing") return std::unique_ptr<NonsenseStore>();
    if (fault == "undeclared") DBSA_RETURN_IF_ERROR(config.get<int64_t>("shards"));
    return std::make_unique<NonsenseStore>(host, fault);
  }

  NonsenseStore(dbsa::Host host, std::string fault) : host_(host), fault_(std::move(fault)) {
    say("create");
  }
  ~NonsenseStore() override { say("destroy"); }

  Result<bool> contains(const KvKey&) override {
    say("contains");
    if (fault_ == "throws") throw std::runtime_error("boom");
    if (fault_ == "throws_int") throw 7;
    if (fault_ == "dead_peer") {
      int ends[2] = {};
      if (::pipe(ends) == 0) ::close(ends[0]);
      if (::write(ends[1], "?", 1) < 0)
        return Error{ErrorCode::kEnvironment, "the server is gone: Broken pipe", ""};
    }
    return true;
  }
  Result<std::unique_ptr<Lease>> get(const KvKey&) override {
    say("get");
    if (fault_ == "no_lease") return std::unique_ptr<Lease>();
    return std::unique_ptr<Lease>(std::make_unique<NonsenseLease>(*this, fault_));
  }
  Status put(const KvKey&, const dbsa_kv_format&, std::span<const void* const>) override {
    say("put");
    return Error{ErrorCode::kEnvironment, "No space left on device", ""};
  }
  Status publish() override {
    say("publish");
    return {};
  }
  Status discard(const KvKey&) override {
    say("discard");
    return {};
  }
  Status list(const std::function<bool(const dbsa::KvEntry&)>& entry) override {
    say("list");
    dbsa_kv_format format = {};
    format.struct_size = fault_ == "format_size" ? 3 : sizeof format;
    for (int i = 0; i < 3; ++i)
      if (!entry({KvKey(), format, 1, 2, "here"}))
        return Error{ErrorCode::kCancelled, "stopped", ""};
    return {};
  }
  Status check(const std::function<void(const dbsa::KvFault&)>& fault) override {
    say("check");
    fault({std::nullopt, "here", "odd"});
    return {};
  }
  Result<uint64_t> collect(uint64_t, bool, const Dropped& dropped) override {
    say("collect");
    dbsa_kv_format format = {};
    format.struct_size = fault_ == "format_size" ? 3 : sizeof format;
    for (int i = 0; i < 3; ++i) dropped({KvKey(), format, 1, 2, "here"});
    return uint64_t{3};
  }
  Result<uint64_t> compact() override {
    say("compact");
    return uint64_t{0};
  }
  Result<dbsa_kv_stats> stats() override {
    say("stats");
    return dbsa_kv_stats{sizeof(dbsa_kv_stats), 1, 2, 3, 4, 5, 6, nullptr};
  }
  Status pool_put(const dbsa::KvPool&) override {
    say("pool_put");
    return {};
  }
  Result<dbsa::KvPool> pool_get(const std::string& id) override {
    say("pool_get");
    return dbsa::KvPool{fault_ == "no_id" ? "" : id, {1}, {KvKey()}, 7, "here"};
  }
  Result<std::vector<dbsa::KvPool>> pool_list() override {
    say("pool_list");
    return std::vector<dbsa::KvPool>{{"b", {}, {}, 7, "here"},
                                     {fault_ == "no_id" ? "" : "a", {}, {}, 7, "here"}};
  }
  Status pool_drop(const std::string&) override {
    say("pool_drop");
    return {};
  }

 private:
  class NonsenseLease : public Lease {
   public:
    NonsenseLease(const NonsenseStore& store, const std::string& fault)
        : store_(store), fault_(fault) {
      format_ = {
          sizeof format_, DBSA_KV_LAYOUT_TOKEN_MAJOR, DBSA_KV_DTYPE_F32, 0, 2, 1, 2, 0, 4, 64, 0};
      planes_[0] = memory_;
      planes_[1] = memory_ + 64;
      if (fault == "format_size") format_.struct_size = 3;
      if (fault == "no_layers") format_.layers = 0;
      if (fault == "many_layers") format_.layers = UINT32_MAX;
      if (fault == "no_tokens") format_.tokens = 0;
      if (fault == "empty_planes") format_.plane_bytes = 0;
      if (fault == "null_plane") planes_[1] = nullptr;
      if (fault == "misaligned") planes_[1] = memory_ + 4;
    }
    ~NonsenseLease() override { store_.say("release"); }
    const dbsa_kv_format& format() const override { return format_; }
    const void* const* planes() const override { return fault_ == "no_planes" ? nullptr : planes_; }
    Result<uint64_t> verify(uint32_t) override {
      store_.say("verify_plane");
      if (fault_ == "corrupt") return Error{ErrorCode::kCorrupt, "checksum mismatch", ""};
      return uint64_t{fault_ == "verified_too_much" ? 65U : 64U};
    }
    void fetch(uint32_t) override { store_.say("fetch_plane"); }

   private:
    const NonsenseStore& store_;
    std::string fault_;
    dbsa_kv_format format_{};
    const void* planes_[2];
    alignas(64) char memory_[128] = {};
  };

  // With fault = "say" logs the name of the function that was called.
  void say(const char* function) const {
    if (fault_ == "say") host_.log_info(function);
  }

  dbsa::Host host_;
  std::string fault_;
};

}  // namespace

DBSA_PLUGIN(NonsenseStore);
