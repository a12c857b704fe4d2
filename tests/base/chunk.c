/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/chunk.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void fills(void **state)
{
  struct chunk *c = chunk_new(NULL, 5);
  assert_non_null(c);
  const uint8_t *at = c->data;
  assert_int_equal(chunk_append(c, slice_str("abc")), 3);
  assert_int_equal(chunk_append(c, slice_of(NULL, 0)), 0);
  assert_int_equal(chunk_append(c, slice_str("def")), 2);
  assert_int_equal(chunk_append(c, slice_str("g")), 0);
  assert_int_equal(c->len, 5);
  assert_memory_equal(c->data, "abcde", 5);
  assert_ptr_equal(c->data, at); /* readers may hold on to it */
  chunk_unref(c);
}

/* The sanitizer tells if it goes too early or never. */
static void counts(void **state)
{
  struct chunk *c = chunk_new(NULL, 1);
  assert_non_null(c);
  assert_ptr_equal(chunk_ref(c), c);
  chunk_unref(c);
  assert_int_equal(chunk_append(c, slice_str("x")), 1);
  chunk_unref(c);
  chunk_unref(NULL);
}

static void empty(void **state)
{
  struct chunk *c = chunk_new(NULL, 0);
  assert_non_null(c);
  assert_int_equal(chunk_append(c, slice_str("x")), 0);
  chunk_unref(c);
}

#define MANY 5000

static uint32_t cap_of(size_t i)
{
  return 1 + (uint32_t)(i * 7919 % CHUNK_CAP_MAX);
}

/* Each has what was put in, wherever its neighbours come and go. */
static void from_a_pool(void **state)
{
  static struct chunk *c[MANY];
  struct chunk_pool p;
  uint8_t bytes[64];
  chunk_pool_init(&p);
  p.slabs = true;
  for (int round = 0; round < 3; round++) {
    for (size_t i = round; i < MANY; i += 1 + (size_t)round) {
      chunk_unref(c[i]);
      c[i] = chunk_new(&p, cap_of(i));
      assert_non_null(c[i]);
      assert_true(c[i]->cap >= cap_of(i) && c[i]->len == 0);
      memset(bytes, (int)i, sizeof bytes);
      while (chunk_append(c[i], slice_of(bytes, sizeof bytes)) > 0)
        ;
    }
    for (size_t i = 0; i < MANY; i++) {
      assert_int_equal(c[i]->data[0], (uint8_t)i);
      assert_int_equal(c[i]->data[c[i]->cap - 1], (uint8_t)i);
    }
  }
  for (size_t i = 0; i < MANY; i++)
    chunk_unref(c[i]);
  assert_int_equal(chunk_pool_used(&p), 0);
  chunk_pool_destroy(&p);
}

/* Whatever remains, the rest can be given back, a little at a time. */
static void spare_memory_is_given_back(void **state)
{
  static struct chunk *c[MANY];
  struct chunk_pool p;
  chunk_pool_init(&p);
  p.slabs = true;
  for (size_t i = 0; i < MANY; i++)
    c[i] = chunk_new(&p, CHUNK_CAP_MAX);
  size_t used = chunk_pool_used(&p), most = p.used_n;
  for (size_t i = 0; i < MANY - 100; i++)
    chunk_unref(c[i]);
  assert_in_range(used, MANY * (size_t)CHUNK_CAP_MAX, MANY * (size_t)CHUNK_CAP_MAX * 9 / 8);
  assert_in_range(chunk_pool_used(&p), 1, used / 40);
  assert_int_equal(p.spare_n + p.used_n, most);
  assert_true(chunk_pool_release(&p, 10));
  assert_int_equal(p.spare_n + p.used_n, most - 10);
  assert_false(chunk_pool_release(&p, SIZE_MAX));
  assert_in_range(p.spare_n, 0, p.used_n / CHUNK_SPARE);
  for (size_t i = MANY - 100; i < MANY; i++)
    chunk_unref(c[i]);
  chunk_pool_destroy(&p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fills),
      cmocka_unit_test(counts),
      cmocka_unit_test(empty),
      cmocka_unit_test(from_a_pool),
      cmocka_unit_test(spare_memory_is_given_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
