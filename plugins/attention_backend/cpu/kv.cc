// KV objects and blocks.
#include "backend.h"
#include "checks.h"

#include <cstring>

namespace dbsa::cpu {
namespace {

constexpr int64_t kRememberedRotations = 32768;  // KV indices; later ones are formed again

}  // namespace

Result<dbsa_kv*> CpuBackend::kv_create(int64_t tokens) {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(check_tokens("kv_create", tokens));
  auto kv = std::make_unique<dbsa_kv>();
  kv->layout = shape_.live;
  const int64_t plane_bytes = kv->layout.plane_bytes(tokens);
  // Zeros, because what no append writes - padding - must read as zero.
  kv->memory = Memory::zeroed(static_cast<uint64_t>(plane_bytes) * static_cast<uint64_t>(layers_));
  for (int32_t layer = 0; layer < layers_; ++layer) {
    kv->planes.push_back(static_cast<char*>(kv->memory.data()) + layer * plane_bytes);
  }
  kv->tokens = tokens;
  kv->live = true;
  return kv.release();
}

void CpuBackend::remember_rotations(const AttentionType& type, int64_t tokens,
                                    std::vector<float>& rotations) const {
  const int64_t head_dim = shape_.live.head_dim;
  const auto before = static_cast<int64_t>(rotations.size()) / head_dim;
  if (tokens <= before) return;
  rotations.resize(static_cast<size_t>(tokens * head_dim));
  for (int64_t t = before; t < tokens; ++t)
    make_rotation(t, type.inv_freq, type.factor, rotations.data() + t * head_dim);
}

Status CpuBackend::kv_append(const dbsa_buffer* k, const dbsa_buffer* v, int64_t first_row,
                             int64_t rows, int32_t layer, int64_t first_token, dbsa_kv* kv) {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(
      check_kv_append(k, v, kv_width(), first_row, rows, layer, layers_, first_token, kv));
  const KvLayout& layout = kv->layout;
  const auto type_index = static_cast<size_t>(layer_types_[static_cast<size_t>(layer)]);
  const AttentionType& type = attention_types_[type_index];
  std::vector<float>& rotations = key_rotations_[type_index];
  remember_rotations(type, std::min(first_token + rows, kRememberedRotations), rotations);
  // Cosine and sine of a KV index; `own` [head_dim] takes those that are not remembered.
  const auto rotation = [&](int64_t token, float* own) -> const float* {
    if (token < kRememberedRotations) return rotations.data() + token * layout.head_dim;
    make_rotation(token, type.inv_freq, type.factor, own);
    return own;
  };
  // The planes of live KV lie in its own memory, so writing to them is safe.
  char* plane = static_cast<char*>(const_cast<void*>(kv->planes[static_cast<size_t>(layer)]));
  host_.parallel_for(rows, kPanel, [&](int64_t begin, int64_t end) {
    const int64_t half = layout.head_dim / 2;
    float* rotated = host_.scratch<float>(0, layout.head_dim);
    float* own = host_.scratch<float>(1, layout.head_dim);
    auto* key = host_.scratch<uint16_t>(2, layout.head_dim);  // as bfloat16
    auto* value = host_.scratch<uint16_t>(3, layout.head_dim);
    const auto convert = [&](const float* from, uint16_t* to) -> const void* {
      if (layout.type == KvType::kF32) return from;
      path_.kernels->to_bf16(from, layout.head_dim, to);
      return to;
    };
    for (int64_t i = begin; i < end; ++i) {
      const int64_t token = first_token + i;
      const float* cosine = rotation(token, own);
      for (int64_t h = 0; h < layout.kv_heads; ++h) {
        path_.kernels->rotate(k->row(first_row + i) + h * layout.head_dim, cosine, cosine + half,
                              half, 1.0f, rotated);
        layout.write(
            plane, kv->tokens, h, token,
            {convert(rotated, key), convert(v->row(first_row + i) + h * layout.head_dim, value),
             nullptr, nullptr});
      }
    }
  });
  return {};
}

// ---- blocks ---------------------------------------------------------------------------------

Result<dbsa_kv_format> CpuBackend::block_format(int64_t tokens) const {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(check_tokens("block_format", tokens));
  dbsa_kv_format format = {};
  format.struct_size = sizeof format;
  format.layout = DBSA_KV_LAYOUT_CPU_PANELS;
  const KvLayout& layout = shape_.stored;
  format.dtype = layout.type == KvType::kF32    ? DBSA_KV_DTYPE_F32
                 : layout.type == KvType::kBf16 ? DBSA_KV_DTYPE_BF16
                                                : DBSA_KV_DTYPE_I8;
  format.panel = kPanel;
  format.layers = static_cast<uint32_t>(layers_);
  format.kv_heads = static_cast<uint32_t>(layout.kv_heads);
  format.head_dim = static_cast<uint32_t>(layout.head_dim);
  format.tokens = static_cast<uint64_t>(tokens);
  format.plane_bytes = static_cast<uint64_t>(layout.plane_bytes(tokens));
  if (layout.type == KvType::kInt8)
    format.scale_offset = static_cast<uint64_t>(layout.scale_offset(tokens));
  return format;
}

Status CpuBackend::check_format(const dbsa_kv_format& format) const {
  DBSA_RETURN_IF_ERROR(check_configured());
  DBSA_RETURN_IF_ERROR(check_format_tokens(format));
  DBSA_ASSIGN_OR_RETURN(const dbsa_kv_format own,
                        block_format(static_cast<int64_t>(format.tokens)));
  return backend_checks::check_format(own, format);
}

Result<dbsa_kv*> CpuBackend::block_import(const dbsa_kv_format& format, const void* const* planes) {
  DBSA_RETURN_IF_ERROR(check_format(format));
  DBSA_RETURN_IF_ERROR(check_planes(planes, layers_));
  auto kv = std::make_unique<dbsa_kv>();
  kv->planes.assign(planes, planes + layers_);
  kv->tokens = static_cast<int64_t>(format.tokens);
  kv->layout = shape_.stored;
  return kv.release();
}

// The first `tokens` tokens of a live plane as int8.
void CpuBackend::quantise_prefix(const dbsa_kv& kv, const void* source, int64_t tokens,
                                 void* plane) const {
  const KvLayout& stored = shape_.stored;
  std::memset(plane, 0, static_cast<size_t>(stored.plane_bytes(tokens)));
  const int64_t panels = KvLayout::padded(tokens) / kPanel;
  host_.parallel_for(stored.kv_heads * panels, 1, [&](int64_t begin, int64_t end) {
    float* row = host_.scratch<float>(0, stored.head_dim);
    auto* key = host_.scratch<int8_t>(1, stored.head_dim);
    auto* value = host_.scratch<int8_t>(2, stored.head_dim);
    auto* key_scales = host_.scratch<uint16_t>(3, stored.key_scales());
    auto* value_scales = host_.scratch<uint16_t>(4, stored.value_scales());
    for (int64_t i = begin; i < end; ++i) {
      const int64_t head = i / panels;
      const int64_t first = i % panels * kPanel;
      for (int64_t t = first; t < std::min(first + kPanel, tokens); ++t) {
        kv.layout.read_key(source, kv.tokens, head, t, row);
        path_.kernels->quantise({row, stored.head_dim, kScaledKeys, key, key_scales});
        kv.layout.read_value(source, kv.tokens, head, t, row);
        path_.kernels->quantise({row, stored.head_dim, kScaledValues, value, value_scales});
        stored.write(plane, tokens, head, t, {key, value, key_scales, value_scales});
      }
    }
  });
}

Status CpuBackend::block_export(const dbsa_kv* kv, const dbsa_kv_format& format, int32_t layer,
                                void* plane) {
  DBSA_RETURN_IF_ERROR(check_format(format));
  DBSA_RETURN_IF_ERROR(check_block_export(kv, format, layer, layers_, plane));
  const auto tokens = static_cast<int64_t>(format.tokens);
  const void* source = kv->planes[static_cast<size_t>(layer)];
  if (kv->layout.type == shape_.stored.type) {
    kv->layout.copy_prefix(source, kv->tokens, tokens, plane);
  } else {
    quantise_prefix(*kv, source, tokens, plane);
  }
  return {};
}

Status CpuBackend::block_to_token_major(const dbsa_kv_format& format, const void* plane,
                                        float* destination) const {
  DBSA_RETURN_IF_ERROR(check_format(format));
  if (plane == nullptr) return invalid("block_to_token_major: plane is null");
  if (destination == nullptr) return invalid("block_to_token_major: destination is null");
  shape_.stored.to_token_major(plane, static_cast<int64_t>(format.tokens), destination);
  return {};
}

}  // namespace dbsa::cpu
