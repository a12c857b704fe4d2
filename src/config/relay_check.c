/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "config/relay_check.h"
#include "base/clock.h"
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define AUTH_TIMEOUT_MIN UINT64_C(100000000) /* ns */
#define AUTH_TIMEOUT_MAX UINT64_C(10000000000)

/* "host:port" or "[IPv6]:port"; whether the host exists is for the one who binds it. */
static bool is_address(const char *text)
{
  const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : "";
  size_t digits = strspn(port, "0123456789");
  if (digits == 0 || digits > 5 || port[digits] != '\0' || strtoul(port, NULL, 10) > 65535)
    return false;
  size_t host = (size_t)(colon - text);
  if (text[0] == '[')
    return host >= 4 && text[host - 1] == ']';
  return !memchr(text, ':', host);
}

static int check_address(const struct option_state *st, const char *key, const char *text, struct err *ret_err)
{
  if (is_address(text))
    return 0;
  return err_set(ret_err, -EINVAL,
                 "%s: \"%.100s\" is not an address; write for example \"[::]:4443\" or "
                 "\"127.0.0.1:4443\"",
                 options_where(st, key), text);
}

static bool is_on(const char *listen)
{
  return listen && listen[0] != '\0';
}

static int check_listeners(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  if (c->listen.n == 0)
    return err_set(ret_err, -EINVAL, "%s: no address to listen on; write for example \"[::]:443\"",
                   options_where(st, "listen.bind"));
  int rc = 0;
  if (is_on(c->http_listen))
    rc = check_address(st, "web.http.listen", c->http_listen, ret_err);
  if (rc == 0 && is_on(c->https_listen))
    rc = check_address(st, "web.https.listen", c->https_listen, ret_err);
  for (size_t i = 0; rc == 0 && i < c->listen.n; i++)
    rc = check_address(st, "listen.bind", c->listen.v[i], ret_err);
  return rc;
}

/* For what is missing: there is no line, but a file it could be in. */
static int absent(const struct relay_config *c, struct err *ret_err, const char *text)
{
  return err_set(ret_err, -EINVAL, "%.160s%s%s", c->file ? c->file : "", c->file ? ": " : "", text);
}

static int check_pairs(const struct option_state *st, const char *key, const struct strlist *cert,
                       const struct strlist *keys, struct err *ret_err)
{
  if (cert->n == keys->n)
    return 0;
  return err_set(ret_err, -EINVAL, "%s: %zu certificates but %zu keys; give one key for each certificate",
                 options_where(st, key), cert->n, keys->n);
}

static int check_certificates(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  int rc = check_pairs(st, "listen.tls.cert", &c->tls_cert, &c->tls_key, ret_err);
  if (rc == 0)
    rc = check_pairs(st, "web.https.cert", &c->https_cert, &c->https_key, ret_err);
  if (rc < 0)
    return rc;
  if (c->tls_cert.n + c->tls_generate.n == 0)
    return absent(c, ret_err,
                  "no certificate: give listen.tls.cert and listen.tls.key, or listen.tls.generate = "
                  "[\"localhost\"] for a self-signed one");
  if (is_on(c->https_listen) && c->https_cert.n == 0)
    return err_set(ret_err, -EINVAL, "%s: HTTPS needs a certificate; give web.https.cert and web.https.key",
                   options_where(st, "web.https.listen"));
  return 0;
}

/* Sources of permission that are not there yet; --check-config takes them for what they will be. */
static bool later_admission(const struct option_state *st)
{
  static const char *const keys[] = {"auth.api"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    if (strcmp(options_where(st, keys[i]), keys[i]) != 0)
      return true;
  }
  return false;
}

/* What the auth server decides, and so nothing else may. */
static int check_sole_source(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  const char *key = c->auth_key                      ? "auth.key"
                    : c->auth_key_dir                ? "auth.key_dir"
                    : c->auth_public.n > 0           ? "auth.public"
                    : c->auth_public_subscribe.n > 0 ? "auth.public_subscribe"
                    : c->auth_public_publish.n > 0   ? "auth.public_publish"
                    : c->pp_enabled                  ? "privacypass.enabled"
                                                     : NULL;
  if (!key)
    return 0;
  return err_set(ret_err, -EINVAL,
                 "%s: %s together with auth.url; the auth server decides: give it the keys and open paths, and leave "
                 "one of the two out here",
                 options_where(st, key), key);
}

/* Without a server its settings mean nothing: somebody has forgotten the URL. */
static int check_no_server(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  const char *key = is_on(c->auth_node)       ? "auth.node"
                    : is_on(c->auth_tls_root) ? "auth.tls.root"
                    : is_on(c->auth_tls_cert) ? "auth.tls.cert"
                    : is_on(c->auth_tls_key)  ? "auth.tls.key"
                    : c->auth_tls_insecure    ? "auth.tls.disable_verify"
                                              : NULL;
  if (!key)
    return 0;
  return err_set(ret_err, -EINVAL, "%s: it is for an auth server; name one with auth.url", options_where(st, key));
}

static int check_auth_tls(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  if (!c->auth_tls_cert != !c->auth_tls_key)
    return err_set(ret_err, -EINVAL, "%s: auth.tls.cert and auth.tls.key go together; give both",
                   options_where(st, c->auth_tls_cert ? "auth.tls.cert" : "auth.tls.key"));
  if (c->auth_tls_root && c->auth_tls_insecure)
    return err_set(ret_err, -EINVAL, "%s: auth.tls.root together with auth.tls.disable_verify; leave one of them out",
                   options_where(st, "auth.tls.disable_verify"));
  return 0;
}

/* Its host is looked at by the one who dials it. */
static int check_auth_url(const char *url, const struct option_state *st, struct err *ret_err)
{
  static const char *const schemes[] = {"https://", "http://", "unix:"};
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
      return 0;
  }
  return err_set(ret_err, -EINVAL,
                 "%s: not the URL of an auth server; write https://HOST/PATH, http://127.0.0.1:PORT, or unix:PATH",
                 options_where(st, "auth.url"));
}

static int check_auth_server(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  int rc = check_sole_source(c, st, ret_err);
  if (rc == 0)
    rc = check_auth_url(c->auth_url, st, ret_err);
  if (rc == 0)
    rc = check_auth_tls(c, st, ret_err);
  if (rc == 0 && (c->auth_timeout < AUTH_TIMEOUT_MIN || c->auth_timeout > AUTH_TIMEOUT_MAX))
    return err_set(ret_err, -EINVAL, "%s: write a time from 100ms to 10s", options_where(st, "auth.timeout"));
  return rc;
}

static int check_admission(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  if (is_on(c->auth_url))
    return check_auth_server(c, st, ret_err);
  int rc = check_no_server(c, st, ret_err);
  if (rc < 0)
    return rc;
  if (c->auth_key && c->auth_key_dir)
    return err_set(ret_err, -EINVAL,
                   "%s: auth.key and auth.key_dir together; put the one key into the directory as {kid}.jwk",
                   options_where(st, "auth.key_dir"));
  if (c->auth_key_dir && strstr(c->auth_key_dir, "://"))
    return err_set(ret_err, -ENOTSUP, "%s: \"%.100s\": keys by URL come with a later version; name a directory",
                   options_where(st, "auth.key_dir"), c->auth_key_dir);
  if (c->auth_public.n + c->auth_public_subscribe.n + c->auth_public_publish.n > 0 || c->auth_key || c->auth_key_dir ||
      c->pp_enabled || later_admission(st))
    return 0;
  return absent(c, ret_err,
                "nobody may connect: write public = \"\" under [auth] (or --auth-public \"\") to let "
                "anyone publish and watch everything, public = \"anon\" for paths under anon/, or "
                "key = \"root.jwk\" for who has a token, or url = \"http://127.0.0.1:4440\" for an auth server");
}

static int check_privacypass(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  if (!c->pp_enabled)
    return 0;
  if (c->pp_issuer.n == 0)
    return err_set(ret_err, -EINVAL, "%s: no issuer is trusted; name one with privacypass.issuer",
                   options_where(st, "privacypass.issuer"));
  if (c->pp_issuer_key.n > c->pp_issuer.n)
    return err_set(ret_err, -EINVAL,
                   "%s: %zu key files for %zu issuers; each file is the key of the issuer at the same place",
                   options_where(st, "privacypass.issuer_key"), c->pp_issuer_key.n, c->pp_issuer.n);
  if (c->pp_context > 0 && c->pp_context < NS_PER_S)
    return err_set(ret_err, -EINVAL, "%s: a challenge is offered for a second at least, or with 0 for good",
                   options_where(st, "privacypass.context"));
  return 0;
}

bool relay_config_later_version(const char *name)
{
  return strncmp(name, "moq-transport-", 14) == 0;
}

/* The names that listen.version may list. */
static int check_versions(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  static const char *const known[] = {"moq-lite-01", "moq-lite-02", "moq-lite-03",    "moq-lite-04",
                                      "moq-lite-05", "moq-lite-06", "moq-lite-07-wip"};
  for (size_t i = 0; i < c->listen_version.n; i++) {
    const char *name = c->listen_version.v[i];
    size_t k = 0;
    while (k < sizeof known / sizeof *known && strcmp(name, known[k]) != 0)
      k++;
    if (k == sizeof known / sizeof *known && !relay_config_later_version(name))
      return err_set(ret_err, -ENOTSUP, "%s: \"%.60s\" is not one of moq-lite-01 to moq-lite-06, moq-lite-07-wip",
                     options_where(st, "listen.version"), name);
  }
  return 0;
}

/* "*", or what a browser puts into Origin: scheme and authority, nothing else. */
static bool is_origin(const char *text)
{
  const char *authority = strstr(text, "://");
  if (strcmp(text, "*") == 0)
    return true;
  return authority && authority > text && authority[3] != '\0' && !strpbrk(authority + 3, "/?#*\" ,");
}

static int check_origins(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  for (size_t i = 0; i < c->allow_origin.n; i++) {
    if (c->allow_origin.v[i][0] && !is_origin(c->allow_origin.v[i]))
      return err_set(ret_err, -EINVAL,
                     "%s: \"%.100s\" is not an origin; write \"*\", or for example "
                     "\"https://example.com\" without a path",
                     options_where(st, "web.allow_origin"), c->allow_origin.v[i]);
  }
  return 0;
}

static int check_limits(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  if (c->limit_frame_bytes > c->limit_group_bytes)
    return err_set(ret_err, -EINVAL, "%s: %llu is more than limits.group_bytes (%llu); a frame must fit into a group",
                   options_where(st, "limits.frame_bytes"), (unsigned long long)c->limit_frame_bytes,
                   (unsigned long long)c->limit_group_bytes);
  return 0;
}

int relay_config_check(const struct relay_config *c, const struct option_state *st, struct err *ret_err)
{
  static int (*const checks[])(const struct relay_config *, const struct option_state *, struct err *) = {
      check_certificates, check_admission, check_privacypass, check_listeners,
      check_versions,     check_origins,   check_limits,
  };
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < sizeof checks / sizeof *checks; i++)
    rc = checks[i](c, st, ret_err);
  return rc;
}
