/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/base64url.h"
#include "token.h"
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME_MAX 4096
#define KID_BYTES 8 /* of one that is made up */

/* The mode also of a file that was there before; not of /dev/null, a pipe or what else `path` may be. */
static int set_mode(int fd, mode_t mode)
{
  struct stat st;
  if (fstat(fd, &st) < 0)
    return -1;
  return S_ISREG(st.st_mode) ? fchmod(fd, mode) : 0;
}

/* A file that others may not read. No newline: older releases would take it for a part. */
static int write_file(const char *path, struct slice text, mode_t mode)
{
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0 || set_mode(fd, mode) < 0) {
    int rc = token_error("%s: %s", path, strerror(errno));
    if (fd >= 0)
      close(fd);
    return rc;
  }
  ssize_t n = write(fd, text.p, text.n);
  bool failed = close(fd) < 0 || n != (ssize_t)text.n;
  return failed ? token_error("%s: cannot be written", path) : TOKEN_OK;
}

static int put(const char *path, struct slice text, mode_t mode)
{
  if (strcmp(path, "-") != 0)
    return write_file(path, text, mode);
  bool ok = fwrite(text.p, 1, text.n, stdout) == text.n && putchar('\n') != EOF && fflush(stdout) == 0;
  return ok ? TOKEN_OK : token_error("stdout: %s", strerror(errno));
}

static int put_in(const char *dir, const char *kid, struct slice text, mode_t mode)
{
  char path[FILE_NAME_MAX];
  if (snprintf(path, sizeof path, "%s/%s.jwk", dir, kid) >= (int)sizeof path)
    return token_error("%.100s...: the name is too long", dir);
  return write_file(path, text, mode);
}

/* A half, to wherever it is wanted. */
static int put_half(const char *path, const char *dir, const char *kid, struct slice json, mode_t mode)
{
  struct buf text = {0};
  base64url_encode(&text, json);
  int rc = text.failed ? token_error("out of memory") : TOKEN_OK;
  if (rc == TOKEN_OK && path)
    rc = put(path, buf_slice(&text), mode);
  if (rc == TOKEN_OK && dir)
    rc = put_in(dir, kid, buf_slice(&text), mode);
  if (text.p)
    explicit_bzero(text.p, text.cap);
  buf_destroy(&text);
  return rc;
}

static int make_kid(char out[2 * KID_BYTES + 1])
{
  uint8_t random[KID_BYTES];
  if (gnutls_rnd(GNUTLS_RND_NONCE, random, sizeof random) < 0)
    return token_error("no random numbers");
  for (size_t i = 0; i < sizeof random; i++)
    sprintf(out + 2 * i, "%02x", random[i]);
  return TOKEN_OK;
}

/* What tokens of the key may grant at most: the members of a token. */
static int scope_of(const struct token_options *o, struct buf *out)
{
  struct claims_wanted w = {.root = o->root,
                            .publish = (const char *const *)o->publish.v,
                            .publish_count = o->publish.n,
                            .subscribe = (const char *const *)o->subscribe.v,
                            .subscribe_count = o->subscribe.n};
  struct claims checked;
  const char *why = "";
  claims_write(&w, out);
  buf_u8(out, '\0');
  if (out->failed)
    return token_error("out of memory");
  if (claims_parse(slice_of(out->p, out->n - 1), &checked, &why) < 0)
    return token_error("%s", why);
  claims_destroy(&checked);
  return TOKEN_OK;
}

static int write_both(const struct token_options *o, const struct jwk_new *wanted, const char *out)
{
  struct buf private_key = {0}, public_key = {0};
  int rc = jwk_generate(wanted, &private_key, &public_key) < 0 ? token_error("the key cannot be made") : TOKEN_OK;
  if (rc == TOKEN_OK)
    rc = put_half(out, o->out_dir, wanted->kid, buf_slice(&private_key), 0600);
  if (rc == TOKEN_OK && (o->public_out || o->public_dir))
    rc = put_half(o->public_out, o->public_dir, wanted->kid, buf_slice(&public_key), 0644);
  if (private_key.p)
    explicit_bzero(private_key.p, private_key.cap);
  buf_destroy(&private_key);
  buf_destroy(&public_key);
  return rc;
}

static int run(const struct token_options *o)
{
  struct jwk_new wanted = {.kid = o->id};
  struct buf scope = {0};
  char made_up[2 * KID_BYTES + 1];
  const char *out = o->out ? o->out : o->key ? o->key : o->out_dir ? NULL : "-";
  if (!jwk_alg_find(slice_str(o->algorithm), &wanted.alg))
    return token_error("algorithm \"%s\" is not known", o->algorithm), TOKEN_USAGE;
  if (o->id && !jwk_kid_ok(slice_str(o->id)))
    return token_error("--id: 1 to %d letters, digits, '-', '_'", JWK_KID_MAX), TOKEN_USAGE;
  if ((o->public_out || o->public_dir) && jwk_alg_is_symmetric(wanted.alg))
    return token_error("OCT key cannot be converted to public key: %s has one secret for both", o->algorithm);
  int rc = TOKEN_OK;
  if (!o->id && (!o->key || o->out_dir || o->public_dir)) { /* older releases gave none to the file of --key */
    rc = make_kid(made_up);
    wanted.kid = made_up;
  }
  if (rc == TOKEN_OK && (o->publish.n || o->subscribe.n || o->root[0])) {
    rc = scope_of(o, &scope);
    wanted.scope = (const char *)scope.p;
  }
  if (rc == TOKEN_OK)
    rc = write_both(o, &wanted, out);
  buf_destroy(&scope);
  return rc;
}

const struct token_command token_generate = {
    .name = "generate",
    .usage =
        "generate [--algorithm NAME] [--id KID] [--out PATH|-] [--out-dir DIR] [--public PATH|-] [--public-dir DIR]",
    .summary = "Makes a key",
    .details = "The key goes to stdout unless a place is named; only its owner may read the file. RS*, PS*, ES* and "
               "EdDSA have a\n"
               "public half, which is all that a relay needs. --root, --publish and --subscribe bound what tokens of "
               "the key can\n"
               "grant.\n",
    .options = " key algorithm id out out-dir public public-dir root publish subscribe ",
    .run = run,
};
