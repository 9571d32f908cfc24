// SPDX-License-Identifier: Apache-2.0
// MatMul (numpy.matmul) and Gemm (alpha * A' * B' + beta * C). Floating-point sums are double;
// integer sums wrap around.
#include "kernels.h"

#include <math.h>

// Columns of one row that are summed at a time, on the stack.
#define TILE 256

// One matrix of a stack: element (row, column) lies at begin + row * row_step + column *
// column_step.
typedef struct matrix {
    const ref_tensor *tensor;
    int64_t begin;
    int64_t row_step;
    int64_t column_step;
} matrix;

typedef struct matmul_job {
    const ref_tensor *left;
    const ref_tensor *right;
    ref_tensor *output;
    int64_t rows;
    int64_t depth;
    int64_t columns;
    uint32_t batch_rank;
    int64_t batch_dims[TN_MAX_RANK];
    uint32_t left_transposed;
    uint32_t right_transposed;
    double alpha;
    double beta;
    const ref_tensor *addend; // may be null
    // Of the quantised forms, for all elements, per row (left) or column (right), or per row or
    // column of each matrix. All may be null.
    const ref_tensor *left_zero;
    const ref_tensor *right_zero;
    const ref_tensor *left_scale;
    const ref_tensor *right_scale;
    const ref_tensor *output_scale;
    const ref_tensor *output_zero;
} matmul_job;

static void sum_row(const matmul_job *job, const matrix *a, const matrix *b, int64_t row,
                    int64_t begin, int64_t end, double *sums) {
    if (b->column_step == 1) {
        for (int64_t k = 0; k < job->depth; ++k) {
            const double weight =
                tni_ref_load(a->tensor, a->begin + row * a->row_step + k * a->column_step);
            tni_ref_add_scaled(sums, end - begin, weight, b->tensor,
                               b->begin + k * b->row_step + begin, 1);
        }
        return;
    }
    for (int64_t j = begin; j < end; ++j) {
        double sum = 0.0;
        for (int64_t k = 0; k < job->depth; ++k) {
            sum += tni_ref_load(a->tensor, a->begin + row * a->row_step + k * a->column_step) *
                   tni_ref_load(b->tensor, b->begin + k * b->row_step + j * b->column_step);
        }
        sums[j - begin] = sum;
    }
}

// Where the zero point or scale of row (or column) `index` of matrix `batch` is.
static int64_t line_of(const ref_tensor *tensor, int64_t batch, int64_t index, int64_t size) {
    return tensor->count == 1 ? 0 : (tensor->count == size ? index : batch * size + index);
}

static uint32_t fits_lines(const ref_tensor *tensor, int64_t batches, int64_t size) {
    return tensor == NULL || tensor->count == 1 || tensor->count == size ||
                   tensor->count == batches * size
               ? 1u
               : 0u;
}

static uint64_t zero_point(const ref_tensor *zero, int64_t batch, int64_t index, int64_t size) {
    return zero == NULL ? 0 : (uint64_t)tni_ref_load_int(zero, line_of(zero, batch, index, size));
}

static int64_t sum_integers(const matmul_job *job, const matrix *a, const matrix *b, int64_t item,
                            int64_t column) {
    const int64_t row = item % job->rows;
    const int64_t batch = item / job->rows;
    const uint64_t left_zero = zero_point(job->left_zero, batch, row, job->rows);
    const uint64_t right_zero = zero_point(job->right_zero, batch, column, job->columns);
    uint64_t sum = 0;
    for (int64_t k = 0; k < job->depth; ++k) {
        const int64_t x =
            tni_ref_load_int(a->tensor, a->begin + row * a->row_step + k * a->column_step);
        const int64_t y =
            tni_ref_load_int(b->tensor, b->begin + k * b->row_step + column * b->column_step);
        sum += ((uint64_t)x - left_zero) * ((uint64_t)y - right_zero);
    }
    return (int64_t)sum;
}

// alpha * sum + beta * C, with C broadcast to the output.
static double finish(const matmul_job *job, double sum, int64_t at) {
    const double product = job->alpha * sum;
    if (job->addend == NULL) {
        return product;
    }
    const int64_t from = tni_ref_broadcast(job->addend, job->output->dims, job->output->rank, at);
    return product + job->beta * tni_ref_load(job->addend, from);
}

// The matrix of one batch index, broadcast over the leading axes.
static matrix select_matrix(const matmul_job *job, const ref_tensor *tensor, int64_t batch,
                            int64_t rows, int64_t columns, uint32_t transposed) {
    ref_tensor stack = *tensor;
    stack.rank = tensor->rank > 2 ? tensor->rank - 2 : 0;
    const int64_t index = tni_ref_broadcast(&stack, job->batch_dims, job->batch_rank, batch);
    return (matrix){.tensor = tensor,
                    .begin = index * rows * columns,
                    .row_step = transposed ? 1 : columns,
                    .column_step = transposed ? rows : 1};
}

// The same for integers: exact where alpha and beta are 1, else through double.
static void finish_integer(const matmul_job *job, int64_t sum, int64_t at) {
    int64_t addend = 0;
    if (job->addend != NULL) {
        addend = tni_ref_load_int(
            job->addend, tni_ref_broadcast(job->addend, job->output->dims, job->output->rank, at));
    }
    if (job->alpha == 1.0 && (job->addend == NULL || job->beta == 1.0)) {
        tni_ref_store_int(job->output, at, (int64_t)((uint64_t)sum + (uint64_t)addend));
    } else {
        tni_ref_store(job->output, at, job->alpha * (double)sum + job->beta * (double)addend);
    }
}

// QLinearMatMul: the 32-bit sum in units of the output, rounded half to even.
static void requantize(const matmul_job *job, int32_t sum, int64_t item, int64_t column) {
    const int64_t row = item % job->rows;
    const int64_t batch = item / job->rows;
    const double left =
        tni_ref_load(job->left_scale, line_of(job->left_scale, batch, row, job->rows));
    const double right =
        tni_ref_load(job->right_scale, line_of(job->right_scale, batch, column, job->columns));
    const double multiplier = left * right / tni_ref_load(job->output_scale, 0);
    const double zero = (double)tni_ref_load_int(job->output_zero, 0);
    tni_ref_store(job->output, item * job->columns + column,
                  nearbyint((double)sum * multiplier) + zero);
}

// Computes elements [begin, end) of one output row; item counts rows over all matrices.
static void run_tile(const matmul_job *job, const matrix *a, const matrix *b, int64_t item,
                     int64_t begin, int64_t end) {
    const int64_t row = item % job->rows;
    const int64_t first = item * job->columns;
    if (!tni_ref_is_float(job->output->dtype)) {
        for (int64_t j = begin; j < end; ++j) {
            const int64_t sum = sum_integers(job, a, b, item, j);
            if (job->output_scale != NULL) {
                requantize(job, (int32_t)(uint32_t)(uint64_t)sum, item, j);
            } else {
                finish_integer(job, sum, first + j);
            }
        }
        return;
    }
    double sums[TILE] = {0.0};
    sum_row(job, a, b, row, begin, end, sums);
    for (int64_t j = begin; j < end; ++j) {
        tni_ref_store(job->output, first + j, finish(job, sums[j - begin], first + j));
    }
}

// One item: one row of one matrix of the output.
static void matmul_rows(void *user_data, uint64_t first, uint64_t last, uint32_t worker) {
    (void)worker;
    const matmul_job *job = user_data;
    for (int64_t item = (int64_t)first; item < (int64_t)last; ++item) {
        const int64_t batch = item / job->rows;
        const matrix a =
            select_matrix(job, job->left, batch, job->rows, job->depth, job->left_transposed);
        const matrix b =
            select_matrix(job, job->right, batch, job->depth, job->columns, job->right_transposed);
        for (int64_t begin = 0; begin < job->columns; begin += TILE) {
            const int64_t end = begin + TILE < job->columns ? begin + TILE : job->columns;
            run_tile(job, &a, &b, item, begin, end);
        }
    }
}

static void run_job(const ref_call *call, matmul_job *job) {
    const int64_t batches = tni_ref_product(job->batch_dims, 0, job->batch_rank);
    if (job->output->count != 0) {
        tni_ref_parallel(call, batches * job->rows, job->depth * job->columns + 1, matmul_rows,
                         job);
    }
}

// Zero points and scales of the quantised forms, which have their inputs in different places.
static uint32_t read_quantization(const ref_call *call, matmul_job *job) {
    const int64_t batches = tni_ref_product(job->batch_dims, 0, job->batch_rank);
    if (call->op->variant == REF_MATMUL_INTEGER) {
        job->left_zero = tni_ref_input(call, 2);
        job->right_zero = tni_ref_input(call, 3);
    } else if (call->op->variant == REF_MATMUL_QLINEAR) {
        job->left_scale = call->inputs[1];
        job->left_zero = call->inputs[2];
        job->right_scale = call->inputs[4];
        job->right_zero = call->inputs[5];
        job->output_scale = call->inputs[6];
        job->output_zero = call->inputs[7];
        if (job->output_scale->count != 1 || job->output_zero->count != 1 ||
            job->output_zero->dtype != job->output->dtype) {
            return 0;
        }
    }
    return fits_lines(job->left_zero, batches, job->rows) &&
                   fits_lines(job->left_scale, batches, job->rows) &&
                   fits_lines(job->right_zero, batches, job->columns) &&
                   fits_lines(job->right_scale, batches, job->columns)
               ? 1u
               : 0u;
}

// Whether the output has the batch axes of both operands, and rows times columns behind them.
static uint32_t fits_output(const matmul_job *job) {
    ref_tensor left_stack = *job->left;
    ref_tensor right_stack = *job->right;
    left_stack.rank -= 2;
    right_stack.rank -= 2;
    return tni_ref_broadcasts_to(&left_stack, job->batch_dims, job->batch_rank) &&
                   tni_ref_broadcasts_to(&right_stack, job->batch_dims, job->batch_rank) &&
                   tni_ref_product(job->batch_dims, 0, job->batch_rank) * job->rows *
                           job->columns ==
                       job->output->count
               ? 1u
               : 0u;
}

// A vector on the left is a row, one on the right a column; the added axis is not in the output.
tn_status tni_ref_matmul(const ref_call *call) {
    const uint32_t right_at = call->op->variant == REF_MATMUL_QLINEAR ? 3 : 1;
    ref_tensor left = *call->inputs[0];
    ref_tensor right = *call->inputs[right_at];
    ref_tensor *output = call->outputs[0];
    const uint32_t plain = call->op->variant == REF_MATMUL_PLAIN ? 1u : 0u;
    if (left.rank == 0 || right.rank == 0 ||
        (plain && (left.dtype != right.dtype || left.dtype != output->dtype)) ||
        (call->op->variant == REF_MATMUL_INTEGER && output->dtype != TN_DTYPE_INT32)) {
        return tni_ref_invalid(call, "ranks or types");
    }
    // The batch axes are the output's leading ones.
    const uint32_t matrix_axes = (left.rank > 1 ? 1u : 0u) + (right.rank > 1 ? 1u : 0u);
    if (left.rank == 1) {
        left.rank = 2;
        left.dims[1] = left.dims[0];
        left.dims[0] = 1;
    }
    if (right.rank == 1) {
        right.rank = 2;
        right.dims[1] = 1;
    }
    matmul_job job = {.left = &left,
                      .right = &right,
                      .output = output,
                      .rows = left.dims[left.rank - 2],
                      .depth = left.dims[left.rank - 1],
                      .columns = right.dims[right.rank - 1],
                      .batch_rank = (left.rank > right.rank ? left.rank : right.rank) - 2,
                      .alpha = 1.0};
    if (right.dims[right.rank - 2] != job.depth || output->rank != job.batch_rank + matrix_axes) {
        return tni_ref_invalid(call, "shapes");
    }
    memcpy(job.batch_dims, output->dims, job.batch_rank * sizeof output->dims[0]);
    if (!fits_output(&job) || !read_quantization(call, &job)) {
        return tni_ref_invalid(call, "shapes, scales or zero points");
    }
    run_job(call, &job);
    return TN_OK;
}

tn_status tni_ref_gemm(const ref_call *call) {
    const ref_tensor *left = call->inputs[0];
    const ref_tensor *right = call->inputs[1];
    ref_tensor *output = call->outputs[0];
    if (left->rank != 2 || right->rank != 2 || output->rank != 2 || left->dtype != right->dtype ||
        left->dtype != output->dtype) {
        return tni_ref_invalid(call, "ranks or types");
    }
    const uint32_t left_transposed = tni_ref_int(call, "transA", 0) != 0 ? 1u : 0u;
    const uint32_t right_transposed = tni_ref_int(call, "transB", 0) != 0 ? 1u : 0u;
    matmul_job job = {.left = left,
                      .right = right,
                      .output = output,
                      .rows = left->dims[left_transposed],
                      .depth = left->dims[1 - left_transposed],
                      .columns = right->dims[1 - right_transposed],
                      .left_transposed = left_transposed,
                      .right_transposed = right_transposed,
                      .alpha = tni_ref_float(call, "alpha", 1.0f),
                      .beta = tni_ref_float(call, "beta", 1.0f),
                      .addend = tni_ref_input(call, 2)};
    if (right->dims[right_transposed] != job.depth || output->dims[0] != job.rows ||
        output->dims[1] != job.columns ||
        (job.addend != NULL && job.addend->dtype != output->dtype) ||
        (job.addend != NULL && !tni_ref_broadcasts_to(job.addend, output->dims, output->rank))) {
        return tni_ref_invalid(call, "shapes");
    }
    run_job(call, &job);
    return TN_OK;
}

// Operands are numbered as they stand in the node: the matrices are the first and the fourth.
uint32_t tni_ref_check_qlinear_matmul(const tn_graph_view *view, const tn_graph_node *node,
                                      tn_node_verdict *out_verdict) {
    static const uint32_t matrices[] = {0, 3, 7};
    for (uint32_t i = 0; i < sizeof matrices / sizeof matrices[0]; ++i) {
        const uint32_t value = tn_view_node_input(view, node, matrices[i]);
        const tn_dtype dtype = tn_view_value(view, value)->dtype;
        if (dtype != TN_DTYPE_INT8 && dtype != TN_DTYPE_UINT8) {
            tn_helper_no(out_verdict, TN_REASON_DTYPE, matrices[i], 0, dtype);
            return 0;
        }
    }
    return 1;
}
