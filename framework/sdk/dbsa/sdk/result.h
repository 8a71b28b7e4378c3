// Result<T>: a value or an Error. The one error type of the framework and of plugins.
//
// Functions that can fail return Result<T> (or Status, a Result without a value). Nothing throws
// across a module's edge. DBSA_ASSIGN_OR_RETURN and DBSA_RETURN_IF_ERROR pass an error on.
#pragma once

#include <dbsa/plugin.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace dbsa {

// The codes of dbsa/plugin.h as a scoped enum; values are identical and never reused.
enum class ErrorCode : int32_t {
  kInvalidArgument = DBSA_ERROR_INVALID_ARGUMENT,
  kConfig = DBSA_ERROR_CONFIG,
  kPlugin = DBSA_ERROR_PLUGIN,
  kEnvironment = DBSA_ERROR_ENVIRONMENT,
  kRun = DBSA_ERROR_RUN,
  kCancelled = DBSA_ERROR_CANCELLED,
  kNotFound = DBSA_ERROR_NOT_FOUND,
  kCorrupt = DBSA_ERROR_CORRUPT,
  kUnsupported = DBSA_ERROR_UNSUPPORTED,
};

struct Error {
  ErrorCode code = ErrorCode::kRun;
  std::string message;
  // JSON pointer to the key at fault, or empty: a plugin's into its own table ("/k1"), that of the
  // framework into the pipeline file ("/retriever/k1").
  std::string config_pointer;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return *error_; }
  Error&& error() && { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace dbsa

#define DBSA_CONCAT_INNER(a, b) a##b
#define DBSA_CONCAT(a, b) DBSA_CONCAT_INNER(a, b)

// DBSA_ASSIGN_OR_RETURN(auto x, f()): x is f()'s value, or the caller returns f()'s error.
#define DBSA_ASSIGN_OR_RETURN(lhs, expression) \
  DBSA_ASSIGN_OR_RETURN_INNER(DBSA_CONCAT(dbsa_result_, __LINE__), lhs, expression)
#define DBSA_ASSIGN_OR_RETURN_INNER(tmp, lhs, expression) \
  auto tmp = (expression);                                \
  if (!tmp.ok()) return std::move(tmp).error();           \
  lhs = std::move(tmp).value()

#define DBSA_RETURN_IF_ERROR(expression)                      \
  do {                                                        \
    if (auto dbsa_status_ = (expression); !dbsa_status_.ok()) \
      return std::move(dbsa_status_).error();                 \
  } while (false)
