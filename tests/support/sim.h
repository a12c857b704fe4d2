/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Virtual time for tests: a worker without a loop. Deferred work and timers run as in a real one,
 * and time jumps from deadline to deadline. */
#pragma once
#include "net/worker.h"

#define SIM_START NS_PER_S /* the clock's first value */

/* worker->loop is NULL and its clock reads worker->now, so nothing that polls descriptors works on
 * it. */
void sim_init(struct worker *w);

/* Runs what is deferred, else moves to the next deadline and fires it. False when there is nothing
 * left to do. */
bool sim_step(struct worker *w);

/* Runs everything that is due within `ns` from now and ends at that time. Aborts after
 * SIM_STEPS_MAX steps, which only a livelock reaches. */
#define SIM_STEPS_MAX 10000000
void sim_run(struct worker *w, uint64_t ns);
