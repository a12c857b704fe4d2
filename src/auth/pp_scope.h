/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a token may be used for, as a challenge's origin_info says it: "operation:namespace[:track]"
 * (draft-ietf-moq-privacy-pass-auth-01, which deployed clients speak). A pattern that ends in '*' is a prefix of bytes, else
 * it means itself; without a track any will do. A namespace with ':' cannot be said, nor a name that ends in '*'. Pure. */
#pragma once
#include "base/buf.h"
#include "base/slice.h"

enum pp_op { PP_SUBSCRIBE, PP_FETCH, PP_PUBLISH, PP_ANNOUNCE, PP_OPS };
#define PP_ALL_OPS ((1u << PP_OPS) - 1)

struct pp_scope {
  unsigned ops; /* 1u << enum pp_op; one, or all for the empty scope */
  struct slice namespace, track;
  bool prefix, track_prefix; /* the pattern had a '*', which is not part of the slice */
  bool tracks;               /* a track was named */
};

const char *pp_op_name(enum pp_op op);
/* In any case; false when there is no such. */
bool pp_op_find(struct slice name, enum pp_op *ret_op);

/* 0; -EINVAL. The empty text is everything. Borrows. */
int pp_scope_parse(struct slice text, struct pp_scope *ret_scope);

/* Whether the scope allows `op` on a namespace. `track` NULL: none is asked for, which a scope with a track does not cover.
 * A leading slash on either side says nothing. */
bool pp_scope_covers(const struct pp_scope *s, enum pp_op op, struct slice namespace, const struct slice *track);

/* Whether a path can be written into a scope and mean only itself. */
bool pp_scope_can_say(struct slice path);

/* -- draft versions 02 and 03: a binary list of scopes (MoQAuthorizationInfo). Read and written; no challenge has one until
 * the draft has its numbers. -- */

enum pp_match { PP_EXACT, PP_PREFIX, PP_SUFFIX, PP_CONTAINS };

struct pp_binary_scope {
  uint32_t actions; /* 1u << action: 0 CLIENT_SETUP, ... 4 SUBSCRIBE, 6 PUBLISH, 7 FETCH, 8 TRACK_STATUS */
  enum pp_match namespace_match, track_match;
  struct slice elements; /* of the namespace, each a u16 length and bytes; walk with pp_binary_element */
  struct slice track;
};

/* The next scope of a list. `info` is what pp_binary_open gave. 0; -ENOENT at the end; -EINVAL. */
int pp_binary_open(struct slice bytes, struct slice *ret_info);
int pp_binary_next(struct slice *info, struct pp_binary_scope *ret_scope);
/* The next element; false at the end. */
bool pp_binary_element(struct slice *elements, struct slice *ret_element);
/* Whether it allows `action` on a namespace given as elements, and a track. Namespaces match by whole elements. */
bool pp_binary_covers(const struct pp_binary_scope *s, unsigned action, const struct slice *namespace, size_t n,
                      struct slice track);
