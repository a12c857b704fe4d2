/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *e, int rc, const char *fmt, ...)
{
  if (!e)
    return rc;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(e->text, sizeof e->text, fmt, ap);
  va_end(ap);
  return rc;
}
