/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Whole relays on simulated UDP (udp_world.h). Each seed is a world of its own: first links have their faults, then all is
 * healed and everything that is new must arrive, then everybody leaves and nothing may be left.
 *
 * udp-sim [--seed N] [--count N] [--trace] [--log]
 *
 *     --seed N    the first seed, 1
 *     --count N   how many, 1
 *     --trace     tells the story of each while it happens: time, who, what
 *     --log       and what the programs log, all of it
 *
 * A seed that fails is printed with its story and the command that replays it; a run depends on the seed alone, which is
 * checked with the first one: its run is repeated. */
#include "net/quic_impl.h"
#include "udp_world.h"
#include <getopt.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <unistd.h>

#define FAULTS_FROM_MS 12000
#define FAULTS_TO_MS 40000
#define QUIET_NS (20 * NS_PER_S) /* after it the newest group... */
#define LATE_NS (2 * NS_PER_S)   /* ...has to be there so soon */
#define LEAVING_NS (60 * NS_PER_S)
#define STEPS_MAX 5000000

static const char *program = "udp-sim";

/* ---- the story ---- */

void world_note(struct world *w, const void *p, size_t n)
{
  const uint8_t *b = p;
  for (size_t i = 0; i < n; i++)
    w->digest = (w->digest ^ b[i]) * 0x100000001b3ULL;
}

static void tell(struct world *w, const char *who, const char *fmt, va_list args)
{
  char text[300];
  size_t from = w->story.n;
  vsnprintf(text, sizeof text, fmt, args);
  uint64_t ms = (w->worker.now - SIM_START) / NS_PER_MS;
  buf_printf(&w->story, "%3llu.%03llu  %-9s  %s\n", (unsigned long long)ms / 1000, (unsigned long long)ms % 1000, who,
             text);
  world_note(w, w->story.p + from, w->story.n - from);
  if (w->trace)
    printf("%.*s", (int)(w->story.n - from), (const char *)w->story.p + from);
}

void story(struct world *w, const char *who, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  tell(w, who, fmt, args);
  va_end(args);
}

void sim_fail(struct world *w, const char *who, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  tell(w, who, fmt, args);
  va_end(args);
  if (!w->trace)
    printf("%.*s", (int)w->story.n, (const char *)w->story.p);
  printf("\nseed %llu failed; replay: %s --seed %llu --trace\n%zu passed, 1 failed\n", (unsigned long long)w->seed,
         program, (unsigned long long)w->seed, w->passed);
  fflush(stdout);
  _exit(1);
}

static void sink(void *ctx, enum log_level level, const char *line, size_t n)
{
  struct world *w = ctx;
  if (w->log_all)
    printf("%.*s\n", (int)n, line);
}

/* ---- the world ---- */

static void choose_limits(struct world *w)
{
  static const enum quic_congestion kinds[] = {QUIC_CUBIC, QUIC_CUBIC, QUIC_BBR, QUIC_RENO};
  struct quic_limits *l = &w->limits;
  quic_limits_default(l);
  l->idle_timeout_ns = l->handshake_timeout_ns = between(w, 4000, 10000) * NS_PER_MS;
  l->keep_alive_ns = below(w, 4) ? 1 * NS_PER_S : 2 * NS_PER_S;
  l->congestion = kinds[below(w, 4)];
  l->handshakes_retry = below(w, 2) ? 0 : 100;
  l->mtu_discovery = below(w, 4) > 0;
  if (below(w, 2) == 0) { /* so narrow that what is sent now and then waits for credit */
    l->window = l->window_max = between(w, 150000, 300000);
    l->stream_window = l->stream_window_max = between(w, 10000, 30000);
  }
}

static void client_kind(struct client *c, struct world *w)
{
  c->version = (enum lite_version)below(w, LITE_VERSIONS);
  c->webtransport = below(w, 2);
}

static void world_start(struct world *w, uint64_t seed, const struct sim_options *o)
{
  *w = (struct world){.seed = seed,
                      .state = seed,
                      .tls = o->tls,
                      .pin = o->pin,
                      .trace = o->trace,
                      .log_all = o->log,
                      .passed = o->passed};
  static const char *const all[] = {""};
  struct admission_config open = {.publish = all, .publish_count = 1, .subscribe = all, .subscribe_count = 1};
  struct err err;
  w->digest = 0xcbf29ce484222325ULL;
  w->rng = rng_seeded(&w->state);
  w->quic_state = below(w, UINT64_MAX);
  w->net_state = below(w, UINT64_MAX);
  list_init(&w->overdue);
  sim_init(&w->worker);
  sim_net_init(&w->net, &w->worker, rng_seeded(&w->net_state));
  w->log = (struct log){.level = o->log ? LOG_TRACE : LOG_ERROR, .clock = w->worker.clock, .sink = sink, .ctx = w};
  if (admission_new(&open, &w->admission, &err) < 0)
    sim_fail(w, "world", "%s", err.text);
  choose_limits(w);
  w->relay_n = 1 + below(w, RELAYS_MAX);
  w->viewer_n = between(w, 2, VIEWERS_MAX);
}

static void everybody_comes(struct world *w)
{
  bool source_perfect = below(w, 4) > 0, uplink_perfect = below(w, 4) > 0;
  for (size_t i = 0; i < w->relay_n; i++)
    relay_start(&w->relays[i], w);
  if (w->relay_n > 1) {
    relay_uplink(&w->relays[1], &w->relays[0]);
    faults_start(&w->relays[1].uplink, uplink_perfect);
  }
  client_kind(&w->source.client, w);
  source_start(&w->source, w);
  faults_start(&w->source.client, source_perfect);
  for (size_t i = 0; i < w->viewer_n; i++) {
    client_kind(&w->viewers[i].client, w);
    player_start(&w->viewers[i], w);
    faults_start(&w->viewers[i].client, i == 0 || below(w, 3) == 0);
  }
}

static void each_client(struct world *w, void (*fn)(struct client *c))
{
  if (w->relay_n > 1)
    fn(&w->relays[1].uplink);
  fn(&w->source.client);
  for (size_t i = 0; i < w->viewer_n; i++)
    fn(&w->viewers[i].client);
}

static void run(struct world *w, uint64_t ns)
{
  uint64_t until = w->worker.now + ns;
  for (size_t i = 0; i < STEPS_MAX; i++) {
    if (list_empty(&w->worker.deferred) && timers_next(&w->worker.timers) > until) {
      w->worker.now = until;
      return;
    }
    sim_step(&w->worker);
  }
  sim_fail(w, "world", "no end in sight: something asks for turns and has nothing to do in them");
}

static void everybody_leaves(struct world *w)
{
  for (size_t i = 0; i < TRACKS; i++)
    timers_cancel(&w->worker.timers, &w->source.tracks[i].timer);
  w->leaving = true;
  each_client(w, client_leave);
  run(w, LEAVING_NS);
  for (size_t i = 0; i < w->viewer_n; i++)
    player_stop(&w->viewers[i]);
  source_stop(&w->source);
  if (w->relay_n > 1)
    client_stop(&w->relays[1].uplink);
  for (size_t i = 0; i < w->relay_n; i++)
    relay_stop(&w->relays[i]);
  if (!list_empty(&w->overdue) || !list_empty(&w->net.packets) || timers_next(&w->worker.timers) != TIMERS_NONE)
    sim_fail(w, "world", "a timer or a packet is left");
}

static void describe(struct world *w)
{
  story(w, "world", "seed %llu: %zu relay(s), %zu viewers, idle timeout %llu ms", (unsigned long long)w->seed,
        w->relay_n, w->viewer_n, (unsigned long long)(w->limits.idle_timeout_ns / NS_PER_MS));
  for (size_t i = 0; i < w->viewer_n; i++) {
    const struct client *c = &w->viewers[i].client;
    story(w, c->name, "at relay %d, a %s link of %llu ms", c->to != &w->relays[0], c->perfect ? "perfect" : "faulty",
          (unsigned long long)(c->link.delay_ns / NS_PER_MS));
  }
  story(w, "publisher", "a %s link of %llu ms", w->source.client.perfect ? "perfect" : "faulty",
        (unsigned long long)(w->source.client.link.delay_ns / NS_PER_MS));
  if (w->relay_n > 1)
    story(w, "uplink", "a %s link of %llu ms", w->relays[1].uplink.perfect ? "perfect" : "faulty",
          (unsigned long long)(w->relays[1].uplink.link.delay_ns / NS_PER_MS));
}

static uint64_t one_world(uint64_t seed, const struct sim_options *o, size_t *frames)
{
  struct world *w = calloc(1, sizeof *w);
  if (!w)
    abort();
  world_start(w, seed, o);
  everybody_comes(w);
  describe(w);
  run(w, between(w, FAULTS_FROM_MS, FAULTS_TO_MS) * NS_PER_MS);
  w->faults_over = true;
  story(w, "world", "no faults from here on");
  each_client(w, faults_heal);
  run(w, QUIET_NS);
  for (size_t i = 0; i < TRACKS; i++)
    w->source.tracks[i].whole_before = w->source.tracks[i].group;
  run(w, LATE_NS);
  each_client(w, faults_check);
  for (size_t i = 0; i < w->viewer_n; i++)
    player_check_live(&w->viewers[i]);
  story(w, "world", "everybody leaves");
  everybody_leaves(w);
  admission_free(w->admission);
  sim_net_destroy(&w->net);
  buf_destroy(&w->story);
  uint64_t digest = w->digest;
  *frames += w->frames;
  free(w);
  return digest;
}

/* ---- the certificate: Ed25519, whose signatures are all of one length, so that every run sends the same packets ---- */

static void check_tls(int rc)
{
  if (rc >= 0)
    return;
  fprintf(stderr, "%s: certificate: %s\n", program, gnutls_strerror(rc));
  exit(2);
}

static void write_pem(char *path, const gnutls_datum_t *pem)
{
  int fd = mkstemp(path);
  if (fd < 0 || write(fd, pem->data, pem->size) != (ssize_t)pem->size) {
    perror(path);
    exit(2);
  }
  close(fd);
}

static void make_pem(gnutls_datum_t *ret_cert, gnutls_datum_t *ret_key)
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t crt;
  check_tls(gnutls_x509_privkey_init(&key));
  check_tls(gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 256, 0));
  check_tls(gnutls_x509_crt_init(&crt));
  gnutls_x509_crt_set_version(crt, 3);
  gnutls_x509_crt_set_serial(crt, "\x01", 1);
  gnutls_x509_crt_set_activation_time(crt, 1767225600);
  gnutls_x509_crt_set_expiration_time(crt, 4102444800);
  gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, "relay", 5);
  gnutls_x509_crt_set_key(crt, key);
  check_tls(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA512, 0));
  check_tls(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, ret_cert));
  check_tls(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, ret_key));
  gnutls_x509_crt_deinit(crt);
  gnutls_x509_privkey_deinit(key);
}

static void make_tls(struct sim_options *o)
{
  char cert[] = "/tmp/udp-sim-cert-XXXXXX", key[] = "/tmp/udp-sim-key-XXXXXX", hex[65];
  gnutls_datum_t cert_pem, key_pem;
  make_pem(&cert_pem, &key_pem);
  write_pem(cert, &cert_pem);
  write_pem(key, &key_pem);
  const char *certs[] = {cert}, *keys[] = {key}, *pins[] = {hex};
  struct tls_server_config server = {.cert = certs, .key = keys, .pairs = 1};
  struct tls_client_config client = {.fingerprints = pins, .fingerprint_count = 1};
  struct err err;
  int rc = tls_server_new(&server, 1767225600, &o->tls, &err);
  if (rc == 0) {
    tls_server_fingerprint(o->tls, hex);
    rc = tls_client_new(&client, &o->pin, &err);
  }
  unlink(cert);
  unlink(key);
  gnutls_free(cert_pem.data);
  gnutls_free(key_pem.data);
  if (rc < 0) {
    fprintf(stderr, "%s: %s\n", program, err.text);
    exit(2);
  }
}

/* ---- the program ---- */

static void check_replay(uint64_t seed, const struct sim_options *o, uint64_t digest)
{
  struct sim_options quiet = *o;
  size_t frames = 0;
  quiet.trace = quiet.log = false;
  if (one_world(seed, &quiet, &frames) == digest)
    return;
  printf("seed %llu went another way when it was repeated\n", (unsigned long long)seed);
  exit(1);
}

static uint64_t number(const char *text)
{
  char *end;
  uint64_t n = strtoull(text, &end, 10);
  if (*text == '\0' || *end != '\0') {
    fprintf(stderr, "%s: \"%s\" is no number\n", program, text);
    exit(2);
  }
  return n;
}

int main(int argc, char **argv)
{
  static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                          {"count", required_argument, NULL, 'c'},
                                          {"trace", no_argument, NULL, 't'},
                                          {"log", no_argument, NULL, 'l'},
                                          {0}};
  struct sim_options o = {0};
  uint64_t seed = 1, count = 1;
  size_t frames = 0;
  program = argv[0];
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (c == '?')
      return 2;
    if (c == 's')
      seed = number(optarg);
    else if (c == 'c')
      count = number(optarg);
    o.trace |= c == 't' || c == 'l';
    o.log |= c == 'l';
  }
  make_tls(&o);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t digest = one_world(seed + i, &o, &frames);
    if (o.trace)
      printf("seed %llu ended well, digest %016llx\n", (unsigned long long)(seed + i), (unsigned long long)digest);
    if (i == 0)
      check_replay(seed, &o, digest);
    o.passed++;
  }
  printf("seeds from %llu on, %zu frames\n%llu passed, 0 failed\n", (unsigned long long)seed, frames,
         (unsigned long long)count);
  tls_server_free(o.tls);
  tls_client_free(o.pin);
  return 0;
}
