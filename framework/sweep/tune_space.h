// What `tune` may change of a pipeline, one key at a time.
#pragma once

#include <string>
#include <vector>

#include "host/plugin_registry.h"
#include "host/resolve.h"
#include "pipeline/settings/layers.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

struct TuneChange {
  std::string key;     // "selection.ratio"
  std::string name;    // "selection.ratio = 0.5"
  KeyValues settings;  // that key
};

// Other values of the share of blocks, what is ranked, the retriever, the scorer, the order and the
// block size: the first of each key, then the second of each, and so on. Each gives a pipeline that
// resolves, and whose plugins accept their keys. What else a pipeline needs (embeddings, room for
// its positions) shows when it runs. Blocks take at most a quarter of `demonstrations`. kConfig for
// a pipeline without demonstrations in its prompts, which has nothing to choose.
Result<std::vector<TuneChange>> tune_changes(const host::ResolvedPipeline& start,
                                             host::PluginRegistry& registry,
                                             int64_t demonstrations);

// `start` with settings laid over it, checked so.
Result<host::ResolvedPipeline> changed_pipeline(const TomlDocument& start,
                                                const KeyValues& settings,
                                                host::PluginRegistry& registry);

}  // namespace dbsa
