// What each key, input and revision of a pipeline changes, key by key: a key, a table or a built-in
// plugin without a row here fails the test.
#include "pipeline/identity/identity.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "config/json_pointer.h"
#include "config/schema_check.h"
#include "host/plugin_registry.h"
#include "icl/validity.h"
#include "pipeline/encode/block_key.h"
#include "tests/icl/temporary_file.h"
#include "tests/support/workspace.h"

namespace dbsa {
namespace {

using nlohmann::json;
using testing::TemporaryFile;

// What a change must change; nothing else.
constexpr unsigned kNothing = 0;
constexpr unsigned kRun = 1;    // the answers: sweep cells, records
constexpr unsigned kGroup = 2;  // what a report groups by
constexpr unsigned kDraw = 4;
constexpr unsigned kPool = 8;
constexpr unsigned kKv = 16;     // keys of blocks
constexpr unsigned kIndex = 32;  // the retriever's index
constexpr unsigned kAnswers = kRun | kGroup;
constexpr unsigned kSeed = kRun | kDraw | kPool;
constexpr unsigned kShape = kAnswers | kPool;

struct Identities {
  std::string run, group, draw, pool, kv, index;
};

class IdentityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* folder : {"model", "encoder"})
      std::filesystem::create_directories(workspace_.path(folder));
    for (const char* file : {"d.jsonl", "q.jsonl", "i.json", "l.jsonl"}) workspace_.write(file, "");
    inputs_ = {"weights",        "model",   "tokenizer", "embedding",
               "demonstrations", "queries", "indices",   "labels"};
  }

  static json base() {
    return json::parse(R"({
      "model": {"path": "model"},
      "data": {"demonstrations": "d.jsonl", "queries": "q.jsonl"},
      "selection": {"ratio": 0.3},
      "kv_store": {"plugin": "hdf5", "path": "store"}})");
  }

  host::ResolvedPipeline resolve(const json& pipeline) const {
    auto document = TomlDocument::from_json(pipeline, "p.toml", workspace_.path(""));
    auto resolved = host::resolve_pipeline(std::move(document).value(), registry_);
    if (!resolved.ok()) throw std::runtime_error(resolved.error().message);
    return std::move(resolved).value();
  }

  Identities identities(const host::ResolvedPipeline& resolved) const {
    const auto tables = pipeline_identity(resolved);
    if (!tables.ok()) throw std::runtime_error(tables.error().message);
    const auto settings = read_settings(resolved.json);
    const auto index = index_identity(resolved, *tables, "embedder");
    if (!index.ok()) throw std::runtime_error(index.error().message);
    const RunIdentity run = run_identity(*tables, inputs_, seed_keys(resolved));
    return {run.run,
            run.group,
            draw_identity(*tables, seed_keys(resolved), "drawn"),
            pool_id(pool_identity(*tables, inputs_, *settings)),
            kv_digest(kv_identity(*tables, inputs_, arithmetic_)).hex(),
            identity_hash(*index)};
  }

  static unsigned difference(const Identities& a, const Identities& b) {
    const auto bit = [](const std::string& one, const std::string& two, unsigned effect) {
      return one != two ? effect : kNothing;
    };
    return bit(a.run, b.run, kRun) | bit(a.group, b.group, kGroup) | bit(a.draw, b.draw, kDraw) |
           bit(a.pool, b.pool, kPool) | bit(a.kv, b.kv, kKv) | bit(a.index, b.index, kIndex);
  }

  unsigned effect_of(const json& before, const json& after) const {
    return difference(identities(resolve(before)), identities(resolve(after)));
  }

  Workspace workspace_;
  host::PluginRegistry registry_ = host::PluginRegistry::discover(host::plugin_search_path({}));
  InputIdentity inputs_;
  KvArithmetic arithmetic_ = {"bf16", {}, "avx2"};
};

struct KeyRow {
  json value;  // other than the default
  unsigned effect;
  json needs = json::object();  // laid over the base first
};

const std::map<std::string, KeyRow>& framework_keys() {
  static const std::map<std::string, KeyRow> rows = {
      {"model.path", {"encoder", kNothing}},  // its content is an input
      {"model.dtype", {"f32", kShape}},
      {"model.kv_dtype", {"int8", kShape}},
      {"model.kv_error_queries", {1, kNothing}},
      {"model.max_positions", {512, kShape}},
      {"model.block_cache_bytes", {1, kNothing}},
      {"model.packed_weights", {false, kNothing}},
      {"model.chunk_tokens", {64, kNothing}},
      {"model.batch_size", {8, kNothing}},
      {"data.demonstrations", {"l.jsonl", kPool}},  // a pool follows its file
      {"data.queries", {"l.jsonl", kNothing}},
      {"data.query_indices", {"i.json", kNothing}},
      {"data.labels", {"l.jsonl", kPool}},
      {"data.text_field", {"t", kShape}},
      {"data.label_field", {"l", kShape}},
      {"data.label_names", {{{"0", "a"}}, kShape}},
      {"data.delimiter", {";", kShape}},
      {"data.demonstration_count", {5, kShape}},
      {"data.held_out", {5, kShape}},
      {"data.query_count", {5, kAnswers}},
      {"data.seed", {5, kSeed}},
      {"data.on_error", {"fail", kNothing}},
      {"data.truncate", {"left", kAnswers}},
      {"prompt.demonstration", {"{text} is {label}", kShape}},
      {"prompt.chat", {true, kShape}},
      {"prompt.system", {"a", kShape, {{"prompt", {{"chat", true}}}}}},
      {"prompt.input_prefix", {"a", kShape}},
      {"prompt.output_prefix", {"a", kShape}},
      {"prompt.separator", {"a", kShape}},
      {"prompt.anchor", {"prefix", kShape}},
      {"prompt.bos", {true, kShape}},
      {"prompt.instruction", {"a", kShape, {{"prompt", {{"anchor", "prefix"}}}}}},
      {"prompt.head", {"a", kShape, {{"prompt", {{"anchor", "prefix"}}}}}},
      {"prompt.tail", {"a", kShape}},
      {"block_grouper.plugin", {"sorted", kShape}},
      {"block_grouper.block_size", {7, kShape}},
      {"block_grouper.seed", {7, kSeed}},
      {"block_grouper.edits", {"append", kShape}},
      {"mask_pattern.plugin", {"self", kShape}},
      {"mask_pattern.encode_positions", {"global", kShape}},
      {"retriever.plugin", {"all", kShape | kIndex}},
      {"retriever.text", {"text", kShape | kIndex}},
      {"retriever.unit", {"demonstration", kShape | kIndex}},
      {"retriever.block_score", {"sum", kAnswers}},
      {"embedding.method", {"llm_hidden", kShape}},
      {"embedding.path", {"encoder", kNothing}},
      {"embedding.layer", {1, kShape}},
      {"selection.ratio", {0.5, kAnswers}},
      {"selection.count", {3, kAnswers}},
      {"selection.order", {"reversed", kAnswers}},
      {"selection.positions", {"original", kAnswers}},
      {"selection.recompute", {true, kAnswers}},
      {"kv_store.plugin", {"memory", kAnswers}},
      {"attention_backend.plugin", {"cuda", kShape | kKv}},
      {"decoding.method", {"likelihood", kAnswers}},
      {"decoding.max_tokens", {5, kAnswers}},
      {"decoding.stop", {json::array({"x"}), kAnswers}},
      {"decoding.scorer", {"pmi", kAnswers, {{"decoding", {{"method", "likelihood"}}}}}},
      {"decoding.content_free", {json::array({"x"}), kAnswers}},
      {"decoding.temperature", {2.0, kAnswers}},
      {"decoding.fit_temperature", {true, kAnswers, {{"data", {{"held_out", 5}}}}}},
      {"decoding.fit_confidence", {true, kAnswers, {{"data", {{"held_out", 5}}}}}},
      {"decoding.abstain_below", {0.5, kAnswers}},
      {"output.directory", {"elsewhere", kNothing}},
  };
  return rows;
}

TEST_F(IdentityTest, EachKeyOfTheFramework) {
  std::set<std::string> keys;
  for (const auto& [table, schema] : pipeline_schema().at("properties").items())
    for (const auto& [key, property] : schema.at("properties").items())
      keys.insert(table + "." + key);
  for (const std::string& key : keys)
    EXPECT_TRUE(framework_keys().contains(key)) << key << " has no row: what does it change?";
  for (const auto& [key, row] : framework_keys()) {
    if (!keys.contains(key)) {
      ADD_FAILURE() << key << " is no key any more";
      continue;
    }
    // Not every build has it.
    if (row.value == "cuda" && !registry_.find(DBSA_KIND_ATTENTION_BACKEND, "cuda").ok()) continue;
    json before = base();
    before.merge_patch(row.needs);
    json after = before;
    if (key == "selection.count") after["selection"].erase("ratio");
    if (key == "kv_store.plugin") after["kv_store"].erase("path");
    after[json::json_pointer(pointer_of_key(key))] = row.value;
    EXPECT_EQ(effect_of(before, after), row.effect) << key;
  }
}

// Keys of built-in plugins that another value of is no other result; all others change results.
const std::set<std::string> kSpeedKeys = {
    "dbsa.attention_backend.cpu instructions",
    "dbsa.attention_backend.cuda memory_gib",
    "dbsa.kv_store.hdf5 path",
    "dbsa.kv_store.hdf5 max_bytes",
    "dbsa.kv_store.hdf5 pack_bytes",
    "dbsa.kv_store.hdf5 publish_interval_s",
    "dbsa.kv_store.memory max_bytes",
};

unsigned effect_of_stage(uint32_t kind) {
  return kind == DBSA_KIND_ATTENTION_BACKEND ? kShape | kKv
         : kind == DBSA_KIND_RETRIEVER       ? kShape | kIndex
         : kind == DBSA_KIND_KV_STORE        ? kAnswers
                                             : kShape;
}

TEST_F(IdentityTest, EachKeyAndRevisionOfEveryBuiltInPlugin) {
  std::set<std::string> keys;
  for (const host::Manifest& manifest : registry_.manifests()) {
    const std::string stage(host::kind_name(manifest.kind));
    host::ResolvedPipeline resolved = resolve(base());
    host::ResolvedStage& changed = resolved.stages[manifest.kind - 1];
    host::Manifest copy = manifest;
    changed.manifest = &copy;
    changed.inner.clear();
    changed.config = json::object();
    for (const auto& [key, property] : manifest.config_schema.at("properties").items())
      changed.config[key] = property.value("default", json(1));
    const Identities before = identities(resolved);
    const unsigned all = effect_of_stage(manifest.kind);
    for (const auto& [key, value] : changed.config.items()) {
      keys.insert(manifest.id + " " + key);
      const json kept = value;
      changed.config[key] = kept.is_string() ? json("other") : json(12345);
      const bool speed = kSpeedKeys.contains(manifest.id + " " + key);
      const bool seed = key == "seed";
      const unsigned expected = speed ? kNothing : seed ? (all & ~kGroup) | kDraw : all;
      EXPECT_EQ(difference(before, identities(resolved)), expected) << manifest.id << " " << key;
      changed.config[key] = kept;
    }
    ++copy.revision;
    EXPECT_EQ(difference(before, identities(resolved)), all) << manifest.id << " revision";
  }
  EXPECT_GT(keys.size(), 20u);
  for (const std::string& key : kSpeedKeys) {
    if (!registry_.find(0, key.substr(0, key.find(' '))).ok()) continue;  // not in every build
    EXPECT_TRUE(keys.contains(key)) << key << " is gone";
  }
}

TEST_F(IdentityTest, EachInput) {
  const host::ResolvedPipeline resolved = resolve(base());
  const Identities before = identities(resolved);
  const std::map<std::string, std::pair<std::string InputIdentity::*, unsigned>> members = {
      {"weights", {&InputIdentity::weights, kPool | kKv}},  // `model` has them, too
      {"model", {&InputIdentity::model, kAnswers}},
      {"tokenizer", {&InputIdentity::tokenizer, kShape | kKv}},
      {"embedding", {&InputIdentity::embedding, kShape}},  // the index has its embedder's
      {"demonstrations", {&InputIdentity::demonstrations, kAnswers}},
      {"queries", {&InputIdentity::queries, kAnswers}},
      {"query_indices", {&InputIdentity::query_indices, kAnswers}},
      {"labels", {&InputIdentity::labels, kAnswers}}};
  EXPECT_EQ(to_json(inputs_).size() + 1, members.size()) << "an input has no row";
  for (const auto& [name, row] : members) {
    const std::string kept = inputs_.*row.first;
    inputs_.*row.first = "changed";
    EXPECT_EQ(difference(before, identities(resolved)), row.second) << name;
    inputs_.*row.first = kept;
  }
  arithmetic_.code_path = "portable";
  EXPECT_EQ(difference(before, identities(resolved)), kKv) << "the code path";
}

TEST_F(IdentityTest, APathAmongAPluginsKeysEntersByContent) {
  host::ResolvedPipeline resolved = resolve(base());
  host::ResolvedStage& stage = resolved.stages[DBSA_KIND_MASK_PATTERN - 1];
  host::Manifest manifest = *stage.manifest;
  manifest.config_schema["properties"]["table"] = {{"type", "string"}, {"format", "path"}};
  stage.manifest = &manifest;
  workspace_.write("table", "one");
  stage.config["table"] = workspace_.path("table");
  const Identities before = identities(resolved);
  workspace_.write("copy", "one");
  stage.config["table"] = workspace_.path("copy");
  EXPECT_EQ(difference(before, identities(resolved)), kNothing);
  workspace_.write("copy", "two");
  EXPECT_EQ(difference(before, identities(resolved)), kShape);
}

TEST_F(IdentityTest, AFolderAmongAPluginsKeysEntersByContent) {
  namespace fs = std::filesystem;
  host::ResolvedPipeline resolved = resolve(base());
  host::ResolvedStage& stage = resolved.stages[DBSA_KIND_MASK_PATTERN - 1];
  host::Manifest manifest = *stage.manifest;
  manifest.config_schema["properties"]["tables"] = {{"type", "string"}, {"format", "path"}};
  stage.manifest = &manifest;
  const fs::path folder = workspace_.path("tables"), other = workspace_.path("other");
  fs::create_directories(folder / "sub");
  fs::create_directories(other);
  workspace_.write("tables/a", "one");
  workspace_.write("tables/sub/b", "two");
  workspace_.write("other/c", "three");
  fs::create_directory_symlink(other, folder / "link");
  fs::create_directory_symlink(folder, folder / "sub" / "circle");
  stage.config["tables"] = folder.string();
  const Identities before = identities(resolved);

  fs::last_write_time(folder / "a", fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_EQ(difference(before, identities(resolved)), kNothing) << "a time";
  const fs::path copy = workspace_.path("copy");
  fs::copy(folder, copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  fs::remove(copy / "sub" / "circle");
  fs::create_directory_symlink(copy, copy / "sub" / "circle");
  stage.config["tables"] = copy.string();
  EXPECT_EQ(difference(before, identities(resolved)), kNothing) << "another place";
  stage.config["tables"] = folder.string();

  const struct {
    const char* what;
    std::function<void()> change, back;
  } changes[] = {
      {"another content", [&] { workspace_.write("tables/sub/b", "owt"); },
       [&] { workspace_.write("tables/sub/b", "two"); }},
      {"contents swapped",
       [&] {
         workspace_.write("tables/a", "two");
         workspace_.write("tables/sub/b", "one");
       },
       [&] {
         workspace_.write("tables/a", "one");
         workspace_.write("tables/sub/b", "two");
       }},
      {"another name", [&] { fs::rename(folder / "a", folder / "A"); },
       [&] { fs::rename(folder / "A", folder / "a"); }},
      {"another folder", [&] { fs::rename(folder / "sub" / "b", folder / "b"); },
       [&] { fs::rename(folder / "b", folder / "sub" / "b"); }},
      {"one more", [&] { workspace_.write("tables/d", ""); }, [&] { fs::remove(folder / "d"); }},
      {"behind a link", [&] { workspace_.write("other/c", "four"); },
       [&] { workspace_.write("other/c", "three"); }},
      {"no circle",
       [&] {
         fs::remove(folder / "sub" / "circle");
         fs::create_directory(folder / "sub" / "circle");
       },
       [&] {
         fs::remove(folder / "sub" / "circle");
         fs::create_directory_symlink(folder, folder / "sub" / "circle");
       }},
      {"an empty folder", [&] { fs::create_directory(folder / "e"); },
       [&] { fs::remove(folder / "e"); }},
  };
  for (const auto& [what, change, back] : changes) {
    change();
    EXPECT_EQ(difference(before, identities(resolved)), kShape) << what;
    back();
    EXPECT_EQ(difference(before, identities(resolved)), kNothing) << what << ", taken back";
  }
}

TEST_F(IdentityTest, AFolderOfTooManyFilesIsRefused) {
  const std::filesystem::path folder = workspace_.path("many");
  std::filesystem::create_directories(folder);
  for (int i = 0; i < 10000; ++i)
    std::filesystem::create_symlink("nothing", folder / std::to_string(i));
  EXPECT_TRUE(content_identity(folder.string()).ok());
  workspace_.write("many/more", "");
  const auto refused = content_identity(folder.string());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kEnvironment);
  EXPECT_EQ(refused.error().message,
            folder.string() +
                ": must hold at most 10000 files, as their content tells results apart, got more; "
                "name a folder that holds only what is needed");
}

TEST_F(IdentityTest, AZeroShotPoolIsNotThatOfDemonstrations) {
  json zero = base();
  zero["selection"] = {{"count", 0}};
  zero["mask_pattern"] = {{"plugin", "self"}};
  json one = zero;
  one["selection"]["count"] = 1;
  EXPECT_EQ(effect_of(one, zero), kAnswers | kPool);
}

TEST(HashRows, TellsRowsApart) {
  const std::vector<Example> rows = {{"ab", "c", 1}, {"d", "e", 2}};
  const auto other = [&](std::vector<Example> changed) {
    return hash_rows(changed) != hash_rows(rows);
  };
  EXPECT_FALSE(other({{"ab", "c", 5}, {"d", "e", 9}})) << "lines are no content";
  EXPECT_TRUE(other({{"a", "bc", 1}, {"d", "e", 2}}));
  EXPECT_TRUE(other({{"d", "e", 1}, {"ab", "c", 2}}));
  EXPECT_TRUE(other({{"ab", "c", 1}}));
  EXPECT_TRUE(other({{"ab", "c", 1, {"x"}}, {"d", "e", 2}}));
}

// A file may have its labels in any normal form.
TEST(HashRows, AreOneForEveryNormalFormOfLabels) {
  TemporaryFile composed("a.jsonl", "{\"text\": \"t\", \"label\": \"m\\u00e9t\\u00e9o\"}\n[1]\n");
  TemporaryFile decomposed("a.csv", "text;label\nt;me\xCC\x81te\xCC\x81o\n1;2;3\n");
  const auto hash = [](const TemporaryFile& file) {
    const auto rows = load_rows(file.path(), "text", "label", LabelPolicy::kOptional);
    EXPECT_TRUE(rows.ok()) << rows.error().message;
    return hash_rows(*rows);
  };
  EXPECT_EQ(hash(composed), hash(decomposed));
}

TEST(IdentityDifferences, NameWhatDiffers) {
  const json before = json::parse(R"({"retriever": {"plugin": "a", "revision": 1, "k": 1.5},
      "mask": {"plugin": "m", "revision": 1},
      "weights": "0123456789abcdef0123456789abcdef"})");
  const json now = json::parse(R"({"retriever": {"plugin": "a", "revision": 2, "k": 1.5, "b": true},
      "mask": {"plugin": "n", "revision": 4},
      "weights": "1123456789abcdef0123456789abcdef"})");
  EXPECT_EQ(identity_differences(before, now),
            (std::vector<std::string>{"mask: \"m\", now \"n\"", "retriever.b: absent, now true",
                                      "retriever.revision: 1, now 2",
                                      "weights: 01234567, now 11234567"}));
  EXPECT_TRUE(identity_differences(now, now).empty());
}

TEST(Validity, CountsWhatMakesAMeasureDoubtful) {
  const std::vector<Example> demonstrations = {{"Where is my card?", "arrival", 1},
                                               {"where is  my card?", "arrival", 2},
                                               {"where is my card?", "lost", 3},
                                               {"WHERE is my card?", "lost", 4},
                                               {"caf\u00e9", "Arrival", 5}};
  const std::vector<Row> queries = {{{"cafe\u0301", "arrival", 1}, {}}, {{"new", "lost", 2}, {}}};
  const std::vector<std::string> labels = {"Arrival", "arrival", "lost", "never"};
  const DataValidity found = check_validity(demonstrations, queries, labels);
  EXPECT_EQ(found.queries_in_demonstrations.count, 1);
  EXPECT_EQ(found.texts_with_two_labels.count, 1);
  EXPECT_EQ(found.duplicates.count, 2);
  EXPECT_EQ(found.near_equal_labels.count, 1);
  EXPECT_EQ(
      warnings(found),
      (std::vector<std::string>{
          "1 query is among the demonstrations (line 1 is line 5 of the demonstrations): the "
          "figures do not show how unseen texts are answered",
          "1 text stands under different labels in the demonstrations (line 3 as line 1)",
          "2 demonstrations repeat an earlier one (line 2 as line 1, line 4 as line 1)",
          "1 label differs from another one only in case, white space or normal form (\"Arrival\" "
          "and \"arrival\"): answers with the one count as wrong for the other"}));
  EXPECT_TRUE(warnings(check_validity({}, queries, {})).empty());
}

TEST(Validity, CountsQueriesThatSayNoMoreThanOthers) {
  const std::vector<Row> queries = {
      {{"lost", "card", 1}, {}}, {{"LOST ", "card", 2}, {}},  {{"lost", "money", 3}, {}},
      {{"lost", "card", 1}, {}}, {{"stolen", "card", 4}, {}}, {{"lost", "card", 5}, ItemError{}}};
  const DataValidity found = check_validity({}, queries, std::vector<std::string>{"card", "money"});
  EXPECT_EQ(warnings(found),
            (std::vector<std::string>{
                "2 queries repeat an earlier one (line 2 as line 1, line 1 again): each counts in "
                "the figures of the run, but tells no more than the first; leave out what stands "
                "twice in data.queries or data.query_indices",
                "1 text expects different labels in the queries (line 3 as line 1): one answer to "
                "both is wrong for one of them"}));
}

TEST(Validity, AnyWhiteSpaceOfUnicodeIsWhiteSpace) {
  EXPECT_EQ(folded_text("\u00a0A\u2003\u3000 b\u0085c\u202f"), "a b c");
  EXPECT_EQ(folded_text("a\u00e0b"), "a\u00e0b");  // its last byte is that of U+00A0
  const std::vector<std::string> labels = {"book room", "book room\u00a0"};
  const std::vector<Example> demonstrations = {{"a b", labels[0], 1}, {"c", labels[1], 2}};
  const std::vector<Row> queries = {{{"a\u00a0b", labels[0], 7}, {}}};
  const DataValidity found = check_validity(demonstrations, queries, labels);
  EXPECT_EQ(found.near_equal_labels.count, 1);
  EXPECT_EQ(found.queries_in_demonstrations.count, 1);
}

// I is the capital of i or, in Turkish, of dotless i, whose dotted capital is another letter.
TEST(Validity, LabelsThatDifferInTheCaseOfTurkishAreNearlyEqual) {
  const auto near = [](const std::string& a, const std::string& b) {
    return check_validity({}, {}, std::vector<std::string>{a, b}).near_equal_labels.count;
  };
  EXPECT_EQ(near("\u0130stanbul", "istanbul"), 1);
  EXPECT_EQ(near("I\u0307stanbul", "istanbul"), 1) << "in another normal form";
  EXPECT_EQ(near("ISTANBUL", "istanbul"), 1);
  EXPECT_EQ(near("ISPARTA", "\u0131sparta"), 1);
  EXPECT_EQ(near("k\u0131r", "kir"), 0) << "two words";
  const std::vector<std::string> labels = {"istanbul"};
  const std::vector<Row> queries = {{{"a", "\u0130STANBUL", 1}, {}}};
  EXPECT_EQ(check_validity({}, queries, labels).near_expected_labels.count, 1);
}

TEST(Validity, NamesExpectedLabelsThatAreNearlyLabels) {
  const std::vector<std::string> labels = {"book room", "play"};
  const std::vector<Row> queries = {{{"a", "Book Room", 1}, {}},
                                    {{"b", "Play", 2, {"play"}}, {}},
                                    {{"c", "other", 3}, {}},
                                    {{"d", "book\u00a0room", 4}, {}}};
  EXPECT_EQ(warnings(check_validity({}, queries, labels)),
            (std::vector<std::string>{
                "2 queries expect a label that differs from one of the demonstrations' or of "
                "data.labels only in case, white space or normal form (line 1: \"Book Room\" for "
                "\"book room\", line 4: \"book\\u00A0room\" for \"book room\"): answers with it "
                "count as wrong; write both alike"}));
}

}  // namespace
}  // namespace dbsa
