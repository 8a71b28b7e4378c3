// The pool manifest: a Pool as the document that a KV store keeps of it. It lets `query` start
// without re-reading, re-tokenising, re-indexing or re-hashing.
//
// Format: 8 bytes "DBSAPOOL", CBOR (RFC 8949) of the Pool, 16 bytes XXH3-128 of all before it.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <string_view>

#include "pipeline/pool/pool.h"

namespace dbsa {

inline constexpr int kPoolManifestVersion = 4;

std::string encode_pool_manifest(const Pool& pool);
// kCorrupt for bytes that encode_pool_manifest did not write; `name` says where they lie.
Result<Pool> decode_pool_manifest(std::string_view bytes, const std::string& name);

}  // namespace dbsa
