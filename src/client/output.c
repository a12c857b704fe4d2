/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/output.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct write {
  uv_write_t req;
  struct output *output;
  size_t n;
  char data[];
};

static void fail(struct output *out, int error)
{
  if (out->broken || !out->open)
    return;
  out->broken = true;
  out->events->failed(out->ctx, error);
}

static void on_written(uv_write_t *req, int status)
{
  struct write *w = req->data;
  struct output *out = w->output;
  bool was_full = output_full(out);
  out->queued -= w->n;
  free(w);
  if (!out->open)
    return;
  worker_enter(out->worker);
  if (status < 0)
    fail(out, status);
  else if (out->queued == 0 || (was_full && !output_full(out)))
    out->events->drained(out->ctx);
}

static void write_stream(struct output *out, struct slice data)
{
  struct write *w = malloc(sizeof *w + data.n);
  if (!w) {
    fail(out, -ENOMEM);
    return;
  }
  w->output = out;
  w->n = data.n;
  w->req.data = w;
  memcpy(w->data, data.p, data.n);
  uv_buf_t buf = uv_buf_init(w->data, (unsigned)data.n);
  int rc = uv_write(&w->req, &out->h.stream, &buf, 1, on_written);
  if (rc < 0) {
    free(w);
    fail(out, rc);
    return;
  }
  out->queued += data.n;
}

static void write_file(struct output *out, struct slice data)
{
  while (data.n > 0) {
    ssize_t n = write(out->fd, data.p, data.n);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      fail(out, -errno);
      return;
    }
    data = slice_from(data, (size_t)n);
  }
}

void output_write(struct output *out, struct slice data)
{
  if (out->broken || !out->open || data.n == 0)
    return;
  out->written += data.n;
  if (out->is_file)
    write_file(out, data);
  else
    write_stream(out, data);
}

int output_open(struct output *out, struct worker *w, int fd, const struct output_events *events, void *ctx)
{
  int rc = 0;
  out->worker = w;
  out->fd = fd;
  out->events = events;
  out->ctx = ctx;
  uv_handle_type type = uv_guess_handle(fd);
  if (type == UV_TTY) {
    rc = uv_tty_init(w->loop, &out->h.tty, fd, 0);
  } else if (type == UV_TCP) {
    rc = uv_tcp_init(w->loop, &out->h.tcp);
    rc = rc < 0 ? rc : uv_tcp_open(&out->h.tcp, fd);
  } else if (type == UV_NAMED_PIPE) {
    rc = uv_pipe_init(w->loop, &out->h.pipe, 0);
    rc = rc < 0 ? rc : uv_pipe_open(&out->h.pipe, fd);
  } else {
    out->is_file = true;
  }
  out->open = rc == 0;
  return rc;
}

void output_close(struct output *out)
{
  if (!out->open)
    return;
  out->open = false;
  if (!out->is_file)
    uv_close(&out->h.handle, NULL);
}
