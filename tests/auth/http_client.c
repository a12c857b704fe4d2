/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The HTTP client against a server on the same loop that does what the path of the URL says: answers, slowly or never, too
 * much, half, elsewhere, or nothing at all. */
#include "auth/http_client.h"
#include "base/buf.h"
#include "net/worker.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TURNS_MAX 100000

/* -- the server -- */

struct peer {
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  uv_write_t write;
  struct list link;
  struct buf in;
};

static struct {
  uv_loop_t loop;
  struct worker worker;
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } listener;
  struct list peers;
  bool on_pipe;
  unsigned connections, requests;
  char last[4096]; /* the newest request, whole */
  char url[128];
} s;

static void on_peer_closed(uv_handle_t *h)
{
  struct peer *p = (struct peer *)h;
  list_remove(&p->link);
  buf_destroy(&p->in);
  free(p);
}

static void hang_up(struct peer *p)
{
  if (!uv_is_closing((uv_handle_t *)&p->stream))
    uv_close((uv_handle_t *)&p->stream, on_peer_closed);
}

static void on_written(uv_write_t *w, int status)
{
  struct peer *p = container_of(w, struct peer, write);
  if (w->data)
    hang_up(p);
}

static void send_text(struct peer *p, const char *text, size_t n, bool close_after)
{
  uv_buf_t b = uv_buf_init((char *)(uintptr_t)text, (unsigned)n);
  p->write.data = close_after ? p : NULL;
  if (uv_write(&p->write, &p->stream, &b, 1, on_written) < 0)
    hang_up(p);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

static const struct behaviour {
  const char *path, *text;
  bool close;
} behaviours[] = {
    {"/ok", OK, false},
    {"/refuse", "HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nno!\n", false},
    {"/empty", "HTTP/1.1 204 Nothing\r\n\r\n", false},
    {"/until-close", "HTTP/1.0 200 OK\r\n\r\n{\"a\":1}", true},
    {"/chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", false},
    {"/redirect", "HTTP/1.1 302 Away\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n", false},
    {"/redirect-here", "HTTP/1.1 307 Away\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", false},
    {"/half", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", true},
    {"/half-header", "HTTP/1.1 200", true},
    {"/nothing", "", true},
    {"/nonsense", "I speak no HTTP\r\n\r\n", true},
    {"/claims-much", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{", false},
};

static void send_much(struct peer *p)
{
  static char text[2 * HTTP_ANSWER_MAX];
  int n = snprintf(text, sizeof text, "HTTP/1.0 200 OK\r\n\r\n");
  memset(text + n, ' ', sizeof text - (size_t)n);
  send_text(p, text, sizeof text, false);
}

static void answer(struct peer *p, const char *path)
{
  for (size_t i = 0; i < sizeof behaviours / sizeof *behaviours; i++) {
    const struct behaviour *b = &behaviours[i];
    size_t n = strlen(b->path);
    if (strncmp(path, b->path, n) == 0 && (path[n] == ' ' || path[n] == '?'))
      send_text(p, b->text, strlen(b->text), b->close);
  }
  if (strncmp(path, "/much ", 6) == 0)
    send_much(p);
  else if (s.on_pipe && strncmp(path, "/ ", 2) == 0)
    send_text(p, OK, strlen(OK), false);
}

/* Whether the header and what it says of the body's length are there. */
static bool whole(struct peer *p)
{
  buf_u8(&p->in, '\0');
  p->in.n--;
  const char *text = (const char *)p->in.p, *body = strstr(text, "\r\n\r\n"),
             *length = strstr(text, "Content-Length: ");
  return body && length && strlen(body + 4) >= strtoul(length + 16, NULL, 10);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
  struct peer *p = (struct peer *)stream;
  if (n > 0)
    buf_bytes(&p->in, slice_of(b->base, (size_t)n));
  free(b->base);
  if (n < 0)
    hang_up(p);
  if (n <= 0 || !whole(p))
    return;
  s.requests++;
  snprintf(s.last, sizeof s.last, "%s", (const char *)p->in.p);
  buf_clear(&p->in);
  assert_memory_equal(s.last, "POST /", 6);
  answer(p, s.last + 5);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
  *b = uv_buf_init(malloc(n), (unsigned)n);
}

static void on_connection(uv_stream_t *listener, int status)
{
  struct peer *p = calloc(1, sizeof *p);
  assert_int_equal(status, 0);
  if (s.on_pipe)
    uv_pipe_init(&s.loop, &p->pipe, 0);
  else
    uv_tcp_init(&s.loop, &p->tcp);
  list_append(&s.peers, &p->link);
  assert_int_equal(uv_accept(listener, &p->stream), 0);
  s.connections++;
  uv_read_start(&p->stream, on_alloc, on_read);
}

static void listen_tcp(void)
{
  struct sockaddr_in in;
  int n = sizeof in;
  uv_tcp_init(&s.loop, &s.listener.tcp);
  uv_ip4_addr("127.0.0.1", 0, &in);
  assert_int_equal(uv_tcp_bind(&s.listener.tcp, (struct sockaddr *)&in, 0), 0);
  assert_int_equal(uv_listen(&s.listener.stream, 128, on_connection), 0);
  uv_tcp_getsockname(&s.listener.tcp, (struct sockaddr *)&in, &n);
  snprintf(s.url, sizeof s.url, "http://127.0.0.1:%u", ntohs(in.sin_port));
}

static void listen_pipe(void)
{
  char path[64];
  snprintf(path, sizeof path, "/tmp/moq-http-client-%d", (int)getpid());
  uv_pipe_init(&s.loop, &s.listener.pipe, 0);
  assert_int_equal(uv_pipe_bind(&s.listener.pipe, path), 0);
  assert_int_equal(uv_listen(&s.listener.stream, 128, on_connection), 0);
  snprintf(s.url, sizeof s.url, "unix:%s", path);
}

static int begin(bool on_pipe)
{
  memset(&s, 0, sizeof s);
  list_init(&s.peers);
  s.on_pipe = on_pipe;
  assert_int_equal(uv_loop_init(&s.loop), 0);
  assert_int_equal(worker_init(&s.worker, &s.loop, clock_system()), 0);
  (on_pipe ? listen_pipe : listen_tcp)();
  return 0;
}

static int setup(void **state)
{
  return begin(false);
}

static int setup_pipe(void **state)
{
  return begin(true);
}

static void close_listener(void)
{
  if (!uv_is_closing((uv_handle_t *)&s.listener.stream))
    uv_close((uv_handle_t *)&s.listener.stream, NULL);
}

static int teardown(void **state)
{
  close_listener();
  list_for_each_safe (it, tmp, &s.peers)
    hang_up(container_of(it, struct peer, link));
  assert_int_equal(timers_next(&s.worker.timers), TIMERS_NONE);
  worker_destroy(&s.worker);
  uv_run(&s.loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&s.loop), 0);
  return 0;
}

/* -- the client -- */

struct asked {
  struct http_post post;
  bool done;
  int status;
  char body[64], error[128];
};

static void on_done(struct http_post *p, const struct http_answer *answer)
{
  struct asked *a = container_of(p, struct asked, post);
  assert_false(a->done);
  assert_false(http_post_busy(p));
  a->done = true;
  a->status = answer->status;
  snprintf(a->body, sizeof a->body, "%.*s", SLICE_FMT(answer->body));
  snprintf(a->error, sizeof a->error, "%s", answer->error ? answer->error : "");
}

static void enter(void *ctx)
{
  worker_enter(&s.worker);
}

static struct http_client *client(const char *path, uint64_t timeout_ms, unsigned requests)
{
  static char url[256];
  struct http_client *c;
  struct err err = {""};
  snprintf(url, sizeof url, "%s%s", s.url, path);
  struct http_client_config config = {.url = url,
                                      .timeout_ns = timeout_ms * NS_PER_MS,
                                      .requests = requests,
                                      .loop = &s.loop,
                                      .timers = &s.worker.timers,
                                      .clock = s.worker.clock,
                                      .enter = enter};
  if (http_client_new(&config, &c, &err) < 0)
    fail_msg("%s", err.text);
  return c;
}

static void start(struct http_client *c, struct asked *a)
{
  *a = (struct asked){.post.done = on_done};
  assert_int_equal(http_client_post(c, &a->post, slice_str("{\"id\":1}")), 0);
  assert_false(a->done);
}

static void turn(const bool *done)
{
  for (int i = 0; i < TURNS_MAX && !*done; i++)
    uv_run(&s.loop, UV_RUN_ONCE);
  assert_true(*done);
}

#define LONG_MS 60000

static void answers(void **state)
{
  static const struct {
    const char *path;
    int status;
    const char *body, *error;
  } want[] = {
      {"/ok", 200, "{}", ""},
      {"/ok?x=y&z", 200, "{}", ""},
      {"/refuse", 403, "no!\n", ""},
      {"/empty", 204, "", ""},
      {"/until-close", 200, "{\"a\":1}", ""},
      {"/chunks", 200, "{}", ""},
      {"/redirect", 302, "", ""},
      {"/redirect-here", 307, "", ""},
      {"/half", 0, "", "Transferred a partial file"},
      {"/half-header", 0, "", NULL},
      {"/nothing", 0, "", "Server returned nothing"},
      {"/nonsense", 0, "", NULL},
      {"/much", 0, "", "the answer is too large"},
  };
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    struct http_client *c = client(want[i].path, LONG_MS, 1);
    struct asked a;
    s.requests = 0;
    start(c, &a);
    turn(&a.done);
    if (a.status != want[i].status || strcmp(a.body, want[i].body) != 0 || !a.status != (a.error[0] != '\0') ||
        (want[i].error && !strstr(a.error, want[i].error)))
      fail_msg("%s: %d \"%s\" %s", want[i].path, a.status, a.body, a.error);
    assert_int_equal(s.requests, 1); /* no redirect is followed, nothing is tried again */
    http_client_free(c);
  }
}

static void what_is_sent(void **state)
{
  struct http_client *c = client("/ok?key=1", LONG_MS, 1);
  struct asked a;
  start(c, &a);
  turn(&a.done);
  assert_memory_equal(s.last, "POST /ok?key=1 HTTP/1.1\r\n", 25);
  assert_non_null(strstr(s.last, "\r\nContent-Type: application/json\r\n"));
  assert_null(strstr(s.last, "Expect"));
  assert_non_null(strstr(s.last, "\r\n\r\n{\"id\":1}"));
  start(c, &a);
  turn(&a.done);
  assert_int_equal(s.connections, 1); /* used again */
  http_client_free(c);
}

static void an_answer_that_does_not_come(void **state)
{
  static const char *const paths[] = {"/never", "/claims-much"};
  for (size_t i = 0; i < 2; i++) {
    struct http_client *c = client(paths[i], 50, 1);
    struct asked a;
    start(c, &a);
    turn(&a.done);
    assert_int_equal(a.status, 0);
    assert_string_equal(a.error, "no answer in time");
    http_client_free(c);
  }
}

static void nobody_there(void **state)
{
  struct http_client *c = client("/ok", LONG_MS, 1);
  struct asked a;
  close_listener();
  uv_run(&s.loop, UV_RUN_NOWAIT);
  start(c, &a);
  turn(&a.done);
  assert_int_equal(a.status, 0);
  assert_true(a.error[0]);
  http_client_free(c);
}

static void a_slow_one_holds_up_nobody(void **state)
{
  struct http_client *slow = client("/never", LONG_MS, 8), *quick;
  struct asked waiting[8], a;
  for (size_t i = 0; i < 8; i++)
    start(slow, &waiting[i]);
  assert_int_equal(http_client_post(slow, &(struct http_post){.done = on_done}, slice_str("{}")), -EBUSY);
  quick = client("/ok", LONG_MS, 8);
  for (size_t i = 0; i < 20; i++) {
    start(quick, &a);
    turn(&a.done);
    assert_int_equal(a.status, 200);
  }
  for (size_t i = 0; i < 8; i++)
    assert_false(waiting[i].done);
  http_post_cancel(&waiting[0].post);
  http_post_cancel(&waiting[0].post);
  assert_false(http_post_busy(&waiting[0].post));
  start(slow, &a);        /* there is room again */
  http_client_free(slow); /* with all that is under way */
  http_client_free(quick);
  for (size_t i = 0; i < 8; i++)
    assert_false(waiting[i].done || http_post_busy(&waiting[i].post));
}

struct chain {
  struct asked asked;
  struct http_client *client;
  unsigned left;
  bool done;
};

static void on_link(struct http_post *p, const struct http_answer *answer)
{
  struct chain *c = container_of(p, struct chain, asked.post);
  assert_int_equal(answer->status, 200);
  if (--c->left == 0)
    c->done = true;
  else
    assert_int_equal(http_client_post(c->client, p, slice_str("{\"id\":2}")), 0);
}

/* From inside an answer the next request may begin. */
static void one_after_the_other(void **state)
{
  struct chain c = {.asked.post.done = on_link, .client = client("/ok", LONG_MS, 1), .left = 5};
  assert_int_equal(http_client_post(c.client, &c.asked.post, slice_str("{\"id\":1}")), 0);
  turn(&c.done);
  assert_int_equal(s.requests, 5);
  http_client_free(c.client);
}

static void a_unix_socket(void **state)
{
  struct http_client *c = client("", LONG_MS, 1);
  struct asked a;
  start(c, &a);
  turn(&a.done);
  assert_int_equal(a.status, 200);
  assert_memory_equal(s.last, "POST / HTTP/1.1\r\n", 17);
  http_client_free(c);
}

static void urls(void **state)
{
  static const struct {
    const char *url;
    bool fine;
  } rows[] = {{"https://auth.example/x?y=z", true},
              {"http://127.0.0.1:4440", true},
              {"http://localhost/a", true},
              {"http://[::1]:4440/", true},
              {"http://127.8.0.9", true},
              {"unix:/run/auth.sock", true},
              {"unix:///run/auth.sock", true},
              {"HTTPS://AUTH.EXAMPLE", true},
              {"http://auth.example", false},
              {"http://127.0.0.1.example", false},
              {"http://192.0.2.1", false},
              {"http://[2001:db8::1]/", false},
              {"http://localhost.example/", false},
              {"http://127.0.0.1@192.0.2.1/", false},
              {"ftp://127.0.0.1/", false},
              {"file:///etc/passwd", false},
              {"127.0.0.1:4440", false},
              {"unix:", false},
              {"unix://", false},
              {"", false},
              {"https://", false},
              {"http://0.0.0.0/", false}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!http_client_url_fault(rows[i].url) != rows[i].fine)
      fail_msg("%s: %s", rows[i].url, rows[i].fine ? http_client_url_fault(rows[i].url) : "fine");
  }
}

static void files_that_are_not_there(void **state)
{
  struct http_client *c = NULL;
  struct err err = {""};
  struct http_client_config config = {.url = "https://x", .tls_root = "/nonexistent/root.pem"};
  assert_int_equal(http_client_new(&config, &c, &err), -ENOENT);
  assert_non_null(strstr(err.text, "/nonexistent/root.pem: No such file"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(answers),
      TEST(what_is_sent),
      TEST(an_answer_that_does_not_come),
      TEST(nobody_there),
      TEST(a_slow_one_holds_up_nobody),
      TEST(one_after_the_other),
      cmocka_unit_test_setup_teardown(a_unix_socket, setup_pipe, teardown),
      cmocka_unit_test(urls),
      cmocka_unit_test(files_that_are_not_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
