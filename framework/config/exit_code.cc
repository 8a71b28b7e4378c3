#include "config/exit_code.h"

namespace dbsa {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kConfig:
      return 2;
    case ErrorCode::kPlugin:
      return 3;
    case ErrorCode::kEnvironment:
    case ErrorCode::kNotFound:
    case ErrorCode::kCorrupt:
      return 4;
    case ErrorCode::kCancelled:
      return 130;  // as a shell reports SIGINT
    case ErrorCode::kRun:
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
      break;
  }
  return 5;
}

}  // namespace dbsa
