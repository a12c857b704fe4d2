/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The store of used tokens: once each, bounded, and the same after a restart. */
#include "auth/pp_spent.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER 28
#define RECORD 28

static char directory[] = "/tmp/pp-spent-XXXXXX", file[64];
static uint64_t random_state = 7;

static int open_store(const char *path, size_t max, uint64_t wall_s, struct pp_spent **ret, struct err *err)
{
  struct pp_spent_config config = {.max = max, .file = path, .rng = rng_seeded(&random_state)};
  return pp_spent_new(&config, wall_s, ret, err);
}

static struct pp_spent *store(const char *path, size_t max, uint64_t wall_s)
{
  struct pp_spent *s = NULL;
  struct err err = {""};
  if (open_store(path, max, wall_s, &s, &err) < 0)
    fail_msg("%s", err.text);
  return s;
}

static int add(struct pp_spent *s, uint64_t token, uint64_t expires_s, uint64_t wall_s)
{
  return pp_spent_add(s, slice_of(&token, sizeof token), expires_s, wall_s);
}

static bool has(struct pp_spent *s, uint64_t token)
{
  return pp_spent_has(s, slice_of(&token, sizeof token));
}

static void test_once(void **state)
{
  struct pp_spent *s = store(NULL, 10, 0);
  assert_false(has(s, 1));
  assert_int_equal(add(s, 1, 100, 0), 0);
  assert_true(has(s, 1));
  assert_int_equal(add(s, 1, 200, 0), -EEXIST);
  assert_int_equal(add(s, 2, PP_SPENT_NEVER, 0), 0);
  assert_int_equal(pp_spent_count(s), 2);
  pp_spent_free(s);
}

static void test_full_refuses_and_expiry_makes_room(void **state)
{
  struct pp_spent *s = store(NULL, 4, 0);
  for (uint64_t i = 0; i < 3; i++)
    assert_int_equal(add(s, i, 100 + i, 0), 0);
  assert_int_equal(add(s, 3, PP_SPENT_NEVER, 0), 0);
  assert_int_equal(add(s, 4, 500, 99), -ENOSPC);
  assert_int_equal(add(s, 0, 500, 99), -EEXIST);
  assert_int_equal(add(s, 4, 500, 101), 0); /* two have gone */
  assert_int_equal(add(s, 5, 500, 101), 0);
  assert_int_equal(add(s, 6, 500, 101), -ENOSPC);
  assert_true(has(s, 2) && has(s, 3) && has(s, 4) && has(s, 5));
  assert_int_equal(add(s, 6, 500, 1000000), 0);
  assert_true(has(s, 3));
  assert_int_equal(pp_spent_count(s), 2);
  pp_spent_free(s);
}

static void test_many(void **state)
{
  enum { MANY = 20000 };
  struct pp_spent *s = store(NULL, MANY, 0);
  for (uint64_t i = 0; i < MANY; i++)
    assert_int_equal(add(s, i, 100, 0), 0);
  assert_int_equal(add(s, MANY, 100, 0), -ENOSPC);
  for (uint64_t i = 0; i < MANY; i++)
    assert_true(has(s, i));
  assert_int_equal(add(s, MANY, 300, 200), 0);
  assert_int_equal(pp_spent_count(s), 1);
  pp_spent_free(s);
}

/* -- the file -- */

static int make_directory(void **state)
{
  snprintf(file, sizeof file, "%s/spent", directory);
  return 0;
}

static int remove_file(void **state)
{
  unlink(file);
  return 0;
}

static off_t size_of_file(void)
{
  struct stat st;
  assert_int_equal(stat(file, &st), 0);
  return st.st_size;
}

static void fill(uint64_t n)
{
  struct pp_spent *s = store(file, 100, 0);
  for (uint64_t i = 0; i < n; i++)
    assert_int_equal(add(s, i, 100 + i, 0), 0);
  pp_spent_free(s);
  assert_int_equal(size_of_file(), HEADER + RECORD * (off_t)n);
}

static void test_a_restart(void **state)
{
  fill(10);
  struct pp_spent *s = store(file, 100, 50);
  for (uint64_t i = 0; i < 10; i++)
    assert_int_equal(add(s, i, 500, 50), -EEXIST);
  assert_int_equal(add(s, 10, PP_SPENT_NEVER, 50), 0);
  pp_spent_free(s);
  s = store(file, 100, 104); /* five have expired */
  assert_int_equal(size_of_file(), HEADER + RECORD * 6);
  assert_int_equal(pp_spent_count(s), 6);
  assert_false(has(s, 4));
  assert_true(has(s, 5) && has(s, 10));
  pp_spent_free(s);
}

/* Whatever there is of the last record, those before it are there. */
static void test_a_torn_tail(void **state)
{
  for (int cut = 1; cut <= RECORD; cut++) {
    fill(3);
    assert_int_equal(truncate(file, HEADER + RECORD * 3 - cut), 0);
    struct pp_spent *s = store(file, 100, 0);
    assert_true(has(s, 0) && has(s, 1) && !has(s, 2));
    assert_int_equal(add(s, 2, 300, 0), 0);
    pp_spent_free(s);
    s = store(file, 100, 0);
    assert_int_equal(pp_spent_count(s), 3);
    pp_spent_free(s);
    remove_file(NULL);
  }
}

static void flip(off_t at)
{
  uint8_t byte;
  int fd = open(file, O_RDWR);
  assert_true(fd >= 0);
  assert_int_equal(pread(fd, &byte, 1, at), 1);
  byte ^= 0x40;
  assert_int_equal(pwrite(fd, &byte, 1, at), 1);
  close(fd);
}

static void test_damage(void **state)
{
  for (off_t at = 0; at < HEADER + 3 * RECORD; at++) {
    fill(3);
    flip(at);
    struct pp_spent *s = NULL;
    struct err err = {""};
    int rc = open_store(file, 100, 0, &s, &err);
    if (at < HEADER + 2 * RECORD) {
      assert_int_equal(rc, -EBADMSG);
      assert_non_null(strstr(err.text, file));
      assert_int_equal(size_of_file(), HEADER + 3 * RECORD); /* left for a human to look at */
    } else {
      assert_int_equal(rc, 0); /* it may have been torn */
      assert_int_equal(pp_spent_count(s), 2);
    }
    pp_spent_free(s);
    remove_file(NULL);
  }
}

static void test_no_file_of_ours(void **state)
{
  struct pp_spent *s = NULL;
  struct err err = {""};
  for (off_t n = 0; n < HEADER; n++) {
    remove_file(NULL);
    fill(0);
    assert_int_equal(truncate(file, n), 0);
    assert_int_equal(open_store(file, 100, 0, &s, &err), -EBADMSG);
  }
  assert_true(open_store("/nonexistent/spent", 100, 0, &s, &err) < 0);
  assert_non_null(strstr(err.text, "/nonexistent/spent"));
  assert_true(open_store(directory, 100, 0, &s, &err) < 0);
}

static void test_more_than_there_is_room_for(void **state)
{
  struct pp_spent *s = NULL;
  struct err err = {""};
  fill(10);
  assert_int_equal(open_store(file, 9, 0, &s, &err), -ENOSPC);
  assert_non_null(strstr(err.text, "privacypass.spent_max"));
  s = store(file, 9, 100); /* one has expired */
  pp_spent_free(s);
}

static void test_one_process_alone(void **state)
{
  struct pp_spent *s = store(file, 10, 0), *second = NULL;
  struct err err = {""};
  assert_int_equal(open_store(file, 10, 0, &second, &err), -EBUSY);
  assert_int_equal(add(s, 1, 100, 0), 0);
  pp_spent_free(s);
  s = store(file, 10, 0);
  assert_true(has(s, 1));
  pp_spent_free(s);
}

/* -- threads -- */

struct racer {
  struct pp_spent *spent;
  unsigned won;
  pthread_t thread;
};

static void *race(void *ctx)
{
  struct racer *r = ctx;
  for (uint64_t i = 0; i < 2000; i++)
    r->won += add(r->spent, i, 100, 0) == 0;
  return NULL;
}

static void test_one_of_many_threads_gets_it(void **state)
{
  struct racer racers[4];
  struct pp_spent *s = store(NULL, 10000, 0);
  unsigned won = 0;
  for (size_t i = 0; i < 4; i++) {
    racers[i] = (struct racer){.spent = s};
    assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
  }
  for (size_t i = 0; i < 4; i++) {
    pthread_join(racers[i].thread, NULL);
    won += racers[i].won;
  }
  assert_int_equal(won, 2000);
  pp_spent_free(s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_once),
      cmocka_unit_test(test_full_refuses_and_expiry_makes_room),
      cmocka_unit_test(test_many),
      cmocka_unit_test_setup_teardown(test_a_restart, make_directory, remove_file),
      cmocka_unit_test_setup_teardown(test_a_torn_tail, make_directory, remove_file),
      cmocka_unit_test_setup_teardown(test_damage, make_directory, remove_file),
      cmocka_unit_test_setup_teardown(test_no_file_of_ours, make_directory, remove_file),
      cmocka_unit_test_setup_teardown(test_more_than_there_is_room_for, make_directory, remove_file),
      cmocka_unit_test_setup_teardown(test_one_process_alone, make_directory, remove_file),
      cmocka_unit_test(test_one_of_many_threads_gets_it),
  };
  if (!mkdtemp(directory))
    return 1;
  int rc = cmocka_run_group_tests_name("used tokens", tests, NULL, NULL);
  rmdir(directory);
  return rc;
}
