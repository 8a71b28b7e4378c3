#include "model/open_model.h"

#include <utility>

#include "config/model_path.h"
#include "config/path_kind.h"
#include "model/chat/template_files.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/model_folder.h"
#include "model/gguf/gguf_source.h"

namespace dbsa {
namespace {

class HuggingFaceFolder final : public ModelSource {
 public:
  explicit HuggingFaceFolder(std::string folder) : folder_(std::move(folder)) {}

  Result<ModelConfig> config() const override { return load_model_config(folder_); }

  Result<std::unique_ptr<Weights>> weights() const override {
    DBSA_ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::open(folder_));
    return std::unique_ptr<Weights>(std::make_unique<Checkpoint>(std::move(checkpoint)));
  }

  Result<std::unique_ptr<Tokenizer>> tokenizer() const override { return Tokenizer::load(folder_); }

  Result<ChatTemplate> chat_template() const override { return load_chat_template(folder_); }

 private:
  std::string folder_;
};

}  // namespace

Result<std::unique_ptr<ModelSource>> open_model(const std::string& path) {
  DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(path));
  if (kind == PathKind::kFile && is_gguf_file(path)) return gguf::open_gguf_source(path);
  DBSA_RETURN_IF_ERROR(check_model_folder(path));
  return std::unique_ptr<ModelSource>(std::make_unique<HuggingFaceFolder>(path));
}

}  // namespace dbsa
