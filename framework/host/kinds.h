// The kinds of plugins: one table, which everything that goes through all of them reads.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace dbsa::host {

struct Kind {
  uint32_t number;        // DBSA_KIND_*
  std::string_view name;  // also the stage's table in a pipeline file
  uint32_t vtable_bytes;
  uint32_t least_bytes;                    // of it, with which a plugin is accepted
  std::span<const char* const> functions;  // of the vtable, in order, for messages
};

// In the order of their numbers, which is that of a pipeline's stages.
std::span<const Kind> kinds();
// nullptr if unknown.
const Kind* find_kind(uint32_t number);

// "retriever" for DBSA_KIND_RETRIEVER; "" if unknown.
std::string_view kind_name(uint32_t number);
// DBSA_KIND_* for a name; 0 if unknown.
uint32_t kind_from_name(std::string_view name);

}  // namespace dbsa::host
