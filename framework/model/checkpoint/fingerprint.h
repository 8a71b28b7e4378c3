// The identity of a model: what decides the values it computes, as 128 bits.
//
// Covers the configuration's values that enter the arithmetic (RoPE apart, see rope_identity) and
// every tensor's name, type, shape and bytes, however many files they are spread over; of GGUF
// files also how they are laid out, so that no two types of one model share blocks.
#pragma once

#include <dbsa/sdk/result.h>

#include <cstdint>
#include <map>
#include <string>

#include "config/hash128.h"
#include "model/checkpoint/tensor_file.h"
#include "model/checkpoint/weights.h"
#include "model/config/model_config.h"

namespace dbsa {

struct ModelFingerprint {
  Hash128 value;
  uint64_t bytes_hashed = 0;  // weights read this time; 0 if all was remembered
};

// XXH3 of the weights takes about a second for 10 GB once they are in memory, and reading them
// first; so what was computed for a file is remembered in a folder under (device, inode) with size,
// mtime and ctime, and used while those are unchanged, for 30 days at most: bytes may rot. The
// files of 256 weights files are kept. A cache that cannot be read or written costs time, never the
// result.
struct DigestCache {
  std::string folder;   // "": remembers nothing
  bool trusted = true;  // false: all is hashed again, and remembered
};

// Fails with kEnvironment if a file changed meanwhile.
Result<ModelFingerprint> fingerprint_model(const ModelConfig& config, const Weights& weights,
                                           const DigestCache& cache);

// The same for a model of another kind: `config` is what enters the arithmetic, as a text that
// begins with the kind.
Result<ModelFingerprint> fingerprint_weights(const std::string& config, const Weights& weights,
                                             const DigestCache& cache);

// Hashes of the contents of a file's tensors, hexadecimal, by name: remembered, and failing, as
// above. bytes_hashed is raised by what was read.
Result<std::map<std::string, std::string>> tensor_digests(const TensorFile& file,
                                                          const DigestCache& cache,
                                                          uint64_t* bytes_hashed);

// $XDG_CACHE_HOME/dbsa-pipe, else ~/.cache/dbsa-pipe, else "".
std::string default_cache_folder();

}  // namespace dbsa
