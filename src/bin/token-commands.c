/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "token.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AT(member) offsetof(struct token_options, member)

/* clang-format off */
static const struct option rows[] = {
    {"token.key", "key", OPT_STRING, AT(key), NULL, "PATH", "the key file, \"-\" = stdin; for generate what is written (--out)", 0, 0, 0, {0}},
    {"token.algorithm", "algorithm", OPT_STRING, AT(algorithm), "HS256", "NAME", "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA", 0, 0, 0, {0}},
    {"token.id", "id", OPT_STRING, AT(id), NULL, "KID", "name of the key, made up when it is not given", 0, 0, 0, {0}},
    {"token.out", "out", OPT_STRING, AT(out), NULL, "PATH", "where the key goes, \"-\" = stdout", 0, 0, 0, {0}},
    {"token.out_dir", "out-dir", OPT_STRING, AT(out_dir), NULL, "DIR", "directory that the key goes into, as KID.jwk", 0, 0, 0, {0}},
    {"token.public", "public", OPT_STRING, AT(public_out), NULL, "PATH", "where its public half goes, \"-\" = stdout", 0, 0, 0, {0}},
    {"token.public_dir", "public-dir", OPT_STRING, AT(public_dir), NULL, "DIR", "directory that its public half goes into, as KID.jwk", 0, 0, 0, {0}},
    {"token.root", "root", OPT_STRING, AT(root), "", "PATH", "path that the others are relative to", 0, 0, 0, {0}},
    {"token.publish", "publish", OPT_LIST, AT(publish), NULL, "PATH", "prefix that may be published; \"\" = all below the root; may be repeated", 0, 0, 0, {0}},
    {"token.subscribe", "subscribe", OPT_LIST, AT(subscribe), NULL, "PATH", "prefix that may be watched; \"\" = all below the root; may be repeated", 0, 0, 0, {0}},
    {"token.cluster", "cluster", OPT_BOOL, AT(cluster), "false", "", "for another relay of the cluster", 0, 0, 0, {0}},
    {"token.expires", "expires", OPT_INT, AT(expires), NULL, "SECONDS", "Unix time at which the token ends", 0, 0, INT64_MAX, {0}},
    {"token.issued", "issued", OPT_INT, AT(issued), NULL, "SECONDS", "Unix time at which it was made", 0, 0, INT64_MAX, {0}},
    {"token.in", "in", OPT_STRING, AT(in), "-", "PATH", "file with the token, \"-\" = stdin", 0, 0, 0, {0}},
};
/* clang-format on */
const struct option_table token_option_table = {rows, sizeof rows / sizeof *rows};

const struct token_command *const token_commands[] = {&token_generate, &token_sign, &token_verify, NULL};

int token_error(const char *fmt, ...)
{
  va_list ap;
  fputs("Error: ", stderr);
  va_start(ap, fmt);
  vfprintf(stderr, fmt, ap);
  va_end(ap);
  fputc('\n', stderr);
  return TOKEN_FAILED;
}

int token_slurp(const char *path, size_t max, struct buf *out)
{
  FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
  if (!f)
    return token_error("%s: %s", path, strerror(errno));
  uint8_t *room = buf_reserve(out, max + 1);
  if (room)
    out->n = fread(room, 1, max + 1, f);
  bool failed = ferror(f);
  if (f != stdin)
    fclose(f);
  if (!room)
    return token_error("out of memory");
  if (failed)
    return token_error("%s: cannot be read", path);
  return out->n > max ? token_error("%s: too large", path) : TOKEN_OK;
}

static int read_key(const char *path, struct jwk **ret_key)
{
  struct buf text = {0};
  struct err err = {""};
  int rc = token_slurp(path, JWK_BYTES_MAX, &text);
  if (rc == TOKEN_OK && jwk_parse(buf_slice(&text), ret_key, &err) < 0)
    rc = token_error("%s: not a usable key: %s", path, err.text);
  if (text.p)
    explicit_bzero(text.p, text.cap);
  buf_destroy(&text);
  return rc;
}

int token_with_key(const struct token_options *o, int (*act)(const struct token_options *o, const struct jwk *key))
{
  struct jwk *key;
  int rc = read_key(o->key, &key);
  if (rc != TOKEN_OK)
    return rc;
  rc = act(o, key);
  jwk_free(key);
  return rc;
}
