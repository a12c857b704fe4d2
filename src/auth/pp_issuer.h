/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An issuer that is trusted, and its keys: from a file, or from the directory that it publishes over https. A directory is
 * fetched in the background: at the start, before what is known of it ends, and, not too often, when a token comes with a key that is
 * not known. What a failed attempt leaves is what was known before. Worker's thread. */
#pragma once
#include "auth/http_client.h"
#include "auth/pp_directory.h"
#include "base/log.h"

#define PP_ISSUER_TIMEOUT_NS (10 * NS_PER_S)   /* of one attempt */
#define PP_ISSUER_RETRY_NS (5 * NS_PER_S)      /* after a failed one, while no key is known; else... */
#define PP_ISSUER_RETRY_MAX_NS (60 * NS_PER_S) /* ...and at most */
#define PP_ISSUER_AGAIN_NS (30 * NS_PER_S)     /* between two attempts for unknown keys */

struct pp_issuer;

struct pp_issuer_config {
  const char *name;     /* HOST or HOST:PORT; with http:// in front, this host alone, without TLS */
  const char *key_file; /* NULL: the directory */
  /* Loop, timers, clock, enter and tls_root are of interest; loop NULL: no directory is fetched. */
  struct http_client_config http;
  const struct log *log;
};

/* Strings are borrowed for its life. Errors name the option. */
int pp_issuer_new(const struct pp_issuer_config *config, struct pp_issuer **ret_issuer, struct err *ret_err);
void pp_issuer_free(struct pp_issuer *issuer);

/* As challenges have it. */
struct slice pp_issuer_name(const struct pp_issuer *issuer);
/* The key with that id (PP_KEY_ID_BYTES); NULL. Borrowed until the loop runs. */
const struct pp_key *pp_issuer_find(const struct pp_issuer *issuer, const uint8_t *id);
/* The key that clients are to use; NULL: none is known. */
const struct pp_key *pp_issuer_key(const struct pp_issuer *issuer);
/* Somebody has brought a key that nobody knows: perhaps the directory has it by now. */
void pp_issuer_look_again(struct pp_issuer *issuer);
