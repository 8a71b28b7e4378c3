/* dbsa/attention_backend.h - the arithmetic: linear layers, norms, and attention over plans.
 *
 * The model's forward pass is written once, in the framework, as a sequence of these ops; a backend
 * runs them on its device. Activations are float32 matrices [rows, width] in buffers of the
 * backend; weights are packed once; KV lives in dbsa_kv objects, live (being computed) or imported
 * from a store (read in place, never written).
 *
 * Ops enqueue in order; only those wait whose comment says so. An op that fails leaves its output
 * undefined.
 *
 * The attention plan. For each range of query rows a plan lists segments: token ranges of KV
 * objects, and where their first token stands (`start`). Keys are kept rotated (RoPE) for their own
 * index in the KV object, 0..tokens-1. Since a RoPE score depends only on the distance, a token
 * with index i that is to stand at position p is reached by rotating the query row for
 * pos(row) - (p - i): nothing stored is ever moved or rewritten.
 *
 *   score(row, token t of segment) = cap(scale * rope(q, pos(row)) . rope(k, start + t))
 *   out(row) = sum over all tokens its segments show of softmax(score) * v
 *
 * Layers differ by their attention type: frequencies, scale, cap, sink. A plan is of one type.
 *
 * On one code path of one backend a row's result depends, bit for bit, only on its own inputs and
 * segments, not on other rows or on which threads take part.
 */
#ifndef DBSA_ATTENTION_BACKEND_H
#define DBSA_ATTENTION_BACKEND_H

#include <dbsa/kv_block.h>
#include <dbsa/mask_pattern.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Objects of the backend. */
typedef struct dbsa_buffer dbsa_buffer; /* float32 [rows, width] */
typedef struct dbsa_weight dbsa_weight;
typedef struct dbsa_kv dbsa_kv;
typedef struct dbsa_plan dbsa_plan;

/* How a weight is used. */
enum {
  DBSA_WEIGHT_LINEAR = 1,    /* [out, in]; y = x W^T */
  DBSA_WEIGHT_EMBEDDING = 2, /* [vocabulary, width]; rows are looked up */
  DBSA_WEIGHT_VECTOR = 3     /* [width]: a norm's scale or a bias */
};

/* Arithmetic of linear layers: inputs and weights are rounded to this type; sums are float32. */
enum { DBSA_COMPUTE_F32 = 1, DBSA_COMPUTE_BF16 = 2 };

/* How a gated layer's gate is activated. */
enum {
  DBSA_ACTIVATION_SILU = 0,     /* x / (1 + exp(-x)) */
  DBSA_ACTIVATION_GELU_TANH = 1 /* x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */
};

/* What layers may differ by in attention. Arrays are copied. */
typedef struct dbsa_attention_type {
  uint32_t struct_size;
  float scale;       /* of the scores */
  float soft_cap;    /* c > 0: a scaled score s becomes c tanh(s / c), before any mask; 0: none */
  uint32_t reserved; /* 0 */
  const float*
      inv_freq; /* [head_dim / 2]. Halves are paired: i with i + head_dim / 2; 0 turns none */
  const float* factor; /* [head_dim / 2]: multiplies cosine and sine of a pair, so the rotated part
                        * of queries and of keys; NULL: 1 */
  const float* sink;   /* [query_heads]: a score more in the softmax of each row, without a value,
                        * neither scaled nor capped; NULL: none */
} dbsa_attention_type;

/* Shape of attention, fixed for an instance by `configure`. */
typedef struct dbsa_attention_shape {
  uint32_t struct_size;
  int32_t layers;
  int32_t query_heads;
  int32_t kv_heads;   /* divides query_heads */
  int32_t head_dim;   /* even, <= 256 */
  uint32_t compute;   /* DBSA_COMPUTE_* */
  uint32_t kv_dtype;  /* DBSA_KV_DTYPE_*, of blocks */
  int32_t type_count; /* >= 1 */
  const dbsa_attention_type* types;
  const int32_t* layer_types; /* [layers]: indices of types; NULL: all 0 */
} dbsa_attention_shape;

typedef struct dbsa_segment {
  uint32_t struct_size;
  int32_t kind; /* DBSA_SEGMENT_*; CAUSAL and WINDOW compare positions of row and token */
  const dbsa_kv* kv;
  int64_t first_token; /* index in kv */
  int64_t length;      /* tokens, >= 1 */
  int64_t start;       /* position of first_token in this plan; may be negative */
  int64_t window;      /* WINDOW, >= 1: tokens this far before a row or farther are not seen; FULL:
                        * likewise, 0: no limit; CAUSAL: 0 */
} dbsa_segment;

/* Rows that see the same segments, those with index first_segment and the segment_count - 1 after
 * it, and at least one token. Segments of one range may show the same tokens at different places (a
 * demonstration that occurs twice in the pool), never at the same. */
typedef struct dbsa_row_range {
  uint32_t struct_size;
  int64_t first_row;
  int64_t rows;
  int64_t first_segment;
  int64_t segment_count;
} dbsa_row_range;

typedef struct dbsa_plan_description {
  uint32_t struct_size;
  int32_t type; /* index of the shape's types: which layers it serves */
  int64_t rows;
  const int32_t* positions; /* [rows] */
  int64_t range_count;
  const dbsa_row_range* ranges; /* cover 0..rows-1, ascending, disjoint */
  int64_t segment_count;
  const dbsa_segment* segments;
} dbsa_plan_description;

/* One of the linear layers of an x: out = x weight^T (+ bias) (+ residual). bias and residual may
 * be NULL; residual may be out, but nothing that another of the layers writes. */
typedef struct dbsa_linear_layer {
  uint32_t struct_size;
  uint32_t reserved;         /* 0 */
  const dbsa_weight* weight; /* [n, k], k the width of x */
  const dbsa_weight* bias;   /* [n] */
  const dbsa_buffer* residual;
  dbsa_buffer* out; /* n wide; no other layer reads or writes it */
} dbsa_linear_layer;

/* The weights of a gated layer: gate and up [m, k], down [n, m]; biases may be NULL. */
typedef struct dbsa_gated_mlp_weights {
  uint32_t struct_size;
  uint32_t activation; /* DBSA_ACTIVATION_* */
  const dbsa_weight* gate;
  const dbsa_weight* gate_bias;
  const dbsa_weight* up;
  const dbsa_weight* up_bias;
  const dbsa_weight* down;
  const dbsa_weight* down_bias;
} dbsa_gated_mlp_weights;

/* The weights of a layer of experts, gated layers of which each row gets `used`: those of the
 * largest scores x router^T, of equal scores those of the least index. An expert's share is its
 * part in the softmax of all of the row's scores. */
typedef struct dbsa_expert_weights {
  uint32_t struct_size;
  uint32_t normalised;       /* 1: shares are divided by their sum over the row's experts */
  const dbsa_weight* router; /* [count, k] */
  int64_t count;
  int64_t used;                          /* 1..count */
  const dbsa_gated_mlp_weights* experts; /* [count]: gate and up [m, k], down [n, m] */
} dbsa_expert_weights;

typedef struct dbsa_attention_backend_vtable {
  uint32_t struct_size;

  /* Fixes the shape of attention; once, before any other call. [setup] */
  int32_t (*configure)(void* instance, const dbsa_attention_shape* shape, dbsa_error* error);
  /* One line for people and records: device, code path, matmul library. Valid as long as the
   * instance. [any] */
  const char* (*describe)(void* instance);

  /* ---- buffers ---- */
  /* Allocates float32 [rows, width], contents undefined. [any] */
  int32_t (*buffer_create)(void* instance, int64_t rows, int64_t width, dbsa_buffer** buffer,
                           dbsa_error* error);
  /* Frees a buffer; what was enqueued on it may still run. [any] */
  void (*buffer_destroy)(void* instance, dbsa_buffer* buffer);
  /* Copies rows first_row.. of host memory [rows, width] in. [run] */
  int32_t (*upload)(void* instance, const float* source, int64_t first_row, int64_t rows,
                    dbsa_buffer* buffer, dbsa_error* error);
  /* Copies rows out to host memory [rows, width], after everything enqueued before. Waits. [run] */
  int32_t (*download)(void* instance, const dbsa_buffer* buffer, int64_t first_row, int64_t rows,
                      float* destination, dbsa_error* error);
  /* Waits for all that was enqueued and reports a failure of it. [run] */
  int32_t (*sync)(void* instance, dbsa_error* error);

  /* ---- weights ---- */
  /* Packs a weight. tensor: float32, float16 or bfloat16 on the CPU, contiguous. use: one of
   * DBSA_WEIGHT_*. LINEAR and VECTOR are copied; EMBEDDING may keep reading the tensor's memory,
   * which must outlive it. [setup] */
  int32_t (*weight_create)(void* instance, int32_t use, const dbsa_tensor* tensor,
                           dbsa_weight** weight, dbsa_error* error);
  /* Frees a weight; what was enqueued with it may still run. [any] */
  void (*weight_destroy)(void* instance, dbsa_weight* weight);

  /* ---- ops: the first `rows` rows of each buffer; in and out must not overlap unless said ---- */
  /* out[r] = embedding[ids[r]]. [run] */
  int32_t (*embedding)(void* instance, const int32_t* ids, int64_t rows, const dbsa_weight* table,
                       dbsa_buffer* out, dbsa_error* error);
  /* count >= 1 linear layers of one x; each gives what it gives by itself. [run] */
  int32_t (*linear)(void* instance, const dbsa_buffer* x, int64_t rows,
                    const dbsa_linear_layer* layers, int64_t count, dbsa_error* error);
  /* out = x / sqrt(mean(x^2) + epsilon) * weight, row by row; of a weight narrower than x by each
   * of the groups of its width that a row is cut into. out may be x. [run] */
  int32_t (*rms_norm)(void* instance, const dbsa_buffer* x, int64_t rows, const dbsa_weight* weight,
                      float epsilon, dbsa_buffer* out, dbsa_error* error);
  /* out = (activation(x gate^T + gate_bias) * (x up^T + up_bias)) down^T (+ down_bias) (+
   * residual), as three linear layers would give it. residual may be NULL; it may be out. [run] */
  int32_t (*gated_mlp)(void* instance, const dbsa_buffer* x, int64_t rows,
                       const dbsa_gated_mlp_weights* weights, const dbsa_buffer* residual,
                       dbsa_buffer* out, dbsa_error* error);
  /* out[i] = x[indices[i]]. [run] */
  int32_t (*gather_rows)(void* instance, const dbsa_buffer* x, const int64_t* indices,
                         int64_t count, dbsa_buffer* out, dbsa_error* error);

  /* ---- KV ---- */
  /* Allocates live KV for `tokens` tokens in all layers, contents undefined. [any] */
  int32_t (*kv_create)(void* instance, int64_t tokens, dbsa_kv** kv, dbsa_error* error);
  /* Frees live or imported KV. No plan that names it may be used afterwards. [any] */
  void (*kv_destroy)(void* instance, dbsa_kv* kv);
  /* Writes rows first_row.. of k and v, [*, kv_heads * head_dim], as tokens first_token.. of one
   * layer, the keys rotated for those indices by its type. Live KV only; finite numbers. [run] */
  int32_t (*kv_append)(void* instance, const dbsa_buffer* k, const dbsa_buffer* v,
                       int64_t first_row, int64_t rows, int32_t layer, int64_t first_token,
                       dbsa_kv* kv, dbsa_error* error);

  /* ---- blocks ---- */
  /* The format in which this instance exports blocks of that many tokens. [any] */
  int32_t (*block_format)(void* instance, int64_t tokens, dbsa_kv_format* format,
                          dbsa_error* error);
  /* Makes KV that reads the planes in place ([layers], 64-byte aligned, valid until kv_destroy).
   * DBSA_ERROR_UNSUPPORTED for a format this instance does not read. No plane is touched: a layer's
   * may be filled until the attention of that layer. [any] */
  int32_t (*block_import)(void* instance, const dbsa_kv_format* format, const void* const* planes,
                          dbsa_kv** kv, dbsa_error* error);
  /* Writes one layer of tokens 0..format.tokens-1 as a plane of format.plane_bytes; `format` is
   * what block_format gave. Every byte is written, padding as zeros. Waits. [run] */
  int32_t (*block_export)(void* instance, const dbsa_kv* kv, const dbsa_kv_format* format,
                          int32_t layer, void* plane, dbsa_error* error);
  /* Rewrites one plane as token-major float32: [2 (K, V), kv_heads, tokens, head_dim]. [any] */
  int32_t (*block_to_token_major)(void* instance, const dbsa_kv_format* format, const void* plane,
                                  float* destination, dbsa_error* error);

  /* ---- attention ---- */
  /* Checks a plan and makes it ready. Copies the description; KV objects must outlive it. Keys need
   * not be there yet. [run] */
  int32_t (*plan_prepare)(void* instance, const dbsa_plan_description* description,
                          dbsa_plan** plan, dbsa_error* error);
  /* Frees a plan; attention that was enqueued with it may still run. [any] */
  void (*plan_destroy)(void* instance, dbsa_plan* plan);
  /* out[row] for all rows of the plan, one layer, of the plan's type. q: [rows, query_heads *
   * head_dim], not rotated; out likewise, must not overlap. [run] */
  int32_t (*attention)(void* instance, const dbsa_plan* plan, int32_t layer, const dbsa_buffer* q,
                       dbsa_buffer* out, dbsa_error* error);

  /* ---- ops of encoders: as the ops above ---- */
  /* out = (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias, row by row; the variance is
   * the mean squared distance from the mean. [run] */
  int32_t (*layer_norm)(void* instance, const dbsa_buffer* x, int64_t rows,
                        const dbsa_weight* weight, const dbsa_weight* bias, float epsilon,
                        dbsa_buffer* out, dbsa_error* error);
  /* out = x * (1 + erf(x / sqrt(2))) / 2; out may be x. [run] */
  int32_t (*gelu)(void* instance, const dbsa_buffer* x, int64_t rows, dbsa_buffer* out,
                  dbsa_error* error);

  /* ---- packed weights, which a host may keep on disk ---- */
  /* Identifies the packing: instances with equal text pack the same LINEAR weights to the same
   * bytes. Valid as long as the instance. NULL: they cannot be kept, and the two functions below
   * fail with DBSA_ERROR_UNSUPPORTED. [any] */
  const char* (*packing)(void* instance);
  /* The packed bytes of a LINEAR weight, a multiple of 64, valid as long as the weight. [any] */
  int32_t (*weight_packed)(void* instance, const dbsa_weight* weight, const void** packed,
                           uint64_t* bytes, dbsa_error* error);
  /* The LINEAR weight [out, in] of these packed bytes, read in place: 64-byte aligned, valid until
   * weight_destroy. DBSA_ERROR_INVALID_ARGUMENT where their number is another than such a weight
   * packs to; what they hold is not checked. [setup] */
  int32_t (*weight_adopt)(void* instance, int64_t out, int64_t in, const void* packed,
                          uint64_t bytes, dbsa_weight** weight, dbsa_error* error);

  /* ---- what decoding reads of logits ---- */
  /* What tokens are worth after each of some hidden rows. With the logits z = x weight^T taken as
   * scale takes them, by factor and soft_cap, and p = log(softmax(z[r])), natural logarithms, for r
   * in 0..rows-1: values[i] = p[ids[i]] for i in first[r]..first[r+1]-1, best[r] = the index of the
   * largest of z[r], the least of equals, and best_values[r] = p[best[r]]. Where z[r] holds NaN or
   * +inf, or only -inf, its values are NaN and best[r] is any index. weight: LINEAR [vocabulary,
   * width of x]. first: [rows + 1], from 0 on, ascending; ids in 0..vocabulary-1. All except x and
   * weight are in host memory. Waits. [run] */
  int32_t (*score_tokens)(void* instance, const dbsa_buffer* x, int64_t rows,
                          const dbsa_weight* weight, float factor, float soft_cap,
                          const int64_t* first, const int32_t* ids, double* values, int32_t* best,
                          double* best_values, dbsa_error* error);

  /* ---- identity ---- */
  /* Names the arithmetic that was chosen on this machine, as it stands after configure: instances
   * of one plugin and revision that have the same result keys and the same code path compute the
   * same bits from the same inputs. It enters the keys of stored blocks. Valid as long as the
   * instance. NULL: there is only one. [any] */
  const char* (*code_path)(void* instance);

  /* ---- ops of decoders with multipliers and norms on outputs: as the ops above ---- */
  /* out = x + factor * y; out may be x or y. [run] */
  int32_t (*add)(void* instance, const dbsa_buffer* x, int64_t rows, const dbsa_buffer* y,
                 float factor, dbsa_buffer* out, dbsa_error* error);
  /* out = factor * x, and with soft_cap = c > 0 of that c tanh(factor * x / c); out may be x. [run]
   */
  int32_t (*scale)(void* instance, const dbsa_buffer* x, int64_t rows, float factor, float soft_cap,
                   dbsa_buffer* out, dbsa_error* error);

  /* ---- what cannot be computed ---- */
  /* 1 where `op`, the name of a function here, has a feature in this arithmetic; else 0, also of
   * names that are unknown. A host asks before configure, so that it can say what is missing.
   *   attention, dtype DBSA_KV_DTYPE_*:  types (more than one), soft_cap, factor, sink;
   *                                      skips_unseen
   *   gated_mlp, dtype DBSA_COMPUTE_*:   gelu_tanh
   *   experts, dtype DBSA_COMPUTE_*:     softmax (shares as dbsa_expert_weights says)
   * skips_unseen promises that no byte is read of a block of which no row of a plan sees a token,
   * as beyond a window, so that the host need not have it verified.
   * May be NULL: every feature is there. [any] */
  int32_t (*supports)(void* instance, const char* op, uint32_t dtype, const char* feature);

  /* ---- layers of experts: as the ops above ---- */
  /* out = sum over a row's experts, in ascending order, of share * (what gated_mlp gives of x) (+
   * residual). residual may be NULL; it may be out. May be NULL: no layer of experts is computed.
   * [run] */
  int32_t (*experts)(void* instance, const dbsa_buffer* x, int64_t rows,
                     const dbsa_expert_weights* weights, const dbsa_buffer* residual,
                     dbsa_buffer* out, dbsa_error* error);
} dbsa_attention_backend_vtable;
#define DBSA_ATTENTION_BACKEND_VTABLE_LEAST offsetof(dbsa_attention_backend_vtable, supports)

#ifdef __cplusplus
}
#endif

#endif /* DBSA_ATTENTION_BACKEND_H */
