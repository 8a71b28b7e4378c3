#include "model/checkpoint/tensor_faults.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace dbsa {
namespace {

// What comes before a layer's number: in Hugging Face's names, in GGUF files.
constexpr std::array<std::string_view, 2> kLayers = {"model.layers.", "blk."};
constexpr size_t kMostNames = 4;

struct LayerTensor {
  std::string_view prefix;
  int64_t layer = 0;
  std::string rest;  // "mlp.down_proj.weight"
};

std::optional<LayerTensor> layer_tensor(std::string_view name) {
  LayerTensor out;
  for (const std::string_view prefix : kLayers)
    if (name.starts_with(prefix)) out.prefix = prefix;
  if (out.prefix.empty()) return std::nullopt;
  name.remove_prefix(out.prefix.size());
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), out.layer);
  const auto digits = static_cast<size_t>(end - name.data());
  if (failed != std::errc() || digits >= name.size() || name[digits] != '.') return std::nullopt;
  out.rest = name.substr(digits + 1);
  return out;
}

// "3-5, 7" of ascending numbers.
std::string ranges(const std::set<int64_t>& numbers) {
  std::string text;
  for (auto it = numbers.begin(); it != numbers.end();) {
    const int64_t first = *it;
    int64_t last = first;
    while (++it != numbers.end() && *it == last + 1) ++last;
    text += (text.empty() ? "" : ", ") + std::to_string(first);
    if (last > first) text += "-" + std::to_string(last);
  }
  return text;
}

// "a, b and 3 more".
std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMostNames); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kMostNames)
    text += " and " + std::to_string(names.size() - kMostNames) + " more";
  return text;
}

}  // namespace

std::string describe_tensors(const std::vector<std::string>& tensors) {
  if (tensors.size() == 1) return "tensor '" + tensors[0] + "' is";
  std::map<std::string, std::set<int64_t>> layers;  // of each name within a layer
  std::vector<std::string> others;
  for (const std::string& tensor : tensors) {
    if (const auto in_layer = layer_tensor(tensor))
      layers[in_layer->rest].insert(in_layer->layer);
    else
      others.push_back(tensor);
  }
  std::map<std::set<int64_t>, std::vector<std::string>> groups;  // names that lack in equal layers
  for (const auto& [rest, where] : layers) groups[where].push_back(rest);
  std::string text;
  for (const auto& [where, names] : groups)
    text += (text.empty() ? "" : "; ") + std::string(where.size() == 1 ? "layer " : "layers ") +
            ranges(where) + ": " + some_of(names);
  if (!others.empty()) text += (text.empty() ? "" : "; ") + some_of(others);
  return std::to_string(tensors.size()) + " tensors (" + text + ") are";
}

TensorFaults::Kind& TensorFaults::kind(const std::string& pattern) {
  const auto it = std::find_if(kinds_.begin(), kinds_.end(),
                               [&](const Kind& kind) { return kind.pattern == pattern; });
  if (it != kinds_.end()) return *it;
  kinds_.push_back({pattern, {}, ""});
  return kinds_.back();
}

void TensorFaults::add(const std::string& pattern, const std::string& tensor) {
  kind(pattern).tensors.push_back(tensor);
}

void TensorFaults::add_message(const std::string& message, const std::string& tensor) {
  const std::string quoted = "'" + tensor + "'";
  std::string pattern = message;
  if (const auto in_layer = layer_tensor(tensor))
    if (const size_t at = pattern.find(quoted); at != std::string::npos)
      pattern.replace(at, quoted.size(),
                      "'" + std::string(in_layer->prefix) + "*." + in_layer->rest + "'");
  Kind& same = kind(pattern);
  same.tensors.push_back(tensor);
  if (same.tensors.size() == 1) same.first = message;
}

std::string TensorFaults::text() const {
  std::string lines;
  for (const Kind& kind : kinds_) {
    std::string line = kind.pattern;
    if (!kind.first.empty() && kind.tensors.size() == 1) {
      line = kind.first;
    } else if (!kind.first.empty()) {
      std::set<int64_t> layers;
      for (const std::string& tensor : kind.tensors)
        if (const auto in_layer = layer_tensor(tensor)) layers.insert(in_layer->layer);
      line += " (layers " + ranges(layers) + ")";
    } else if (const size_t at = line.find('$'); at != std::string::npos) {
      line.replace(at, 1, describe_tensors(kind.tensors));
    }
    lines += (lines.empty() ? "" : "\n") + line;
  }
  return lines;
}

}  // namespace dbsa
