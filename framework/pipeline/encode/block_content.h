// What is wrong with a stored block although its checksums are right: it was made by another
// program, another layout, or out of numbers that are none. Checksums tell what an accident did to
// bytes; they do not tell who wrote them.
#pragma once

#include <dbsa/kv_block.h>
#include <dbsa/sdk/result.h>

namespace dbsa {

// kCorrupt, with what was expected and what was found, when the formats differ.
Status check_format(const dbsa_kv_format& expected, const dbsa_kv_format& found);

// kCorrupt when the plane of a layer holds a number that is not finite: all that sees it becomes
// NaN. Layouts of other backends than the CPU's are taken as they are: what lies between their
// numbers is not known here. Cost: a pass over the bytes.
Status check_finite(const dbsa_kv_format& format, int32_t layer, const void* plane);

}  // namespace dbsa
