// SPDX-License-Identifier: Apache-2.0
// What the columns of the table cannot say about an op: limits of shapes and attributes.
#ifndef TENON_CPU_CHECKS_H
#define TENON_CPU_CHECKS_H

#include "ops.h"

// All are of type cpu_check_fn.
uint32_t tni_cpu_check_conv(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_pool(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_matmul(const tn_graph_view *view, const tn_graph_node *node,
                              tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_gemm(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_batch_norm(const tn_graph_view *view, const tn_graph_node *node,
                                  tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_softmax(const tn_graph_view *view, const tn_graph_node *node,
                               tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_layer_norm(const tn_graph_view *view, const tn_graph_node *node,
                                  tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_reduce(const tn_graph_view *view, const tn_graph_node *node,
                              tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_resize(const tn_graph_view *view, const tn_graph_node *node,
                              tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_dropout(const tn_graph_view *view, const tn_graph_node *node,
                               tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_gather(const tn_graph_view *view, const tn_graph_node *node,
                              tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_quantize(const tn_graph_view *view, const tn_graph_node *node,
                                tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_qlinear(const tn_graph_view *view, const tn_graph_node *node,
                               tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_dequantize(const tn_graph_view *view, const tn_graph_node *node,
                                  tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_lstm(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict);
uint32_t tni_cpu_check_variadic(const tn_graph_view *view, const tn_graph_node *node,
                                tn_node_verdict *out_verdict);

#endif // TENON_CPU_CHECKS_H
