// dbsa-pipe explain: what a pipeline will do, before it does it.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "commands.h"
#include "config/absolute_path.h"
#include "config/atomic_file.h"
#include "config/path_kind.h"
#include "config/schema_check.h"
#include "findings.h"
#include "host/attention_backend.h"
#include "icl/prompt.h"
#include "model/decoder.h"
#include "model/weights.h"
#include "options.h"
#include "pipeline/mask_picture.h"
#include "session.h"
#include "sudden_end.h"
#include "units.h"

namespace dbsa::cli {
namespace {

CommandLine explain_command_line() {
  CommandLine line({"explain", "PIPELINE",
                    "Show what a pipeline will do: stages, shapes, bytes, work, and its mask.",
                    "Deals and tokenises the demonstrations as `run` would and plans every block; "
                    "computes nothing.\nWork is counted in floating-point operations of matrix "
                    "products and of attention, a multiply\nand an add being two.",
                    "dbsa-pipe explain pipelines/quickstart.toml\n"
                    "dbsa-pipe explain pipeline.toml --mask mask.svg\n"
                    "dbsa-pipe explain pipeline.toml --set 'mask_pattern={plugin=\"self\"}' "
                    "--json"});
  line.arguments({"PIPELINE"}, 1);
  add_pipeline_options(line);
  line.value("mask", "FILE", "draw the mask into this SVG file, in a folder that is there");
  add_output_options(line);
  return line;
}

// Floating-point operations.
struct Work {
  double linear = 0;
  double attention = 0;
  double total() const { return linear + attention; }
};

struct Explanation {
  int64_t blocks = 0, tokens = 0;
  int64_t shortest = 0, longest = 0;  // blocks, tokens
  int64_t pairs = 0;                  // row and token it sees, while encoding
  int64_t dense_pairs = 0;            // the same under a dense causal mask
  uint64_t kv_bytes = 0;
  uint64_t weight_bytes = 0;  // as computed with
  Work encode, request;
  int64_t selected_blocks = 0, selected_tokens = 0, query_tokens = 0;  // of a request
};

// Operations of all linear layers for one token, the head aside; of experts those that it gets.
double linear_work(const ModelConfig& model) {
  return 2 * static_cast<double>(multiplied_elements(model));
}

// Operations for one row and one token that it sees: a score and a weighted sum in every head.
double attention_work(const ModelConfig& model) {
  return 4 * static_cast<double>(model.layers * model.heads * model.head_dim);
}

// Tokens that row r of a block sees through one segment.
int64_t seen_by_row(const PlacedSegment& segment, int64_t row) {
  const Visible& visible = segment.visible;
  if (visible.kind == DBSA_SEGMENT_FULL) return visible.length;
  // Tokens start .. start + length - 1, of which those up to the row, and in a window the last
  // ones.
  const int64_t last = std::min(segment.start + visible.length - 1, row);
  const int64_t first = visible.kind == DBSA_SEGMENT_WINDOW
                            ? std::max(segment.start, row - visible.window + 1)
                            : segment.start;
  return std::max<int64_t>(0, last - first + 1);
}

int64_t pairs_of(const EncodeBlock& block) {
  int64_t pairs = 0;
  for (int64_t row = 0; row < static_cast<int64_t>(block.token_ids.size()); ++row)
    for (const PlacedSegment& segment : block.plan.segments)
      pairs += seen_by_row(segment, block.plan.start + row);
  return pairs;
}

// Keys and values of the pool as the backend lays them out, padding and scales included. Where it
// cannot be opened, for want of its device, without them.
uint64_t stored_bytes(Session& session, const Findings& found, Precision precision) {
  const ModelConfig& model = found.model;
  const auto packed =
      static_cast<uint64_t>(host::kv_dtype_bytes(precision.kv_dtype) * 2 * model.layers *
                            model.kv_heads * model.head_dim * found.tokens());
  const host::ResolvedStage& stage = session.resolved().stage(DBSA_KIND_ATTENTION_BACKEND);
  const Result<host::LoadedPlugin> plugin = session.registry().load(*stage.manifest);
  if (!plugin.ok()) return packed;
  Result<host::AttentionBackend> backend =
      host::AttentionBackend::create(*plugin, session.services(), stage.config);
  if (!backend.ok() || !configure_backend(model, precision, *backend).ok()) return packed;
  uint64_t bytes = 0;
  for (const EncodeBlock& block : found.pool->blocks) {
    const auto format = backend->block_format(static_cast<int64_t>(block.token_ids.size()));
    if (!format.ok()) return packed;
    bytes += format->plane_bytes * format->layers;
  }
  return bytes;
}

// Tokens of a query, its prompt included: the mean over those of the file; 0 where it has none.
Result<int64_t> mean_query_tokens(const Findings& found) {
  int64_t tokens = 0, count = 0;
  for (const Row& query : found.data.queries) {
    if (query.error) continue;
    DBSA_ASSIGN_OR_RETURN(const std::vector<int32_t> ids,
                          found.tokenizer->encode(
                              query_text(prompt_format(found.settings.prompt), query.example.text),
                              {.parse_special = false}));
    tokens += static_cast<int64_t>(ids.size());
    ++count;
  }
  return count == 0 ? 0 : tokens / count;
}

Explanation explain(Session& session, const Findings& found, int64_t query_tokens) {
  Explanation out;
  out.query_tokens = query_tokens;
  const ModelConfig& model = found.model;
  out.weight_bytes = found.weight_bytes;
  const bool stored = uses_stored_kv(found.settings);
  std::vector<int64_t> lengths;
  for (const EncodeBlock& block : found.pool->blocks) {
    const auto tokens = static_cast<int64_t>(block.token_ids.size());
    lengths.push_back(tokens);
    if (stored) out.pairs += pairs_of(block);
  }
  out.blocks = static_cast<int64_t>(lengths.size());
  out.tokens = found.tokens();
  if (!lengths.empty()) {
    out.shortest = *std::min_element(lengths.begin(), lengths.end());
    out.longest = *std::max_element(lengths.begin(), lengths.end());
  }
  if (stored) {
    out.dense_pairs = out.tokens * (out.tokens + 1) / 2;
    out.kv_bytes = stored_bytes(session, found, found.precision);
    out.encode = {linear_work(model) * static_cast<double>(out.tokens),
                  attention_work(model) * static_cast<double>(out.pairs)};
  }
  const PoolShape shape = {lengths, found.settings.mask.anchor_blocks, found.pool->pool.has_prefix};
  if (const auto size = selection_size(found.settings.selection, shape); size.ok())
    out.selected_blocks = *size;
  // Blocks of the pool's mean length stand for those that a query will get.
  if (out.blocks > 0) out.selected_tokens = out.selected_blocks * out.tokens / out.blocks;
  if (found.settings.decoding.method == DecodingMethod::kVote) return out;
  const auto query = static_cast<double>(out.query_tokens);
  const auto selected = static_cast<double>(out.selected_tokens);
  const double rows = query + (found.settings.recompute ? selected : 0);
  const double before = found.settings.recompute ? 0 : selected;
  out.request = {linear_work(model) * rows + 2 * static_cast<double>(model.hidden_size) *
                                                 static_cast<double>(model.vocab_size),
                 attention_work(model) * rows * (before + (rows + 1) / 2)};
  return out;
}

std::string human_work(double operations) {
  std::string text = human_count(std::llround(operations / 1e9)) + " GFLOP";
  if (operations < 1e10) text = human_rate(operations / 1e9) + " GFLOP";
  if (operations >= 1e14) text = human_count(std::llround(operations / 1e12)) + " TFLOP";
  return text;
}

nlohmann::ordered_json to_json(const Session& session, const Findings& found,
                               const Explanation& e) {
  using nlohmann::ordered_json;
  const ModelConfig& model = found.model;
  const auto work = [](const Work& w) {
    return ordered_json{{"linear_flop", w.linear}, {"attention_flop", w.attention}};
  };
  ordered_json shape = {{"family", model.model_type},
                        {"parameters", parameter_count(model)},
                        {"layers", model.layers},
                        {"hidden_size", model.hidden_size},
                        {"intermediate_size", model.intermediate_size},
                        {"heads", model.heads},
                        {"kv_heads", model.kv_heads},
                        {"head_dim", model.head_dim},
                        {"vocab_size", model.vocab_size},
                        {"max_positions", model.max_positions},
                        {"weight_bytes", e.weight_bytes},
                        {"compute", compute_name(found.precision)}};
  if (model.experts.count > 0)
    shape["experts"] = {{"count", model.experts.count},
                        {"used", model.experts.used},
                        {"intermediate_size", model.experts.intermediate_size}};
  return {
      {"config", ordered_json(session.resolved().json)},
      {"model", std::move(shape)},
      {"pool",
       {{"demonstrations", found.data.demonstrations.size()},
        {"labels", found.data.labels.size()},
        {"blocks", e.blocks},
        {"tokens", e.tokens},
        {"shortest_block", e.shortest},
        {"longest_block", e.longest},
        {"kv_bytes", e.kv_bytes}}},
      {"encode", {{"pairs", e.pairs}, {"dense_pairs", e.dense_pairs}, {"work", work(e.encode)}}},
      {"request",
       {{"queries", found.data.queries.size()},
        {"query_tokens", e.query_tokens},
        {"selected_blocks", e.selected_blocks},
        {"selected_tokens", e.selected_tokens},
        {"work", work(e.request)}}}};
}

void print_request(const Findings& found, const Explanation& e, Terminal& terminal) {
  if (found.settings.decoding.method == DecodingMethod::kVote) {
    terminal.out("request    nothing is computed: the labels of " +
                 counted(e.selected_blocks, "block") + " vote");
    return;
  }
  const bool anew = found.settings.recompute;
  std::string before;
  if (e.selected_blocks > 0)
    before = (anew ? ", and " : ", over ") + counted(e.selected_blocks, "block") + " of about " +
             counted(e.selected_tokens, "token") + (anew ? " computed anew" : "");
  terminal.out("request    " + human_work(e.request.total()) + ": a query of " +
               counted(e.query_tokens, "token") + before);
}

void print(const Session& session, const Findings& found, const Explanation& e,
           Terminal& terminal) {
  Table stages({{"stage"}, {"plugin"}, {"does"}});
  for (const host::ResolvedStage& stage : session.resolved().stages)
    stages.add({std::string(host::kind_name(stage.kind)),
                session.registry().name_of(*stage.manifest), stage.manifest->summary});
  stages.print(terminal);
  const ModelConfig& m = found.model;
  terminal.out("");
  terminal.out("model      " + m.model_type + ": " + counted(parameter_count(m), "parameter") +
               ", " + human_bytes(e.weight_bytes) +
               (found.precision.quantised ? " of quantised weights" : " of weights"));
  terminal.out("           " + counted(m.layers, "layer") + ", hidden " +
               human_count(m.hidden_size) + ", feed-forward " + human_count(m.intermediate_size) +
               ", " + counted(m.heads, "head") + " of " + std::to_string(m.head_dim) + " over " +
               counted(m.kv_heads, "KV head") + ", vocabulary " + human_count(m.vocab_size));
  if (m.experts.count > 0)
    terminal.out("           " + counted(m.experts.count, "expert") + " of " +
                 human_count(m.experts.intermediate_size) + ", of which a token gets " +
                 std::to_string(m.experts.used));
  terminal.out("pool       " +
               counted(static_cast<int64_t>(found.data.demonstrations.size()), "demonstration") +
               " in " + counted(e.blocks, "block") + ", " + counted(e.tokens, "token") +
               (e.blocks > 0
                    ? " (" + human_count(e.shortest) + " to " + human_count(e.longest) + " a block)"
                    : ""));
  if (is_zero_shot(found.settings.selection)) {
    terminal.out("encode     nothing: the query alone is the prompt");
  } else if (uses_stored_kv(found.settings)) {
    terminal.out("KV         " + human_bytes(e.kv_bytes));
    terminal.out("encode     " + human_work(e.encode.total()) + ": linear layers " +
                 human_work(e.encode.linear) + ", attention " + human_work(e.encode.attention));
    const double share =
        e.dense_pairs > 0 ? static_cast<double>(e.pairs) / static_cast<double>(e.dense_pairs) : 0;
    terminal.out("           the mask shows " + human_ratio(share) + " of what a dense one would");
  } else {
    terminal.out("encode     nothing: no stored keys and values are used");
  }
  print_request(found, e, terminal);
  terminal.out("queries    " + human_count(static_cast<int64_t>(found.data.queries.size())));
}

Status draw_mask(const Findings& found, const Explanation& e, const std::string& path) {
  MaskPicture picture;
  picture.anchor_blocks = found.settings.mask.anchor_blocks;
  for (const EncodeBlock& block : found.pool->blocks) {
    picture.block_lengths.push_back(static_cast<int64_t>(block.token_ids.size()));
    std::vector<Visible>& segments = picture.visible.emplace_back();
    for (const PlacedSegment& segment : block.plan.segments) segments.push_back(segment.visible);
  }
  const PoolShape shape = {picture.block_lengths, found.settings.mask.anchor_blocks,
                           found.pool->pool.has_prefix};
  // A selection of the size that queries get; which blocks it names differs from query to query.
  const int64_t documents = e.blocks - (shape.has_prefix ? 1 : 0);
  int64_t step = 7;
  while (documents > 0 && std::gcd(step, documents) > 1) ++step;  // so that each one is named once
  std::vector<Hit> spread;
  for (int64_t i = 0; i < documents; ++i)
    spread.push_back({(i * step + documents / 2) % documents, 0});
  DBSA_ASSIGN_OR_RETURN(const Selection selection,
                        select_blocks(found.settings.selection, shape, spread));
  MaskPicture::Answer answer;
  answer.query_tokens = e.query_tokens;
  for (const SelectedBlock& block : selection.blocks) answer.blocks.push_back(block.block);
  picture.answer = std::move(answer);
  return write_file_atomically(absolute_path(path), mask_svg(picture));
}

// Before anything is computed.
Status check_mask_name(const std::string& name) {
  if (!name.ends_with(".svg"))
    return Error{ErrorCode::kConfig,
                 "--mask: expected a name that ends in .svg, found " + in_quotes(name), ""};
  const std::string folder = std::filesystem::path(absolute_path(name)).parent_path().string();
  DBSA_ASSIGN_OR_RETURN(const PathKind kind, path_kind(folder));
  if (kind == PathKind::kFolder) return {};
  return Error{ErrorCode::kEnvironment,
               "--mask " + name + ": " +
                   (kind == PathKind::kNothing ? "no such folder: " + folder
                                               : "must be in a folder, " + folder + " is none") +
                   "; make the folder, or name another file",
               ""};
}

Status explain_pipeline(Session& session, const CommandLine& line, Terminal& terminal) {
  if (line.has("mask")) DBSA_RETURN_IF_ERROR(check_mask_name(line.text("mask")));
  set_phase("laying out the pool");
  DBSA_ASSIGN_OR_RETURN(const Findings found, find_out(session, Written::kNothing));
  if (!found.pool)
    return Error{ErrorCode::kConfig,
                 "the blocks or the index of this pipeline need embeddings, which explain does "
                 "not compute; set embedding.method = \"none\" and plugins that need none",
                 "/embedding/method"};
  DBSA_ASSIGN_OR_RETURN(const int64_t query_tokens, mean_query_tokens(found));
  const Explanation explanation = explain(session, found, query_tokens);
  if (line.has("mask")) {
    DBSA_RETURN_IF_ERROR(draw_mask(found, explanation, line.text("mask")));
    terminal.note("drew       " + line.text("mask"));
  }
  if (line.has("json"))
    terminal.out(to_json(session, found, explanation).dump(1));
  else
    print(session, found, explanation, terminal);
  return {};
}

}  // namespace

int explain_command(Words words, Terminal& terminal) {
  CommandLine line = explain_command_line();
  return with_session(line, words, terminal, explain_pipeline);
}

}  // namespace dbsa::cli
