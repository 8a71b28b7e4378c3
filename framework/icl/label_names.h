// Names for the codes of labels in data files (data.label_names): the model reads and writes names,
// and so do records and reports; data files and tables of answers have codes.
#pragma once

#include <dbsa/sdk/result.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

class LabelNames {
 public:
  LabelNames() = default;
  // Codes with their names, both in Unicode form C. kConfig at /data/label_names for names that are
  // blank, have white space around them, or are equal.
  static Result<LabelNames> make(const std::map<std::string, std::string>& names);

  bool empty() const { return names_.empty(); }
  // Turns a code into its name. kConfig, without a place, for a code that has none. Where there are
  // no names, a label stays what it is.
  Status translate(std::string& label) const;
  // The code of a name; a text that is no name, as free decoding may write it, is itself.
  std::string code_of(const std::string& name) const;
  // Codes and names, to tell settings apart.
  std::string description() const;

 private:
  std::map<std::string, std::string> names_, codes_;  // by code, by name
};

}  // namespace dbsa
