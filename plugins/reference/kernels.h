// SPDX-License-Identifier: Apache-2.0
// Every kernel and check that op_table.c names, by the file that holds them. Kernels: [no-alloc];
// errors as ref_kernel in ops.h says.
#ifndef TENON_REFERENCE_KERNELS_H
#define TENON_REFERENCE_KERNELS_H

#include "ops.h"

// elementwise.c
tn_status tni_ref_unary(const ref_call *call);
tn_status tni_ref_binary(const ref_call *call);

// elementwise_more.c
tn_status tni_ref_fold(const ref_call *call);
tn_status tni_ref_pow(const ref_call *call);
tn_status tni_ref_mod(const ref_call *call);
tn_status tni_ref_gelu(const ref_call *call);
tn_status tni_ref_isinf(const ref_call *call);
tn_status tni_ref_clip(const ref_call *call);
tn_status tni_ref_where(const ref_call *call);
tn_status tni_ref_cast(const ref_call *call);
uint32_t tni_ref_check_cast(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict);

// conv.c, conv_transpose.c
tn_status tni_ref_conv(const ref_call *call);
tn_status tni_ref_conv_transpose(const ref_call *call);
uint32_t tni_ref_check_conv(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict);

// pool.c
tn_status tni_ref_pool(const ref_call *call);
tn_status tni_ref_global_pool(const ref_call *call);

// matmul.c
tn_status tni_ref_matmul(const ref_call *call);
tn_status tni_ref_gemm(const ref_call *call);

// norm.c
tn_status tni_ref_batch_norm(const ref_call *call);
uint32_t tni_ref_check_batch_norm(const tn_graph_view *view, const tn_graph_node *node,
                                  tn_node_verdict *out_verdict);
tn_status tni_ref_group_norm(const ref_call *call);
tn_status tni_ref_layer_norm(const ref_call *call);
tn_status tni_ref_lrn(const ref_call *call);

// softmax.c
tn_status tni_ref_softmax(const ref_call *call);

// movement.c
tn_status tni_ref_copy(const ref_call *call);
tn_status tni_ref_reshape(const ref_call *call);
tn_status tni_ref_squeeze(const ref_call *call);
tn_status tni_ref_transpose(const ref_call *call);
tn_status tni_ref_expand(const ref_call *call);
tn_status tni_ref_slice(const ref_call *call);
tn_status tni_ref_concat(const ref_call *call);
tn_status tni_ref_split(const ref_call *call);

// index_ops.c
tn_status tni_ref_gather(const ref_call *call);
tn_status tni_ref_gather_elements(const ref_call *call);
tn_status tni_ref_gather_nd(const ref_call *call);
tn_status tni_ref_tile(const ref_call *call);
tn_status tni_ref_pad(const ref_call *call);
tn_status tni_ref_trilu(const ref_call *call);
tn_status tni_ref_depth_space(const ref_call *call);
tn_status tni_ref_one_hot(const ref_call *call);

// scatter.c
tn_status tni_ref_scatter_elements(const ref_call *call);
tn_status tni_ref_scatter_nd(const ref_call *call);
tn_status tni_ref_top_k(const ref_call *call);
tn_status tni_ref_eye_like(const ref_call *call);

// reduce.c
tn_status tni_ref_reduce(const ref_call *call);
tn_status tni_ref_arg(const ref_call *call);
tn_status tni_ref_cumsum(const ref_call *call);

// shape_ops.c
tn_status tni_ref_shape(const ref_call *call);
tn_status tni_ref_size(const ref_call *call);
tn_status tni_ref_constant(const ref_call *call);
tn_status tni_ref_constant_of_shape(const ref_call *call);
tn_status tni_ref_range(const ref_call *call);

// quantize.c
tn_status tni_ref_quantize(const ref_call *call);
tn_status tni_ref_dequantize(const ref_call *call);
tn_status tni_ref_dynamic_quantize(const ref_call *call);

// resize.c
tn_status tni_ref_resize(const ref_call *call);
int64_t tni_ref_resize_scratch(const ref_call *call);

// recurrent.c
tn_status tni_ref_recurrent(const ref_call *call);
int64_t tni_ref_recurrent_scratch(const ref_call *call);

// conv_integer.c
tn_status tni_ref_conv_integer(const ref_call *call);
tn_status tni_ref_qlinear_conv(const ref_call *call);

// einsum.c
tn_status tni_ref_einsum(const ref_call *call);

// matmul.c: verdict
uint32_t tni_ref_check_qlinear_matmul(const tn_graph_view *view, const tn_graph_node *node,
                                      tn_node_verdict *out_verdict);

// loss.c
tn_status tni_ref_loss(const ref_call *call);

// attention.c
tn_status tni_ref_attention(const ref_call *call);
int64_t tni_ref_attention_scratch(const ref_call *call);

// sequence_mixing.c
tn_status tni_ref_rotary(const ref_call *call);
tn_status tni_ref_linear_attention(const ref_call *call);
int64_t tni_ref_linear_attention_scratch(const ref_call *call);
tn_status tni_ref_causal_conv(const ref_call *call);

// select.c
tn_status tni_ref_non_zero(const ref_call *call);
uint32_t tni_ref_non_zero_bound(const ref_call *call);
tn_status tni_ref_compress(const ref_call *call);
uint32_t tni_ref_compress_bound(const ref_call *call);
tn_status tni_ref_unique(const ref_call *call);
uint32_t tni_ref_unique_bound(const ref_call *call);
int64_t tni_ref_unique_scratch(const ref_call *call);

// suppress.c
tn_status tni_ref_suppress(const ref_call *call);
uint32_t tni_ref_suppress_bound(const ref_call *call);
int64_t tni_ref_suppress_scratch(const ref_call *call);

// signal.c
tn_status tni_ref_dft(const ref_call *call);
int64_t tni_ref_dft_scratch(const ref_call *call);
tn_status tni_ref_stft(const ref_call *call);
int64_t tni_ref_stft_scratch(const ref_call *call);
tn_status tni_ref_window_function(const ref_call *call);
tn_status tni_ref_mel(const ref_call *call);

// grid.c
tn_status tni_ref_grid_sample(const ref_call *call);
tn_status tni_ref_affine_grid(const ref_call *call);

// roi.c
tn_status tni_ref_roi_align(const ref_call *call);
tn_status tni_ref_max_roi_pool(const ref_call *call);

// unfold.c
tn_status tni_ref_col2im(const ref_call *call);
tn_status tni_ref_max_unpool(const ref_call *call);
tn_status tni_ref_deform_conv(const ref_call *call);

// placement.c
tn_status tni_ref_center_crop_pad(const ref_call *call);
tn_status tni_ref_tensor_scatter(const ref_call *call);
tn_status tni_ref_reverse_sequence(const ref_call *call);

// random.c
tn_status tni_ref_random(const ref_call *call);
tn_status tni_ref_bernoulli(const ref_call *call);
tn_status tni_ref_multinomial(const ref_call *call);
tn_status tni_ref_dropout(const ref_call *call);

// optimizers.c
tn_status tni_ref_optimizer(const ref_call *call);

// tfidf.c
tn_status tni_ref_tfidf(const ref_call *call);

// norm_more.c
tn_status tni_ref_lp_norm(const ref_call *call);
tn_status tni_ref_mean_variance(const ref_call *call);
tn_status tni_ref_det(const ref_call *call);
int64_t tni_ref_det_scratch(const ref_call *call);

// bits.c
tn_status tni_ref_bit_shift(const ref_call *call);
tn_status tni_ref_bit_cast(const ref_call *call);
tn_status tni_ref_swiglu(const ref_call *call);

#endif // TENON_REFERENCE_KERNELS_H
