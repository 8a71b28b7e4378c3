#include "pipeline/pool/index_check.h"

namespace dbsa {

namespace {

// Whether the retriever asked for embeddings while it indexed the texts, and its error.
struct Tried {
  bool asked = false;
  Status made;
};

Tried try_index(host::Retriever& retriever, host::HostServices& services,
                std::span<const Example> texts) {
  std::vector<std::string> list;
  for (const Example& example : texts) list.push_back(example.text);
  host::Embedder* const embedder = services.embedder();
  StandInEmbedder stand_in(embedder->width());
  services.set_embedder(&stand_in);
  Status made = retriever.index(list);
  services.set_embedder(embedder);
  return {stand_in.asked(), std::move(made)};
}

}  // namespace

Result<std::vector<float>> StandInEmbedder::embed(std::span<const std::string_view>) {
  asked_ = true;
  return Error{ErrorCode::kUnsupported, "embeddings are not computed by this check", ""};
}

Status check_index(host::Retriever& retriever, host::HostServices& services,
                   std::span<const Example> texts, int64_t documents) {
  if (services.embedder() == nullptr || documents == 0) return {};
  Tried tried = try_index(retriever, services, texts.first(static_cast<size_t>(documents)));
  if (tried.asked) return {};
  return tried.made;
}

bool embeds_texts(host::Retriever& retriever, host::HostServices& services,
                  std::span<const Example> texts) {
  return try_index(retriever, services, texts).asked;
}

}  // namespace dbsa
