#include "host/kinds.h"

#include <dbsa/attention_backend.h>
#include <dbsa/block_grouper.h>
#include <dbsa/kv_store.h>
#include <dbsa/mask_pattern.h>
#include <dbsa/retriever.h>

#include <algorithm>

namespace dbsa::host {
namespace {

#include "vtable_functions.inc"  // made from the headers of the interface

constexpr Kind kKinds[] = {
    {DBSA_KIND_BLOCK_GROUPER, "block_grouper", sizeof(dbsa_block_grouper_vtable),
     DBSA_BLOCK_GROUPER_VTABLE_LEAST, kFunctionsOf_block_grouper},
    {DBSA_KIND_MASK_PATTERN, "mask_pattern", sizeof(dbsa_mask_pattern_vtable),
     DBSA_MASK_PATTERN_VTABLE_LEAST, kFunctionsOf_mask_pattern},
    {DBSA_KIND_RETRIEVER, "retriever", sizeof(dbsa_retriever_vtable), DBSA_RETRIEVER_VTABLE_LEAST,
     kFunctionsOf_retriever},
    {DBSA_KIND_KV_STORE, "kv_store", sizeof(dbsa_kv_store_vtable), DBSA_KV_STORE_VTABLE_LEAST,
     kFunctionsOf_kv_store},
    {DBSA_KIND_ATTENTION_BACKEND, "attention_backend", sizeof(dbsa_attention_backend_vtable),
     DBSA_ATTENTION_BACKEND_VTABLE_LEAST, kFunctionsOf_attention_backend},
};

}  // namespace

std::span<const Kind> kinds() { return kKinds; }

const Kind* find_kind(uint32_t number) {
  const auto* found = std::ranges::find(kKinds, number, &Kind::number);
  return found == std::end(kKinds) ? nullptr : found;
}

std::string_view kind_name(uint32_t number) {
  const Kind* kind = find_kind(number);
  return kind == nullptr ? "" : kind->name;
}

uint32_t kind_from_name(std::string_view name) {
  const auto* found = std::ranges::find(kKinds, name, &Kind::name);
  return found == std::end(kKinds) ? 0 : found->number;
}

}  // namespace dbsa::host
