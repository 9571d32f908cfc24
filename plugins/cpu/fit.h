// SPDX-License-Identifier: Apache-2.0
// Whether the shapes of a node's operands fit each other, once all sizes are known. The host infers
// shapes, but what computes here takes addresses from them: nothing is emitted for a node whose
// result would not be as large as its operands make it. Each returns 1 or 0.
#ifndef TENON_CPU_FIT_H
#define TENON_CPU_FIT_H

#include "ops.h"

// The result has the shape and type of the first input.
uint32_t tni_cpu_fit_same(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_binary(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_conv(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_conv_transpose(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_pool(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_resize(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_matmul(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_gemm(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_batch_norm(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_layer_norm(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_reduce(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_lstm(const cpu_build *build, const cpu_node *node);
// As many elements of the same type.
uint32_t tni_cpu_fit_view(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_transpose(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_concat(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_slice(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_split(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_expand(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_gather(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_quantize(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_dequantize(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_qlinear_conv(const cpu_build *build, const cpu_node *node);
uint32_t tni_cpu_fit_qlinear_matmul(const cpu_build *build, const cpu_node *node);

#endif // TENON_CPU_FIT_H
