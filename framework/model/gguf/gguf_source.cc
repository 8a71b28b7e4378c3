#include "model/gguf/gguf_source.h"

#include <string>
#include <utility>
#include <vector>

#include "model/chat/template_files.h"
#include "model/gguf/gguf_config.h"
#include "model/gguf/gguf_file.h"
#include "model/gguf/gguf_tokenizer.h"
#include "model/gguf/gguf_weights.h"
#include "model/gguf/key_reader.h"

namespace dbsa::gguf {
namespace {

class GgufSource final : public ModelSource {
 public:
  GgufSource(std::shared_ptr<const GgufParts> parts, const Architecture& architecture)
      : parts_(std::move(parts)), architecture_(architecture) {}

  Result<ModelConfig> config() const override { return read_gguf_config(*parts_, architecture_); }

  Result<std::unique_ptr<Weights>> weights() const override {
    return std::unique_ptr<Weights>(std::make_unique<GgufWeights>(
        parts_, architecture_, read_tensor_layout(parts_->first(), architecture_)));
  }

  Result<std::unique_ptr<Tokenizer>> tokenizer() const override {
    return read_gguf_tokenizer(parts_->first().path(), parts_->first().keys());
  }

  Result<ChatTemplate> chat_template() const override {
    const std::string& path = parts_->first().path();
    std::vector<std::string> faults;
    KeyReader keys(path, parts_->first().keys(), &faults);
    constexpr const char* kKey = "tokenizer.chat_template";
    std::string source = keys.text(kKey, "");
    if (!faults.empty()) return Error{ErrorCode::kEnvironment, faults.front(), ""};
    if (source.empty()) return no_chat_template(path);
    return ChatTemplate::parse(std::move(source), path + ": " + kKey);
  }

 private:
  std::shared_ptr<const GgufParts> parts_;
  const Architecture& architecture_;
};

}  // namespace

Result<std::unique_ptr<ModelSource>> open_gguf_source(const std::string& path) {
  DBSA_ASSIGN_OR_RETURN(GgufParts parts, GgufParts::open(path));
  DBSA_ASSIGN_OR_RETURN(const Architecture* architecture, read_architecture(parts.first()));
  return std::unique_ptr<ModelSource>(std::make_unique<GgufSource>(
      std::make_shared<const GgufParts>(std::move(parts)), *architecture));
}

}  // namespace dbsa::gguf
