/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "world.h"

static void one_viewer_gets_every_frame(void **state)
{
  (void)state;
  struct world w;
  struct publisher p;
  struct viewer v = {0};
  world_init(&w, 0);
  publisher_start(&p, &w, "demo");
  viewer_join(&v, &w, "demo", "video", world_params());
  world_turn(&w);
  assert_int_equal(p.subscribes, 1);
  struct group *g = begin(&p, 7);
  world_turn(&w);
  frame(g, "a");
  frame(g, "bc");
  assert_string_equal(viewer_text(&v), "7:a bc ");
  finish(g);
  whole(&p, 8, "d");
  world_turn(&w);
  assert_string_equal(viewer_text(&v), "7:a bc |8:d |");
  viewer_leave(&v);
  world_pass(&w, 3000);
  assert_int_equal(p.unsubscribes, 1);
  publisher_stop(&p, true);
  world_destroy(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_viewer_gets_every_frame),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
