/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_spent_file.h"
#include "base/buf.h"
#include "base/cursor.h"
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "moqpps1\n"
#define SUM_BYTES 4
#define HEADER_BYTES (sizeof MAGIC - 1 + PP_SPENT_SECRET_BYTES + SUM_BYTES)
#define RECORD_BYTES (PP_SPENT_KEY_BYTES + 8 + SUM_BYTES)
#define CHUNK (4096 * RECORD_BYTES) /* bytes that are read or written at once */

static void sum_of(struct slice s, uint8_t ret_sum[SUM_BYTES])
{
  uint8_t digest[32] = {0};
  gnutls_hash_fast(GNUTLS_DIG_SHA256, s.p, s.n, digest);
  memcpy(ret_sum, digest, SUM_BYTES);
}

/* The last SUM_BYTES are the checksum of what comes before. */
static bool sum_ok(struct slice s)
{
  uint8_t sum[SUM_BYTES];
  sum_of(slice_of(s.p, s.n - SUM_BYTES), sum);
  return memcmp(sum, s.p + s.n - SUM_BYTES, SUM_BYTES) == 0;
}

static void put_sum(struct buf *b, size_t from)
{
  uint8_t sum[SUM_BYTES];
  if (b->failed)
    return;
  sum_of(slice_of(b->p + from, b->n - from), sum);
  buf_bytes(b, slice_of(sum, sizeof sum));
}

static void put_record(struct buf *b, const struct pp_spent_record *r)
{
  size_t from = b->n;
  buf_bytes(b, slice_of(r->key, sizeof r->key));
  buf_u32(b, (uint32_t)(r->expires_s >> 32));
  buf_u32(b, (uint32_t)r->expires_s);
  put_sum(b, from);
}

static void get_record(struct slice s, struct pp_spent_record *r)
{
  struct cursor c = cursor_of(s);
  memcpy(r->key, cursor_bytes(&c, sizeof r->key).p, sizeof r->key);
  r->expires_s = (uint64_t)cursor_u32(&c) << 32;
  r->expires_s |= cursor_u32(&c);
}

static ssize_t read_all(int fd, uint8_t *p, size_t n)
{
  size_t have = 0;
  while (have < n) {
    ssize_t got = read(fd, p + have, n - have);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -errno;
    if (got == 0)
      break;
    have += (size_t)got;
  }
  return (ssize_t)have;
}

static int write_all(int fd, struct slice s)
{
  while (s.n > 0) {
    ssize_t put = write(fd, s.p, s.n);
    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0)
      return put < 0 ? -errno : -EIO;
    s = slice_from(s, (size_t)put);
  }
  return 0;
}

/* -- reading -- */

static int damaged(const struct pp_spent_file *f, struct err *ret_err)
{
  return err_set(ret_err, -EBADMSG,
                 "%.300s: it is damaged, or no file of spent tokens; without it used tokens would be good again",
                 f->path);
}

static int read_header(struct pp_spent_file *f, uint8_t ret_secret[PP_SPENT_SECRET_BYTES], struct err *ret_err)
{
  uint8_t header[HEADER_BYTES];
  ssize_t n = read_all(f->fd, header, sizeof header);
  if (n < 0)
    return err_set(ret_err, (int)n, "%.300s: %s", f->path, strerror((int)-n));
  if (n != (ssize_t)sizeof header || memcmp(header, MAGIC, sizeof MAGIC - 1) != 0 ||
      !sum_ok(slice_of(header, sizeof header)))
    return damaged(f, ret_err);
  memcpy(ret_secret, header + sizeof MAGIC - 1, PP_SPENT_SECRET_BYTES);
  return 0;
}

/* Records of one chunk. Only the file's last record may be bad: it was being written when the process ended. */
static int take_chunk(struct pp_spent_file *f, struct slice chunk, bool last,
                      int (*take)(void *ctx, const struct pp_spent_record *r), void *ctx, struct err *ret_err)
{
  while (chunk.n >= RECORD_BYTES) {
    struct pp_spent_record r;
    struct slice one = slice_of(chunk.p, RECORD_BYTES);
    chunk = slice_from(chunk, RECORD_BYTES);
    if (!sum_ok(one))
      return last && chunk.n == 0 ? 0 : damaged(f, ret_err);
    get_record(one, &r);
    int rc = take(ctx, &r);
    if (rc < 0)
      return err_set(ret_err, rc, "%.300s: %s", f->path,
                     rc == -ENOSPC ? "it has more tokens than privacypass.spent_max" : strerror(-rc));
    f->records++;
  }
  return 0;
}

static int read_records(struct pp_spent_file *f, uint64_t size, int (*take)(void *ctx, const struct pp_spent_record *r),
                        void *ctx, struct err *ret_err)
{
  struct buf b = {0};
  uint8_t *room = buf_reserve(&b, CHUNK);
  int rc = room ? 0 : err_set(ret_err, -ENOMEM, "out of memory");
  uint64_t at = HEADER_BYTES;
  while (rc == 0 && at < size) {
    ssize_t n = read_all(f->fd, room, CHUNK);
    if (n <= 0) {
      rc = err_set(ret_err, n < 0 ? (int)n : -EIO, "%.300s: cannot be read", f->path);
      break;
    }
    at += (uint64_t)n;
    rc = take_chunk(f, slice_of(room, (size_t)n), at >= size, take, ctx, ret_err);
  }
  buf_destroy(&b);
  return rc;
}

/* The file of that name, and not one that has just been replaced. */
static int lock(const struct pp_spent_file *f, struct stat *ret_st, struct err *ret_err)
{
  struct stat named;
  if (flock(f->fd, LOCK_EX | LOCK_NB) < 0)
    return err_set(ret_err, -EBUSY, "%.300s: another process has it; each relay needs a file of its own", f->path);
  if (fstat(f->fd, ret_st) < 0 || stat(f->path, &named) < 0 || named.st_ino != ret_st->st_ino)
    return err_set(ret_err, -EBUSY, "%.300s: it was replaced meanwhile", f->path);
  return S_ISREG(ret_st->st_mode) ? 0 : err_set(ret_err, -EINVAL, "%.300s: not a file", f->path);
}

int pp_spent_file_open(struct pp_spent_file *f, const char *path, uint8_t ret_secret[PP_SPENT_SECRET_BYTES],
                       int (*take)(void *ctx, const struct pp_spent_record *r), void *ctx, struct err *ret_err)
{
  struct stat st;
  *f = (struct pp_spent_file){.fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK), .path = path};
  if (f->fd < 0)
    return err_set(ret_err, -errno, "%.300s: %s", path, strerror(errno));
  int rc = lock(f, &st, ret_err);
  if (rc == 0)
    rc = read_header(f, ret_secret, ret_err);
  if (rc == 0)
    rc = read_records(f, (uint64_t)st.st_size, take, ctx, ret_err);
  if (rc < 0)
    pp_spent_file_close(f);
  f->size = HEADER_BYTES + f->records * RECORD_BYTES;
  return rc;
}

void pp_spent_file_close(struct pp_spent_file *f)
{
  if (f->fd >= 0)
    close(f->fd);
  f->fd = -1;
}

/* -- writing -- */

int pp_spent_file_append(struct pp_spent_file *f, const struct pp_spent_record *r)
{
  struct buf b = {0};
  put_record(&b, r);
  int rc = b.failed ? -ENOMEM : lseek(f->fd, (off_t)f->size, SEEK_SET) < 0 ? -errno : write_all(f->fd, buf_slice(&b));
  buf_destroy(&b);
  if (rc < 0)
    return rc; /* the next one is written over what there is of it */
  f->size += RECORD_BYTES;
  f->records++;
  return 0;
}

static int write_records(struct pp_spent_file *f, bool (*next)(void *ctx, struct pp_spent_record *ret), void *ctx)
{
  struct buf b = {0};
  struct pp_spent_record r;
  int rc = 0;
  while (rc == 0 && next(ctx, &r)) {
    put_record(&b, &r);
    f->records++;
    if (b.n >= CHUNK) {
      rc = write_all(f->fd, buf_slice(&b));
      buf_clear(&b);
    }
    rc = b.failed ? -ENOMEM : rc;
  }
  if (rc == 0)
    rc = write_all(f->fd, buf_slice(&b));
  buf_destroy(&b);
  f->size += f->records * RECORD_BYTES;
  return rc;
}

static int write_file(struct pp_spent_file *f, const uint8_t secret[PP_SPENT_SECRET_BYTES],
                      bool (*next)(void *ctx, struct pp_spent_record *ret), void *ctx)
{
  struct buf header = {0};
  buf_bytes(&header, slice_str(MAGIC));
  buf_bytes(&header, slice_of(secret, PP_SPENT_SECRET_BYTES));
  put_sum(&header, 0);
  int rc = header.failed ? -ENOMEM : write_all(f->fd, buf_slice(&header));
  buf_destroy(&header);
  f->size = HEADER_BYTES;
  if (rc == 0)
    rc = write_records(f, next, ctx);
  if (rc == 0 && (flock(f->fd, LOCK_EX | LOCK_NB) < 0 || fsync(f->fd) < 0))
    rc = -errno;
  return rc;
}

int pp_spent_file_rewrite(struct pp_spent_file *f, const uint8_t secret[PP_SPENT_SECRET_BYTES],
                          bool (*next)(void *ctx, struct pp_spent_record *ret), void *ctx)
{
  char name[PATH_MAX];
  struct pp_spent_file fresh = {.path = f->path};
  int n = snprintf(name, sizeof name, "%s.new", f->path);
  if (n < 0 || (size_t)n >= sizeof name)
    return -ENAMETOOLONG;
  fresh.fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fresh.fd < 0)
    return -errno;
  int rc = write_file(&fresh, secret, next, ctx);
  if (rc == 0 && rename(name, f->path) < 0)
    rc = -errno;
  if (rc < 0) {
    unlink(name);
    pp_spent_file_close(&fresh);
    return rc;
  }
  pp_spent_file_close(f);
  *f = fresh;
  return 0;
}
