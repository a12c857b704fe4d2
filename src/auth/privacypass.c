/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/privacypass.h"
#include "auth/pp_budget.h"
#include "auth/pp_header.h"
#include "auth/pp_rules.h"
#include "base/base64url.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CHALLENGE_AGE_S 60 /* max-age of WWW-Authenticate where challenges have no end of their own */

struct privacypass {
  struct privacypass_config config;
  struct pp_issuer *issuers[PP_ISSUERS_MAX];
  size_t count;
  struct pp_rules rules;
  struct pp_spent *spent;
  struct pp_budget budget;
};

const struct privacypass_config *privacypass_config(const struct privacypass *pp)
{
  return &pp->config;
}

static uint64_t wall_s(const struct privacypass *pp)
{
  return clock_wall_us(&pp->config.clock) / 1000000;
}

/* -- life -- */

static int add_issuer(struct privacypass *pp, size_t i, struct err *ret_err)
{
  const struct privacypass_config *c = &pp->config;
  struct pp_issuer_config issuer = {
      .name = c->issuers[i], .key_file = i < c->key_count ? c->keys[i] : NULL, .http = c->http, .log = c->log};
  if (pp->count == PP_ISSUERS_MAX)
    return err_set(ret_err, -E2BIG, "privacypass.issuer: more than %d", PP_ISSUERS_MAX);
  int rc = pp_issuer_new(&issuer, &pp->issuers[pp->count], ret_err);
  pp->count += rc == 0;
  return rc;
}

static int start(struct privacypass *pp, struct err *ret_err)
{
  const struct privacypass_config *c = &pp->config;
  struct pp_spent_config spent = {.max = c->spent_max, .file = c->spent_file, .rng = c->rng};
  int rc = pp_rules_init(&pp->rules, c->grants, c->grant_count, ret_err);
  for (size_t i = 0; i < c->issuer_count && rc == 0; i++)
    rc = add_issuer(pp, i, ret_err);
  if (rc < 0)
    return rc;
  pp_budget_init(&pp->budget, c->checks_per_second, &c->rng);
  rc = pp_spent_new(&spent, wall_s(pp), &pp->spent, ret_err);
  if (rc < 0)
    return rc;
  log_info(c->log, "Privacy Pass authentication enabled");
  if (!c->spent_file && c->offer.window_s == 0)
    log_warn(c->log, "used Privacy Pass tokens are good again after a restart; privacypass.spent_file keeps them");
  return 0;
}

int privacypass_new(const struct privacypass_config *config, struct privacypass **ret_pp, struct err *ret_err)
{
  struct privacypass *pp = calloc(1, sizeof *pp);
  if (!pp)
    return err_set(ret_err, -ENOMEM, "out of memory");
  pp->config = *config;
  int rc = start(pp, ret_err);
  if (rc < 0)
    privacypass_free(pp);
  else
    *ret_pp = pp;
  return rc;
}

void privacypass_free(struct privacypass *pp)
{
  if (!pp)
    return;
  for (size_t i = 0; i < pp->count; i++)
    pp_issuer_free(pp->issuers[i]);
  pp_rules_destroy(&pp->rules);
  pp_spent_free(pp->spent);
  explicit_bzero(&pp->config.offer, sizeof pp->config.offer);
  free(pp);
}

/* -- tokens -- */

struct asking {
  struct privacypass *pp;
  const struct pp_ask *ask;
  struct grant *grant;
  const struct pp_issuer *issuer;
};

static const struct pp_key *find_key(void *ctx, const uint8_t *id, const void **ret_issuer)
{
  struct asking *a = ctx;
  for (size_t i = 0; i < a->pp->count; i++) {
    const struct pp_key *key = pp_issuer_find(a->pp->issuers[i], id);
    if (key) {
      *ret_issuer = a->issuer = a->pp->issuers[i];
      return key;
    }
  }
  for (size_t i = 0; i < a->pp->count; i++)
    pp_issuer_look_again(a->pp->issuers[i]);
  return NULL;
}

static enum pp_verdict find_challenge(void *ctx, const void *issuer, const uint8_t *digest, struct pp_known *ret_known)
{
  struct asking *a = ctx;
  return pp_offer_find(&a->pp->config.offer, pp_issuer_name(issuer), a->ask->path, digest, wall_s(a->pp), ret_known);
}

/* What the issuer may grant here; nothing: it may not. */
static bool may(void *ctx, const void *issuer, enum pp_op op)
{
  struct asking *a = ctx;
  return pp_rules_grant(&a->pp->rules, pp_issuer_name(issuer), op, a->grant) && !grant_is_empty(a->grant);
}

static bool budget(void *ctx)
{
  struct asking *a = ctx;
  return pp_budget_take(&a->pp->budget, a->ask->peer, clock_now(&a->pp->config.clock));
}

enum pp_verdict privacypass_grant(struct privacypass *pp, const struct pp_ask *ask, struct grant *g,
                                  char space[PP_SUBJECT_MAX])
{
  static const struct pp_check_ops ops = {find_key, find_challenge, may, budget};
  struct grant made = {.root = g->root};
  struct asking a = {.pp = pp, .ask = ask, .grant = &made};
  struct pp_check check = {
      .ops = &ops, .ctx = &a, .spent = pp->spent, .wanted = ask->wanted, .namespace = ask->path, .wall_s = wall_s(pp)};
  enum pp_op op;
  enum pp_verdict v = pp_check(&check, ask->token, &op);
  if (v != PP_OK)
    return v;
  snprintf(space, PP_SUBJECT_MAX, "issuer=%.*s operation=%s", SLICE_FMT(pp_issuer_name(a.issuer)), pp_op_name(op));
  *g = made;
  g->source = "privacypass";
  g->subject = space;
  return PP_OK;
}

/* -- challenges -- */

static int ended(struct buf *out)
{
  buf_u8(out, '\0');
  if (out->failed)
    return -ENOMEM;
  out->n--;
  return 0;
}

static int challenge_of(const struct privacypass *pp, const struct pp_issuer *issuer, enum pp_op op, struct slice path,
                        struct buf *out)
{
  return pp_offer_write(&pp->config.offer, pp_issuer_name(issuer), op, path, wall_s(pp), out);
}

int privacypass_reason(const struct privacypass *pp, enum pp_op op, struct slice path, size_t max, struct buf *out)
{
  struct buf challenge = {0};
  int rc = challenge_of(pp, pp->issuers[0], op, path, &challenge);
  if (rc == 0 && 3 + (challenge.n * 4 + 2) / 3 > max)
    rc = -E2BIG;
  if (rc == 0) {
    buf_bytes(out, slice_str("pp:"));
    base64url_encode(out, buf_slice(&challenge));
    rc = ended(out);
  }
  buf_destroy(&challenge);
  return rc;
}

int privacypass_header(const struct privacypass *pp, enum pp_op op, struct slice path, struct buf *out)
{
  uint64_t window_s = pp->config.offer.window_s;
  int rc = 0;
  size_t told = 0;
  for (size_t i = 0; i < pp->count && rc == 0; i++) {
    struct buf challenge = {0};
    const struct pp_key *key = pp_issuer_key(pp->issuers[i]);
    if (!key)
      continue; /* clients want one */
    rc = challenge_of(pp, pp->issuers[i], op, path, &challenge);
    if (rc == 0) {
      buf_printf(out, "%s", told++ ? ", " : "");
      pp_header_ask(out, buf_slice(&challenge), pp_key_spki(key), window_s ? (unsigned)window_s : CHALLENGE_AGE_S);
    }
    buf_destroy(&challenge);
  }
  return rc < 0 ? rc : told == 0 ? -ENODATA : ended(out);
}

int privacypass_json(const struct privacypass *pp, enum pp_op op, struct slice path, struct buf *out)
{
  const struct pp_issuer *issuer = pp->issuers[0];
  const struct pp_key *key = pp_issuer_key(issuer);
  struct buf challenge = {0};
  int rc = !key ? -ENODATA : challenge_of(pp, issuer, op, path, &challenge);
  if (rc == 0) {
    buf_printf(out, "{\"challenge\":\"");
    base64url_encode(out, buf_slice(&challenge));
    buf_printf(out, "\",\"token_key\":\"");
    base64url_encode(out, pp_key_spki(key));
    buf_printf(out, "\",\"issuer\":\"%.*s\"}", SLICE_FMT(pp_issuer_name(issuer)));
    rc = ended(out);
  }
  buf_destroy(&challenge);
  return rc;
}
