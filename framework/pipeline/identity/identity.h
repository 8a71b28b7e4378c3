// Identity: what the results of a pipeline depend on, said in one place. Everything that is kept
// and might be used again is kept under an identity from here:
//
//   stored KV blocks      kv_identity, and block_key.h for one block
//   pools                 pool_identity
//   retriever indexes     index_identity
//   sweep cells, records  run_identity
//
// Plugins enter by id, revision and those of their keys that affect results (a manifest says
// `affects = "speed"` of others); the framework's own keys likewise, as
// schemas/pipeline.schema.json says. Files enter by content: the model and its tokenizer, the
// embedding model, the rows of data files before any of them are drawn. A JSON object is canonical
// here: its keys are sorted.
#pragma once

#include <dbsa/kv_block.h>
#include <dbsa/sdk/result.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "host/resolve.h"
#include "icl/dataset.h"
#include "model/config/model_config.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// Contents of the files that a pipeline names, hexadecimal; "" where it names none.
struct InputIdentity {
  std::string weights;    // and all of the configuration that enters a forward pass
  std::string model;      // weights, and the ids that begin and end texts
  std::string tokenizer;  // every file that it was made from
  std::string embedding;  // of the encoder, its tokenizer included
  std::string demonstrations, queries, query_indices, labels;  // hash_rows of each file
  bool operator==(const InputIdentity&) const = default;
};

// Fills in `weights` and `model`. fingerprint: of fingerprint_model, hexadecimal.
void identify_model(const ModelConfig& config, const std::string& fingerprint,
                    InputIdentity& inputs);

// The chat template that prompts are written with: part of what is called the tokenizer.
void identify_chat(const std::string& template_source, InputIdentity& inputs);

// Of texts and labels in order: equal rows and no others share it. Cost: O(bytes).
std::string hash_rows(std::span<const Example> rows);
// Of queries, those with an error included.
std::string hash_rows(std::span<const Row> rows);
// Of the bytes of a file, or of a folder's names and the bytes of its files, in folders below, too.
// Links are followed, into each folder once; times do not count. The path itself where it leads to
// neither. kEnvironment, also for a folder of more than 10,000 entries. Cost: O(bytes).
Result<std::string> content_identity(const std::string& path);
// Of texts in order.
std::string hash_list(std::span<const std::string> texts);

// Each table of a pipeline with what results depend on in it: {"retriever": {"plugin": "...",
// "revision": 1, "k1": 1.2, ...}, ...}. Paths of the framework's keys are left out; a path among a
// plugin's keys is replaced by the content of its file. Plugins inside a plugin stand under their
// key. kEnvironment for a file that cannot be read.
Result<nlohmann::json> pipeline_identity(const host::ResolvedPipeline& pipeline);

// The other keys, without paths: those that only decide how fast or where the same results are
// computed.
nlohmann::json pipeline_speed_keys(const host::ResolvedPipeline& pipeline);

// XXH3-128 of an identity, 32 hexadecimal digits.
std::string identity_hash(const nlohmann::json& identity);

// ---- what stage one keeps -------------------------------------------------------------------

// What a pool is known by: all that shapes it. A pool follows its data files, so those enter by
// path; what is in them decides which of its blocks are encoded again. Nothing of the decoding or
// the selection, except that a zero-shot pool has no demonstrations, and no code path.
nlohmann::json pool_identity(const nlohmann::json& tables, const InputIdentity& inputs,
                             const Settings& settings);
// 16 hexadecimal digits: the name of the pool's file.
std::string pool_id(const nlohmann::json& pool_identity);

// How a backend computes what is stored.
struct KvArithmetic {
  std::string compute;      // "f32" | "bf16" | "quantised"
  dbsa_kv_format format{};  // of any block; tokens and plane_bytes are not looked at
  std::string code_path;    // what the backend chose on this machine
};
// What all stored blocks of a pool have in common.
nlohmann::json kv_identity(const nlohmann::json& tables, const InputIdentity& inputs,
                           const KvArithmetic& arithmetic);

// What a retriever's index depends on except the documents. The libraries' bytes are part of it:
// an index is soon made again. embedder: identity of what texts are embedded with, or "".
Result<nlohmann::json> index_identity(const host::ResolvedPipeline& pipeline,
                                      const nlohmann::json& tables, const std::string& embedder);
// Hash of the library of a stage's plugin and of those inside it.
Result<std::string> library_identity(const host::ResolvedStage& stage);

// ---- runs -----------------------------------------------------------------------------------

// Raised with every change to the program that alters an answer although blocks stay the same, such
// as one of decoding or of the arithmetic of selection. 2: `trie` is exact.
inline constexpr uint32_t kAnswerRevision = 2;

struct RunIdentity {
  std::string run;    // all that the answers depend on
  std::string group;  // the same without seeds: runs of one group are draws of one experiment
  InputIdentity inputs;
  std::map<std::string, std::string> stages;  // table -> identity_hash
};
// Dotted names of keys: "data.seed", "retriever.seed".
using KeyNames = std::set<std::string>;
// The keys of role `seed`, those of plugins inside plugins too.
KeyNames seed_keys(const host::ResolvedPipeline& pipeline);
// Those keys that tell draws and places apart but no groups of runs: seeds, where the store lies,
// and where records go.
KeyNames keys_outside_groups(const host::ResolvedPipeline& pipeline);

// seeds: of seed_keys.
RunIdentity run_identity(const nlohmann::json& tables, const InputIdentity& inputs,
                         const KeyNames& seeds);

// The draw of a run: its demonstrations as they stand in their blocks (a hash), and the seeds.
std::string draw_identity(const nlohmann::json& tables, const KeyNames& seeds,
                          const std::string& blocks_hash);

// "retriever.revision: 1, now 2" for each value that differs, hashes cut to 8 digits.
std::vector<std::string> identity_differences(const nlohmann::json& before,
                                              const nlohmann::json& now);

nlohmann::json to_json(const InputIdentity& inputs);

}  // namespace dbsa
