// Identities of the inputs of pipelines that are not opened: of a sweep's cells, and of a record
// that is to be repeated.
#pragma once

#include <dbsa/sdk/result.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "host/resolve.h"
#include "pipeline/identity/identity.h"
#include "pipeline/settings/settings.h"

namespace dbsa {

// Reads each file once, however many pipelines name it. Cost: the bytes of the data files and
// tokenizers, and of weights whose hash is not remembered.
class InputReader {
 public:
  // kEnvironment and kConfig as the commands that use the files.
  Result<InputIdentity> read(const host::ResolvedPipeline& pipeline);

 private:
  Status read_model(const Settings& settings, InputIdentity& inputs);
  Result<std::string> encoder(const std::string& folder);
  Result<std::string> rows(const std::string& path, const TextFields& text,
                           const DataSettings& data);
  Result<std::string> queries(const DataSettings& data);

  // By path, max_positions and whether the chat template counts.
  std::map<std::tuple<std::string, int64_t, bool>, InputIdentity> models_;
  std::map<std::string, std::string> encoders_;  // by folder
  std::map<std::string, std::string> rows_;      // by path and fields
};

}  // namespace dbsa
