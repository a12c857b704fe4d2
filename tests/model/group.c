/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Groups, views and readers by themselves. */
#include "world.h"
#include <errno.h>
#include <stdlib.h>

static unsigned wakes;

static void count_wake(struct reader *r)
{
  (void)r;
  wakes++;
}

static int setup(void **state)
{
  struct world *w = calloc(1, sizeof *w);
  world_init(w, 0);
  *state = w;
  wakes = 0;
  return 0;
}

static int teardown(void **state)
{
  world_destroy(*state);
  free(*state);
  return 0;
}

static struct group *new_group(void **state)
{
  struct world *w = *state;
  struct group *g = group_new(&w->model, 0, w->now);
  assert_non_null(g);
  return g;
}

#define READER(name, g, first, last)                                                                                   \
  struct reader name = {0};                                                                                            \
  assert_int_equal(reader_begin(&name, g, 0, &world_framing, first, last, count_wake), 0)

/* Takes all there is; "fin" at the end of the stream. */
static const char *take(struct reader *r, bool *ret_fin)
{
  static char text[4096];
  size_t at = 0, n = 0;
  do {
    struct iovec iov[2];
    assert_int_equal(reader_pull(r, iov, 2, &n, ret_fin), 0);
    size_t taken = 0;
    for (size_t i = 0; i < n; i++) {
      assert_true(at + iov[i].iov_len < sizeof text);
      memcpy(text + at, iov[i].iov_base, iov[i].iov_len);
      at += iov[i].iov_len;
      taken += iov[i].iov_len;
    }
    reader_take(r, taken);
  } while (n > 0);
  text[at] = '\0';
  for (size_t i = 0; i < at; i++) {
    if (text[i] == '\0')
      text[i] = '0'; /* a timestamp delta of 0, for comparing as a string */
  }
  return text;
}

static void a_reader_sees_bytes_as_they_arrive(void **state)
{
  struct group *g = new_group(state);
  bool fin;
  READER(r, g, 0, UINT64_MAX);
  assert_string_equal(take(&r, &fin), "");
  assert_int_equal(group_object(g, 0, 0, 0, 5, 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_str("he")), 0);
  assert_string_equal(take(&r, &fin), "0\005he");
  assert_int_equal(group_append(g, 0, slice_str("llo")), 0);
  assert_int_equal(wakes, 2);
  assert_string_equal(take(&r, &fin), "llo");
  assert_false(fin);
  assert_int_equal(group_finish(g), 0);
  assert_int_equal(wakes, 3);
  assert_string_equal(take(&r, &fin), "");
  assert_true(fin);
  reader_end(&r);
  group_unref(g);
}

static void readers_share_one_view_and_its_bytes(void **state)
{
  struct group *g = new_group(state);
  READER(a, g, 0, UINT64_MAX);
  READER(b, g, 0, UINT64_MAX);
  frame(g, "hello");
  struct iovec x[4], y[4];
  size_t n, m;
  bool fin;
  assert_int_equal(reader_pull(&a, x, 4, &n, &fin), 0);
  size_t bytes = g->bytes;
  assert_int_equal(reader_pull(&b, y, 4, &m, &fin), 0);
  assert_int_equal(n, 2);
  assert_int_equal(m, 2);
  assert_ptr_equal(x[0].iov_base, y[0].iov_base);
  assert_ptr_equal(x[1].iov_base, y[1].iov_base);
  assert_int_equal(g->bytes, bytes);
  reader_end(&a);
  reader_end(&b);
  group_unref(g);
}

static void bytes_keep_their_address_while_the_group_grows(void **state)
{
  struct group *g = new_group(state);
  READER(r, g, 0, UINT64_MAX);
  frame(g, "first");
  struct iovec before[2], after[2];
  size_t n;
  bool fin;
  assert_int_equal(reader_pull(&r, before, 2, &n, &fin), 0);
  for (int i = 0; i < 2000; i++)
    frame(g, "more and more");
  assert_int_equal(reader_pull(&r, after, 2, &n, &fin), 0);
  assert_memory_equal(before, after, sizeof before);
  assert_memory_equal(after[1].iov_base, "first", 5);
  reader_end(&r);
  group_unref(g);
}

static void pieces_that_touch_are_one(void **state)
{
  struct group *g = new_group(state);
  READER(r, g, 0, UINT64_MAX);
  assert_int_equal(group_object(g, 0, 0, 0, 1000, 0, slice_of(NULL, 0)), 0);
  struct iovec iov[8];
  size_t n;
  bool fin;
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(group_append(g, 0, slice_str("x")), 0);
    assert_int_equal(reader_pull(&r, iov, 8, &n, &fin), 0);
  }
  assert_int_equal(n, 2); /* header and payload */
  assert_int_equal(iov[1].iov_len, 1000);
  reader_end(&r);
  group_unref(g);
}

static void a_range_has_a_header_of_its_own_and_an_end(void **state)
{
  struct group *g = new_group(state);
  frame(g, "a");
  frame(g, "b");
  frame(g, "c");
  frame(g, "d");
  bool fin;
  READER(r, g, 1, 2);
  /* Frame 1 is at 100: absolute as the first of the stream, zigzag 200, in two bytes. Frame 2 is
   * 100 later. */
  assert_string_equal(take(&r, &fin), "\x40\xc8\001b\x40\xc8\001c");
  assert_true(fin);
  READER(late, g, 2, UINT64_MAX);
  assert_string_equal(take(&late, &fin), "\x41\x90\001c\x40\xc8\001d");
  assert_false(fin);
  size_t bytes = g->bytes;
  READER(same, g, 2, UINT64_MAX); /* as the one before: nothing new is made */
  take(&same, &fin);
  assert_int_equal(g->bytes, bytes);
  reader_end(&same);
  READER(future, g, 4, UINT64_MAX);
  assert_string_equal(take(&future, &fin), "");
  frame(g, "e");
  assert_string_equal(take(&future, &fin), "\x43\x20\001e");
  reader_end(&r);
  reader_end(&late);
  reader_end(&future);
  group_unref(g);
}

static void what_will_never_exist_is_refused(void **state)
{
  struct group *g = new_group(state);
  struct reader r = {0};
  frame(g, "a");
  assert_int_equal(reader_begin(&r, g, 5, &world_framing, 0, UINT64_MAX, count_wake), -ENOENT);
  assert_int_equal(group_finish(g), 0);
  assert_int_equal(reader_begin(&r, g, 0, &world_framing, 1, UINT64_MAX, count_wake), -ENOENT);
  reader_end(&r);
  group_unref(g);
}

static void an_empty_group_ends_cleanly(void **state)
{
  struct group *g = new_group(state);
  assert_int_equal(group_finish(g), 0);
  READER(r, g, 0, UINT64_MAX);
  bool fin;
  assert_string_equal(take(&r, &fin), "");
  assert_true(fin);
  reader_end(&r);
  group_unref(g);
}

static void empty_frames_count(void **state)
{
  struct group *g = new_group(state);
  READER(r, g, 0, UINT64_MAX);
  bool fin;
  assert_int_equal(group_object(g, 0, 0, 0, 0, 0, slice_of(NULL, 0)), 0);
  assert_int_equal(wakes, 1);
  assert_int_equal(group_object(g, 0, 1, 0, 0, 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_of(NULL, 0)), 0);
  struct iovec iov[4];
  size_t n;
  assert_int_equal(reader_pull(&r, iov, 4, &n, &fin), 0);
  assert_int_equal(n, 1); /* two headers that touch */
  assert_int_equal(iov[0].iov_len, 4);
  reader_end(&r);
  group_unref(g);
}

static void a_cut_group_is_readable_to_where_it_was_cut(void **state)
{
  struct group *g = new_group(state);
  READER(r, g, 0, UINT64_MAX);
  bool fin;
  assert_int_equal(group_object(g, 0, 0, 0, 10, 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_str("half")), 0);
  group_cut(g, CODE_SESSION);
  assert_false(reader_cut(&r));
  assert_string_equal(take(&r, &fin), "0\nhalf");
  assert_false(fin);
  assert_true(reader_cut(&r));
  assert_int_equal(g->code, CODE_SESSION);
  assert_int_equal(group_append(g, 0, slice_str("more")), -EPIPE);
  assert_int_equal(group_finish(g), -EPIPE);
  group_cut(g, CODE_TIMEOUT); /* has ended already */
  assert_int_equal(g->code, CODE_SESSION);
  reader_end(&r);
  group_unref(g);
}

static void a_range_that_is_complete_ends_cleanly_although_the_group_was_cut(void **state)
{
  struct group *g = new_group(state);
  READER(r, g, 0, 0);
  bool fin;
  frame(g, "a");
  group_cut(g, CODE_SESSION);
  assert_string_equal(take(&r, &fin), "0\001a");
  assert_true(fin);
  assert_false(reader_cut(&r));
  reader_end(&r);
  group_unref(g);
}

static void a_producer_is_held_to_what_it_declared(void **state)
{
  struct group *g = new_group(state);
  struct slice none = slice_of(NULL, 0);
  assert_int_equal(group_append(g, 0, slice_str("x")), -EPROTO);
  assert_int_equal(group_object(g, 0, 3, 0, 2, 0, none), 0);
  assert_int_equal(group_object(g, 0, 4, 0, 2, 0, none), -EPROTO);
  assert_int_equal(group_append(g, 0, slice_str("xyz")), -EPROTO);
  assert_int_equal(group_finish(g), -EPROTO);
  assert_int_equal(group_append(g, 0, slice_str("xy")), 0);
  assert_int_equal(group_object(g, 0, 3, 0, 0, 0, none), -EPROTO);
  assert_int_equal(group_object(g, 0, 9, 0, 0, 0, none), 0); /* ids may have gaps */
  assert_int_equal(group_finish(g), 0);
  group_unref(g);
}

static void limits_hold(void **state)
{
  struct world *w = *state;
  struct slice none = slice_of(NULL, 0);
  w->model.limits.bytes_per_object = 10;
  w->model.limits.bytes_per_group = 15;
  w->model.limits.objects_per_group = 3;
  struct group *g = new_group(state);
  assert_int_equal(group_object(g, 0, 0, 0, 11, 0, none), -EFBIG);
  frame(g, "0123456789");
  assert_int_equal(group_object(g, 0, 1, 0, 6, 0, none), -EMSGSIZE);
  assert_int_equal(group_object(g, 0, 1, 0, 4, 0, slice_str("pp")), -EMSGSIZE);
  frame(g, "01234");
  frame(g, "");
  assert_int_equal(group_object(g, 0, 3, 0, 0, 0, none), -EMSGSIZE);
  group_unref(g);
}

static size_t with_properties(const struct object *o, const struct object *prev, uint8_t *out)
{
  (void)prev;
  out[0] = (uint8_t)('0' + o->id);
  if (o->properties.n > 0)
    memcpy(out + 1, o->properties.p, o->properties.n);
  return 1 + o->properties.n;
}

static void subgroups_and_properties_are_carried(void **state)
{
  static const struct framing f = {2, with_properties};
  struct group *g = new_group(state);
  char big[3000];
  memset(big, 'p', sizeof big);
  assert_int_equal(group_object(g, 7, 4, 0, 1, 3, slice_of(big, sizeof big)), 0);
  assert_int_equal(group_append(g, 7, slice_str("x")), 0);
  assert_int_equal(group_objects(g, 0), 0);
  assert_int_equal(group_objects(g, 7), 1);
  assert_int_equal(group_object_at(g, 7, 0)->status, 3);
  struct reader r = {0};
  assert_int_equal(reader_begin(&r, g, 7, &f, 0, UINT64_MAX, count_wake), 0);
  struct iovec iov[2];
  size_t n;
  bool fin;
  assert_int_equal(reader_pull(&r, iov, 2, &n, &fin), 0);
  assert_int_equal(n, 2);
  assert_int_equal(iov[0].iov_len, 3001);
  assert_memory_equal((char *)iov[0].iov_base + 1, big, sizeof big);
  reader_end(&r);
  group_unref(g);
}

static void payload_can_be_read_as_data(void **state)
{
  struct group *g = new_group(state);
  static char big[40000];
  for (size_t i = 0; i < sizeof big; i++)
    big[i] = (char)(i * 7);
  frame(g, "small");
  assert_int_equal(group_object(g, 0, 1, 0, sizeof big, 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_of(big, 30000)), 0);
  size_t at = 0;
  struct iovec iov[1];
  while (group_payload(g, 0, 1, at, iov, 1) == 1) {
    assert_memory_equal(iov[0].iov_base, big + at, iov[0].iov_len);
    at += iov[0].iov_len;
  }
  assert_int_equal(at, 30000);
  assert_int_equal(group_payload(g, 0, 0, 0, iov, 1), 1);
  assert_int_equal(iov[0].iov_len, 5);
  assert_int_equal(group_payload(g, 0, 0, 5, iov, 1), 0);
  assert_int_equal(group_payload(g, 0, 9, 0, iov, 1), 0);
  group_unref(g);
}

static struct reader *others[2];

static void end_the_other(struct reader *r)
{
  wakes++;
  reader_end(r == others[0] ? others[1] : others[0]);
}

static void a_wake_may_end_another_reader(void **state)
{
  struct group *g = new_group(state);
  struct reader a = {0}, b = {0};
  others[0] = &a;
  others[1] = &b;
  assert_int_equal(reader_begin(&a, g, 0, &world_framing, 0, UINT64_MAX, end_the_other), 0);
  assert_int_equal(reader_begin(&b, g, 0, &world_framing, 0, UINT64_MAX, end_the_other), 0);
  frame(g, "x");
  assert_int_equal(wakes, 1);
  reader_end(&a);
  reader_end(&b);
  group_unref(g);
}

static struct iovec shown; /* what the last reader's transport may still read */

static void end_when_shown_is_intact(struct reader *r)
{
  assert_memory_equal((const char *)shown.iov_base + shown.iov_len - 5, "whole", 5);
  reader_end(r);
  wakes++;
}

static void an_evicted_group_keeps_its_bytes_until_all_have_heard(void **state)
{
  struct group *g = new_group(state);
  struct reader a = {0}, b = {0};
  size_t n = 0;
  bool fin;
  frame(g, "whole");
  assert_int_equal(reader_begin(&a, g, 0, &world_framing, 0, UINT64_MAX, end_when_shown_is_intact), 0);
  assert_int_equal(reader_begin(&b, g, 0, &world_framing, 0, UINT64_MAX, end_when_shown_is_intact), 0);
  struct iovec iov[2];
  assert_int_equal(reader_pull(&b, iov, 2, &n, &fin), 0);
  shown = iov[n - 1];
  group_evict(g);
  assert_int_equal(wakes, 2);
  assert_int_equal(group_objects(g, 0), 0);
  group_unref(g);
}

static void all_memory_is_counted(void **state)
{
  struct world *w = *state;
  struct group *g = new_group(state);
  size_t empty = w->model.cache.used;
  assert_true(empty >= sizeof *g);
  static char big[100000];
  assert_int_equal(group_object(g, 0, 0, 0, sizeof big, 0, slice_of(NULL, 0)), 0);
  assert_int_equal(group_append(g, 0, slice_of(big, sizeof big)), 0);
  assert_true(w->model.cache.used >= empty + sizeof big);
  assert_true(w->model.cache.used < empty + sizeof big + 20000);
  assert_int_equal(w->model.cache.used, g->bytes);
  group_unref(g);
  assert_int_equal(w->model.cache.used, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      T(a_reader_sees_bytes_as_they_arrive),
      T(readers_share_one_view_and_its_bytes),
      T(bytes_keep_their_address_while_the_group_grows),
      T(pieces_that_touch_are_one),
      T(a_range_has_a_header_of_its_own_and_an_end),
      T(what_will_never_exist_is_refused),
      T(an_empty_group_ends_cleanly),
      T(empty_frames_count),
      T(a_cut_group_is_readable_to_where_it_was_cut),
      T(a_range_that_is_complete_ends_cleanly_although_the_group_was_cut),
      T(a_producer_is_held_to_what_it_declared),
      T(limits_hold),
      T(subgroups_and_properties_are_carried),
      T(payload_can_be_read_as_data),
      T(a_wake_may_end_another_reader),
      T(an_evicted_group_keeps_its_bytes_until_all_have_heard),
      T(all_memory_is_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
