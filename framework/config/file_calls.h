// The file calls that results are written with: repeated when a signal interrupts them, with errors
// that name the path. Modes are 0666 and 0777 less the umask, everywhere.
#pragma once

#include <dbsa/sdk/result.h>

#include <cerrno>
#include <string>
#include <utility>

namespace dbsa {

// call() until no signal interrupts it. Not for close, which ends the descriptor in any case.
template <typename Call>
auto uninterrupted(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// An open file or folder, closed with it.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() { close(); }

  int get() const { return value_; }
  bool valid() const { return value_ >= 0; }
  void set(int value) {
    close();
    value_ = value;
  }
  void close();

 private:
  int value_;
};

// "<path>: cannot <what>: <what errno `code` means>", kEnvironment.
Error file_error(const std::string& path, const std::string& what, int code);

// Tells what a close of the descriptor would: some file systems say only then that a write has
// failed. errno or 0; the descriptor and its locks stay.
int flush_as_closing(int descriptor);

// fsync of a folder, so that the names in it are durable. Nothing where the system does not do it
// for this folder: one that may not be listed, or a file system without it.
Status sync_folder(const std::string& folder);

// Makes a folder and its parents, durably. kEnvironment.
Status make_folders(const std::string& folder);

// Renames within one folder, never over another file; errno or 0 (EEXIST where `to` exists).
int rename_new(const std::string& from, const std::string& to);

// flock of an open file; errno or 0.
int lock_file(int descriptor, int operation);
// Whether the open file or folder is still what has this name.
bool has_name(int descriptor, const std::string& path);

// Random letters and digits, for names that no other file has.
std::string random_letters(size_t count);

}  // namespace dbsa
