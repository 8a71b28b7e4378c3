#include "model/sentence/sentence_encoder.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "model/checkpoint/fingerprint.h"
#include "model/checkpoint/model_folder.h"
#include "text/unicode.h"

namespace dbsa {
namespace {

constexpr size_t kTokensAPass = 4096;

}  // namespace

SentenceEncoder::SentenceEncoder(Parts parts, host::AttentionBackend backend,
                                 const host::HostServices* cancel)
    : parts_(std::move(parts)), backend_(std::move(backend)), cancel_(cancel) {}

Result<SentenceEncoder::Parts> SentenceEncoder::read(const std::string& folder) {
  DBSA_RETURN_IF_ERROR(check_model_folder(folder));
  DBSA_ASSIGN_OR_RETURN(SentenceConfig config, load_sentence_config(folder));
  // The weights may lie in a separate folder.
  if (config.model_folder != folder) DBSA_RETURN_IF_ERROR(check_model_folder(config.model_folder));
  DBSA_ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::open(config.model_folder));
  DBSA_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, Tokenizer::load(config.model_folder));
  Parts parts = {std::move(config), std::move(checkpoint), std::move(tokenizer)};
  const std::string name = parts.tokenizer->name();
  for (const auto& [token, id] : {std::pair{"[CLS]", &parts.cls}, {"[SEP]", &parts.sep}}) {
    const std::optional<int32_t> found = parts.tokenizer->token_id(token);
    if (!found)
      return Error{ErrorCode::kConfig,
                   name + ": the vocabulary has no token " + token +
                       "; expected the tokenizer of a BERT model",
                   {}};
    *id = *found;
  }
  parts.tokenizer->limit_ids(parts.config.bert.vocab_size);
  return parts;
}

Result<int64_t> SentenceEncoder::check(const std::string& folder) {
  DBSA_ASSIGN_OR_RETURN(const Parts parts, read(folder));
  return parts.config.bert.hidden_size;
}

Result<std::unique_ptr<SentenceEncoder>> SentenceEncoder::open(
    const std::string& folder, host::AttentionBackend backend, const host::HostServices* cancel,
    const std::string& backend_identity) {
  DBSA_ASSIGN_OR_RETURN(Parts parts, read(folder));
  DBSA_ASSIGN_OR_RETURN(std::string identity, content(parts, {}));
  std::unique_ptr<SentenceEncoder> out(
      new SentenceEncoder(std::move(parts), std::move(backend), cancel));
  DBSA_ASSIGN_OR_RETURN(out->model_,
                        Bert::load(out->parts_.checkpoint, out->parts_.config.bert, out->backend_));
  out->identity_ = std::move(identity) + " backend " +
                   (backend_identity.empty() ? out->backend_.plugin_id() : backend_identity) + " " +
                   out->backend_.code_path();
  return out;
}

Result<std::string> SentenceEncoder::content(const std::string& folder, const DigestCache& cache) {
  DBSA_ASSIGN_OR_RETURN(const Parts parts, read(folder));
  return content(parts, cache);
}

Result<std::string> SentenceEncoder::content(const Parts& parts, const DigestCache& cache) {
  const BertConfig& bert = parts.config.bert;
  char text[160];
  std::snprintf(text, sizeof text, "bert encoder 1 heads %lld epsilon %.17g\n",
                static_cast<long long>(bert.heads), bert.layer_norm_eps);
  DBSA_ASSIGN_OR_RETURN(const ModelFingerprint weights,
                        fingerprint_weights(text, parts.checkpoint, cache));
  std::snprintf(text, sizeof text, " tokenizer %s tokens %lld lowercase %d",
                parts.tokenizer->fingerprint().hex().c_str(),
                static_cast<long long>(parts.config.max_seq_length), parts.config.do_lower_case);
  return "sentence_transformer 1 mean model " + weights.value.hex() + text;
}

Result<std::vector<int32_t>> SentenceEncoder::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  if (parts_.config.do_lower_case) {
    // Only what is valid may be rewritten; the tokenizer refuses the rest.
    DBSA_RETURN_IF_ERROR(Tokenizer::check_utf8(text));
    DBSA_ASSIGN_OR_RETURN(ids, parts_.tokenizer->encode(to_lowercase(text)));
  } else {
    DBSA_ASSIGN_OR_RETURN(ids, parts_.tokenizer->encode(text));
  }
  ids.resize(std::min(ids.size(), static_cast<size_t>(parts_.config.max_seq_length - 2)));
  ids.insert(ids.begin(), parts_.cls);
  ids.push_back(parts_.sep);
  return ids;
}

// rows: [tokens, width] of one text.
void SentenceEncoder::append_mean(std::span<const float> rows, std::vector<float>& out) const {
  const auto wide = static_cast<size_t>(width());
  std::vector<double> sum(wide, 0.0);
  for (size_t i = 0; i < rows.size(); ++i) sum[i % wide] += static_cast<double>(rows[i]);
  double squares = 0;
  for (const double value : sum) squares += value * value;
  // The mean's divisor cancels. Nothing has no direction: it stays zero, as in the reference.
  const double by = squares > 0 ? 1.0 / std::sqrt(squares) : 0.0;
  for (const double value : sum) out.push_back(static_cast<float>(value * by));
}

Result<std::vector<float>> SentenceEncoder::embed(std::span<const std::string_view> texts) {
  const std::lock_guard lock(mutex_);
  std::vector<float> out;
  out.reserve(texts.size() * static_cast<size_t>(width()));
  std::vector<std::vector<int32_t>> pass;
  size_t tokens = 0;
  const auto run = [&]() -> Status {
    if (cancel_ != nullptr && cancel_->cancelled())
      return Error{ErrorCode::kCancelled, "stopped while embedding", ""};
    DBSA_ASSIGN_OR_RETURN(const std::vector<float> rows, model_->forward(pass));
    std::span<const float> rest = rows;
    for (const std::vector<int32_t>& text : pass) {
      const size_t values = text.size() * static_cast<size_t>(width());
      append_mean(rest.first(values), out);
      rest = rest.subspan(values);
    }
    pass.clear();
    tokens = 0;
    return {};
  };
  for (size_t i = 0; i < texts.size(); ++i) {
    Result<std::vector<int32_t>> ids = encode(texts[i]);
    if (!ids.ok()) {
      Error error = ids.error();
      error.message = "text " + std::to_string(i) + " to embed: " + error.message;
      return error;
    }
    if (!pass.empty() && tokens + ids->size() > kTokensAPass) DBSA_RETURN_IF_ERROR(run());
    tokens += ids->size();
    pass.push_back(std::move(*ids));
  }
  if (!pass.empty()) DBSA_RETURN_IF_ERROR(run());
  return out;
}

}  // namespace dbsa
