/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An error for people: what is wrong, where, and what would be right. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

struct err {
  char text[512];
};

/* Formats into e (which may be NULL) and returns rc, so that a failing function can end in
 * `return err_set(e, -EINVAL, "...")`. */
int err_set(struct err *e, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
