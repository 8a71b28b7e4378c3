// Git LFS pointers: what a clone holds instead of a large file that was not fetched.
#pragma once

#include <string>
#include <string_view>

namespace dbsa {

// What is wrong with a file that begins like this, "is a Git LFS pointer ...; run `git lfs pull`
// ...", or "" where it is no pointer. Cost: a look at the first bytes.
std::string lfs_pointer_fault(std::string_view start);

}  // namespace dbsa
