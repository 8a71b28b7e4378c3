// Saved indexes of faiss that carry a right checksum and were not written by the plugin: for its
// tests and for its fuzz target. The layout is that of plugins/retriever/faiss/dense_index.cc.
#pragma once

#include <dbsa/sdk/random.h>
#include <xxhash.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/retriever/faiss/dense_index.h"

namespace dbsa::testing {

constexpr size_t kFaissHeader = 48;
constexpr size_t kFaissDocuments = 24;   // where their number stands, 64 bits
constexpr size_t kFaissArrayBytes = 32;  // where the size of what follows the factory string stands
constexpr size_t kFaissChecksum = 40;

// One of every family that the plugin knows, for 16 values.
inline std::vector<dense::IndexOptions> faiss_families() {
  std::vector<dense::IndexOptions> families;
  for (const auto& [factory, parameters] : std::vector<std::pair<const char*, const char*>>{
           {"Flat", ""},
           {"SQ8", ""},
           {"SQ6", ""},
           {"SQ4", ""},
           {"SQfp16", ""},
           {"PQ4", ""},
           {"PQ4x6", ""},
           {"PQ8x4fs", ""},
           {"PQ5x4fs,RFlat", ""},
           {"HNSW4", ""},
           {"HNSW2", "efSearch=300"},
           {"HNSW4,SQ8", ""},
           {"HNSW4,SQfp16", ""},
           {"HNSW4,PQ4", "efSearch=64"},
           {"IVF9,Flat", "nprobe=9"},
           {"IVF9,Flat", ""},
           {"IVF9,SQ8", "nprobe=9"},
           {"IVF9,SQ6", "nprobe=4"},
           {"IVF9,SQfp16", "nprobe=9"},
           {"IVF9,PQ4x5", "nprobe=9"},
           {"IVF9,PQ8x4fs", "nprobe=9"},
           {"PCA8,Flat", ""},
           {"PCAWR8,HNSW4", ""},
           {"PCAR8,IVF9,SQ8,RFlat", "nprobe=9,k_factor_rf=4"}})
    // Five parts are of a width that five divides.
    families.push_back(
        {factory, parameters, std::string_view(factory).starts_with("PQ5") ? 15 : 16});
  return families;
}

// Values from -1 to 1, [count, width].
inline std::vector<float> random_vectors(Random& random, int64_t count, int64_t width) {
  std::vector<float> vectors(static_cast<size_t>(count * width));
  for (float& value : vectors) value = static_cast<float>(random.below(2001)) / 1000.0F - 1.0F;
  return vectors;
}

template <typename T>
void put(std::string& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// With the size and the checksum that fit what follows them.
inline std::string sealed(std::string bytes) {
  uint32_t factory = 0;
  std::memcpy(&factory, bytes.data() + 12, sizeof factory);
  put<uint64_t>(bytes, kFaissArrayBytes, bytes.size() - kFaissHeader - factory);
  put<uint64_t>(bytes, kFaissChecksum, 0);
  put<uint64_t>(bytes, kFaissChecksum,
                XXH3_64bits_withSeed(bytes.data() + kFaissHeader, bytes.size() - kFaissHeader,
                                     XXH3_64bits(bytes.data(), kFaissHeader)));
  return bytes;
}

}  // namespace dbsa::testing
