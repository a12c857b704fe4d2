/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/pattern.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

static void test_what_matches(void **state)
{
  static const struct {
    const char *pattern, *yes, *no; /* paths, by spaces; "." is the root */
  } rows[] = {
      {"", ".", "a a/b"},
      {"foo", "foo", ". foobar fo foo/a a/foo"},
      {"foo/**", "foo foo/a foo/a/b", ". foobar a/foo"},
      {"**", ". a a/b", ""},
      {"*", "a abc", ". a/b"},
      {"*/b", "a/b", "b a a/b/c a/c"},
      {"a/*/c", "a/b/c a/x/c", "a/c a/b/b/c a/b"},
      {"cam-*", "cam- cam-1", "cam cam-1/x xcam-1"},
      {"*-hd", "a-hd -hd a-hd-hd", "a-h hd"},
      {"a*b*c", "abc axxbyyc abcbc", "ab acb abcd"},
      {"**/b", "b a/b a/a/b b/b", ". a b/a ab"},
      {"a/**/b", "a/b a/x/b a/x/y/b a/b/b", "a b a/bb a/b/c"},
      {"a/**/*/c", "a/b/c a/x/y/c", "a/c c a/b/c/d"},
      {"**/x*/y", "x/y a/x1/y", "y x/z/y"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (int want = 0; want < 2; want++) {
      struct slice list = slice_str(want ? rows[i].yes : rows[i].no);
      while (list.n > 0) {
        const uint8_t *space = memchr(list.p, ' ', list.n);
        struct slice path = slice_of(list.p, space ? (size_t)(space - list.p) : list.n);
        list = slice_from(list, path.n + (space ? 1 : 0));
        if (path.n == 1 && path.p[0] == '.')
          path.n = 0;
        if (pattern_match(slice_str(rows[i].pattern), path) != (want == 1))
          fail_msg("\"%s\" %s \"%.*s\"", rows[i].pattern, want ? "must match" : "may not match", SLICE_FMT(path));
      }
    }
  }
}

static void test_what_is_left_below_a_path(void **state)
{
  static const struct {
    const char *pattern, *path, *left; /* patterns in brackets */
  } rows[] = {
      {"anon/**", "", "[anon/**]"},
      {"anon/**", "anon", "[**]"},
      {"anon/**", "anon/x/y", "[**]"},
      {"anon/**", "anonymous", ""},
      {"room/123/alice/**", "room", "[123/alice/**]"},
      {"a/b", "a", "[b]"},
      {"a/b", "a/b", "[]"},
      {"a/b", "a/b/c", ""},
      {"**", "x/y", "[**]"},
      {"**/b", "a", "[**/b]"},
      {"**/b", "a/b", "[**/b][]"},
      {"a/**/b/c", "a/b", "[**/b/c][c]"},
      {"*/x", "any", "[x]"},
      {"*", "", "[*]"},
      {"", "", "[]"},
      {"", "a", ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct slice left[PATTERN_RESIDUES_MAX];
    char text[256] = "";
    size_t n = pattern_residues(slice_str(rows[i].pattern), slice_str(rows[i].path), left, PATTERN_RESIDUES_MAX);
    for (size_t k = 0; k < n; k++)
      snprintf(text + strlen(text), sizeof text - strlen(text), "[%.*s]", SLICE_FMT(left[k]));
    if (strcmp(text, rows[i].left) != 0)
      fail_msg("\"%s\" below \"%s\": \"%s\", expected \"%s\"", rows[i].pattern, rows[i].path, text, rows[i].left);
  }
}

static void test_what_covers(void **state)
{
  static const struct {
    const char *outer, *yes, *no;
  } rows[] = {
      {"**", "a */b a/**/b **", "-"},
      {"a/**", "a a/b a/* a/**/b a/**", "b * ** ab/**"},
      {"a/*", "a/b a/* a/b*", "a a/** a/*/c a/b/**"},
      {"a/b*", "a/b a/bc a/b*c", "a/* a/c"},
      {"**/b", "b a/b **/b */b", "a **  b/**"},
      {"a/b", "a/b", "a a/* a/**"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (int want = 0; want < 2; want++) {
      struct slice list = slice_str(want ? rows[i].yes : rows[i].no);
      while (list.n > 0) {
        const uint8_t *space = memchr(list.p, ' ', list.n);
        struct slice inner = slice_of(list.p, space ? (size_t)(space - list.p) : list.n);
        list = slice_from(list, inner.n + (space ? 1 : 0));
        if (!slice_eq(inner, slice_str("-")) && inner.n > 0 &&
            pattern_covers(slice_str(rows[i].outer), inner) != (want == 1))
          fail_msg("\"%s\" %s \"%.*s\"", rows[i].outer, want ? "covers" : "does not cover", SLICE_FMT(inner));
      }
    }
  }
}

static void test_where_it_begins(void **state)
{
  static const char *const rows[][2] = {{"", ""},       {"**", ""},        {"a*", ""},
                                        {"a/b", "a/b"}, {"a/b/**", "a/b"}, {"a/b*/c", "a"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_true(slice_eq(pattern_head(slice_str(rows[i][0])), slice_str(rows[i][1])));
}

static uint64_t next(uint64_t *seed)
{
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return *seed >> 33;
}

static void words(uint64_t *seed, const char *const *from, size_t count, size_t most, char *out)
{
  *out = '\0';
  for (size_t n = next(seed) % (most + 1); n > 0; n--)
    sprintf(out + strlen(out), "%s%s", *out ? "/" : "", from[next(seed) % count]);
}

/* A path that is split anywhere: what the pattern leaves below the first half matches the second exactly when the pattern
 * matches the whole. */
static void test_left_and_match_agree(void **state)
{
  static const char *const segments[] = {"a", "b", "ab", "*", "a*", "*b"}, *const parts[] = {"a", "b", "ab", "aab"};
  uint64_t seed = 1;
  unsigned matched = 0;
  for (int i = 0; i < 200000; i++) {
    char text[160], head[64], tail[64];
    words(&seed, segments, 6, 4, text);
    if (next(&seed) % 2) {
      char more[64];
      words(&seed, segments, 6, 2, more);
      sprintf(text + strlen(text), "%s**%s%s", *text ? "/" : "", *more ? "/" : "", more);
    }
    words(&seed, parts, 4, 3, head);
    words(&seed, parts, 4, 3, tail);
    struct path whole;
    assert_int_equal(path_join(&whole, slice_str(head), slice_str(tail)), 0);
    struct slice left[PATTERN_RESIDUES_MAX];
    size_t n = pattern_residues(slice_str(text), slice_str(head), left, PATTERN_RESIDUES_MAX);
    bool any = false;
    for (size_t k = 0; k < n; k++)
      any = any || pattern_match(left[k], slice_str(tail));
    if (any != pattern_match(slice_str(text), path_slice(&whole)))
      fail_msg("\"%s\" at \"%s\" + \"%s\"", text, head, tail);
    matched += any;
  }
  assert_true(matched > 1000);
}

static void test_what_is_no_pattern(void **state)
{
  static const char *const bad[] = {"a**", "**a", "***", "**/**", "a/**/b/**", "a/b**c"};
  struct pattern p = {.n = 7};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(pattern_parse(&p, slice_str(bad[i])), -EINVAL);
  assert_int_equal(pattern_parse(&p, slice_of("a\0", 2)), -EINVAL);
  char deep[200] = "";
  for (int i = 0; i <= PATH_PARTS_MAX; i++)
    strcat(deep, "/p");
  assert_int_equal(pattern_parse(&p, slice_str(deep)), -ENAMETOOLONG);
  assert_int_equal(p.n, 7);
  assert_int_equal(pattern_parse(&p, slice_str("//a//*/**/")), 0);
  assert_string_equal(p.s, "a/*/**");
}

static void test_a_prefix(void **state)
{
  struct pattern p;
  assert_int_equal(pattern_below(&p, slice_str("/room/1/")), 0);
  assert_string_equal(p.s, "room/1/**");
  assert_int_equal(pattern_below(&p, slice_str("")), 0);
  assert_string_equal(p.s, "**");
  assert_true(pattern_is_all(pattern_slice(&p)));
  assert_int_equal(pattern_below(&p, slice_str("a*")), -EINVAL);
  char deep[200] = "";
  for (int i = 0; i < PATH_PARTS_MAX; i++)
    strcat(deep, "/p");
  assert_int_equal(pattern_below(&p, slice_str(deep)), -ENAMETOOLONG);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_matches),
      cmocka_unit_test(test_what_is_left_below_a_path),
      cmocka_unit_test(test_left_and_match_agree),
      cmocka_unit_test(test_what_covers),
      cmocka_unit_test(test_where_it_begins),
      cmocka_unit_test(test_what_is_no_pattern),
      cmocka_unit_test(test_a_prefix),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
