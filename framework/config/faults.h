// Faults: what is wrong with a configuration, all of it at once, in the order of the file.
#pragma once

#include <dbsa/sdk/result.h>

#include <string>
#include <string_view>
#include <vector>

#include "config/toml_document.h"

namespace dbsa {

struct Fault {
  std::string pointer;  // where it stands, and whose name the message starts with
  std::string message;
  ErrorCode code = ErrorCode::kConfig;
  // The name to show instead of the pointer's: a misspelt key is shown with its table's.
  std::string label_pointer;
};

class Faults {
 public:
  // "file:line:column: retriever.k1: <message>"
  void add(std::string pointer, std::string message, ErrorCode code = ErrorCode::kConfig);
  // "file:line:column: retriever: unknown key "k11"; did you mean "k1"?" The place is the key's.
  void add_unknown_key(std::string_view table, std::string_view key,
                       const std::vector<std::string>& valid);
  void append(const Faults& others);
  // Adds to what is said of an unknown key, if it is one.
  void note_unknown_key(std::string_view table, std::string_view key, std::string_view note);

  bool empty() const { return faults_.empty(); }
  const std::vector<Fault>& list() const { return faults_; }

  // One line for each fault, in the order of their places.
  std::vector<std::string> lines(const TomlDocument& document) const;
  // Ok when empty, else one Error with all lines. Its code is kConfig if any fault's is, else the
  // first one's.
  Status status(const TomlDocument& document) const;

 private:
  std::vector<Fault> faults_;
};

// "file:line:column: retriever.k1: message" for one fault.
std::string fault_line(const TomlDocument& document, std::string_view pointer,
                       std::string_view message);

}  // namespace dbsa
