#include "pipeline/pool/index_check.h"

namespace dbsa {

Result<std::vector<float>> StandInEmbedder::embed(std::span<const std::string_view>) {
  asked_ = true;
  return Error{ErrorCode::kUnsupported, "embeddings are not computed by this check", ""};
}

Status check_index(host::Retriever& retriever, host::HostServices& services,
                   std::span<const Example> texts, int64_t documents) {
  host::Embedder* const embedder = services.embedder();
  if (embedder == nullptr || documents == 0) return {};
  std::vector<std::string> list;
  for (const Example& example : texts.first(static_cast<size_t>(documents)))
    list.push_back(example.text);
  StandInEmbedder stand_in(embedder->width());
  services.set_embedder(&stand_in);
  Status made = retriever.index(list);
  services.set_embedder(embedder);
  if (stand_in.asked()) return {};
  return made;
}

}  // namespace dbsa
