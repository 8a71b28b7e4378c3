/* The layout of every struct of the boundary, frozen for 64-bit machines. A change here is a new
 * interface version: raise DBSA_ABI_MINOR with it. */
#ifndef DBSA_TESTS_ABI_LAYOUT_H
#define DBSA_TESTS_ABI_LAYOUT_H

#include <dbsa/attention_backend.h>
#include <dbsa/block_grouper.h>
#include <dbsa/kv_block.h>
#include <dbsa/kv_store.h>
#include <dbsa/mask_pattern.h>
#include <dbsa/plugin.h>
#include <dbsa/quantised_weights.h>
#include <dbsa/retriever.h>
#include <dbsa/retriever_words.h>

#ifdef __cplusplus
#define CHECK(condition) static_assert(condition, #condition)
#else
#define CHECK(condition) _Static_assert(condition, #condition)
#endif
#define SIZE(type, bytes) CHECK(sizeof(type) == bytes)
#define AT(type, field, bytes) CHECK(offsetof(type, field) == bytes)

CHECK(DBSA_ABI_MAJOR == 0 && DBSA_ABI_MINOR == 2 && DBSA_ABI_MINOR_LEAST == 2);
CHECK(DBSA_ABI_MAGIC == 0x41534244);

SIZE(dbsa_error, 1288);
AT(dbsa_error, struct_size, 0);
AT(dbsa_error, code, 4);
AT(dbsa_error, message, 8);
AT(dbsa_error, config_pointer, 1032);

SIZE(dbsa_device, 8);
AT(dbsa_device, type, 0);
AT(dbsa_device, id, 4);

SIZE(dbsa_dtype, 4);
AT(dbsa_dtype, code, 0);
AT(dbsa_dtype, bits, 1);
AT(dbsa_dtype, lanes, 2);

SIZE(dbsa_tensor, 48);
AT(dbsa_tensor, data, 0);
AT(dbsa_tensor, device, 8);
AT(dbsa_tensor, ndim, 16);
AT(dbsa_tensor, dtype, 20);
AT(dbsa_tensor, shape, 24);
AT(dbsa_tensor, strides, 32);
AT(dbsa_tensor, byte_offset, 40);

SIZE(dbsa_texts, 32);
AT(dbsa_texts, struct_size, 0);
AT(dbsa_texts, count, 8);
AT(dbsa_texts, data, 16);
AT(dbsa_texts, lengths, 24);

SIZE(dbsa_byte_sink, 24);
AT(dbsa_byte_sink, struct_size, 0);
AT(dbsa_byte_sink, context, 8);
AT(dbsa_byte_sink, write, 16);

SIZE(dbsa_host, 88);
AT(dbsa_host, struct_size, 0);
AT(dbsa_host, context, 8);
AT(dbsa_host, log, 16);
AT(dbsa_host, parallel_for, 24);
AT(dbsa_host, thread_count, 32);
AT(dbsa_host, scratch, 40);
AT(dbsa_host, cancelled, 48);
AT(dbsa_host, embedding_width, 56);
AT(dbsa_host, embed, 64);
AT(dbsa_host, open_plugin, 72);
AT(dbsa_host, extension, 80);

SIZE(dbsa_plugin_table, 64);
AT(dbsa_plugin_table, struct_size, 0);
AT(dbsa_plugin_table, magic, 4);
AT(dbsa_plugin_table, abi_major, 8);
AT(dbsa_plugin_table, abi_minor, 12);
AT(dbsa_plugin_table, kind, 16);
AT(dbsa_plugin_table, revision, 20);
AT(dbsa_plugin_table, check_config, 24);
AT(dbsa_plugin_table, create, 32);
AT(dbsa_plugin_table, destroy, 40);
AT(dbsa_plugin_table, vtable, 48);
AT(dbsa_plugin_table, extension, 56);
CHECK(DBSA_PLUGIN_TABLE_LEAST == 56);

SIZE(dbsa_kv_format, 56);
AT(dbsa_kv_format, struct_size, 0);
AT(dbsa_kv_format, layout, 4);
AT(dbsa_kv_format, dtype, 8);
AT(dbsa_kv_format, panel, 12);
AT(dbsa_kv_format, layers, 16);
AT(dbsa_kv_format, kv_heads, 20);
AT(dbsa_kv_format, head_dim, 24);
AT(dbsa_kv_format, reserved, 28);
AT(dbsa_kv_format, tokens, 32);
AT(dbsa_kv_format, plane_bytes, 40);
AT(dbsa_kv_format, scale_offset, 48);
CHECK(DBSA_KV_FORMAT_LEAST == 56);

SIZE(dbsa_kv_view, 32);
AT(dbsa_kv_view, struct_size, 0);
AT(dbsa_kv_view, format, 8);
AT(dbsa_kv_view, planes, 16);
AT(dbsa_kv_view, lease, 24);

SIZE(dbsa_kv_entry, 56);
AT(dbsa_kv_entry, struct_size, 0);
AT(dbsa_kv_entry, key, 4);
AT(dbsa_kv_entry, format, 24);
AT(dbsa_kv_entry, stored_bytes, 32);
AT(dbsa_kv_entry, created_unix_s, 40);
AT(dbsa_kv_entry, location, 48);
CHECK(DBSA_KV_ENTRY_LEAST == 56);

SIZE(dbsa_kv_entry_sink, 24);
AT(dbsa_kv_entry_sink, struct_size, 0);
AT(dbsa_kv_entry_sink, context, 8);
AT(dbsa_kv_entry_sink, entry, 16);

SIZE(dbsa_kv_fault_sink, 24);
AT(dbsa_kv_fault_sink, struct_size, 0);
AT(dbsa_kv_fault_sink, context, 8);
AT(dbsa_kv_fault_sink, fault, 16);

SIZE(dbsa_kv_pool, 64);
AT(dbsa_kv_pool, struct_size, 0);
AT(dbsa_kv_pool, id, 8);
AT(dbsa_kv_pool, document, 16);
AT(dbsa_kv_pool, document_bytes, 24);
AT(dbsa_kv_pool, keys, 32);
AT(dbsa_kv_pool, key_count, 40);
AT(dbsa_kv_pool, changed_unix_s, 48);
AT(dbsa_kv_pool, location, 56);
CHECK(DBSA_KV_POOL_LEAST == 64);

SIZE(dbsa_kv_pool_sink, 24);
AT(dbsa_kv_pool_sink, struct_size, 0);
AT(dbsa_kv_pool_sink, context, 8);
AT(dbsa_kv_pool_sink, pool, 16);

SIZE(dbsa_kv_stats, 64);
AT(dbsa_kv_stats, struct_size, 0);
AT(dbsa_kv_stats, blocks, 8);
AT(dbsa_kv_stats, stored_bytes, 16);
AT(dbsa_kv_stats, max_bytes, 24);
AT(dbsa_kv_stats, free_bytes, 32);
AT(dbsa_kv_stats, leftover_files, 40);
AT(dbsa_kv_stats, leftover_bytes, 48);
AT(dbsa_kv_stats, location, 56);
CHECK(DBSA_KV_STATS_LEAST == 64);

SIZE(dbsa_kv_store_vtable, 144);
AT(dbsa_kv_store_vtable, struct_size, 0);
AT(dbsa_kv_store_vtable, contains, 8);
AT(dbsa_kv_store_vtable, get, 16);
AT(dbsa_kv_store_vtable, release, 24);
AT(dbsa_kv_store_vtable, verify_plane, 32);
AT(dbsa_kv_store_vtable, put, 40);
AT(dbsa_kv_store_vtable, publish, 48);
AT(dbsa_kv_store_vtable, discard, 56);
AT(dbsa_kv_store_vtable, list, 64);
AT(dbsa_kv_store_vtable, check, 72);
AT(dbsa_kv_store_vtable, collect, 80);
AT(dbsa_kv_store_vtable, compact, 88);
AT(dbsa_kv_store_vtable, stats, 96);
AT(dbsa_kv_store_vtable, pool_put, 104);
AT(dbsa_kv_store_vtable, pool_get, 112);
AT(dbsa_kv_store_vtable, pool_list, 120);
AT(dbsa_kv_store_vtable, pool_drop, 128);
AT(dbsa_kv_store_vtable, fetch_plane, 136);
CHECK(DBSA_KV_STORE_VTABLE_LEAST == 136);

SIZE(dbsa_demonstrations, 40);
AT(dbsa_demonstrations, struct_size, 0);
AT(dbsa_demonstrations, count, 8);
AT(dbsa_demonstrations, texts, 16);
AT(dbsa_demonstrations, labels, 24);
AT(dbsa_demonstrations, token_counts, 32);

SIZE(dbsa_grouping, 32);
AT(dbsa_grouping, struct_size, 0);
AT(dbsa_grouping, block_count, 8);
AT(dbsa_grouping, order, 16);
AT(dbsa_grouping, block_ends, 24);

SIZE(dbsa_block_grouper_vtable, 16);
AT(dbsa_block_grouper_vtable, struct_size, 0);
AT(dbsa_block_grouper_vtable, group, 8);
CHECK(DBSA_BLOCK_GROUPER_VTABLE_LEAST == 16);

SIZE(dbsa_visible, 40);
AT(dbsa_visible, struct_size, 0);
AT(dbsa_visible, kind, 4);
AT(dbsa_visible, block, 8);
AT(dbsa_visible, first_token, 16);
AT(dbsa_visible, length, 24);
AT(dbsa_visible, window, 32);
CHECK(DBSA_VISIBLE_LEAST == 40);

SIZE(dbsa_visible_sink, 24);
AT(dbsa_visible_sink, struct_size, 0);
AT(dbsa_visible_sink, context, 8);
AT(dbsa_visible_sink, emit, 16);

SIZE(dbsa_mask_pattern_vtable, 24);
AT(dbsa_mask_pattern_vtable, struct_size, 0);
AT(dbsa_mask_pattern_vtable, visible, 8);
AT(dbsa_mask_pattern_vtable, anchor_blocks, 16);
CHECK(DBSA_MASK_PATTERN_VTABLE_LEAST == 16);

SIZE(dbsa_ranking, 32);
AT(dbsa_ranking, struct_size, 0);
AT(dbsa_ranking, count, 8);
AT(dbsa_ranking, ids, 16);
AT(dbsa_ranking, scores, 24);

SIZE(dbsa_retriever_vtable, 40);
AT(dbsa_retriever_vtable, struct_size, 0);
AT(dbsa_retriever_vtable, index, 8);
AT(dbsa_retriever_vtable, save, 16);
AT(dbsa_retriever_vtable, load, 24);
AT(dbsa_retriever_vtable, query, 32);
CHECK(DBSA_RETRIEVER_VTABLE_LEAST == 40);

SIZE(dbsa_shared_word, 48);
AT(dbsa_shared_word, struct_size, 0);
AT(dbsa_shared_word, word, 8);
AT(dbsa_shared_word, length, 16);
AT(dbsa_shared_word, in_query, 24);
AT(dbsa_shared_word, in_document, 32);
AT(dbsa_shared_word, score, 40);
CHECK(DBSA_SHARED_WORD_LEAST == 48);

SIZE(dbsa_shared_word_sink, 24);
AT(dbsa_shared_word_sink, struct_size, 0);
AT(dbsa_shared_word_sink, context, 8);
AT(dbsa_shared_word_sink, take, 16);

SIZE(dbsa_retriever_words, 16);
AT(dbsa_retriever_words, struct_size, 0);
AT(dbsa_retriever_words, shared_words, 8);
CHECK(DBSA_RETRIEVER_WORDS_LEAST == 16);

SIZE(dbsa_attention_type, 40);
AT(dbsa_attention_type, struct_size, 0);
AT(dbsa_attention_type, scale, 4);
AT(dbsa_attention_type, soft_cap, 8);
AT(dbsa_attention_type, reserved, 12);
AT(dbsa_attention_type, inv_freq, 16);
AT(dbsa_attention_type, factor, 24);
AT(dbsa_attention_type, sink, 32);

SIZE(dbsa_attention_shape, 48);
AT(dbsa_attention_shape, struct_size, 0);
AT(dbsa_attention_shape, layers, 4);
AT(dbsa_attention_shape, query_heads, 8);
AT(dbsa_attention_shape, kv_heads, 12);
AT(dbsa_attention_shape, head_dim, 16);
AT(dbsa_attention_shape, compute, 20);
AT(dbsa_attention_shape, kv_dtype, 24);
AT(dbsa_attention_shape, type_count, 28);
AT(dbsa_attention_shape, types, 32);
AT(dbsa_attention_shape, layer_types, 40);

SIZE(dbsa_segment, 48);
AT(dbsa_segment, struct_size, 0);
AT(dbsa_segment, kind, 4);
AT(dbsa_segment, kv, 8);
AT(dbsa_segment, first_token, 16);
AT(dbsa_segment, length, 24);
AT(dbsa_segment, start, 32);
AT(dbsa_segment, window, 40);

SIZE(dbsa_row_range, 40);
AT(dbsa_row_range, struct_size, 0);
AT(dbsa_row_range, first_row, 8);
AT(dbsa_row_range, rows, 16);
AT(dbsa_row_range, first_segment, 24);
AT(dbsa_row_range, segment_count, 32);

SIZE(dbsa_plan_description, 56);
AT(dbsa_plan_description, struct_size, 0);
AT(dbsa_plan_description, type, 4);
AT(dbsa_plan_description, rows, 8);
AT(dbsa_plan_description, positions, 16);
AT(dbsa_plan_description, range_count, 24);
AT(dbsa_plan_description, ranges, 32);
AT(dbsa_plan_description, segment_count, 40);
AT(dbsa_plan_description, segments, 48);

SIZE(dbsa_linear_layer, 40);
AT(dbsa_linear_layer, struct_size, 0);
AT(dbsa_linear_layer, reserved, 4);
AT(dbsa_linear_layer, weight, 8);
AT(dbsa_linear_layer, bias, 16);
AT(dbsa_linear_layer, residual, 24);
AT(dbsa_linear_layer, out, 32);

SIZE(dbsa_gated_mlp_weights, 56);
AT(dbsa_gated_mlp_weights, struct_size, 0);
AT(dbsa_gated_mlp_weights, activation, 4);
AT(dbsa_gated_mlp_weights, gate, 8);
AT(dbsa_gated_mlp_weights, gate_bias, 16);
AT(dbsa_gated_mlp_weights, up, 24);
AT(dbsa_gated_mlp_weights, up_bias, 32);
AT(dbsa_gated_mlp_weights, down, 40);
AT(dbsa_gated_mlp_weights, down_bias, 48);

SIZE(dbsa_expert_weights, 40);
AT(dbsa_expert_weights, struct_size, 0);
AT(dbsa_expert_weights, normalised, 4);
AT(dbsa_expert_weights, router, 8);
AT(dbsa_expert_weights, count, 16);
AT(dbsa_expert_weights, used, 24);
AT(dbsa_expert_weights, experts, 32);

SIZE(dbsa_attention_backend_vtable, 288);
AT(dbsa_attention_backend_vtable, struct_size, 0);
AT(dbsa_attention_backend_vtable, configure, 8);
AT(dbsa_attention_backend_vtable, describe, 16);
AT(dbsa_attention_backend_vtable, buffer_create, 24);
AT(dbsa_attention_backend_vtable, buffer_destroy, 32);
AT(dbsa_attention_backend_vtable, upload, 40);
AT(dbsa_attention_backend_vtable, download, 48);
AT(dbsa_attention_backend_vtable, sync, 56);
AT(dbsa_attention_backend_vtable, weight_create, 64);
AT(dbsa_attention_backend_vtable, weight_destroy, 72);
AT(dbsa_attention_backend_vtable, embedding, 80);
AT(dbsa_attention_backend_vtable, linear, 88);
AT(dbsa_attention_backend_vtable, rms_norm, 96);
AT(dbsa_attention_backend_vtable, gated_mlp, 104);
AT(dbsa_attention_backend_vtable, gather_rows, 112);
AT(dbsa_attention_backend_vtable, kv_create, 120);
AT(dbsa_attention_backend_vtable, kv_destroy, 128);
AT(dbsa_attention_backend_vtable, kv_append, 136);
AT(dbsa_attention_backend_vtable, block_format, 144);
AT(dbsa_attention_backend_vtable, block_import, 152);
AT(dbsa_attention_backend_vtable, block_export, 160);
AT(dbsa_attention_backend_vtable, block_to_token_major, 168);
AT(dbsa_attention_backend_vtable, plan_prepare, 176);
AT(dbsa_attention_backend_vtable, plan_destroy, 184);
AT(dbsa_attention_backend_vtable, attention, 192);
AT(dbsa_attention_backend_vtable, layer_norm, 200);
AT(dbsa_attention_backend_vtable, gelu, 208);
AT(dbsa_attention_backend_vtable, packing, 216);
AT(dbsa_attention_backend_vtable, weight_packed, 224);
AT(dbsa_attention_backend_vtable, weight_adopt, 232);
AT(dbsa_attention_backend_vtable, score_tokens, 240);
AT(dbsa_attention_backend_vtable, code_path, 248);
AT(dbsa_attention_backend_vtable, add, 256);
AT(dbsa_attention_backend_vtable, scale, 264);
AT(dbsa_attention_backend_vtable, supports, 272);
AT(dbsa_attention_backend_vtable, experts, 280);
CHECK(DBSA_ATTENTION_BACKEND_VTABLE_LEAST == 272);

SIZE(dbsa_quantised_weights, 24);
AT(dbsa_quantised_weights, struct_size, 0);
AT(dbsa_quantised_weights, type_count, 4);
AT(dbsa_quantised_weights, types, 8);
AT(dbsa_quantised_weights, weight_create, 16);
CHECK(DBSA_QUANTISED_WEIGHTS_LEAST == 24);

#undef CHECK
#undef SIZE
#undef AT

#endif /* DBSA_TESTS_ABI_LAYOUT_H */
