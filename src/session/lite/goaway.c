/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

struct goaway {
  struct control control;
};

static struct goaway *goaway_of(struct control *c)
{
  return container_of(c, struct goaway, control);
}

static void goaway_message(struct control *c, const struct lite_raw *raw)
{
  struct lite_session *s = c->session;
  union lite_body body;
  if (lite_decode(s->version->version, LITE_GOAWAY, raw->body, &body) < 0) {
    control_abort(c, LITE_RESET_MALFORMED);
    return;
  }
  if (s->goaway_seen) {
    session_violation(s, "a second GOAWAY");
    return;
  }
  s->goaway_seen = true;
  log_info(s->env->log, "session %llu: the peer asks us to leave", (unsigned long long)s->id);
  if (s->events->on_goaway)
    s->events->on_goaway(s->ctx, s, body.goaway.uri);
}

static void goaway_fin(struct control *c)
{
  control_fin(c);
}

static void goaway_reset(struct control *c, uint64_t code)
{
  control_abort(c, LITE_RESET_CANCELLED);
}

static void goaway_gone(struct control *c)
{
  free(goaway_of(c));
}

static const struct control_ops goaway_ops = {
    .name = "goaway", .message = goaway_message, .fin = goaway_fin, .reset = goaway_reset, .gone = goaway_gone};

void goaway_accept(struct lite_session *s, struct stream *stream)
{
  struct goaway *g = calloc(1, sizeof *g);
  if (!g) {
    session_refuse(stream, LITE_RESET_INTERNAL);
    return;
  }
  control_accept(&g->control, s, stream, LITE_STREAM_GOAWAY, &goaway_ops);
}

void lite_session_goaway(struct lite_session *s, const char *uri)
{
  if (s->goaway_sent || s->closing || !s->version->goaway)
    return;
  struct goaway *g = calloc(1, sizeof *g);
  if (!g || control_open(&g->control, s, LITE_STREAM_GOAWAY, &goaway_ops) < 0) {
    free(g);
    return;
  }
  s->goaway_sent = true;
  control_send(&g->control, LITE_GOAWAY, &(union lite_body){.goaway = {slice_str(uri)}});
  control_fin(&g->control);
}
