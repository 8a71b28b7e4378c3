// What is said of a plugin that crashes: while a function of it runs, on any thread, that is
// the call that current_plugin_call gives. The plugins log the name of each function in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "host/attention_backend.h"
#include "host/block_grouper.h"
#include "host/kv_store.h"
#include "host/mask_pattern.h"
#include "host/plugin_call.h"
#include "host/retriever.h"
#include "tests/bad_plugins/test_plugins.h"

namespace dbsa::host {
namespace {

using testing::UnorderedElementsAre;

class CallNames : public testing::Test {
 protected:
  template <typename Kind>
  Kind make(uint32_t kind, const std::string& name) {
    id_ = "test." + std::string(kind_name(kind)) + "." + name;
    const auto plugin = load_bad(kind, name);
    EXPECT_TRUE(plugin.ok()) << plugin.error().message;
    return *Kind::create(*plugin, services_, {{"fault", "say"}});
  }

  std::string id_;
  std::mutex mutex_;
  std::set<std::string> called_;  // with what is wrong, if anything
  HostServices services_{HostOptions{
      .threads = 4, .log_level = LogLevel::kDebug, .log_sink = [this](LogLevel, auto function) {
        const PluginCall call = current_plugin_call();
        const std::string id = call.id != nullptr ? call.id : "no plugin";
        const std::string name = call.function != nullptr ? call.function : "";
        const std::lock_guard lock(mutex_);
        called_.insert(std::string(function) +
                       (id == id_ && name == function ? "" : " as " + id + ": " + name));
      }}};
};

TEST_F(CallNames, OfAGrouperOnAllThreads) {
  {
    auto grouper = make<BlockGrouper>(DBSA_KIND_BLOCK_GROUPER, "nonsense_grouper");
    const std::vector<std::string> texts(5, "text");
    const std::vector<int64_t> counts(5, 3);
    EXPECT_TRUE(grouper.group(texts, texts, counts, 2, 0).ok());
  }
  EXPECT_THAT(called_, UnorderedElementsAre("create", "group", "destroy"));
}

TEST_F(CallNames, OfAMask) {
  {
    const auto mask = make<MaskPattern>(DBSA_KIND_MASK_PATTERN, "nonsense_mask");
    const std::vector<int64_t> lengths = {4, 5, 6};
    EXPECT_TRUE(mask.visible(lengths, 2).ok());
    EXPECT_TRUE(mask.anchor_blocks().ok());
  }
  EXPECT_THAT(called_, UnorderedElementsAre("create", "visible", "anchor_blocks", "destroy"));
}

TEST_F(CallNames, OfARetriever) {
  {
    auto retriever = make<Retriever>(DBSA_KIND_RETRIEVER, "nonsense_retriever");
    const std::vector<std::string> documents(4, "text");
    EXPECT_TRUE(retriever.index(documents).ok());
    EXPECT_TRUE(retriever.query("text", 2).ok());
    EXPECT_TRUE(retriever.load(*retriever.save(), 4).ok());
  }
  EXPECT_THAT(called_, UnorderedElementsAre("create", "index", "query", "save", "load", "destroy"));
}

TEST_F(CallNames, OfAStore) {
  {
    auto store = make<KvStore>(DBSA_KIND_KV_STORE, "nonsense_store");
    EXPECT_TRUE(store.contains(KvKey()).ok());
    {
      const KvStore::Lease lease = *store.get(KvKey());
      lease.fetch(0);
      EXPECT_TRUE(lease.verify(0).ok());
      const void* planes[2] = {lease.plane(0), lease.plane(1)};
      EXPECT_FALSE(store.put(KvKey(), lease.format(), planes).ok());
    }
    EXPECT_TRUE(store.publish().ok());
    EXPECT_TRUE(store.discard(KvKey()).ok());
    EXPECT_TRUE(store.list([](const KvEntry&) { return true; }).ok());
    EXPECT_TRUE(store.check([](const KvFault&) {}).ok());
    EXPECT_TRUE(store.collect(0, false, [](const KvEntry&) {}).ok());
    EXPECT_TRUE(store.compact().ok());
    EXPECT_TRUE(store.stats().ok());
    EXPECT_TRUE(store.pool_put({"a", {}, {}, 0, ""}).ok());
    EXPECT_TRUE(store.pool_get("a").ok());
    EXPECT_TRUE(store.pool_list().ok());
    EXPECT_TRUE(store.pool_drop("a").ok());
  }
  EXPECT_THAT(called_, UnorderedElementsAre(
                           "create", "contains", "get", "fetch_plane", "verify_plane", "put",
                           "release", "publish", "discard", "list", "check", "collect", "compact",
                           "stats", "pool_put", "pool_get", "pool_list", "pool_drop", "destroy"));
}

TEST_F(CallNames, OfABackend) {
  const float inv_freq[1] = {1.0F};
  const dbsa_attention_type type = {sizeof type, 1.0F, 0, 0, inv_freq, nullptr, nullptr};
  const dbsa_attention_shape shape = {sizeof shape,      1, 2,     2,      2, DBSA_COMPUTE_F32,
                                      DBSA_KV_DTYPE_F32, 1, &type, nullptr};
  {
    auto backend = make<AttentionBackend>(DBSA_KIND_ATTENTION_BACKEND, "nonsense_backend");
    EXPECT_TRUE(backend.configure(shape).ok());
    EXPECT_EQ(backend.describe(), "nonsense");
    Buffer x = *backend.buffer_create(2, 4);
    Buffer y = *backend.buffer_create(2, 4);
    std::vector<float> values(16);
    EXPECT_TRUE(backend.upload(std::span(values).first(8), 0, 2, x).ok());
    EXPECT_TRUE(backend.download(x, 0, 2, std::span(values).first(8)).ok());
    EXPECT_TRUE(backend.sync().ok());
    int64_t dims[2] = {4, 4};
    int64_t strides[2] = {4, 1};
    const dbsa_tensor square = {
        values.data(), {DBSA_DEVICE_CPU, 0}, 2, {DBSA_DTYPE_FLOAT, 32, 1}, dims, strides, 0};
    const dbsa_tensor row = {values.data(), {DBSA_DEVICE_CPU, 0}, 1, {DBSA_DTYPE_FLOAT, 32, 1},
                             dims,          strides + 1,          0};
    const auto matrix = [&] { return *backend.weight_create(DBSA_WEIGHT_LINEAR, square); };
    const Weight weight = matrix();
    const Weight norm = *backend.weight_create(DBSA_WEIGHT_VECTOR, row);
    const int32_t ids[2] = {0, 1};
    EXPECT_TRUE(backend.embedding(ids, weight, x).ok());
    EXPECT_TRUE(backend.linear(x, 2, {{weight, Weight(), nullptr, y}}).ok());
    EXPECT_TRUE(backend.rms_norm(x, 2, norm, 0.1F, y).ok());
    const GatedMlpWeights gated_mlp = {matrix(), Weight(), matrix(), Weight(), matrix(), Weight()};
    EXPECT_TRUE(backend.gated_mlp(x, 2, gated_mlp, nullptr, y).ok());
    ExpertWeights experts = {matrix(), {}, 2, true};
    for (int i = 0; i < 4; ++i)
      experts.experts.push_back({matrix(), Weight(), matrix(), Weight(), matrix(), Weight()});
    EXPECT_TRUE(backend.experts(x, 2, experts, nullptr, y).ok());
    EXPECT_TRUE(backend.layer_norm(x, 2, norm, norm, 0.1F, y).ok());
    EXPECT_TRUE(backend.gelu(x, 2, y).ok());
    EXPECT_TRUE(backend.add(x, 2, y, 1.0F, y).ok());
    EXPECT_TRUE(backend.scale(x, 2, 1.0F, 0.0F, y).ok());
    EXPECT_TRUE(backend.supports("attention", DBSA_KV_DTYPE_F32, "sink"));
    const int64_t indices[1] = {1};
    EXPECT_TRUE(backend.gather_rows(x, indices, y).ok());
    const std::vector<std::span<const int32_t>> none(1);
    EXPECT_TRUE(backend.score_tokens(x, weight, 1.0F, 0.0F, none).ok());
    Kv kv = *backend.kv_create(2);
    EXPECT_TRUE(backend.kv_append(x, y, 0, 2, 0, 0, kv).ok());
    const dbsa_kv_format format = *backend.block_format(2);
    std::vector<float> plane(format.plane_bytes / sizeof(float));
    const void* const planes[1] = {plane.data()};
    const Kv block = *backend.block_import(format, planes);
    EXPECT_TRUE(backend.block_export(kv, format, 0, plane.data()).ok());
    std::vector<float> token_major(16);
    EXPECT_TRUE(backend.block_to_token_major(format, plane.data(), token_major).ok());
    dbsa_plan_description description = {};
    description.rows = 2;
    const Plan plan = *backend.plan_prepare(description);
    EXPECT_TRUE(backend.attention(plan, 0, x, y).ok());
  }
  EXPECT_THAT(called_,
              UnorderedElementsAre(
                  "create", "configure", "describe", "buffer_create", "upload", "download", "sync",
                  "weight_create", "embedding", "linear", "rms_norm", "gated_mlp", "experts",
                  "layer_norm", "gelu", "add", "scale", "supports", "gather_rows", "score_tokens",
                  "kv_create", "kv_append", "block_format", "block_import", "block_export",
                  "block_to_token_major", "plan_prepare", "attention", "plan_destroy", "kv_destroy",
                  "weight_destroy", "buffer_destroy", "destroy"));
}

}  // namespace
}  // namespace dbsa::host
