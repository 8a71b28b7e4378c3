// What a pool is made with.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "host/block_grouper.h"
#include "host/host_services.h"
#include "host/mask_pattern.h"
#include "host/retriever.h"
#include "model/config/model_config.h"
#include "model/tokenizer/tokenizer.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// What a pool is known by and checked against, see identity.h.
struct PoolIdentities {
  nlohmann::json pool;
  nlohmann::json kv;
  nlohmann::json index;
  std::string grouper_library;
};

// Everything a pool is made with. Borrowed; outlives the builder's call.
struct PoolParts {
  const Settings& settings;
  const ModelConfig& model;
  const PoolIdentities& identities;
  const Tokenizer& tokenizer;
  host::BlockGrouper& grouper;
  const host::MaskPattern& mask;
  int64_t anchor_blocks;       // the mask's
  host::Retriever* retriever;  // nullptr where nothing is indexed
  host::HostServices& services;
};

}  // namespace dbsa
