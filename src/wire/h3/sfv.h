/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Structured field values, RFC 9651, as far as WT-Available-Protocols and WT-Protocol need them:
 * strings, and lists of strings. Parameters are read over. */
#pragma once
#include "base/buf.h"
#include "base/slice.h"

/* A list whose members are all strings. `text` has room for field.n + 1 bytes and receives the
 * unescaped strings, each ending with NUL; items[i] points there. Members beyond `max` are checked
 * and left out. Returns how many items there are, or -EINVAL when the field is not such a list;
 * then it must be ignored as a whole. */
int sfv_string_list(struct slice field, char *text, const char **items, size_t max);

/* A single string item. `text` as above. 0 or -EINVAL. */
int sfv_string(struct slice field, char *text);

/* "s" with quotes. Fails the buffer when s has bytes that a string cannot hold (only printable
 * ASCII can). */
void sfv_string_write(struct buf *out, const char *s);
