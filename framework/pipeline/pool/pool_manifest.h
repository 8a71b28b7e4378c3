// The pool manifest: a Pool as one file, `<store>/pools/<id>.pool`, written to a temporary name,
// synced and renamed, so that a reader sees the old pool or the new one. It lets `query` start
// without re-reading, re-tokenising, re-indexing or re-hashing, and garbage collection treats it as
// a root.
//
// Format: 8 bytes "DBSAPOOL", CBOR (RFC 8949) of the Pool, 16 bytes XXH3-128 of all before it.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <vector>

#include "pipeline/pool/pool.h"

namespace dbsa {

inline constexpr int kPoolManifestVersion = 3;

std::string encode_pool_manifest(const Pool& pool);
// kCorrupt for bytes that encode_pool_manifest did not write; `name` stands for the file.
Result<Pool> decode_pool_manifest(std::string_view bytes, const std::string& name);

// "<store>/pools/<id>.pool"
std::string pool_manifest_path(const std::string& store_path, const std::string& pool_id);

// Paths of all pools beside a store, in byte order. kEnvironment when the folder cannot be read.
Result<std::vector<std::string>> pool_manifests(const std::string& store_path);

// kEnvironment when the disk refuses; the old manifest is then still there. One that says the same
// is left as it is.
Status write_pool_manifest(const Pool& pool, const std::string& store_path);
// kNotFound when there is none, kCorrupt when it is damaged.
Result<Pool> read_pool_manifest(const std::string& path);

// Keys that the pools beside a store use. Fails, rather than leave one out, when a manifest cannot
// be read.
Result<std::vector<KvKey>> pool_roots(const std::string& store_path);

}  // namespace dbsa
