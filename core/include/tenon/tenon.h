// SPDX-License-Identifier: Apache-2.0
// The embedding API in one include: host -> model -> compiled -> request. Four phases are four
// calls: tn_model_load_*, tn_compile, tn_request_prepare, tn_request_run. examples/embed is the
// shortest whole program. A null handle is never fatal: counts are 0, retain, release and stop do
// nothing, everything else returns an error.
#ifndef TENON_TENON_H
#define TENON_TENON_H

#include "tenon/compiled.h"
#include "tenon/host.h"
#include "tenon/model.h"
#include "tenon/plan.h"
#include "tenon/request.h"
#include "tenon/trace.h"

#endif // TENON_TENON_H
