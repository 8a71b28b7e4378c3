// What the answers of a run depend on.
#pragma once

#include <span>
#include <string>

#include "pipeline/record.h"

namespace dbsa {

// 32 hexadecimal digits, equal for runs whose answers are the same bits: of the configuration, the
// plugins' libraries, the model's files, the pool's contents and the queries. record: after
// encoding and before the first answer. Not of what is only computed in another order
// (model.batch_size), of the folder of records, or of the machine.
std::string run_identity(const RunRecord& record, std::span<const Row> queries);

}  // namespace dbsa
