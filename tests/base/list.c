/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/list.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

struct item {
  int v;
  struct list link;
};

static int read_all(struct list *head)
{
  int digits = 0;
  list_for_each (it, head)
    digits = digits * 10 + container_of(it, struct item, link)->v;
  return digits;
}

static int read_back(struct list *head)
{
  int digits = 0;
  for (struct list *it = head->prev; it != head; it = it->prev)
    digits = digits * 10 + container_of(it, struct item, link)->v;
  return digits;
}

static void orders(void **state)
{
  struct list head;
  struct item a = {1}, b = {2}, c = {3}, d = {4};
  list_init(&head);
  assert_true(list_empty(&head));
  list_append(&head, &b.link);
  list_append(&head, &d.link);
  list_prepend(&head, &a.link);
  list_insert_before(&d.link, &c.link);
  assert_int_equal(read_all(&head), 1234);
  assert_int_equal(read_back(&head), 4321);
  list_remove(&b.link);
  list_remove(&b.link); /* twice is fine */
  assert_int_equal(read_all(&head), 134);
  list_append(&head, &b.link);
  assert_int_equal(read_all(&head), 1342);
}

static void removes_while_walking(void **state)
{
  struct list head;
  struct item items[6];
  list_init(&head);
  for (int i = 0; i < 6; i++) {
    items[i].v = i;
    list_append(&head, &items[i].link);
  }
  list_for_each_safe (it, tmp, &head) {
    if (container_of(it, struct item, link)->v % 2)
      list_remove(it);
  }
  assert_int_equal(read_all(&head), 24); /* 0, 2, 4 */
  list_for_each_safe (it, tmp, &head)
    list_remove(it);
  assert_true(list_empty(&head));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(orders),
      cmocka_unit_test(removes_while_walking),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
