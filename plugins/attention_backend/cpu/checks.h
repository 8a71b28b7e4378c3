// Checks shared by the ops, all kInvalidArgument.
#pragma once

#include "linear.h"
#include "objects.h"

#include <dbsa/sdk/result.h>

#include <string>

namespace dbsa::cpu {

inline Error invalid(const std::string& message) {
  return Error{ErrorCode::kInvalidArgument, message, ""};
}

// Rows first..first + rows - 1 of `buffer`, which must not be null.
inline Status check_rows(const char* op, const char* name, const dbsa_buffer* buffer, int64_t first,
                         int64_t rows) {
  const std::string what = std::string(op) + ": " + name;
  if (buffer == nullptr) return invalid(what + " is null");
  if (first < 0 || rows < 0 || first > buffer->rows || rows > buffer->rows - first) {
    return invalid(what + " has " + std::to_string(buffer->rows) + " rows, asked for " +
                   std::to_string(rows) + " from row " + std::to_string(first));
  }
  return {};
}

inline Status check_buffer(const char* op, const char* name, const dbsa_buffer* buffer,
                           int64_t rows, int64_t width) {
  DBSA_RETURN_IF_ERROR(check_rows(op, name, buffer, 0, rows));
  if (buffer->width != width) {
    return invalid(std::string(op) + ": " + name + " must be " + std::to_string(width) +
                   " wide, got " + std::to_string(buffer->width));
  }
  return {};
}

inline const char* use_name(int32_t use) {
  switch (use) {
    case DBSA_WEIGHT_LINEAR:
      return "LINEAR";
    case DBSA_WEIGHT_EMBEDDING:
      return "EMBEDDING";
    case DBSA_WEIGHT_VECTOR:
      return "VECTOR";
    default:
      return "unknown";
  }
}

inline Status check_weight(const char* op, const char* name, const dbsa_weight* weight,
                           int32_t use) {
  const std::string what = std::string(op) + ": " + name;
  if (weight == nullptr) return invalid(what + " is null");
  if (weight->use != use) {
    return invalid(what + " must be a " + use_name(use) + " weight, got " + use_name(weight->use));
  }
  return {};
}

inline Status check_vector(const char* op, const char* name, const dbsa_weight* weight,
                           int64_t width) {
  DBSA_RETURN_IF_ERROR(check_weight(op, name, weight, DBSA_WEIGHT_VECTOR));
  if (weight->width != width) {
    return invalid(std::string(op) + ": " + name + " must have " + std::to_string(width) +
                   " values, got " + std::to_string(weight->width));
  }
  return {};
}

inline Status check_distinct(const char* op, const char* name, const dbsa_buffer* in,
                             const dbsa_buffer* out) {
  if (in == out) return invalid(std::string(op) + ": out must not be " + name);
  return {};
}

}  // namespace dbsa::cpu
