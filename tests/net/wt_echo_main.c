/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wt_echo.h as a program, for clients of other people: prints its port and its certificate's hash,
 * ends with stdin or after LIFE_S seconds. */
#include "wt_echo.h"
#include <netinet/in.h>
#include <stdio.h>

#define LIFE_S 120

static void on_stdin(uv_poll_t *h, int status, int events)
{
  char c;
  if (read(0, &c, 1) <= 0)
    uv_stop(h->loop);
}

static void on_life(uv_timer_t *t)
{
  uv_stop(t->loop);
}

int main(int argc, char **argv)
{
  uv_loop_t *loop = uv_default_loop();
  struct worker worker;
  struct wt_echo echo;
  struct err err;
  uv_poll_t in;
  uv_timer_t life;
  char hash[65];
  struct log log = log_stderr(argc > 2 ? LOG_DEBUG : LOG_INFO, clock_system());
  if (worker_init(&worker, loop, clock_system()) < 0)
    return 1;
  if (wt_echo_init(&echo, &worker, &log, argc > 1 ? argv[1] : "127.0.0.1:0", &err) < 0) {
    fprintf(stderr, "%s\n", err.text);
    return 1;
  }
  tls_server_fingerprint(echo.tls, hash);
  printf("%d %s\n", ntohs(((const struct sockaddr_in *)quic_endpoint_address(echo.ep))->sin_port), hash);
  fflush(stdout);
  uv_poll_init(loop, &in, 0);
  uv_poll_start(&in, UV_READABLE, on_stdin);
  uv_timer_init(loop, &life);
  uv_timer_start(&life, on_life, LIFE_S * 1000, 0);
  uv_run(loop, UV_RUN_DEFAULT);
  wt_echo_destroy(&echo);
  worker_destroy(&worker);
  uv_close((uv_handle_t *)&in, NULL);
  uv_close((uv_handle_t *)&life, NULL);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) == 0 ? 0 : 1;
}
