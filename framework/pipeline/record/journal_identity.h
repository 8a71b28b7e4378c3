// What a journal's answers must have in common with a run that continues after them.
#pragma once

#include <span>
#include <string>

#include "pipeline/record/record.h"

namespace dbsa {

// 32 hexadecimal digits, equal for runs whose answers are the same bits: more than the identity of
// the run, because one record holds both parts. It has the program's version, the plugins'
// libraries, the backend in its own words, the blocks, and the queries with their lines. record:
// after encoding and before the first answer.
std::string journal_identity(const RunRecord& record, std::span<const Row> queries);

}  // namespace dbsa
