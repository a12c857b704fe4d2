/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/keys.h"
#include "base/list.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME_MAX 4096

/* What tells one state of a file from another. */
struct stamp {
  struct timespec changed;
  off_t size;
  ino_t inode;
};

struct entry {
  struct list link; /* of the cache, latest use last */
  char kid[JWK_KID_MAX + 1];
  struct jwk *key;
  struct stamp stamp;
  uint64_t checked;
};

struct keys {
  struct keys_config config;
  struct list entries;
  size_t count;
};

static struct stamp stamp_of(const struct stat *st)
{
  return (struct stamp){st->st_mtim, st->st_size, st->st_ino};
}

static bool same(const struct stamp *a, const struct stamp *b)
{
  return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec && a->size == b->size &&
         a->inode == b->inode;
}

/* Never blocks on a pipe or a device, never reads more than a key may have. */
static int slurp(const char *path, struct buf *out, struct stamp *ret_stamp)
{
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return -errno;
  int rc = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : st.st_size > JWK_BYTES_MAX ? -EFBIG : 0;
  uint8_t *room = rc == 0 ? buf_reserve(out, JWK_BYTES_MAX) : NULL;
  if (room) {
    ssize_t n = read(fd, room, JWK_BYTES_MAX);
    rc = n < 0 ? -errno : 0;
    out->n += n > 0 ? (size_t)n : 0;
    *ret_stamp = stamp_of(&st);
  } else if (rc == 0) {
    rc = -ENOMEM;
  }
  close(fd);
  return rc;
}

static int read_key(const char *path, struct jwk **ret_key, struct stamp *ret_stamp, struct err *ret_err)
{
  struct buf text = {0};
  struct err why = {""};
  int rc = slurp(path, &text, ret_stamp);
  if (rc < 0)
    err_set(ret_err, rc, "%.300s: %s", path, rc == -EINVAL ? "not a file" : strerror(-rc));
  else if ((rc = jwk_parse(buf_slice(&text), ret_key, &why)) < 0)
    err_set(ret_err, rc, "%.300s: not a usable key: %.150s", path, why.text);
  if (text.p)
    explicit_bzero(text.p, text.cap);
  buf_destroy(&text);
  return rc;
}

static bool path_of(const struct keys *k, const char *kid, char path[FILE_NAME_MAX])
{
  int n = k->config.file ? snprintf(path, FILE_NAME_MAX, "%s", k->config.file)
                         : snprintf(path, FILE_NAME_MAX, "%s/%s.jwk", k->config.directory, kid);
  return n > 0 && n < FILE_NAME_MAX;
}

/* -- the cache -- */

static void entry_free(struct keys *k, struct entry *e)
{
  list_remove(&e->link);
  k->count--;
  jwk_free(e->key);
  free(e);
}

static struct entry *entry_of(struct keys *k, const char *kid)
{
  list_for_each (it, &k->entries) {
    struct entry *e = container_of(it, struct entry, link);
    if (strcmp(e->kid, kid) == 0)
      return e;
  }
  return NULL;
}

static struct entry *remember(struct keys *k, const char *kid, struct jwk *key, const struct stamp *stamp, uint64_t now)
{
  struct entry *e = calloc(1, sizeof *e);
  if (!e)
    return NULL;
  if (k->count >= KEYS_CACHED_MAX)
    entry_free(k, container_of(k->entries.next, struct entry, link));
  snprintf(e->kid, sizeof e->kid, "%s", kid);
  e->key = key;
  e->stamp = *stamp;
  e->checked = now;
  list_append(&k->entries, &e->link);
  k->count++;
  return e;
}

static int load(struct keys *k, const char *kid, uint64_t now, struct err *ret_err)
{
  char path[FILE_NAME_MAX];
  struct jwk *key;
  struct stamp stamp;
  if (!path_of(k, kid, path))
    return err_set(ret_err, -ENAMETOOLONG, "the name of the key file is too long");
  int rc = read_key(path, &key, &stamp, ret_err);
  if (rc < 0)
    return rc;
  if (remember(k, kid, key, &stamp, now))
    return 0;
  jwk_free(key);
  return err_set(ret_err, -ENOMEM, "out of memory");
}

/* Looks whether the file is still the one that was read. False when the key has gone. */
static bool refresh(struct keys *k, struct entry *e, uint64_t now)
{
  char path[FILE_NAME_MAX];
  struct stat st;
  struct err why = {""};
  struct jwk *key;
  if (now - e->checked < KEYS_CHECK_NS || !path_of(k, e->kid, path))
    return true;
  e->checked = now;
  if (stat(path, &st) < 0) {
    if (errno == ENOENT && k->config.directory)
      return false;
    log_warn(k->config.log, "key file %s: %s; the key that was read before stays", path, strerror(errno));
    return true;
  }
  struct stamp stamp = stamp_of(&st);
  if (same(&stamp, &e->stamp))
    return true;
  e->stamp = stamp; /* told once for each change */
  if (read_key(path, &key, &stamp, &why) < 0) {
    log_warn(k->config.log, "%s; the key that was read before stays", why.text);
    return true;
  }
  log_info(k->config.log, "key file %s read again", path);
  jwk_free(e->key);
  e->key = key;
  e->stamp = stamp;
  return true;
}

const struct jwk *keys_find(struct keys *k, const char *kid, uint64_t now, const char **ret_why)
{
  struct err err = {""};
  if (k->config.file)
    kid = "";
  else if (!jwk_kid_ok(slice_str(kid)))
    return *ret_why = *kid ? "the token's kid is malformed" : "the token names no key", NULL;
  struct entry *e = entry_of(k, kid);
  if (e && !refresh(k, e, now)) {
    entry_free(k, e);
    e = NULL;
  }
  if (!e) {
    int rc = load(k, kid, now, &err);
    if (rc < 0 && rc != -ENOENT)
      log_warn(k->config.log, "%s", err.text);
    e = rc == 0 ? entry_of(k, kid) : NULL;
  }
  if (!e)
    return *ret_why = "the token's key is not known", NULL;
  list_remove(&e->link);
  list_append(&k->entries, &e->link);
  return e->key;
}

int keys_new(const struct keys_config *config, struct keys **ret_keys, struct err *ret_err)
{
  struct stat st;
  struct keys *k = calloc(1, sizeof *k);
  if (!k)
    return err_set(ret_err, -ENOMEM, "out of memory");
  k->config = *config;
  list_init(&k->entries);
  int rc = 0;
  if (config->file)
    rc = load(k, "", 0, ret_err);
  else if (stat(config->directory, &st) < 0)
    rc = err_set(ret_err, -errno, "%.300s: %s", config->directory, strerror(errno));
  else if (!S_ISDIR(st.st_mode))
    rc = err_set(ret_err, -ENOTDIR, "%.300s: not a directory", config->directory);
  if (rc < 0)
    keys_free(k);
  else
    *ret_keys = k;
  return rc;
}

void keys_free(struct keys *k)
{
  if (!k)
    return;
  list_for_each_safe (it, tmp, &k->entries)
    entry_free(k, container_of(it, struct entry, link));
  free(k);
}
