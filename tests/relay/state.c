/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The secret's file: made once, read again, refused when it is not ours alone. */
#include "relay/state.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
  char parent[32], dir[48], file[64];
};

static int begin(void **state)
{
  static struct place p;
  strcpy(p.parent, "/tmp/moq-state-XXXXXX");
  assert_non_null(mkdtemp(p.parent));
  snprintf(p.dir, sizeof p.dir, "%s/state", p.parent);
  snprintf(p.file, sizeof p.file, "%s/secret", p.dir);
  *state = &p;
  return 0;
}

static int end(void **state)
{
  struct place *p = *state;
  unlink(p->file);
  rmdir(p->dir);
  return rmdir(p->parent); /* fails when a draft was left behind */
}

static void made_once(void **state)
{
  struct place *p = *state;
  struct rng rng = rng_system();
  struct err err;
  struct stat st;
  uint8_t a[STATE_SECRET_BYTES] = {0}, b[STATE_SECRET_BYTES] = {0}, zero[STATE_SECRET_BYTES] = {0};
  assert_int_equal(state_secret(p->dir, &rng, a, &err), 0);
  assert_memory_not_equal(a, zero, sizeof a);
  assert_int_equal(stat(p->file, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(stat(p->dir, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0700);
  assert_int_equal(state_secret(p->dir, &rng, b, &err), 0);
  assert_memory_equal(a, b, sizeof a);
  unlink(p->file);
  assert_int_equal(state_secret(p->dir, &rng, b, &err), 0);
  assert_memory_not_equal(a, b, sizeof a);
}

static void refused(struct place *p, int want, const char *piece)
{
  struct rng rng = rng_system();
  struct err err = {""};
  uint8_t out[STATE_SECRET_BYTES];
  memset(out, 7, sizeof out);
  assert_int_equal(state_secret(p->dir, &rng, out, &err), want);
  assert_non_null(strstr(err.text, piece));
  for (size_t i = 0; i < sizeof out; i++)
    assert_int_equal(out[i], 7);
}

static void not_ours_alone(void **state)
{
  struct place *p = *state;
  struct rng rng = rng_system();
  struct err err;
  uint8_t out[STATE_SECRET_BYTES];
  assert_int_equal(state_secret(p->dir, &rng, out, &err), 0);
  assert_int_equal(chmod(p->file, 0640), 0);
  refused(p, -EPERM, "others may read it (mode 0640)");
  assert_int_equal(chmod(p->file, 0600), 0);
  assert_int_equal(truncate(p->file, 31), 0);
  refused(p, -EINVAL, "/secret: is not a file of 32 bytes");
  unlink(p->file);
  assert_int_equal(symlink("/dev/zero", p->file), 0);
  refused(p, -ELOOP, "cannot be read");
}

static void no_such_place(void **state)
{
  struct place *p = *state;
  strcpy(p->dir, "/nonexistent/state");
  refused(p, -ENOENT, "/nonexistent/state: cannot be made");
  snprintf(p->dir, sizeof p->dir, "%s", "/dev/null");
  refused(p, -ENOTDIR, "/dev/null/secret: cannot be read");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(made_once, begin, end),
      cmocka_unit_test_setup_teardown(not_ours_alone, begin, end),
      cmocka_unit_test_setup_teardown(no_such_place, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
