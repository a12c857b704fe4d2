/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Serves PROBE: tells the peer the bitrate and round-trip time that our transport sees, at once, then when either moved by
 * a quarter (a threshold that falls to nothing over the longest interval), not more often than the shortest interval. The
 * transport is looked at that often only while it carries something: an idle one learns nothing new, and there may be
 * thousands of them. */
#include "session/lite/internal.h"
#include <stdlib.h>

#define PROBE_SHORTEST (100 * NS_PER_MS)
#define PROBE_LONGEST (10 * NS_PER_S)
#define PROBE_IDLE_BYTES                                                                                               \
  4096 /* sent between two looks: no more than keeping the connection and the probe alive takes */

struct probe {
  struct control control;
  struct timer timer;
  uint64_t sent_at, bitrate, rtt;
  uint64_t interval; /* between looks */
  uint64_t bytes;    /* that the transport had sent at the last one */
};

static struct probe *probe_of(struct control *c)
{
  return container_of(c, struct probe, control);
}

/* Whether b differs from a by more than a share that falls from 1/4 to 0 as `age` grows. */
static bool moved(uint64_t a, uint64_t b, uint64_t age)
{
  uint64_t diff = a > b ? a - b : b - a;
  double share = 0.25 * (1 - (double)age / (double)PROBE_LONGEST);
  return (double)diff > (double)a * share;
}

static void look_again(struct probe *p, const struct transport_stats *stats, uint64_t now)
{
  bool idle = stats->bytes_sent - p->bytes < PROBE_IDLE_BYTES;
  p->bytes = stats->bytes_sent;
  p->interval = idle ? 2 * p->interval : PROBE_SHORTEST;
  if (p->interval > PROBE_LONGEST)
    p->interval = PROBE_LONGEST;
  uint64_t at = now + p->interval, last = p->sent_at + PROBE_LONGEST;
  timers_set(p->control.session->env->timers, &p->timer, timers_lazy(now, at < last ? at : last));
}

static void report(struct probe *p, uint64_t now)
{
  struct lite_session *s = p->control.session;
  struct transport_stats stats = {0};
  s->transport->ops->stats(s->transport, &stats);
  uint64_t rtt = stats.rtt_ns / NS_PER_MS;
  if (stats.rtt_ns > 0 && rtt == 0)
    rtt = 1; /* 0 means unknown */
  uint64_t age = now - p->sent_at;
  if (p->sent_at == 0 || age >= PROBE_LONGEST || moved(p->bitrate, stats.bitrate, age) || moved(p->rtt, rtt, age)) {
    p->bitrate = stats.bitrate;
    p->rtt = rtt;
    p->sent_at = now;
    control_send(&p->control, LITE_PROBE, &(union lite_body){.probe = {p->bitrate & ((1ULL << 53) - 1), p->rtt}});
  }
  look_again(p, &stats, now);
}

static void probe_timer(struct timer *t, uint64_t now)
{
  report(container_of(t, struct probe, timer), now);
}

void probe_wake(struct lite_session *s)
{
  struct probe *p = s->probe ? probe_of(s->probe) : NULL;
  if (!p || p->interval == PROBE_SHORTEST || !timer_armed(&p->timer))
    return;
  p->interval = PROBE_SHORTEST;
  timers_set(s->env->timers, &p->timer, session_now(s) + PROBE_SHORTEST);
}

static void probe_message(struct control *c, const struct lite_raw *raw)
{
  /* A target from the peer: we do not probe for more than is sent anyway. */
}

static void probe_stop(struct probe *p)
{
  timers_cancel(p->control.session->env->timers, &p->timer);
}

static void probe_fin(struct control *c)
{
  probe_stop(probe_of(c));
  control_fin(c);
}

static void probe_reset(struct control *c, uint64_t code)
{
  probe_stop(probe_of(c));
  control_abort(c, LITE_RESET_CANCELLED);
}

static void probe_gone(struct control *c)
{
  struct probe *p = probe_of(c);
  probe_stop(p);
  if (c->session->probe == c)
    c->session->probe = NULL;
  free(p);
}

static const struct control_ops probe_ops = {.name = "probe",
                                             .no_request = true,
                                             .message = probe_message,
                                             .fin = probe_fin,
                                             .reset = probe_reset,
                                             .stopped = probe_reset,
                                             .gone = probe_gone};

void probe_accept(struct lite_session *s, struct stream *stream)
{
  struct probe *p = s->probe ? NULL : calloc(1, sizeof *p); /* one per session: each costs a timer */
  if (!p) {
    session_refuse(stream, LITE_RESET_CANCELLED);
    return;
  }
  control_accept(&p->control, s, stream, LITE_STREAM_PROBE, &probe_ops);
  timer_init(&p->timer, probe_timer);
  p->interval = PROBE_SHORTEST;
  s->probe = &p->control;
  report(p, session_now(s));
}
