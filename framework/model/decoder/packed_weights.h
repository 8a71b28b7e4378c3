// Linear weights as a backend packed them, kept on this machine's disk (packed_files.h): the next
// start maps them and packs nothing.
//
// One safetensors file for a model and a backend, <folder>/<hash of both>.safetensors: for each
// weight a tensor U8 [bytes], 64-byte aligned, under its name in the checkpoint. "__metadata__" has
// `model` (fingerprint), `packing` (see dbsa/attention_backend.h, and whether blocks stay
// quantised) and `digest`, XXH3-128 of names and contents. The contents are compared with it once
// for each state of the file (fingerprint.h). The file is a cache: any fault in it costs
// a warning and packing again.
#pragma once

#include <dbsa/sdk/result.h>

#include <map>
#include <optional>
#include <span>
#include <string>

#include "host/attention_backend.h"
#include "host/host_services.h"
#include "model/checkpoint/fingerprint.h"
#include "model/checkpoint/safetensors.h"

namespace dbsa {

// Reads a file of packed weights whole. kCorrupt when its bytes, or its name, are not what was
// written; kEnvironment when it cannot be read.
Status check_packed_weights(const std::string& path);

class PackedWeights {
 public:
  // cache: where checked files are remembered. services take warnings.
  PackedWeights(std::string folder, const Hash128& model, DigestCache cache,
                host::HostServices& services);

  // Maps the file of a backend, which is configured, where there is one; the mapping lives as long
  // as this. quantised: weights of blocks are packed as such. Cost: none to speak of, or a pass
  // over the file when it is new.
  void open(const host::AttentionBackend& backend, bool quantised = false);
  // The packed bytes of a weight; none where it is to be packed.
  std::optional<std::span<const unsigned char>> find(const std::string& name) const;
  // Gives up the file, for a backend that does not take what stands in it, and warns. No weight may
  // be read from it any more.
  void reject(const std::string& why);
  // What was packed instead; the weight must live until keep.
  Status add(const std::string& name, const host::Weight& weight);
  const std::string& path() const { return path_; }
  // See SafetensorsFile::check_unchanged.
  Status check_unchanged() const { return file_ ? file_->check_unchanged() : Status(); }
  // Writes the file if anything was added, in the room of files that were not used for long. Not
  // where the disk has none.
  void keep();

 private:
  Status read();
  void warn(const std::string& what) const;

  std::string folder_;
  std::string model_;
  DigestCache cache_;
  host::HostServices& services_;
  const host::AttentionBackend* backend_ = nullptr;
  std::string packing_;  // "": nothing is kept
  std::string path_;
  std::optional<SafetensorsFile> file_;
  std::map<std::string, std::span<const unsigned char>> added_;
};

}  // namespace dbsa
