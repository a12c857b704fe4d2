/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/state.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot(const char *path, const char *what, struct err *ret_err)
{
  int error = errno;
  return err_set(ret_err, -error, "state_dir: %s: cannot be %s: %s", path, what, strerror(error));
}

/* ---- reading ---- */

static int check_file(int fd, const char *path, struct err *ret_err)
{
  struct stat st;
  if (fstat(fd, &st) < 0)
    return cannot(path, "read", ret_err);
  if (!S_ISREG(st.st_mode) || st.st_size != STATE_SECRET_BYTES)
    return err_set(ret_err, -EINVAL, "state_dir: %s: is not a file of %d bytes; remove it, then a new one is made",
                   path, STATE_SECRET_BYTES);
  if (st.st_mode & 077)
    return err_set(ret_err, -EPERM, "state_dir: %s: others may read it (mode %04o); remove it, then a new one is made",
                   path, (unsigned)st.st_mode & 07777);
  return 0;
}

static int read_secret(const char *path, uint8_t ret_secret[STATE_SECRET_BYTES], struct err *ret_err)
{
  uint8_t bytes[STATE_SECRET_BYTES];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return cannot(path, "read", ret_err);
  int rc = check_file(fd, path, ret_err);
  if (rc == 0 && read(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes)
    rc = err_set(ret_err, -EIO, "state_dir: %s: cannot be read whole", path);
  close(fd);
  if (rc == 0)
    memcpy(ret_secret, bytes, sizeof bytes);
  explicit_bzero(bytes, sizeof bytes);
  return rc;
}

/* ---- making ---- */

static int write_new(int fd, struct rng *rng)
{
  uint8_t bytes[STATE_SECRET_BYTES];
  rng_fill(rng, bytes, sizeof bytes);
  ssize_t n = write(fd, bytes, sizeof bytes);
  explicit_bzero(bytes, sizeof bytes);
  if (n != (ssize_t)sizeof bytes) {
    errno = n < 0 ? errno : EIO;
    return -1;
  }
  return fsync(fd);
}

/* A whole file appears under its name at once, and only if there is none. */
static int make_secret(const char *path, struct rng *rng, struct err *ret_err)
{
  char draft[PATH_MAX + 16];
  snprintf(draft, sizeof draft, "%s.XXXXXX", path);
  int fd = mkostemp(draft, O_CLOEXEC); /* mode 0600 */
  if (fd < 0)
    return cannot(path, "made", ret_err);
  int rc = write_new(fd, rng);
  if (rc == 0)
    rc = link(draft, path);
  if (rc < 0 && errno == EEXIST)
    rc = 0; /* another process was faster: its secret is as good */
  if (rc < 0)
    rc = cannot(path, "written", ret_err);
  close(fd);
  unlink(draft);
  return rc;
}

int state_secret(const char *dir, struct rng *rng, uint8_t ret_secret[STATE_SECRET_BYTES], struct err *ret_err)
{
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/secret", dir) >= (int)sizeof path)
    return err_set(ret_err, -ENAMETOOLONG, "state_dir: the name is too long");
  if (mkdir(dir, 0700) < 0 && errno != EEXIST)
    return cannot(dir, "made", ret_err);
  if (access(path, F_OK) < 0 && errno == ENOENT) {
    int rc = make_secret(path, rng, ret_err);
    if (rc < 0)
      return rc;
  }
  return read_secret(path, ret_secret, ret_err);
}
