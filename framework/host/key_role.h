// A key of a plugin that means something to the framework, by the role that its manifest gives it.
#pragma once

#include <string>
#include <string_view>

namespace dbsa::host {

// Where a KV store keeps blocks between processes.
inline constexpr std::string_view kLocationRole = "location";
// The most bytes that a KV store takes; 0: no bound.
inline constexpr std::string_view kBoundRole = "bound";
// Another value makes another draw of the same experiment.
inline constexpr std::string_view kSeedRole = "seed";

struct KeyRole {
  std::string role;
  std::string key;
  bool is_path = false;  // format = "path"
};

}  // namespace dbsa::host
