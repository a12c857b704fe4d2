/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Grants from Privacy Pass tokens: who brings one of an issuer that is trusted, for a challenge of ours, gets what the
 * challenge's scope says, as far as that issuer may grant it. The path of a scope is the path that is dialled; the grant is
 * for what lies there and below. Worker's thread. */
#pragma once
#include "auth/grant.h"
#include "auth/pp_issuer.h"
#include "auth/pp_offer.h"
#include "base/clock.h"
#include "base/log.h"
#include <sys/socket.h>

#define PP_ISSUERS_MAX 16
#define PP_SUBJECT_MAX 512

struct privacypass;

struct privacypass_config {
  const char *const
      *issuers; /* names, as challenges have them: host or host:port; the first is the one that clients are sent to */
  size_t issuer_count;
  const char *const *keys; /* key files, of the issuer at the same place; those without have a directory */
  size_t key_count;
  /* What tokens may grant at most: "OPERATION:PATTERN", or "ISSUER OPERATION:PATTERN" for those of one issuer. The operation is
   * one of pp_scope.h or '*' for all; the pattern as in base/pattern.h, or a prefix without a star. */
  const char *const *grants;
  size_t grant_count;
  struct pp_offer offer;  /* how challenges are made */
  const char *spent_file; /* NULL = none */
  size_t spent_max;
  uint64_t checks_per_second;     /* signatures, of an address */
  struct http_client_config http; /* for directories: loop, timers, clock, enter, tls_root */
  struct clock clock;
  struct rng rng;
  const struct log *log;
};

/* Strings are borrowed for the life of it. Errors name the option. */
int privacypass_new(const struct privacypass_config *config, struct privacypass **ret_pp, struct err *ret_err);
void privacypass_free(struct privacypass *pp);
const struct privacypass_config *privacypass_config(const struct privacypass *pp);

struct pp_ask {
  struct slice path;  /* normalised */
  struct slice token; /* its bytes */
  unsigned wanted;    /* 1u << enum pp_op: any of them will do */
  const struct sockaddr_storage *peer;
};

/* Spends the token and adds to a grant, whose root is set, what it allows. The subject is written to `space`. PP_OK, or why
 * not. */
enum pp_verdict privacypass_grant(struct privacypass *pp, const struct pp_ask *ask, struct grant *g,
                                  char space[PP_SUBJECT_MAX]);

/* -- challenges, for a path as it was dialled -- */

/* Each appends, and gives 0; -EINVAL for a path that no scope can say, then nothing is to be told; -ENODATA
 * without a key of an issuer to tell; -ENOMEM. */

/* The reason of a close: "pp:" and base64url; -E2BIG when that is more than `max` bytes. A NUL follows that is not counted. */
int privacypass_reason(const struct privacypass *pp, enum pp_op op, struct slice path, size_t max, struct buf *out);
/* The value of WWW-Authenticate: a challenge for each issuer. NUL as above. */
int privacypass_header(const struct privacypass *pp, enum pp_op op, struct slice path, struct buf *out);
/* {"challenge","token_key","issuer"}. */
int privacypass_json(const struct privacypass *pp, enum pp_op op, struct slice path, struct buf *out);
