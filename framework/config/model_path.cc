#include "config/model_path.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "config/lfs_pointer.h"

namespace dbsa {
namespace {

namespace fs = std::filesystem;

bool is_hub_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

// "organisation/name", as models are called on the hub.
bool is_hub_name(std::string_view text) {
  const size_t slash = text.find('/');
  return slash != 0 && slash != std::string_view::npos && slash + 1 < text.size() &&
         text.front() != '.' && text[slash + 1] != '.' &&
         std::count(text.begin(), text.end(), '/') == 1 &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '/' || is_hub_character(c); });
}

std::string first_bytes(const std::string& path) {
  std::string start(512, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return start;
}

}  // namespace

std::string absent_model_hint(const std::string& written, const std::string& path) {
  std::string_view name = written;
  bool on_hub = false;
  for (const std::string_view address :
       {"https://huggingface.co/", "http://huggingface.co/", "hf.co/", "huggingface.co/", "hf://"})
    if (!on_hub && name.starts_with(address)) {
      name.remove_prefix(address.size());
      on_hub = true;
    }
  while (name.ends_with('/')) name.remove_suffix(1);
  std::error_code ignored;
  const fs::path parent = fs::path(path).parent_path();
  if (!on_hub && (!is_hub_name(name) || fs::is_directory(parent, ignored))) return "";
  return "; nothing is fetched from the Hugging Face hub: for a model of that name there run `hf "
         "download " +
         std::string(name) + " --local-dir FOLDER` and name FOLDER";
}

bool is_gguf_file(const std::string& path) { return first_bytes(path).starts_with("GGUF"); }

std::string model_file_hint(const std::string& path) {
  constexpr std::string_view kGzip = "\x1F\x8B", kZstd = "\x28\xB5\x2F\xFD",
                             kXz =
                                 "\xFD"
                                 "7zXZ";
  const std::string start = first_bytes(path);
  const fs::path at(path);
  const std::string ending = at.extension().string();
  const bool pickle = ending == ".bin" || ending == ".pt" || ending == ".pth";  // zip files, too
  if (const std::string fault = lfs_pointer_fault(start); !fault.empty()) return "; it " + fault;
  const bool tar = start.size() > 262 && start.compare(257, 5, "ustar") == 0;
  if ((start.starts_with("PK\x03\x04") && !pickle) || tar || start.starts_with(kGzip) ||
      start.starts_with(kZstd) || start.starts_with(kXz))
    return "; it is an archive: unpack it and name the folder that holds config.json";
  std::error_code ignored;
  if (fs::exists(at.parent_path() / "config.json", ignored))
    return "; name the folder that it lies in: " + at.parent_path().string();
  return "";
}

}  // namespace dbsa
