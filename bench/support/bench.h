// What all benches share: timing, and a report of figures beside their ceilings, for people and as
// JSON.
#pragma once

#include <dbsa/sdk/result.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/host_services.h"

namespace dbsa::bench {

struct Timing {
  double best = 0, median = 0;  // seconds a call
};

// Calls body once to warm up, then until it has run --seconds in all and five times at least.
// finish, if any, waits for what body only enqueued; it is called once for several calls of a short
// body.
Timing measure(const std::function<void()>& body, const std::function<void()>& finish = nullptr);

double median(std::vector<double> values);
// ||got - expected|| / ||expected||
template <typename A, typename B>
double relative_error(const std::vector<A>& got, const std::vector<B>& expected) {
  double error = 0, size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const auto value = static_cast<double>(expected[i]);
    error += std::pow(static_cast<double>(got[i]) - value, 2);
    size += std::pow(value, 2);
  }
  return error == 0 ? 0 : std::sqrt(error / size);  // zeros, where weights are zeros
}

// Returns the value, or prints the error's text and exits with code 4.
[[noreturn]] void give_up(const std::string& message);
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) give_up(result.error().message);
  return std::move(result).value();
}
void must(const Status& status);

// Only warnings are logged.
host::HostOptions quiet_options(int threads);

struct Row {
  std::string name;
  double value = 0;
  std::string unit;  // "GFLOP/s", "GB/s", "ms", "tokens/s"
  std::string ceiling_name = {};
  std::optional<double> ceiling = {};  // in `unit`
  bool less_is_better = false;      // then the ceiling is a floor, and the share is floor / value
  std::optional<double> goal = {};  // of the share
};

class Report {
 public:
  // Parses the command line (gflags); `title` says in a line what the program measures.
  Report(const std::string& program, const std::string& title, int* argc, char*** argv);

  int threads() const { return threads_; }

  // Prints the row at once.
  void add(const Row& row);
  // What is not a figure: the backend's description, a model's shape.
  void note(const std::string& key, const nlohmann::json& value);

  // Writes --json, if given; the program's exit code.
  int finish() const;

 private:
  std::string program_;
  int threads_ = 1;
  nlohmann::ordered_json notes_ = nlohmann::ordered_json::object();
  std::vector<Row> rows_;
};

}  // namespace dbsa::bench
