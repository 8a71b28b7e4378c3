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
      return signal_exit_code(SIGINT);
    case ErrorCode::kRun:
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
      break;
  }
  return 5;
}

bool is_cancelled(int process_exit_code) {
  for (const int signal_number : kStopSignals)
    if (process_exit_code == signal_exit_code(signal_number)) return true;
  return false;
}

}  // namespace dbsa
