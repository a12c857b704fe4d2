/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A descriptor to write to: a pipe or terminal without ever blocking the loop, a file directly.
 * What a slow reader does not take is queued up to a bound that the owner keeps: output_full. */
#pragma once
#include "base/slice.h"
#include "net/worker.h"

#define OUTPUT_QUEUE_MAX ((size_t)4 << 20)

struct output_events {
  void (*drained)(void *ctx);           /* room again, after output_full said there was none; or all is out */
  void (*failed)(void *ctx, int error); /* once; -EPIPE: the reader has gone */
};

/* Embedded by its owner; zero-initialise. */
struct output {
  struct worker *worker;
  const struct output_events *events;
  void *ctx;
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tty_t tty;
    uv_tcp_t tcp;
  } h;
  int fd;
  size_t queued;
  uint64_t written; /* bytes taken, counter */
  bool open, is_file, broken;
};

int output_open(struct output *out, struct worker *w, int fd, const struct output_events *events, void *ctx);

/* Takes a copy. A failure is told by `failed`, never from inside this call for pipes; for files it
 * may be. */
void output_write(struct output *out, struct slice data);

static inline bool output_full(const struct output *out)
{
  return out->queued >= OUTPUT_QUEUE_MAX;
}

/* Drops what is queued. The struct must live for another turn of the loop. */
void output_close(struct output *out);
