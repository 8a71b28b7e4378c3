// Reads fields of a JSON document by pointer, and collects what is wrong with them.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

// No figure of a run is beyond these; within them sums, ratios and logarithms stay finite.
inline constexpr double kMostNumber = 1e18;
inline constexpr double kLeastNumber = 1e-15;

class ReportFields {
 public:
  // root and faults must outlive it.
  ReportFields(const nlohmann::json& root, std::string file, std::string pointer,
               std::vector<std::string>& faults)
      : root_(root), file_(std::move(file)), pointer_(std::move(pointer)), faults_(faults) {}

  // The value, or nullptr where there is none.
  const nlohmann::json* find(const std::string& pointer) const;
  // A fault, and "" or 0, where it is not what it must be. Numbers are from 0 to kMostNumber; those
  // below kLeastNumber are taken as 0.
  std::string text(const std::string& pointer) const;
  double number(const std::string& pointer) const;
  int64_t integer(const std::string& pointer, int64_t least = 0) const;
  std::optional<double> number_or_null(const std::string& pointer) const;
  // An object whose values are all strings.
  std::map<std::string, std::string> texts(const std::string& pointer) const;
  // The same, without those that are null.
  std::map<std::string, std::string> texts_or_null(const std::string& pointer) const;
  // A number from 0 to 1.
  std::optional<double> share_or_null(const std::string& pointer) const;
  // "an array"; an empty one where it is none.
  const nlohmann::json& array(const std::string& pointer) const;

  void wrong(const std::string& pointer, const std::string& expected) const;
  void fault(const std::string& pointer, const std::string& message) const;
  const std::string& file() const { return file_; }

 private:
  std::map<std::string, std::string> all_texts(const std::string& pointer, bool or_null) const;

  const nlohmann::json& root_;
  std::string file_, pointer_;
  std::vector<std::string>& faults_;
};

// Nothing, and a fault, for what is not JSON or is nested deeper than any file of ours.
std::optional<nlohmann::json> parse_report_json(const std::string& file, std::string_view text,
                                                const std::string& expected,
                                                std::vector<std::string>& faults);

}  // namespace dbsa
