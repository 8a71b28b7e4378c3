// StoreLock: keeps writers and maintenance apart, with flock on a file `lock`.
//
//   writers (an instance from its first put until it is destroyed)   shared
//   collect and compact                                              exclusive
//   readers                                                          none
//
// Several writers work at once: each writes its own temporary pack and publishes it with a
// rename that never replaces. Maintenance excludes them because blocks that a running encoder has
// just published are nobody's root yet. Readers need no lock: packs never change, a deleted one
// stays readable while mapped, and one that vanishes before it is opened is looked for again.
//
// A temporary pack or pool is flock'ed by its writer for as long as it exists; one that can be
// locked is a dead writer's, and anyone who is about to write may remove it.
#pragma once

#include <dbsa/sdk/host.h>

#include "file_system.h"

namespace dbsa::kv_pack {

class StoreLock {
 public:
  explicit StoreLock(std::filesystem::path root) : root_(std::move(root)) {}

  // Takes the shared lock and keeps it; waits for maintenance to end, says so once, and gives up
  // when the user cancels. kEnvironment when the folder cannot be written.
  Status acquire_shared(const Host& host);
  // Takes the exclusive lock. kEnvironment at once when someone else writes.
  Status acquire_exclusive();
  // Ends acquire_exclusive: back to what was held before.
  void release_exclusive();

 private:
  Status open_file();
  std::string holders() const;  // "process 12, 34", as far as the system tells

  const std::filesystem::path root_;
  UniqueFd file_;
  bool shared_ = false;
};

// Files of dead writers in a folder.
struct Leftovers {
  uint64_t files = 0;
  uint64_t bytes = 0;
};
Leftovers count_leftovers(const std::filesystem::path& folder);
void remove_leftovers(const std::filesystem::path& folder, const Host& host);

// How names of temporary packs and pools begin.
inline constexpr std::string_view kTemporaryPrefix = "writing-";

}  // namespace dbsa::kv_pack
