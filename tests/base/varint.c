/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/varint.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_as(const struct varint_form *form, uint64_t v, size_t size)
{
  uint8_t out[VARINT_ONES_MAX_BYTES];
  uint64_t back = ~v;
  assert_int_equal(form->size(v), size);
  assert_int_equal(form->write(out, v), size);
  for (size_t n = 0; n < size; n++)
    assert_int_equal(form->read(out, n, &back), 0);
  assert_true(back == ~v); /* untouched by the failures */
  assert_int_equal(form->read(out, size, &back), size);
  assert_true(back == v);
}

static void check(uint64_t v, size_t size)
{
  check_as(&varint_quic, v, size);
}

static void bounds(void **state)
{
  check(0, 1);
  check(63, 1);
  check(64, 2);
  check(16383, 2);
  check(16384, 4);
  check((1ULL << 30) - 1, 4);
  check(1ULL << 30, 8);
  check(VARINT_MAX, 8);
  assert_int_equal(varint_size(VARINT_MAX + 1), 0);
  assert_int_equal(varint_size(UINT64_MAX), 0);
}

static void bounds_of_ones(void **state)
{
  static const size_t sizes[] = {1, 2, 3, 4, 5, 6, 8, 8, 9};
  check_as(&varint_ones, 0, 1);
  for (size_t i = 0; i < 8; i++) {
    check_as(&varint_ones, (1ULL << (7 * (i + 1))) - 1, sizes[i]);
    check_as(&varint_ones, 1ULL << (7 * (i + 1)), sizes[i + 1]);
  }
  check_as(&varint_ones, UINT64_MAX, 9);
}

/* Forms longer than needed, and the one of 7 bytes. */
static void reads_ones(void **state)
{
  uint64_t v = 0;
  assert_int_equal(varint_ones_read((const uint8_t *)"\x80\x25", 2, &v), 2);
  assert_int_equal(v, 37);
  assert_int_equal(varint_ones_read((const uint8_t *)"\xff\0\0\0\0\0\0\0\x26", 9, &v), 9);
  assert_int_equal(v, 38);
  assert_int_equal(varint_ones_read((const uint8_t *)"\xfd\1\2\3\4\5\6", 6, &v), 0);
  assert_int_equal(v, 38);
  assert_int_equal(varint_ones_read((const uint8_t *)"\xfd\1\2\3\4\5\6", 7, &v), 7);
  assert_true(v == 0x1010203040506);
}

/* RFC 9000 appendix A.1, and forms longer than needed. */
static void reads(void **state)
{
  uint64_t v = 0;
  assert_int_equal(varint_read((const uint8_t *)"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 8, &v), 8);
  assert_true(v == 151288809941952652ULL);
  assert_int_equal(varint_read((const uint8_t *)"\x9d\x7f\x3e\x7d", 4, &v), 4);
  assert_int_equal(v, 494878333);
  assert_int_equal(varint_read((const uint8_t *)"\x7b\xbd", 2, &v), 2);
  assert_int_equal(v, 15293);
  assert_int_equal(varint_read((const uint8_t *)"\x40\x25", 2, &v), 2);
  assert_int_equal(v, 37);
  assert_int_equal(varint_read((const uint8_t *)"\xc0\0\0\0\0\0\0\x25", 8, &v), 8);
  assert_int_equal(v, 37);
}

static size_t from_hex(const char *hex, uint8_t *out, size_t cap)
{
  size_t n = 0;
  for (unsigned byte; n < cap && sscanf(hex + 2 * n, "%2x", &byte) == 1;)
    out[n++] = (uint8_t)byte;
  return n;
}

/* Written by another implementation. */
static void check_golden(const char *name, const struct varint_form *form)
{
  json_t *root = json_load_file(VECTORS_DIR "/varint.json", 0, NULL), *entry;
  size_t i, checked = 0;
  assert_non_null(root);
  json_array_foreach(root, i, entry)
  {
    uint8_t bytes[16], out[VARINT_ONES_MAX_BYTES];
    uint64_t back = 0;
    if (strcmp(json_string_value(json_object_get(entry, "name")), name) != 0)
      continue;
    size_t n = from_hex(json_string_value(json_object_get(entry, "hex")), bytes, sizeof bytes);
    const char *value = json_string_value(json_object_get(json_object_get(entry, "fields"), "value"));
    uint64_t v = strtoull(value, NULL, 10);
    assert_int_equal(form->write(out, v), n);
    assert_memory_equal(out, bytes, n);
    assert_int_equal(form->read(bytes, n, &back), n);
    assert_true(back == v);
    checked++;
  }
  assert_true(checked >= 10);
  json_decref(root);
}

static void golden(void **state)
{
  check_golden("varint_quic", &varint_quic);
  check_golden("varint_leading_ones", &varint_ones);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bounds),     cmocka_unit_test(reads),  cmocka_unit_test(bounds_of_ones),
      cmocka_unit_test(reads_ones), cmocka_unit_test(golden),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
