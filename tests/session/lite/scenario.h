/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A life of everything at once, that can be broken off anywhere: a publisher's and a viewer's node with our sessions, a raw
 * publisher and a raw viewer, all at one relay. Nothing in it is checked but that nothing is left. */
#pragma once
#include "lab.h"

enum victim { NOBODY, RAW_PUBLISHER, RAW_VIEWER, OUR_PUBLISHER, OUR_VIEWER, VICTIMS };
enum death { CUT, KILLED, CLOSED_BY_PEER, CLOSED_BY_US, DEATHS };

struct scenario {
  struct lab lab;
  struct node relay, far;
  struct raw publisher, viewer;
  struct end publisher_end, viewer_end, up_end, down_end;
  struct pair *link;
  enum victim victim;
  enum death death;
  bool tight; /* little stream credit, small windows */
};

void scenario_run(struct scenario *s, enum lite_version v, unsigned long kill_at);
