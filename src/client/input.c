/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/input.h"
#include <errno.h>

static void end(struct input *in, int error)
{
  if (in->ended)
    return;
  in->ended = true;
  if (!in->is_file)
    uv_read_stop(&in->h.stream);
  in->events->end(in->ctx, error);
}

/* ---- pipes and the like ---- */

static void give_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
  struct input *in = h->data;
  *buf = uv_buf_init(in->buffer, sizeof in->buffer);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
  struct input *in = s->data;
  worker_enter(in->worker);
  if (n > 0)
    in->events->data(in->ctx, slice_of(buf->base, (size_t)n));
  else if (n < 0)
    end(in, n == UV_EOF ? 0 : (int)n);
}

static int open_stream(struct input *in, uv_handle_type type)
{
  uv_loop_t *loop = in->worker->loop;
  int rc;
  if (type == UV_TTY) {
    rc = uv_tty_init(loop, &in->h.tty, in->fd, 1);
  } else if (type == UV_TCP) {
    rc = uv_tcp_init(loop, &in->h.tcp);
    rc = rc < 0 ? rc : uv_tcp_open(&in->h.tcp, in->fd);
  } else {
    rc = uv_pipe_init(loop, &in->h.pipe, 0);
    rc = rc < 0 ? rc : uv_pipe_open(&in->h.pipe, in->fd);
  }
  if (rc < 0)
    return rc;
  in->h.handle.data = in;
  in->open = true;
  return uv_read_start(&in->h.stream, give_buffer, on_read);
}

/* ---- files ---- */

static void read_more(struct input *in);

static void on_file(uv_fs_t *req)
{
  struct input *in = req->data;
  ssize_t n = req->result;
  uv_fs_req_cleanup(req);
  in->reading = false;
  if (in->ended)
    return;
  worker_enter(in->worker);
  if (n <= 0) {
    end(in, (int)n);
    return;
  }
  in->events->data(in->ctx, slice_of(in->buffer, (size_t)n));
  if (!in->paused && !in->ended)
    read_more(in);
}

static void read_more(struct input *in)
{
  uv_buf_t buf = uv_buf_init(in->buffer, sizeof in->buffer);
  if (in->reading)
    return;
  in->fs.data = in;
  int rc = uv_fs_read(in->worker->loop, &in->fs, in->fd, &buf, 1, -1, on_file);
  in->reading = rc == 0;
  if (rc < 0)
    end(in, rc);
}

/* ---- both ---- */

int input_open(struct input *in, struct worker *w, int fd, const struct input_events *events, void *ctx)
{
  in->worker = w;
  in->fd = fd;
  in->events = events;
  in->ctx = ctx;
  uv_handle_type type = uv_guess_handle(fd);
  if (type == UV_TTY || type == UV_TCP || type == UV_NAMED_PIPE)
    return open_stream(in, type);
  in->is_file = true;
  in->open = true;
  read_more(in);
  return 0;
}

void input_pause(struct input *in)
{
  if (!in->open || in->ended || in->paused)
    return;
  in->paused = true;
  if (!in->is_file)
    uv_read_stop(&in->h.stream);
}

void input_resume(struct input *in)
{
  if (!in->open || in->ended || !in->paused)
    return;
  in->paused = false;
  if (in->is_file)
    read_more(in);
  else
    uv_read_start(&in->h.stream, give_buffer, on_read);
}

void input_close(struct input *in)
{
  if (!in->open)
    return;
  in->open = false;
  in->ended = true;
  if (!in->is_file)
    uv_close(&in->h.handle, NULL);
}
