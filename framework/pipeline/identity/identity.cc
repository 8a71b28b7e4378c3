#include "pipeline/identity/identity.h"

#include "config/json_pointer.h"
#include "config/schema_check.h"
#include "host/attention_backend.h"
#include "host/plugin_registry.h"
#include "host/store_keys.h"
#include "model/config/rope.h"
#include "pipeline/encode/block_key.h"
#include "pipeline/encode/hasher.h"

namespace dbsa {
namespace {

using nlohmann::json;

// A key that names a file or a folder; without a schema, none.
bool is_path(const json& properties, const std::string& key) {
  const auto property = properties.find(key);
  return property != properties.end() && property->value("format", "") == "path";
}

const json& properties_of(const host::Manifest& manifest) {
  return manifest.config_schema.at("properties");
}

bool affects_results(const host::Manifest& manifest, const std::string& key) {
  return manifest.affects_results(append_pointer("", key));
}

// A plugin with those of its keys that affect results.
Result<json> plugin_identity(const host::Manifest& manifest, const json& config) {
  json out = {{"plugin", manifest.id}, {"revision", manifest.revision}};
  for (const auto& [key, value] : config.items()) {
    if (!affects_results(manifest, key)) continue;
    if (!is_path(properties_of(manifest), key) || !value.is_string()) {
      out[key] = value;
      continue;
    }
    DBSA_ASSIGN_OR_RETURN(out[key], content_identity(value.get_ref<const std::string&>()));
  }
  return out;
}

json plugin_speed_keys(const host::Manifest& manifest, const json& config) {
  json out = json::object();
  for (const auto& [key, value] : config.items())
    if (!affects_results(manifest, key) && !is_path(properties_of(manifest), key)) out[key] = value;
  return out;
}

Result<json> stage_identity(const host::ResolvedStage& stage) {
  DBSA_ASSIGN_OR_RETURN(json out, plugin_identity(*stage.manifest, stage.config));
  for (const host::InnerPlugin& inner : stage.inner) {
    DBSA_ASSIGN_OR_RETURN(out[split_pointer(inner.pointer).back()],
                          plugin_identity(*inner.manifest, inner.config));
  }
  return out;
}

json stage_speed_keys(const host::ResolvedStage& stage) {
  json out = plugin_speed_keys(*stage.manifest, stage.config);
  for (const host::InnerPlugin& inner : stage.inner)
    if (json keys = plugin_speed_keys(*inner.manifest, inner.config); !keys.empty())
      out[split_pointer(inner.pointer).back()] = std::move(keys);
  return out;
}

// The framework's own keys of a table, those that affect results or the others.
void add_own_keys(const std::string& table, const json& values, bool results, json& out) {
  const json& properties = pipeline_schema().at("properties").at(table).at("properties");
  for (const auto& [key, property] : properties.items())
    if (key != "plugin" && values.contains(key) && !is_path(properties, key) &&
        (property.value("affects", "results") == "results") == results)
      out[key] = values.at(key);
}

const host::ResolvedStage* stage_of(const host::ResolvedPipeline& pipeline,
                                    const std::string& table) {
  for (const host::ResolvedStage& stage : pipeline.stages)
    if (host::kind_name(stage.kind) == table) return &stage;
  return nullptr;
}

void add_example(const Example& example, Hasher& hasher) {
  hasher.text(example.text);
  const std::vector<std::string> labels = all_labels(example);
  hasher.integer(static_cast<int64_t>(labels.size()));
  for (const std::string& label : labels) hasher.text(label);
}

// A copy without the keys of these names; `seeds` gets them under their names.
json without_seeds(const json& value, const std::string& name, const KeyNames& names, json& seeds) {
  if (!value.is_object()) return value;
  json out = json::object();
  for (const auto& [key, part] : value.items()) {
    const std::string dotted = name.empty() ? key : name + "." + key;
    if (names.contains(dotted))
      seeds[dotted] = part;
    else
      out[key] = without_seeds(part, dotted, names, seeds);
  }
  return out;
}

std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string shown(const json* value) {
  if (value == nullptr) return "absent";
  if (!value->is_string()) return text_of(*value);
  const std::string& text = value->get_ref<const std::string&>();
  const bool hash =
      text.size() >= 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  return hash ? text.substr(0, 8) : '"' + text + '"';
}

void add_differences(const json* before, const json* now, const std::string& name,
                     std::vector<std::string>& out) {
  if (before != nullptr && now != nullptr && *before == *now) return;
  const bool objects = before != nullptr && now != nullptr && before->is_object() &&
                       now->is_object() &&
                       before->value("plugin", json()) == now->value("plugin", json());
  if (!objects) {
    const auto whole = [](const json* value) {
      return value != nullptr && value->is_object() && value->contains("plugin")
                 ? &value->at("plugin")
                 : value;
    };
    out.push_back(name + ": " + shown(whole(before)) + ", now " + shown(whole(now)));
    return;
  }
  json keys = *before;
  keys.update(*now);
  for (const auto& [key, unused] : keys.items())
    add_differences(before->contains(key) ? &before->at(key) : nullptr,
                    now->contains(key) ? &now->at(key) : nullptr,
                    name.empty() ? key : name + "." + key, out);
}

}  // namespace

void identify_model(const ModelConfig& config, const std::string& fingerprint,
                    InputIdentity& inputs) {
  inputs.weights = identity_hash({{"weights", fingerprint}, {"rope", rope_identity(config.rope)}});
  json ids = {{"weights", inputs.weights}, {"end", config.eos_token_ids}};
  ids["begin"] = config.bos_token_id ? json(*config.bos_token_id) : json();
  // How far a prompt may reach, and so which queries are too long.
  ids["positions"] = config.max_positions;
  ids["window"] = config.sliding_window ? json(*config.sliding_window) : json();
  inputs.model = identity_hash(ids);
}

void identify_chat(const std::string& template_source, InputIdentity& inputs) {
  inputs.tokenizer =
      identity_hash({{"tokenizer", inputs.tokenizer}, {"chat_template", template_source}});
}

std::string hash_rows(std::span<const Example> rows) {
  Hasher hasher;
  hasher.integer(static_cast<int64_t>(rows.size()));
  for (const Example& row : rows) add_example(row, hasher);
  return hasher.finish().hex();
}

std::string hash_rows(std::span<const Row> rows) {
  Hasher hasher;
  hasher.integer(static_cast<int64_t>(rows.size()));
  for (const Row& row : rows) {
    add_example(row.example, hasher);
    // The message has the path of the file.
    if (row.error) hasher.text(item_fault_name(row.error->fault));
  }
  return hasher.finish().hex();
}

std::string hash_list(std::span<const std::string> texts) {
  Hasher hasher;
  hasher.integer(static_cast<int64_t>(texts.size()));
  for (const std::string& text : texts) hasher.text(text);
  return hasher.finish().hex();
}

Result<json> pipeline_identity(const host::ResolvedPipeline& pipeline) {
  json tables = json::object();
  for (const auto& [table, values] : pipeline.json.items()) {
    json& out = tables[table] = json::object();
    if (const host::ResolvedStage* stage = stage_of(pipeline, table); stage != nullptr) {
      DBSA_ASSIGN_OR_RETURN(out, stage_identity(*stage));
    }
    if (values.is_object()) add_own_keys(table, values, true, out);
  }
  return tables;
}

json pipeline_speed_keys(const host::ResolvedPipeline& pipeline) {
  json tables = json::object();
  for (const auto& [table, values] : pipeline.json.items()) {
    const host::ResolvedStage* stage = stage_of(pipeline, table);
    json& out = tables[table] = stage != nullptr ? stage_speed_keys(*stage) : json::object();
    if (values.is_object()) add_own_keys(table, values, false, out);
  }
  return tables;
}

std::string identity_hash(const json& identity) {
  Hasher hasher;
  hasher.text(text_of(identity));
  return hasher.finish().hex();
}

json pool_identity(const json& tables, const InputIdentity& inputs, const Settings& settings) {
  json out = json::object();
  for (const char* table : {"model", "data", "prompt", "block_grouper", "mask_pattern", "retriever",
                            "embedding", "attention_backend"})
    out[table] = tables.at(table);
  // What is asked of a pool is not in it.
  for (const char* key : {"query_count", "truncate"}) out["data"].erase(key);
  out["retriever"].erase("block_score");
  // A pool that uses none of these keys is the same as before there was the key.
  if (settings.data.held_out == 0) out["data"].erase("held_out");
  if (settings.grouper.edits == Edits::kInPlace) out["block_grouper"].erase("edits");
  if (out["data"]["label_names"].empty()) out["data"].erase("label_names");
  for (const char* key : {"demonstration", "system"})
    if (out["prompt"][key] == "") out["prompt"].erase(key);
  if (!settings.prompt.chat) out["prompt"].erase("chat");
  out["data"]["demonstrations"] = settings.data.demonstrations;
  out["data"]["labels"] = settings.data.labels;
  out["model"]["weights"] = inputs.weights;
  out["model"]["tokenizer"] = inputs.tokenizer;
  out["embedding"]["content"] = inputs.embedding;
  // No demonstrations in it, so it is not the pool that other selections need.
  if (is_zero_shot(settings.selection)) out["data"]["zero_shot"] = true;
  return out;
}

std::string pool_id(const json& pool_identity) {
  return identity_hash(pool_identity).substr(0, 16);
}

json kv_identity(const json& tables, const InputIdentity& inputs, const KvArithmetic& arithmetic) {
  return {{"model", {{"weights", inputs.weights}, {"tokenizer", inputs.tokenizer}}},
          {"attention_backend", tables.at("attention_backend")},
          {"code path", arithmetic.code_path},
          {"compute", arithmetic.compute},
          {"KV format",
           {{"layout", arithmetic.format.layout},
            {"dtype", host::kv_dtype_name(arithmetic.format.dtype)},
            {"panel", arithmetic.format.panel},
            {"layers", arithmetic.format.layers},
            {"kv_heads", arithmetic.format.kv_heads},
            {"head_dim", arithmetic.format.head_dim}}}};
}

Result<std::string> library_identity(const host::ResolvedStage& stage) {
  DBSA_ASSIGN_OR_RETURN(std::string text, host::plugin_file_hash(*stage.manifest));
  for (const host::InnerPlugin& inner : stage.inner) {
    DBSA_ASSIGN_OR_RETURN(const std::string part, host::plugin_file_hash(*inner.manifest));
    text += " " + part;
  }
  return text;
}

Result<json> index_identity(const host::ResolvedPipeline& pipeline, const json& tables,
                            const std::string& embedder) {
  json out = {{"retriever", tables.at("retriever")}, {"embedder", embedder}};
  out["retriever"].erase("block_score");  // it combines what the index returns
  DBSA_ASSIGN_OR_RETURN(out["library"], library_identity(pipeline.stage(DBSA_KIND_RETRIEVER)));
  return out;
}

KeyNames seed_keys(const host::ResolvedPipeline& pipeline) {
  KeyNames names;
  for (const auto& [table, values] : pipeline.json.items())
    for (const auto& [key, property] :
         pipeline_schema().at("properties").at(table).at("properties").items())
      if (property.value("role", "") == host::kSeedRole) names.insert(table + "." + key);
  const auto add = [&](const std::string& pointer, const host::Manifest& manifest) {
    for (const host::KeyRole& role : manifest.roles)
      if (role.role == host::kSeedRole)
        names.insert(dotted_name(append_pointer(pointer, role.key)));
  };
  for (const host::ResolvedStage& stage : pipeline.stages) {
    add("/" + std::string(host::kind_name(stage.kind)), *stage.manifest);
    for (const host::InnerPlugin& inner : stage.inner) add(inner.pointer, *inner.manifest);
  }
  return names;
}

KeyNames keys_outside_groups(const host::ResolvedPipeline& pipeline) {
  KeyNames names = seed_keys(pipeline);
  names.insert("output.directory");
  if (const host::StoreKeys store = host::store_keys(pipeline); !store.location_pointer.empty())
    names.insert(dotted_name(store.location_pointer));
  return names;
}

RunIdentity run_identity(const json& tables, const InputIdentity& inputs, const KeyNames& names) {
  RunIdentity identity;
  identity.inputs = inputs;
  json seeds = json::object();
  json group = json::object();
  for (const auto& [table, values] : tables.items()) {
    identity.stages[table] = identity_hash(values);
    group[table] = without_seeds(values, table, names, seeds);
  }
  group["inputs"] = to_json(inputs);
  group["revisions"] = {kEncodeRevision, kAnswerRevision};
  identity.group = identity_hash(group);
  identity.run = identity_hash({{"group", identity.group}, {"seeds", seeds}});
  return identity;
}

std::string draw_identity(const json& tables, const KeyNames& names,
                          const std::string& blocks_hash) {
  json seeds = json::object();
  without_seeds(tables, "", names, seeds);
  return identity_hash({{"blocks", blocks_hash}, {"seeds", seeds}});
}

std::vector<std::string> identity_differences(const json& before, const json& now) {
  std::vector<std::string> out;
  add_differences(&before, &now, "", out);
  return out;
}

json to_json(const InputIdentity& inputs) {
  json out = json::object();
  const auto add = [&](const char* name, const std::string& value) {
    out[name] = value.empty() ? json() : json(value);
  };
  add("model", inputs.model);
  add("tokenizer", inputs.tokenizer);
  add("embedding", inputs.embedding);
  add("demonstrations", inputs.demonstrations);
  add("queries", inputs.queries);
  add("query_indices", inputs.query_indices);
  add("labels", inputs.labels);
  return out;
}

}  // namespace dbsa
