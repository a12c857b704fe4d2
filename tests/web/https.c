/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* HTTPS with a client of GnuTLS's in the same thread: which certificate is shown, that a reload
 * changes it for new connections alone, answers of every kind, and what is no TLS. */
#include "world.h"
#include <gnutls/crypto.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct secure {
  struct client tcp;
  gnutls_session_t session;
  gnutls_certificate_credentials_t credentials;
  char data[1 << 16];
  size_t n;
  int rc;
};

static struct tls_server *certificates(void)
{
  static const char *const hosts[] = {"localhost"};
  struct tls_server_config config = {.generate = hosts, .generate_count = 1};
  struct clock clock = clock_system();
  struct tls_server *tls;
  struct err err;
  assert_int_equal(tls_server_new(&config, clock_wall_us(&clock) / 1000000, &tls, &err), 0);
  return tls;
}

static bool shaken(struct secure *s)
{
  s->rc = gnutls_handshake(s->session);
  return s->rc == 0 || gnutls_error_is_fatal(s->rc);
}

static void secure_open(struct secure *s, struct world *w, const char *name)
{
  memset(s, 0, sizeof *s);
  client_open(&s->tcp, w);
  assert_int_equal(gnutls_init(&s->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
  assert_int_equal(gnutls_certificate_allocate_credentials(&s->credentials), 0);
  gnutls_credentials_set(s->session, GNUTLS_CRD_CERTIFICATE, s->credentials);
  gnutls_set_default_priority(s->session);
  if (name)
    gnutls_server_name_set(s->session, GNUTLS_NAME_DNS, name, strlen(name));
  gnutls_transport_set_int(s->session, s->tcp.fd);
  int flags = 1;
  assert_int_equal(ioctl(s->tcp.fd, FIONBIO, &flags), 0);
  world_until(w, shaken(s));
  assert_int_equal(s->rc, 0);
}

static void secure_close(struct secure *s)
{
  gnutls_deinit(s->session);
  gnutls_certificate_free_credentials(s->credentials);
  client_close(&s->tcp);
}

static bool received(struct secure *s)
{
  ssize_t n = gnutls_record_recv(s->session, s->data + s->n, sizeof s->data - 1 - s->n);
  if (n > 0)
    s->n += (size_t)n;
  s->data[s->n] = '\0';
  return n == 0 || (n < 0 && gnutls_error_is_fatal((int)n));
}

static void ask(struct secure *s, const char *line)
{
  char text[512];
  snprintf(text, sizeof text, "%s HTTP/1.1\r\nhost: localhost\r\n\r\n", line);
  assert_int_equal(gnutls_record_send(s->session, text, strlen(text)), strlen(text));
}

static bool has(struct secure *s, const char *text)
{
  received(s);
  return strstr(s->data, text) != NULL;
}

static void shown(struct secure *s, char hex[65])
{
  unsigned n;
  uint8_t digest[32];
  const gnutls_datum_t *der = gnutls_certificate_get_peers(s->session, &n);
  assert_non_null(der);
  assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, der->data, der->size, digest), 0);
  for (size_t i = 0; i < 32; i++)
    snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

struct site {
  struct world w;
  struct tls_server *tls;
};

static void begin(struct site *site)
{
  world_init(&site->w, NULL);
  site->tls = certificates();
  site->w.config.https = site->tls;
  world_start(&site->w);
}

static void end(struct site *site)
{
  world_destroy(&site->w);
  tls_server_free(site->tls);
}

static void answers(void **state)
{
  static struct site site;
  static struct secure s;
  char hex[65], want[65];
  begin(&site);
  secure_open(&s, &site.w, "localhost");
  shown(&s, hex);
  tls_server_fingerprint(site.tls, want);
  assert_string_equal(hex, want);
  ask(&s, "GET /health");
  world_until(&site.w, has(&s, "\r\n\r\nok\n"));
  s.n = 0;
  ask(&s, "GET /nothing"); /* on the same connection */
  world_until(&site.w, has(&s, "404: there is no such page"));
  secure_close(&s);
  secure_open(&s, &site.w, NULL); /* a client that names nobody */
  ask(&s, "GET /announced");
  world_until(&site.w, has(&s, "HTTP/1.1 200"));
  secure_close(&s);
  end(&site);
}

static void a_reload_changes_new_connections(void **state)
{
  static struct site site;
  static struct secure old, fresh;
  char before[65], after[65], want[65];
  struct clock clock = clock_system();
  struct err err;
  begin(&site);
  secure_open(&old, &site.w, "localhost");
  shown(&old, before);
  assert_int_equal(tls_server_reload(site.tls, clock_wall_us(&clock) / 1000000, &err), 0);
  secure_open(&fresh, &site.w, "localhost");
  shown(&fresh, after);
  tls_server_fingerprint(site.tls, want);
  assert_string_equal(after, want);
  assert_string_not_equal(before, after);
  ask(&old, "GET /health");
  world_until(&site.w, has(&old, "\r\n\r\nok\n"));
  secure_close(&old);
  secure_close(&fresh);
  end(&site);
}

/* An answer that waits and comes in pieces. */
static void a_stream(void **state)
{
  static struct site site;
  static struct secure s;
  struct publisher p;
  begin(&site);
  publisher_start(&p, &site.w, "demo");
  secure_open(&s, &site.w, "localhost");
  ask(&s, "GET /fetch/demo/video");
  world_until(&site.w, p.subscribed);
  struct group *g = publisher_group(&p, 0);
  frame(g, "first");
  world_until(&site.w, has(&s, "first"));
  frame(g, "second");
  group_finish(g);
  world_until(&site.w, has(&s, "second\r\n0\r\n\r\n"));
  group_unref(g);
  secure_close(&s);
  publisher_stop(&p, true);
  end(&site);
}

static void no_tls(void **state)
{
  static struct site site;
  struct client c;
  begin(&site);
  client_open(&c, &site.w);
  client_send(&c, "GET /health HTTP/1.1\r\nhost: a\r\n\r\n");
  world_until(&site.w, client_turn(&c));
  assert_null(strstr(c.data, "HTTP/1.1 200"));
  client_close(&c);
  client_open(&c, &site.w); /* says nothing, for as long as the header may take */
  world_turn(&site.w);
  world_turn(&site.w);
  world_skip(&site.w, 60 * NS_PER_S);
  world_until(&site.w, client_turn(&c));
  client_close(&c);
  end(&site);
}

/* No more connections, but the answer that has begun is finished, and then it is told. */
static void on_idle(void *ctx)
{
  ++*(int *)ctx;
}

static void stopping(void **state)
{
  struct world w;
  struct publisher p;
  struct client c, late;
  struct answer a;
  int idle = 0;
  world_init(&w, NULL);
  world_start(&w);
  publisher_start(&p, &w, "demo");
  client_open(&c, &w);
  client_send(&c, "GET /fetch/demo/video HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  world_until(&w, p.subscribed);
  struct group *g = publisher_group(&p, 0);
  frame(g, "all of it");
  assert_true(http_server_stop(w.http, on_idle, &idle));
  late = (struct client){.fd = socket(AF_INET, SOCK_STREAM, 0)};
  assert_int_equal(connect(late.fd, (const struct sockaddr *)http_server_address(w.http), sizeof(struct sockaddr_in)),
                   -1);
  assert_int_equal(errno, ECONNREFUSED);
  close(late.fd);
  assert_int_equal(idle, 0);
  group_finish(g);
  group_unref(g);
  world_until(&w, client_turn(&c));
  answer_parse(&c, &a);
  assert_true(a.whole);
  assert_string_equal(a.body, "all of it");
  world_until(&w, idle);
  assert_int_equal(idle, 1);
  client_close(&c);
  publisher_stop(&p, true);
  world_destroy(&w);
  world_init(&w, NULL);
  world_start(&w);
  assert_false(http_server_stop(w.http, on_idle, &idle));
  world_destroy(&w);
  assert_int_equal(idle, 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(answers),  cmocka_unit_test(a_reload_changes_new_connections),
      cmocka_unit_test(a_stream), cmocka_unit_test(no_tls),
      cmocka_unit_test(stopping),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
