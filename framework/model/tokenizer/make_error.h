// An Error without a configuration pointer.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <utility>

namespace dbsa {

inline Error make_error(ErrorCode code, std::string message) {
  return Error{code, std::move(message), {}};
}

}  // namespace dbsa
