// Plugins that load well and then return nonsense or throw: each is named, with what it returned.
#include <gtest/gtest.h>

#include "host/attention_backend.h"
#include "host/block_grouper.h"
#include "host/kv_store.h"
#include "host/mask_pattern.h"
#include "host/retriever.h"
#include "tests/bad_plugins/test_plugins.h"

namespace dbsa::host {
namespace {

struct NonsenseCase {
  const char* fault;
  const char* message;  // after "plugin <id> (<library>): "
};

nlohmann::json config(const std::string& fault) { return {{"fault", fault}}; }

// Makes an instance of one of the host's classes.
template <typename Kind>
Result<Kind> make(HostServices& services, uint32_t kind, const char* name,
                  const std::string& fault) {
  DBSA_ASSIGN_OR_RETURN(const LoadedPlugin plugin, load_bad(kind, name));
  return Kind::create(plugin, services, config(fault));
}

// The message without the plugin's name, which must be there.
template <typename T>
std::string without_name(const Result<T>& result, const std::string& kind,
                         const std::string& name) {
  if (result.ok()) return "succeeded";
  const std::string prefix = "plugin test." + kind + "." + name + " (<plugins>/" + name + ".so): ";
  const std::string message = shortened(result.error().message);
  if (result.error().code != ErrorCode::kPlugin) return "not kPlugin: " + message;
  return message.starts_with(prefix) ? message.substr(prefix.size()) : "not named: " + message;
}

TEST(NonsenseGrouper, IsNamed) {
  const NonsenseCase cases[] = {
      {"", "succeeded"},
      {"too_many_blocks", "group: returned 6 blocks for 5 demonstrations"},
      {"negative_blocks", "group: returned -1 blocks for 5 demonstrations"},
      {"missing_block", "group: returned 4 of 5 demonstrations"},
      {"empty_block", "group: returned block 1 from 2 to 2 of 5 demonstrations"},
      {"past_the_end", "group: returned block 1 from 2 to 6 of 5 demonstrations"},
      {"large_block", "group: returned block 0 of 3 demonstrations, block_size is 2"},
      {"twice", "group: returned demonstration 0 twice"},
      {"out_of_range", "group: returned demonstration 5 of 5"},
      {"huge", "group: returned demonstration -9223372036854775808 of 5"},
      {"untouched", "group: returned 0 of 5 demonstrations"},
      {"throw", "group: let an exception out: boom"},
      {"throw_int", "group: let an exception out: not a std::exception"},
      {"unknown_code", "group: returned 77, which is not an error code in dbsa/plugin.h"},
  };
  HostServices services({.threads = 1});
  const std::vector<std::string> texts(5, "text");
  const std::vector<int64_t> counts(5, 3);
  for (const NonsenseCase& c : cases) {
    auto grouper =
        make<BlockGrouper>(services, DBSA_KIND_BLOCK_GROUPER, "nonsense_grouper", c.fault);
    ASSERT_TRUE(grouper.ok()) << grouper.error().message;
    EXPECT_EQ(without_name(grouper->group(texts, texts, counts, 2, 0), "block_grouper",
                           "nonsense_grouper"),
              c.message)
        << c.fault;
  }
}

TEST(NonsenseGrouper, FailsWithAnyText) {
  HostServices services({.threads = 1});
  const std::vector<std::string> texts(5, "text");
  const std::vector<int64_t> counts(5, 3);
  auto silent =
      make<BlockGrouper>(services, DBSA_KIND_BLOCK_GROUPER, "nonsense_grouper", "no_message");
  const Error error = silent->group(texts, texts, counts, 2, 0).error();
  EXPECT_EQ(error.code, ErrorCode::kRun);
  EXPECT_EQ(error.message,
            "test.block_grouper.nonsense_grouper: failed with code 5 and no message");
  auto endless =
      make<BlockGrouper>(services, DBSA_KIND_BLOCK_GROUPER, "nonsense_grouper", "unterminated");
  EXPECT_EQ(endless->group(texts, texts, counts, 2, 0).error().message,
            "test.block_grouper.nonsense_grouper: " + std::string(DBSA_ERROR_MESSAGE_BYTES, 'x'));
}

TEST(NonsenseMask, IsNamed) {
  const NonsenseCase cases[] = {
      {"", "succeeded"},
      {"later_block", "visible: returned block 3 for block 2, which sees no later block"},
      {"negative_block", "visible: returned block -1 for block 2, which sees no later block"},
      {"past_the_end", "visible: returned tokens 0 to 5 of block 0, which has 4"},
      {"huge", "visible: returned tokens 0 to 9223372036854775807 of block 0, which has 4"},
      {"negative_token", "visible: returned tokens -1 to 3 of block 0, which has 4"},
      {"no_length", "visible: returned tokens 0 to 0 of block 0, which has 4"},
      {"unknown_kind", "visible: returned the unknown segment kind 9"},
      {"window_without_size", "visible: returned a window of 0 for segment kind 2"},
      {"own_full", "visible: returned a block's own tokens as a full segment"},
      {"own_missing",
       "visible: returned segments for block 2 that do not end with all 6 tokens of its own"},
      {"own_in_part",
       "visible: returned segments for block 2 that do not end with all 6 tokens of its own"},
      {"struct_size", "visible: returned a segment with struct_size 8, expected at least 40"},
      {"overlap",
       "visible: returned tokens 0 to 4 of block 0 after tokens 0 to 4 of block 0, not ascending"},
  };
  HostServices services({.threads = 1});
  const std::vector<int64_t> lengths = {4, 5, 6};
  for (const NonsenseCase& c : cases) {
    auto pattern = make<MaskPattern>(services, DBSA_KIND_MASK_PATTERN, "nonsense_mask", c.fault);
    ASSERT_TRUE(pattern.ok()) << pattern.error().message;
    EXPECT_EQ(without_name(pattern->visible(lengths, 2), "mask_pattern", "nonsense_mask"),
              c.message)
        << c.fault;
    EXPECT_EQ(without_name(pattern->anchor_blocks(), "mask_pattern", "nonsense_mask"),
              std::string(c.fault) == "negative_block" ? "anchor_blocks: returned -1" : "succeeded")
        << c.fault;
  }
}

TEST(NonsenseRetriever, IsNamed) {
  const NonsenseCase cases[] = {
      {"", "succeeded"},
      {"too_many", "query: returned 4 hits, asked for 3"},
      {"negative", "query: returned -1 hits, asked for 3"},
      {"out_of_range", "query: returned document 1000 of 4"},
      {"twice", "query: returned document 0 twice"},
      {"nan", "query: returned NaN as the score of document 1"},
      {"ascending", "query: returned ascending scores at hit 1"},
  };
  HostServices services({.threads = 1});
  const std::vector<std::string> documents(4, "text");
  for (const NonsenseCase& c : cases) {
    auto retriever = make<Retriever>(services, DBSA_KIND_RETRIEVER, "nonsense_retriever", c.fault);
    ASSERT_TRUE(retriever.ok()) << retriever.error().message;
    ASSERT_TRUE(retriever->index(documents).ok());
    EXPECT_EQ(without_name(retriever->query("text", 3), "retriever", "nonsense_retriever"),
              c.message)
        << c.fault;
  }
}

TEST(NonsenseRetriever, WhoseWordsAreWrongIsNamed) {
  const NonsenseCase cases[] = {
      {"", "succeeded"},
      {"word_size", "shared_words: gave no word"},
      {"word_null", "shared_words: gave no word"},
      {"word_empty", "shared_words: gave no word"},
      {"word_absent", "shared_words: gave a word that is not in both texts"},
      {"word_twice", "shared_words: gave words that are not in byte order"},
  };
  HostServices services({.threads = 1});
  const std::vector<std::string> documents(4, "text");
  for (const NonsenseCase& c : cases) {
    auto retriever = make<Retriever>(services, DBSA_KIND_RETRIEVER, "nonsense_retriever", c.fault);
    ASSERT_TRUE(retriever.ok()) << retriever.error().message;
    ASSERT_TRUE(retriever->index(documents).ok());
    EXPECT_EQ(without_name(retriever->shared_words("text", 3), "retriever", "nonsense_retriever"),
              c.message)
        << c.fault;
    EXPECT_FALSE(retriever->shared_words("text", 4)->has_value()) << "no such document";
  }
  auto sound = make<Retriever>(services, DBSA_KIND_RETRIEVER, "nonsense_retriever", "");
  ASSERT_TRUE(sound->index(documents).ok());
  const auto words = sound->shared_words("text", 0);
  ASSERT_EQ(words.value()->size(), 2u);
  EXPECT_EQ((**words)[1].word, "b");
  EXPECT_EQ((**words)[1].in_document, 3);
  auto none = make<Retriever>(services, DBSA_KIND_RETRIEVER, "nonsense_retriever", "no_words");
  ASSERT_TRUE(none->index(documents).ok());
  ASSERT_TRUE(none->shared_words("text", 0).ok());
  EXPECT_FALSE(none->shared_words("text", 0)->has_value());
}

TEST(NonsenseRetriever, WhoseExtensionIsWrong) {
  const std::string returned = "extension: returned for dbsa.retriever.words/1 ";
  HostServices services({.threads = 1});
  for (const auto& [plugin, message] :
       {std::pair("words_size", returned + "a struct_size of 8, expected at least 16"),
        std::pair("words_null", returned + "a shared_words that is null")})
    EXPECT_EQ(without_name(make<Retriever>(services, DBSA_KIND_RETRIEVER, plugin, ""), "retriever",
                           plugin),
              message);
}

TEST(NonsenseRetriever, KeepsItsIndexAsBytes) {
  HostServices services({.threads = 1});
  auto retriever = make<Retriever>(services, DBSA_KIND_RETRIEVER, "nonsense_retriever", "");
  EXPECT_EQ(retriever->save().value(), "abc");
  EXPECT_TRUE(retriever->load("abc", 2).ok());
  EXPECT_EQ(retriever->query("text", 9)->size(), 2u);
  const Status status = retriever->load("abd", 2);
  EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(status.error().message, "test.retriever.nonsense_retriever: not an index");
  EXPECT_TRUE(retriever->query("text", 9)->empty());
}

TEST(NonsenseStore, IsNamed) {
  const NonsenseCase cases[] = {
      {"", "succeeded"},
      {"no_lease", "get: returned no lease"},
      {"format_size", "get: returned a format with struct_size 3, expected at least 56"},
      {"no_layers", "get: returned a format of 0 layers"},
      {"many_layers", "get: returned a format of 4294967295 layers"},
      {"no_tokens", "get: returned a format without tokens, heads or width"},
      {"empty_planes", "get: returned a format with empty planes"},
      {"no_planes", "get: returned no planes"},
      {"null_plane", "get: returned no plane 1"},
      {"misaligned", "get: returned plane 1 that is not 64-byte aligned"},
  };
  HostServices services({.threads = 1});
  for (const NonsenseCase& c : cases) {
    auto store = make<KvStore>(services, DBSA_KIND_KV_STORE, "nonsense_store", c.fault);
    ASSERT_TRUE(store.ok()) << store.error().message;
    EXPECT_EQ(without_name(store->get(KvKey()), "kv_store", "nonsense_store"), c.message)
        << c.fault;
  }
}

TEST(NonsenseStore, MayThrowAnywhere) {
  HostServices services({.threads = 1});
  const auto created = [&](const char* fault) {
    return make<KvStore>(services, DBSA_KIND_KV_STORE, "nonsense_store", fault);
  };
  const auto name = [](const auto& result) {
    return without_name(result, "kv_store", "nonsense_store");
  };
  EXPECT_EQ(name(created("create_throws")), "create: the plugin threw: boom");
  EXPECT_EQ(name(created("create_throws_int")), "create: the plugin threw an unknown exception");
  EXPECT_EQ(name(created("create_returns_nothing")), "create: succeeded without an instance");
  EXPECT_EQ(created("create_runs_out_of_memory").error().message,
            "test.kv_store.nonsense_store: out of memory");
  EXPECT_EQ(created("create_runs_out_of_memory").error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(name(created("throws")->contains(KvKey())), "contains: the plugin threw: boom");
  EXPECT_EQ(name(created("throws_int")->contains(KvKey())),
            "contains: the plugin threw an unknown exception");
}

TEST(NonsenseStore, SaysWhatVerifyRead) {
  HostServices services({.threads = 1});
  auto store = make<KvStore>(services, DBSA_KIND_KV_STORE, "nonsense_store", "verified_too_much");
  EXPECT_EQ(without_name(store->get(KvKey())->verify(0), "kv_store", "nonsense_store"),
            "verify_plane: says it read 65 bytes of a plane of 64");
  auto corrupt = make<KvStore>(services, DBSA_KIND_KV_STORE, "nonsense_store", "corrupt");
  EXPECT_EQ(corrupt->get(KvKey())->verify(1).error().code, ErrorCode::kCorrupt);
}

TEST(NonsenseStore, PassesEverythingThrough) {
  HostServices services({.threads = 1});
  auto store = make<KvStore>(services, DBSA_KIND_KV_STORE, "nonsense_store", "");
  KvStore::Lease lease = *store->get(KvKey());
  EXPECT_EQ(lease.format().layers, 2u);
  EXPECT_EQ(lease.plane(1), lease.planes()[1]);
  EXPECT_EQ(lease.verify(1).value(), 64u);
  const void* planes[2] = {lease.plane(0), lease.plane(1)};
  const Status put = store->put(KvKey(), lease.format(), planes);
  EXPECT_EQ(put.error().message, "test.kv_store.nonsense_store: No space left on device");
  EXPECT_EQ(put.error().code, ErrorCode::kEnvironment);
  int listed = 0;
  EXPECT_TRUE(store
                  ->list([&](const KvEntry& entry) {
                    EXPECT_EQ(entry.location, "here");
                    return ++listed < 2;
                  })
                  .ok());
  EXPECT_EQ(listed, 2);
  int faults = 0;
  EXPECT_TRUE(store
                  ->check([&](const KvFault& fault) {
                    EXPECT_FALSE(fault.key.has_value());
                    EXPECT_EQ(fault.message, "odd");
                    ++faults;
                  })
                  .ok());
  EXPECT_EQ(faults, 1);
  int dropped = 0;
  EXPECT_EQ(store->collect(0, false, [&](const KvEntry&) { ++dropped; }).value(), 3u);
  EXPECT_EQ(dropped, 3);
  EXPECT_EQ(store->pool_get("x")->keys.size(), 1u);
  EXPECT_EQ(store->pool_list()->front().id, "a") << "sorted";
  EXPECT_EQ(store->stats()->free_bytes, 4u);
}

// No value in a pipeline file mends it, so it is the plugin's error and not the configuration's.
TEST(Nonsense, AKeyThatTheManifestDoesNotDeclareIsThePluginsFault) {
  HostServices services({.threads = 1});
  const auto missing = [](const std::string& function, const std::string& key) {
    return function + ": asks for the key \"" + key +
           "\", which its manifest does not declare; the plugin's author must add [config." + key +
           "] to the manifest (it says: " + key + " is missing)";
  };
  EXPECT_EQ(
      without_name(make<KvStore>(services, DBSA_KIND_KV_STORE, "nonsense_store", "undeclared"),
                   "kv_store", "nonsense_store"),
      missing("create", "shards"));
  EXPECT_EQ(without_name(
                make<Retriever>(services, DBSA_KIND_RETRIEVER, "nonsense_retriever", "undeclared"),
                "retriever", "nonsense_retriever"),
            missing("create", "limit"));
  const auto plugin = load_bad(DBSA_KIND_KV_STORE, "nonsense_store");
  ASSERT_TRUE(plugin.ok());
  const Error error = check_config(*plugin, config("undeclared_in_check")).error();
  EXPECT_EQ(error.code, ErrorCode::kPlugin);
  EXPECT_EQ(error.config_pointer, "");
  EXPECT_TRUE(error.message.ends_with(missing("check_config", "host"))) << error.message;
}

TEST(Nonsense, AnUndeclaredKeyIsThePluginsFaultInEveryCall) {
  HostServices services({.threads = 1});
  auto retriever =
      make<Retriever>(services, DBSA_KIND_RETRIEVER, "nonsense_retriever", "asks_for_limit");
  ASSERT_TRUE(retriever.ok());
  const Status indexed = retriever->index(std::vector<std::string>(4, "text"));
  ASSERT_FALSE(indexed.ok());
  EXPECT_EQ(indexed.error().code, ErrorCode::kPlugin);
  EXPECT_EQ(indexed.error().config_pointer, "");
  EXPECT_EQ(shortened(indexed.error().message),
            "plugin test.retriever.nonsense_retriever (<plugins>/nonsense_retriever.so): index: "
            "asks for the key \"limit\", which its manifest does not declare; the plugin's author "
            "must add [config.limit] to the manifest (it says: too few documents)");
}

TEST(Nonsense, APluginThatStopsWithoutBeingAskedHasFailed) {
  HostServices services({.threads = 1});
  auto retriever = make<Retriever>(services, DBSA_KIND_RETRIEVER, "nonsense_retriever", "stopped");
  ASSERT_TRUE(retriever.ok());
  ASSERT_TRUE(retriever->index(std::vector<std::string>(4, "text")).ok());
  EXPECT_EQ(without_name(retriever->query("text", 2), "retriever", "nonsense_retriever"),
            "query: says that it was stopped (DBSA_ERROR_CANCELLED), but nobody asked it to; its "
            "author must return another error (it says: test.retriever.nonsense_retriever: "
            "enough)");
  services.request_cancel();
  EXPECT_EQ(retriever->query("text", 2).error().code, ErrorCode::kCancelled);
}

TEST(NonsenseStore, PointsAtTheKey) {
  const auto plugin = load_bad(DBSA_KIND_KV_STORE, "nonsense_store");
  ASSERT_TRUE(plugin.ok());
  EXPECT_TRUE(check_config(*plugin, config("")).ok());
  const Error error = check_config(*plugin, config("config")).error();
  EXPECT_EQ(error.code, ErrorCode::kConfig);
  EXPECT_EQ(error.config_pointer, "/kv_store/fault");
  EXPECT_EQ(error.message, "fault must be fair");
}

TEST(NonsenseBackend, IsNamed) {
  HostServices services({.threads = 1});
  const float inv_freq[1] = {1.0F};
  const dbsa_attention_type type = {sizeof type, 1.0F, 0, 0, inv_freq, nullptr, nullptr};
  const dbsa_attention_shape shape = {sizeof shape,      3, 4,     2,      2, DBSA_COMPUTE_F32,
                                      DBSA_KV_DTYPE_F32, 1, &type, nullptr};
  const auto made = [&](const char* fault) {
    auto backend =
        make<AttentionBackend>(services, DBSA_KIND_ATTENTION_BACKEND, "nonsense_backend", fault);
    EXPECT_TRUE(backend->configure(shape).ok());
    return backend;
  };
  const auto name = [](const auto& result) {
    return without_name(result, "attention_backend", "nonsense_backend");
  };
  EXPECT_EQ(name(made("buffer")->buffer_create(1, 1)), "buffer_create: returned no buffer");
  EXPECT_EQ(name(made("kv")->kv_create(1)), "kv_create: returned no KV");
  EXPECT_EQ(name(made("plan")->plan_prepare({})), "plan_prepare: returned no plan");
  int64_t dims[1] = {4};
  int64_t strides[1] = {1};
  float values[4] = {};
  const dbsa_tensor tensor = {
      values, {DBSA_DEVICE_CPU, 0}, 1, {DBSA_DTYPE_FLOAT, 32, 1}, dims, strides, 0};
  EXPECT_EQ(name(made("weight")->weight_create(DBSA_WEIGHT_VECTOR, tensor)),
            "weight_create: returned no weight");
  const NonsenseCase formats[] = {
      {"", "succeeded"},
      {"dtype", "block_format: returned the unknown dtype 9"},
      {"layers", "block_format: returned a format of 4 layers, the model has 3"},
      {"tokens", "block_format: returned a format of 6 tokens for 5"},
      {"small_plane", "block_format: returned planes of 159 bytes, expected at least 160"},
      {"huge_plane",
       "block_format: returned planes of 18446744073709551615 bytes, expected at least 160"},
  };
  for (const NonsenseCase& c : formats)
    EXPECT_EQ(name(made(c.fault)->block_format(5)), c.message) << c.fault;
  const void* planes[3] = {values, values, values};
  EXPECT_EQ(name(made("import")->block_import(*made("")->block_format(5), planes)),
            "block_import: returned no KV");
  EXPECT_EQ(made("describe")->describe(), "");
  auto best = made("best");
  const Buffer x = *best->buffer_create(1, 8);
  int64_t sides[2] = {4, 8};
  int64_t steps[2] = {8, 1};
  std::vector<float> ones(32, 1.0F);
  const dbsa_tensor square = {
      ones.data(), {DBSA_DEVICE_CPU, 0}, 2, {DBSA_DTYPE_FLOAT, 32, 1}, sides, steps, 0};
  const Weight weight = *best->weight_create(DBSA_WEIGHT_LINEAR, square);
  const std::vector<std::span<const int32_t>> none(1);
  EXPECT_EQ(name(best->score_tokens(x, weight, 1.0F, 0.0F, none)),
            "score_tokens: returned a token outside the vocabulary");
}

TEST(NonsenseBackend, WhoseExtensionIsWrong) {
  const std::string returned = "extension: returned for dbsa.backend.quantised/1 ";
  const std::pair<const char*, std::string> cases[] = {
      {"quantised_size", returned + "a struct_size of 8, expected at least 24"},
      {"quantised_no_types", returned + "0 types, expected 1 to 64"},
      {"quantised_many_types", returned + "4000000000 types, expected 1 to 64"},
      {"quantised_null_types", returned + "1 types at null"},
      {"quantised_null_create", returned + "a weight_create that is null"},
      {"quantised_no_weight", "succeeded"},
  };
  HostServices services({.threads = 1});
  for (const auto& [plugin, message] : cases)
    EXPECT_EQ(
        without_name(make<AttentionBackend>(services, DBSA_KIND_ATTENTION_BACKEND, plugin, ""),
                     "attention_backend", plugin),
        message);
  auto plain =
      make<AttentionBackend>(services, DBSA_KIND_ATTENTION_BACKEND, "nonsense_backend", "");
  EXPECT_TRUE(plain->block_types().empty());
  auto none =
      make<AttentionBackend>(services, DBSA_KIND_ATTENTION_BACKEND, "quantised_no_weight", "");
  ASSERT_TRUE(none.ok());
  const std::vector<unsigned char> block(18);
  EXPECT_EQ(without_name(none->weight_create(DBSA_WEIGHT_LINEAR, DBSA_BLOCKS_Q4_0, 1, 32, block),
                         "attention_backend", "quantised_no_weight"),
            "weight_create: returned no weight");
  for (auto* backend : {&*plain, &*none})
    EXPECT_EQ(
        backend->weight_create(DBSA_WEIGHT_LINEAR, DBSA_BLOCKS_Q8_0, 1, 32, block).error().message,
        "attention backend " + backend->plugin_id() +
            ": weight_create: a type of blocks that it does not take");
}

// The caller's own mistakes never reach the plugin.
TEST(Backend, ChecksShapes) {
  HostServices services({.threads = 1});
  auto backend =
      make<AttentionBackend>(services, DBSA_KIND_ATTENTION_BACKEND, "nonsense_backend", "");
  const float inv_freq[1] = {1.0F};
  const dbsa_attention_type type = {sizeof type, 1.0F, 0, 0, inv_freq, nullptr, nullptr};
  const dbsa_attention_shape shape = {sizeof shape,      3, 4,     2,      2, DBSA_COMPUTE_F32,
                                      DBSA_KV_DTYPE_F32, 1, &type, nullptr};
  ASSERT_TRUE(backend->configure(shape).ok());
  Buffer x = *backend->buffer_create(4, 8);
  Buffer y = *backend->buffer_create(4, 4);
  const auto refused = [](const Status& status, const std::string& what) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(status.error().message,
              "attention backend test.attention_backend.nonsense_backend: " + what);
  };
  const std::vector<float> host(32);
  EXPECT_TRUE(backend->upload(host, 0, 4, x).ok());
  refused(backend->upload(host, 1, 4, x), "upload: rows out of range");
  refused(backend->upload(host, 0, 4, y), "upload: the source has another size");
  int64_t dims[2] = {4, 8};
  int64_t strides[2] = {8, 1};
  std::vector<float> values(32);
  const dbsa_tensor tensor = {
      values.data(), {DBSA_DEVICE_CPU, 0}, 2, {DBSA_DTYPE_FLOAT, 32, 1}, dims, strides, 0};
  const Weight weight = *backend->weight_create(DBSA_WEIGHT_LINEAR, tensor);
  EXPECT_EQ(weight.rows(), 4);
  EXPECT_TRUE(backend->linear(x, 4, {{weight, Weight(), nullptr, y}}).ok());
  EXPECT_TRUE(backend->linear(x, 4, {{weight, Weight(), &y, y}}).ok());
  refused(backend->linear(y, 4, {{weight, Weight(), nullptr, x}}), "linear: shapes do not fit");
  refused(backend->linear(x, 5, {{weight, Weight(), nullptr, y}}), "linear: shapes do not fit");
  const int32_t ids[2] = {0, 4};
  refused(backend->embedding(ids, weight, x), "embedding: a token id outside the vocabulary");
  const std::vector<std::span<const int32_t>> first(1, std::span(ids).first(1)), both(1, ids);
  const auto scored = [&](const Buffer& of, const std::vector<std::span<const int32_t>>& tokens) {
    const auto scores = backend->score_tokens(of, weight, 1.0F, 0.0F, tokens);
    return scores.ok() ? Status() : Status(scores.error());
  };
  EXPECT_TRUE(scored(x, first).ok());
  refused(scored(x, both), "score_tokens: a token outside the vocabulary");
  refused(scored(y, first), "score_tokens: shapes do not fit");
  Kv kv = *backend->kv_create(3);
  EXPECT_TRUE(backend->kv_append(y, y, 1, 3, 2, 0, kv).ok());
  refused(backend->kv_append(y, y, 1, 3, 2, 1, kv), "kv_append: shapes do not fit");
  refused(backend->kv_append(y, y, 0, 1, 3, 0, kv), "kv_append: shapes do not fit");
}

}  // namespace
}  // namespace dbsa::host
