/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_issuer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PLAIN "http://"
#define NAME_MAX_BYTES 255

struct pp_issuer {
  struct pp_issuer_config config;
  struct slice name;
  struct pp_directory known;
  char url[sizeof "https://" + NAME_MAX_BYTES + sizeof PP_DIRECTORY_PATH];
  struct http_client *client; /* NULL: the key is from a file */
  struct http_post get;
  struct timer timer; /* of the next attempt */
  uint64_t tried;     /* the last one, ns */
  unsigned failures;  /* in a row */
};

struct slice pp_issuer_name(const struct pp_issuer *issuer)
{
  return issuer->name;
}

const struct pp_key *pp_issuer_find(const struct pp_issuer *issuer, const uint8_t *id)
{
  for (size_t i = 0; i < issuer->known.count; i++) {
    if (memcmp(pp_key_id(issuer->known.keys[i]), id, PP_KEY_ID_BYTES) == 0)
      return issuer->known.keys[i];
  }
  return NULL;
}

const struct pp_key *pp_issuer_key(const struct pp_issuer *issuer)
{
  const struct clock *clock = &issuer->config.http.clock;
  for (size_t i = 0; i < issuer->known.count; i++) {
    if (!issuer->known.not_before[i] || issuer->known.not_before[i] <= clock_wall_us(clock) / 1000000)
      return issuer->known.keys[i];
  }
  return issuer->known.count ? issuer->known.keys[0] : NULL;
}

/* -- the directory -- */

static void arm(struct pp_issuer *issuer, uint64_t in_ns)
{
  timers_set(issuer->config.http.timers, &issuer->timer, clock_now(&issuer->config.http.clock) + in_ns);
}

static void failed(struct pp_issuer *issuer, const char *why)
{
  uint64_t wait = PP_ISSUER_RETRY_NS << (issuer->failures < 4 ? issuer->failures : 4);
  issuer->failures++;
  log_warn(issuer->config.log, "keys of the Privacy Pass issuer %.*s not read: %s; %s", SLICE_FMT(issuer->name), why,
           issuer->known.count ? "those that were read before stay" : "its tokens are refused until they are");
  arm(issuer, wait < PP_ISSUER_RETRY_MAX_NS ? wait : PP_ISSUER_RETRY_MAX_NS);
}

static void take(struct pp_issuer *issuer, const struct http_answer *answer)
{
  struct pp_directory fresh;
  struct err why = {""};
  if (pp_directory_parse(answer->body, &fresh, &why) < 0) {
    failed(issuer, why.text);
    return;
  }
  if (fresh.skipped > 0)
    log_warn(issuer->config.log, "the Privacy Pass issuer %.*s has %zu keys that are not used, the first: %s",
             SLICE_FMT(issuer->name), fresh.skipped, fresh.why.text);
  log_info(issuer->config.log, "keys of the Privacy Pass issuer %.*s read: %zu", SLICE_FMT(issuer->name), fresh.count);
  pp_directory_destroy(&issuer->known);
  issuer->known = fresh;
  issuer->failures = 0;
  arm(issuer, (uint64_t)pp_directory_life(answer->cache_control) * NS_PER_S * 3 / 4);
}

static void on_answer(struct http_post *get, const struct http_answer *answer)
{
  struct pp_issuer *issuer = container_of(get, struct pp_issuer, get);
  char status[32];
  snprintf(status, sizeof status, "HTTP status %d", answer->status);
  if (answer->status == 200)
    take(issuer, answer);
  else
    failed(issuer, answer->status ? status : answer->error);
}

static void fetch(struct pp_issuer *issuer)
{
  issuer->tried = clock_now(&issuer->config.http.clock);
  if (!http_post_busy(&issuer->get) && http_client_get(issuer->client, &issuer->get) < 0)
    failed(issuer, "out of memory");
}

static void on_timer(struct timer *t, uint64_t now)
{
  (void)now;
  fetch(container_of(t, struct pp_issuer, timer));
}

void pp_issuer_look_again(struct pp_issuer *issuer)
{
  if (issuer->client && clock_now(&issuer->config.http.clock) - issuer->tried >= PP_ISSUER_AGAIN_NS)
    fetch(issuer);
}

/* -- life -- */

static int read_file(const char *path, struct buf *out, struct err *ret_err)
{
  FILE *f = fopen(path, "re");
  if (!f)
    return err_set(ret_err, -errno, "privacypass.issuer_key: %.300s: %s", path, strerror(errno));
  uint8_t *room = buf_reserve(out, PP_KEY_TEXT_MAX + 1);
  int rc = room ? 0 : err_set(ret_err, -ENOMEM, "out of memory");
  if (room)
    out->n += fread(room, 1, PP_KEY_TEXT_MAX + 1, f);
  if (rc == 0 && ferror(f))
    rc = err_set(ret_err, -EIO, "privacypass.issuer_key: %.300s: cannot be read", path);
  fclose(f);
  return rc;
}

static int load_key(struct pp_issuer *issuer, struct err *ret_err)
{
  const char *path = issuer->config.key_file;
  struct buf text = {0};
  struct err why = {""};
  int rc = read_file(path, &text, ret_err);
  if (rc == 0) {
    rc = pp_key_parse(buf_slice(&text), &issuer->known.keys[0], &why);
    if (rc < 0)
      err_set(ret_err, rc, "privacypass.issuer_key: %.300s: not a usable key: %.150s", path, why.text);
  }
  issuer->known.count = rc == 0;
  buf_destroy(&text);
  return rc;
}

static bool name_ok(struct slice name)
{
  for (size_t i = 0; i < name.n; i++) {
    uint8_t c = name.p[i];
    if (c <= ' ' || c > '~' || strchr("/@?#\"\\,", c))
      return false;
  }
  return name.n > 0 && name.n <= NAME_MAX_BYTES;
}

static int start_directory(struct pp_issuer *issuer, bool plain, struct err *ret_err)
{
  struct http_client_config http = issuer->config.http;
  struct err why = {""};
  if (!http.loop)
    return 0;
  snprintf(issuer->url, sizeof issuer->url, "%s://%.*s%s", plain ? "http" : "https", SLICE_FMT(issuer->name),
           PP_DIRECTORY_PATH);
  const char *fault = http_client_url_fault(issuer->url);
  if (fault)
    return err_set(ret_err, -EINVAL, "privacypass.issuer: \"%.200s\": %s", issuer->config.name, fault);
  http.url = issuer->url;
  http.accept = PP_DIRECTORY_TYPE;
  http.timeout_ns = PP_ISSUER_TIMEOUT_NS;
  http.requests = 1;
  int rc = http_client_new(&http, &issuer->client, &why);
  if (rc < 0)
    return err_set(ret_err, rc, "privacypass.tls.root: %.300s", why.text);
  fetch(issuer);
  return 0;
}

static int start(struct pp_issuer *issuer, struct err *ret_err)
{
  const char *text = issuer->config.name;
  bool plain = strncmp(text, PLAIN, sizeof PLAIN - 1) == 0;
  issuer->name = slice_str(plain ? text + sizeof PLAIN - 1 : text);
  if (!name_ok(issuer->name))
    return err_set(ret_err, -EINVAL, "privacypass.issuer: \"%.100s\" is not HOST or HOST:PORT", text);
  return issuer->config.key_file ? load_key(issuer, ret_err) : start_directory(issuer, plain, ret_err);
}

int pp_issuer_new(const struct pp_issuer_config *config, struct pp_issuer **ret_issuer, struct err *ret_err)
{
  struct pp_issuer *issuer = calloc(1, sizeof *issuer);
  if (!issuer)
    return err_set(ret_err, -ENOMEM, "out of memory");
  issuer->config = *config;
  issuer->get.done = on_answer;
  timer_init(&issuer->timer, on_timer);
  int rc = start(issuer, ret_err);
  if (rc < 0)
    pp_issuer_free(issuer);
  else
    *ret_issuer = issuer;
  return rc;
}

void pp_issuer_free(struct pp_issuer *issuer)
{
  if (!issuer)
    return;
  http_post_cancel(&issuer->get);
  http_client_free(issuer->client);
  if (issuer->config.http.timers)
    timers_cancel(issuer->config.http.timers, &issuer->timer);
  pp_directory_destroy(&issuer->known);
  free(issuer);
}
