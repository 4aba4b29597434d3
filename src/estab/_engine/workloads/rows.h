/* The workloads by name, each defined as `workload_NAME` in NAME.c. */
#ifndef ESTAB_ROWS_H
#define ESTAB_ROWS_H

#include "../client.h"

#define WORKLOADS(X) X(rr) X(flood) X(hold) X(churn) X(rate) X(rest)

#define DECLARE_WORKLOAD(name) extern const struct workload workload_##name;
WORKLOADS(DECLARE_WORKLOAD)

#endif
