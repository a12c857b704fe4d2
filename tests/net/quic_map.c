/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "net/quic_map.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { NODES = 5000 };

static struct slice key_of(uint32_t i, uint8_t out[QUIC_KEY_MAX])
{
  memset(out, 0, QUIC_KEY_MAX);
  memcpy(out, &i, sizeof i);
  return slice_of(out, 4 + i % (QUIC_KEY_MAX - 3));
}

static void insert_find_remove(void **state)
{
  struct quic_map m;
  uint64_t seed = 1;
  struct rng rng = rng_seeded(&seed);
  struct quic_node *nodes = calloc(NODES, sizeof *nodes), twin;
  uint8_t key[QUIC_KEY_MAX];
  (void)state;
  assert_int_equal(quic_map_init(&m, &rng), 0);
  for (uint32_t i = 0; i < NODES; i++) {
    assert_true(quic_map_insert(&m, &nodes[i], key_of(i, key)));
    assert_false(quic_map_insert(&m, &twin, key_of(i, key)));
  }
  assert_int_equal(m.count, NODES);
  for (uint32_t i = 0; i < NODES; i += 2)
    quic_map_remove(&m, &nodes[i]);
  for (uint32_t i = 0; i < NODES; i++)
    assert_ptr_equal(quic_map_find(&m, key_of(i, key)), i % 2 ? &nodes[i] : NULL);
  assert_int_equal(m.count, NODES / 2);
  quic_map_destroy(&m);
  free(nodes);
}

/* Keys that differ only in length, in their last byte, or are too long. */
static void lengths(void **state)
{
  static const uint8_t zeros[QUIC_KEY_MAX + 1];
  uint8_t other[QUIC_KEY_MAX] = {0};
  struct quic_map m;
  uint64_t seed = 1;
  struct rng rng = rng_seeded(&seed);
  struct quic_node nodes[QUIC_KEY_MAX + 1];
  (void)state;
  other[QUIC_KEY_MAX - 1] = 1;
  assert_int_equal(quic_map_init(&m, &rng), 0);
  for (size_t n = 0; n <= QUIC_KEY_MAX; n++)
    assert_true(quic_map_insert(&m, &nodes[n], slice_of(zeros, n)));
  for (size_t n = 0; n <= QUIC_KEY_MAX; n++)
    assert_ptr_equal(quic_map_find(&m, slice_of(zeros, n)), &nodes[n]);
  assert_null(quic_map_find(&m, slice_of(zeros, QUIC_KEY_MAX + 1)));
  assert_null(quic_map_find(&m, slice_of(other, sizeof other)));
  quic_map_destroy(&m);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(insert_find_remove),
      cmocka_unit_test(lengths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
