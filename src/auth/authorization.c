/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/authorization.h"
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* What follows the scheme and its blanks; NULL when it is another. */
static const char *after(const char *field, const char *scheme)
{
  size_t n = strlen(scheme);
  if (!field || strncasecmp(field, scheme, n) != 0 || (field[n] != '\0' && field[n] != ' ' && field[n] != '\t'))
    return NULL;
  return field + n + strspn(field + n, " \t");
}

const char *authorization_bearer(const char *field)
{
  return after(field, "Bearer");
}

const char *authorization_private_token(const char *field)
{
  return after(field, "PrivateToken") ? field : NULL;
}
