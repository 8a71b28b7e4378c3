// The checks that backends share, on this one's objects.
#pragma once

#include "linear.h"
#include "objects.h"

#include "plugins/shared/attention_backend/checks.h"

namespace dbsa::cpu {

using namespace backend_checks;

}  // namespace dbsa::cpu
