// SPDX-License-Identifier: Apache-2.0
// Every kernel and check that op_table.c names, by the file that holds them. Kernels: [no-alloc];
// errors as ref_kernel in ops.h says.
#ifndef TENON_REFERENCE_KERNELS_H
#define TENON_REFERENCE_KERNELS_H

#include "ops.h"

// elementwise.c
tn_status tni_ref_unary(const ref_call *call);
tn_status tni_ref_binary(const ref_call *call);

// conv.c
tn_status tni_ref_conv(const ref_call *call);
uint32_t tni_ref_check_conv(const tn_graph_view *view, const tn_graph_node *node,
                            tn_node_verdict *out_verdict);

#endif // TENON_REFERENCE_KERNELS_H
