/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A descriptor to read to its end on the loop: pipe, terminal, socket or file. */
#pragma once
#include "base/slice.h"
#include "net/worker.h"

#define INPUT_CHUNK 65536

struct input_events {
  void (*data)(void *ctx, struct slice data); /* borrowed for the call */
  /* Once: the end (0), or the error that stands for it (negative errno). Not after input_close. */
  void (*end)(void *ctx, int error);
};

/* Embedded by its owner; zero-initialise. */
struct input {
  struct worker *worker;
  const struct input_events *events;
  void *ctx;
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tty_t tty;
    uv_tcp_t tcp;
  } h;
  uv_fs_t fs; /* files: one read at a time */
  int fd;
  bool open, is_file, paused, ended, reading;
  char buffer[INPUT_CHUNK];
};

/* Starts reading. 0 or a negative errno. */
int input_open(struct input *in, struct worker *w, int fd, const struct input_events *events, void *ctx);
void input_pause(struct input *in);
void input_resume(struct input *in);

/* No more events. The handle needs a turn of the loop to go, the struct must live until then. */
void input_close(struct input *in);
