/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_spent.h"
#include "auth/pp_spent_file.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdlib.h>

#define SLOTS_MIN 1024
#define FILE_SLACK 65536 /* expired records that a file may have before it is written anew */

/* Open addressing; a slot whose expiry is 0 is free. At most three quarters are in use. */
struct pp_spent {
  pthread_mutex_t lock;
  struct pp_spent_record *slots;
  size_t slot_count; /* a power of two */
  size_t count, max;
  uint64_t next_expiry; /* the earliest there is */
  uint8_t secret[PP_SPENT_SECRET_BYTES];
  struct pp_spent_file file; /* fd -1: none */
};

static void key_of(const struct pp_spent *s, struct slice input, uint8_t ret_key[PP_SPENT_KEY_BYTES])
{
  uint8_t mac[32] = {0};
  gnutls_hmac_fast(GNUTLS_MAC_SHA256, s->secret, sizeof s->secret, input.p, input.n, mac);
  memcpy(ret_key, mac, PP_SPENT_KEY_BYTES);
}

/* Where the key is, or would be. */
static struct pp_spent_record *slot_of(const struct pp_spent *s, const uint8_t key[PP_SPENT_KEY_BYTES])
{
  uint64_t at;
  memcpy(&at, key, sizeof at);
  struct pp_spent_record *r = &s->slots[at & (s->slot_count - 1)];
  while (r->expires_s != 0 && memcmp(r->key, key, PP_SPENT_KEY_BYTES) != 0)
    r = &s->slots[++at & (s->slot_count - 1)];
  return r;
}

static void put(struct pp_spent *s, const struct pp_spent_record *r)
{
  struct pp_spent_record *slot = slot_of(s, r->key);
  if (slot->expires_s == 0)
    s->count++;
  *slot = *r;
  if (r->expires_s < s->next_expiry)
    s->next_expiry = r->expires_s;
}

/* Into a table of `slot_count`, without what has expired. */
static int rebuild(struct pp_spent *s, size_t slot_count, uint64_t wall_s)
{
  struct pp_spent_record *old = s->slots;
  size_t old_count = s->slot_count;
  struct pp_spent_record *slots = calloc(slot_count, sizeof *slots);
  if (!slots)
    return -ENOSPC;
  s->slots = slots;
  s->slot_count = slot_count;
  s->count = 0;
  s->next_expiry = PP_SPENT_NEVER;
  for (size_t i = 0; i < old_count; i++) {
    if (old[i].expires_s > wall_s)
      put(s, &old[i]);
  }
  free(old);
  return 0;
}

static int make_room(struct pp_spent *s, uint64_t wall_s)
{
  bool full = s->count >= s->max, crowded = s->count >= s->slot_count / 4 * 3;
  int rc = 0;
  if ((full || crowded) && s->next_expiry <= wall_s) {
    rc = rebuild(s, s->slot_count, wall_s);
    full = s->count >= s->max;
    crowded = s->count >= s->slot_count / 2;
  }
  if (rc == 0 && crowded && !full)
    rc = rebuild(s, s->slot_count * 2, wall_s);
  return full ? -ENOSPC : rc;
}

bool pp_spent_has(struct pp_spent *s, struct slice input)
{
  uint8_t key[PP_SPENT_KEY_BYTES];
  key_of(s, input, key);
  pthread_mutex_lock(&s->lock);
  bool has = slot_of(s, key)->expires_s != 0;
  pthread_mutex_unlock(&s->lock);
  return has;
}

/* -- the file -- */

struct walk {
  const struct pp_spent *spent;
  size_t at;
  uint64_t wall_s;
};

static bool next_live(void *ctx, struct pp_spent_record *ret)
{
  struct walk *w = ctx;
  while (w->at < w->spent->slot_count) {
    const struct pp_spent_record *r = &w->spent->slots[w->at++];
    if (r->expires_s > w->wall_s) {
      *ret = *r;
      return true;
    }
  }
  return false;
}

static int rewrite_file(struct pp_spent *s, uint64_t wall_s)
{
  struct walk w = {s, 0, wall_s};
  return pp_spent_file_rewrite(&s->file, s->secret, next_live, &w);
}

static int write_down(struct pp_spent *s, const struct pp_spent_record *r, uint64_t wall_s)
{
  if (s->file.fd < 0)
    return 0;
  if (s->file.records > 2 * s->count + FILE_SLACK)
    rewrite_file(s, wall_s); /* if that fails the old one stays, and goes on */
  return pp_spent_file_append(&s->file, r) < 0 ? -EIO : 0;
}

static int add(struct pp_spent *s, const struct pp_spent_record *r, uint64_t wall_s)
{
  if (slot_of(s, r->key)->expires_s != 0)
    return -EEXIST;
  int rc = make_room(s, wall_s);
  if (rc == 0)
    rc = write_down(s, r, wall_s);
  if (rc == 0)
    put(s, r);
  return rc;
}

int pp_spent_add(struct pp_spent *s, struct slice input, uint64_t expires_s, uint64_t wall_s)
{
  struct pp_spent_record r = {.expires_s = expires_s ? expires_s : 1};
  key_of(s, input, r.key);
  pthread_mutex_lock(&s->lock);
  int rc = add(s, &r, wall_s);
  pthread_mutex_unlock(&s->lock);
  return rc;
}

size_t pp_spent_count(struct pp_spent *s)
{
  pthread_mutex_lock(&s->lock);
  size_t n = s->count;
  pthread_mutex_unlock(&s->lock);
  return n;
}

/* -- life -- */

static int take(void *ctx, const struct pp_spent_record *r)
{
  struct walk *w = ctx;
  struct pp_spent *s = (struct pp_spent *)w->spent;
  if (r->expires_s <= w->wall_s)
    return 0;
  int rc = make_room(s, w->wall_s);
  if (rc == 0)
    put(s, r);
  return rc;
}

static int start_file(struct pp_spent *s, const char *path, uint64_t wall_s, struct err *ret_err)
{
  struct walk w = {s, 0, wall_s};
  int rc = pp_spent_file_open(&s->file, path, s->secret, take, &w, ret_err);
  if (rc < 0 && rc != -ENOENT)
    return rc;
  rc = rewrite_file(s, wall_s);
  return rc < 0 ? err_set(ret_err, rc, "%.300s: it cannot be written: %s", path, strerror(-rc)) : 0;
}

int pp_spent_new(const struct pp_spent_config *config, uint64_t wall_s, struct pp_spent **ret_spent,
                 struct err *ret_err)
{
  struct pp_spent *s = calloc(1, sizeof *s);
  if (!s)
    return err_set(ret_err, -ENOMEM, "out of memory");
  pthread_mutex_init(&s->lock, NULL);
  s->max = config->max;
  s->file.fd = -1;
  rng_fill(&config->rng, s->secret, sizeof s->secret);
  int rc = rebuild(s, SLOTS_MIN, wall_s);
  if (rc < 0)
    rc = err_set(ret_err, -ENOMEM, "out of memory");
  else if (config->file)
    rc = start_file(s, config->file, wall_s, ret_err);
  if (rc < 0)
    pp_spent_free(s);
  else
    *ret_spent = s;
  return rc;
}

void pp_spent_free(struct pp_spent *s)
{
  if (!s)
    return;
  pp_spent_file_close(&s->file);
  pthread_mutex_destroy(&s->lock);
  free(s->slots);
  free(s);
}
