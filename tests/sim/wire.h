/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A connection in the simulated network, with what may befall it: blackouts, slowness, death. */
#pragma once
#include "support/mem_transport.h"

struct run;

struct wire {
  struct list link; /* in run->wires */
  struct run *run;
  const struct actor *who; /* for the story */
  struct mem_pair *mem;
  struct timer light; /* ends a blackout */
  bool good;          /* nothing befalls it */
  bool dark;
  uint64_t disturbed;   /* ns, when something befell it last */
  uint64_t delay, rate; /* as it was made */
};

/* A random link, or a good one: a few milliseconds, no rate, windows that never fill. `who` outlives it. */
struct wire *wire_new(struct run *r, const struct actor *who, bool good);
void wire_blackout(struct wire *w, uint64_t ns);
/* Both ends are closed after the idle timeout. */
void wire_kill(struct wire *w);
/* Both ends are gone at once; w as well. */
void wire_cut(struct wire *w);
/* From now on as a good one. */
void wire_heal(struct wire *w);
/* Frees those whose ends are both gone. Not from inside an event. */
void wires_sweep(struct run *r);
