/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The SETUP exchange of moq-lite 01 and 02, on the client's first bidirectional stream: CLIENT_SETUP
 * offers versions in order of preference, SERVER_SETUP picks one, once the client may come in: to
 * deployed clients it means that they have. The stream stays open for the
 * session's life and carries SESSION_INFO, which nobody acts on; its end is the session's end. Three
 * framings are in the field (wire-lite, "Legacy SETUP exchange"); the stream's type tells which. */
#include "session/lite/internal.h"
#include <errno.h>
#include <stdlib.h>

struct legacy_setup {
  struct control control;
  enum lite_msg reply; /* SERVER_SETUP in the client's framing */
  uint64_t code;       /* of the version that it tells */
  bool done;           /* a version was picked */
};

static struct legacy_setup *legacy_of(struct control *c)
{
  return container_of(c, struct legacy_setup, control);
}

static bool allowed(const struct lite_session *s, uint64_t code, enum lite_version *ret_version)
{
  enum lite_version v;
  if (!lite_from_code(code, &v) || !(s->legacy & 1u << v))
    return false;
  *ret_version = v;
  return true;
}

/* From here on the session is of version v. */
static void picked(struct legacy_setup *l, enum lite_version v, struct slice authorization)
{
  struct lite_session *s = l->control.session;
  l->done = true;
  l->control.reader.version = v;
  s->version = lite_info(v);
  session_is_set_up(s, authorization);
}

static void client_setup(struct legacy_setup *l, const struct lite_client_setup *m)
{
  struct lite_session *s = l->control.session;
  struct slice rest = m->versions;
  enum lite_version v;
  uint64_t code;
  while (lite_next_varint(&rest, &code)) {
    if (!allowed(s, code, &v))
      continue;
    l->code = code;
    s->unanswered = l;
    picked(l, v, m->authorization);
    return;
  }
  log_info(s->env->log, "session %llu: SETUP offers no version that is spoken here", (unsigned long long)s->id);
  lite_session_close(s, LITE_CLOSE_VERSION, "no common version");
}

void setup_legacy_answer(struct lite_session *s)
{
  struct legacy_setup *l = s->unanswered;
  s->unanswered = NULL;
  if (l)
    control_send(&l->control, l->reply, &(union lite_body){.server_setup = {l->code}});
}

static void server_setup(struct legacy_setup *l, const struct lite_server_setup *m)
{
  enum lite_version v;
  if (allowed(l->control.session, m->version, &v))
    picked(l, v, slice_of(NULL, 0));
  else
    session_violation(l->control.session, "SERVER_SETUP picks a version that was not offered");
}

static void legacy_message(struct control *c, const struct lite_raw *raw)
{
  struct legacy_setup *l = legacy_of(c);
  struct lite_session *s = c->session;
  union lite_body body;
  if (raw->msg == LITE_SESSION_INFO)
    return;
  if (l->done || lite_decode(s->version->version, raw->msg, raw->body, &body) < 0)
    session_violation(s, "malformed SETUP");
  else if (s->client)
    server_setup(l, &body.server_setup);
  else
    client_setup(l, &body.client_setup);
}

/* The close of a WebTransport session may be overtaken by the end of its streams; it tells a client why. */
#define LEGACY_END_WAIT (500 * NS_PER_MS)

static void legacy_fin(struct control *c)
{
  struct lite_session *s = c->session;
  if (s->client && !s->closing) {
    s->setup_ended = true;
    timers_set(s->env->timers, &s->setup_timer, session_now(s) + LEGACY_END_WAIT);
  } else {
    lite_session_close(s, LITE_CLOSE_DONE, "");
  }
}

static void legacy_reset(struct control *c, uint64_t code)
{
  if (legacy_of(c)->done || c->session->client)
    legacy_fin(c);
  else
    session_violation(c->session, "malformed SETUP");
}

static void legacy_gone(struct control *c)
{
  if (c->session->unanswered == legacy_of(c))
    c->session->unanswered = NULL;
  free(legacy_of(c));
}

static const struct control_ops legacy_ops = {.name = "setup",
                                              .message = legacy_message,
                                              .fin = legacy_fin,
                                              .reset = legacy_reset,
                                              .stopped = legacy_reset,
                                              .gone = legacy_gone};

static enum lite_msg reply_to(enum lite_stream type)
{
  if (type == LITE_STREAM_LEGACY_OLDER)
    return LITE_SERVER_SETUP_OLDER;
  return type == LITE_STREAM_LEGACY_OLDEST ? LITE_SERVER_SETUP_OLDEST : LITE_SERVER_SETUP;
}

void setup_legacy_accept(struct lite_session *s, struct stream *stream, enum lite_stream type)
{
  struct legacy_setup *l = s->client || s->setup_begun ? NULL : calloc(1, sizeof *l);
  if (!l) {
    session_refuse(stream, LITE_RESET_CANCELLED);
    return;
  }
  s->setup_begun = true;
  l->reply = reply_to(type);
  control_accept(&l->control, s, stream, type, &legacy_ops);
}

/* Newest first. */
static const enum lite_version offered[] = {LITE_02, LITE_01};

static void send_client_setup(struct legacy_setup *l, const char *path)
{
  union lite_body body = {.client_setup = {.implementation = slice_str("moq-relay")}};
  struct buf versions = {0};
  for (size_t i = 0; i < sizeof offered / sizeof *offered; i++) {
    if (!(l->control.session->legacy & 1u << offered[i]))
      continue;
    buf_varint(&versions, lite_info(offered[i])->code);
    body.client_setup.version_count++;
  }
  body.client_setup.versions = buf_slice(&versions);
  if (path)
    body.client_setup.path = slice_str(path);
  control_send(&l->control, LITE_CLIENT_SETUP, &body);
  buf_destroy(&versions);
}

int setup_legacy_open(struct lite_session *s, const char *path)
{
  struct legacy_setup *l = calloc(1, sizeof *l);
  int rc = l ? control_open(&l->control, s, LITE_STREAM_LEGACY, &legacy_ops) : -ENOMEM;
  if (rc < 0) {
    free(l);
    return rc;
  }
  send_client_setup(l, path);
  return 0;
}
