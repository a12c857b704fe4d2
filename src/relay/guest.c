/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/guest.h"
#include "auth/authorization.h"
#include "auth/privacypass.h"
#include "base/buf.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LOGGED_PATH_MAX 256 /* longer ones are cut in the log */
#define SUBJECT_MAX 255

struct guest {
  struct list link;
  struct guests *guests;
  uint64_t id, since;
  struct wt_session *wt; /* while its CONNECT is not answered */
  struct transport *transport;
  struct lite_session *session;
  struct admission_ticket ticket;
  struct scope scope;   /* granted before the session could start */
  const char *protocol; /* chosen for WebTransport */
  bool granted, setup;
  bool browser;                  /* reads the reason of a close, and not the status of a CONNECT */
  char *authorization;           /* a header with a Privacy Pass token, NULL = none; owned */
  char subject[SUBJECT_MAX + 1]; /* whose it is, for the log */
  char peer[64], path[LOGGED_PATH_MAX];
};

static void peer_text(const struct sockaddr_storage *peer, char *out, size_t n)
{
  char host[INET6_ADDRSTRLEN] = "?";
  if (peer->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const void *)peer;
    inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    snprintf(out, n, "%s:%u", host, ntohs(in->sin_port));
  } else if (peer->ss_family == AF_INET6) {
    const struct sockaddr_in6 *in = (const void *)peer;
    inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
    snprintf(out, n, "[%s]:%u", host, ntohs(in->sin6_port));
  } else {
    snprintf(out, n, "?");
  }
}

static void admitted(struct admission_ticket *t, int status, const struct grant *grant, const char *reason);
static void grant_over(struct admission_ticket *t, const char *reason);

static struct guest *guest_new(struct guests *g, struct transport *t)
{
  struct guest *guest = calloc(1, sizeof *guest);
  if (!guest)
    return NULL;
  guest->guests = g;
  guest->id = ++g->next_id;
  guest->since = g->worker->now;
  guest->transport = t;
  admission_ticket_init(&guest->ticket, admitted, grant_over);
  list_append(&g->all, &guest->link);
  g->count++;
  peer_text(&t->peer, guest->peer, sizeof guest->peer);
  return guest;
}

static void guest_free(struct guest *guest)
{
  struct guests *g = guest->guests;
  admission_end(&guest->ticket, NULL);
  scope_destroy(&guest->scope);
  free(guest->authorization);
  list_remove(&guest->link);
  free(guest);
  if (--g->count == 0 && g->empty)
    g->empty(g->ctx);
}

/* ---- the session's events ---- */

static void list_patterns(struct buf *b, const char *name, const struct slice *v, size_t n)
{
  buf_printf(b, " %s=", name);
  for (size_t i = 0; i < n; i++)
    buf_printf(b, "%s%.*s", i ? "," : "", SLICE_FMT(v[i]));
  if (n == 0)
    buf_printf(b, "-");
}

/* What was asked for, without the query: that may hold a token. */
static void keep_path(struct guest *guest, const char *url)
{
  if (url)
    snprintf(guest->path, sizeof guest->path, "%.*s", (int)strcspn(url, "?"), url);
}

/* What a peer chose comes last: it may hold anything. */
static void log_accepted(const struct guest *guest)
{
  struct buf b = {0};
  list_patterns(&b, "publish", guest->scope.publish, guest->scope.publish_count);
  list_patterns(&b, "subscribe", guest->scope.subscribe, guest->scope.subscribe_count);
  log_info(guest->guests->log,
           "session accepted id=%llu version=moq-lite-%s transport=%s peer=%s by=%s%.*s root=\"%.*s\" "
           "path=\"%s\"",
           (unsigned long long)guest->id, lite_info(lite_session_version(guest->session))->name, guest->transport->kind,
           guest->peer, guest->subject, (int)b.n, (const char *)b.p, SLICE_FMT(guest->scope.root), guest->path);
  buf_destroy(&b);
}

/* GOAWAY where the version has it, and on WebTransport its own word for it. */
static void ask_to_leave(struct guest *guest)
{
  lite_session_goaway(guest->session, "");
  if (strcmp(guest->transport->kind, "webtransport") == 0)
    wt_drain(guest->transport);
}

static void grant_over(struct admission_ticket *t, const char *reason)
{
  struct guest *guest = container_of(t, struct guest, ticket);
  if (guest->session)
    lite_session_close(guest->session, LITE_CLOSE_UNAUTHORIZED, reason);
}

/* Both the grant and the peer's SETUP are there. */
static void run(struct guest *guest)
{
  if (!guest->granted || !guest->setup)
    return;
  log_accepted(guest);
  if (lite_session_start(guest->session, &guest->scope) < 0)
    lite_session_close(guest->session, LITE_CLOSE_INTERNAL, "out of memory");
  if (guest->guests->leaving)
    ask_to_leave(guest);
}

static void ask(struct guest *guest, const char *url, const char *host, enum lite_role role, struct slice setup_token)
{
  static const char *const roles[] = {[LITE_ROLE_PUBLISHER] = "publisher", [LITE_ROLE_SUBSCRIBER] = "subscriber"};
  bool known = role == LITE_ROLE_PUBLISHER || role == LITE_ROLE_SUBSCRIBER;
  keep_path(guest, url);
  struct admission_request request = {.transport = guest->wt ? "webtransport" : guest->transport->kind,
                                      .url = url,
                                      .host = host,
                                      .alpn = guest->wt ? guest->protocol : guest->transport->protocol,
                                      .bearer = authorization_bearer(guest->authorization),
                                      .private_token = authorization_private_token(guest->authorization),
                                      .setup_token = setup_token,
                                      .use = ADMISSION_SESSION,
                                      .role = known ? roles[role] : NULL,
                                      .peer = &guest->transport->peer,
                                      .local = &guest->transport->local};
  admission_start(guest->guests->admission, &request, &guest->ticket);
}

static void on_setup(void *ctx, struct lite_session *s, const struct lite_setup_info *info)
{
  struct guest *guest = ctx;
  guest->session = s;
  guest->setup = true;
  if (guest->granted)
    run(guest);
  else
    ask(guest, info->path ? info->path : guest->transport->path, guest->transport->host, info->role,
        info->authorization);
}

static void on_goaway(void *ctx, struct lite_session *s, struct slice uri)
{
  /* A client that asks its relay to leave has nowhere to send it. */
}

static void on_closed(void *ctx, struct lite_session *s, uint64_t code, struct slice reason, bool by_peer)
{
  struct guest *guest = ctx;
  struct transport_stats stats = {0};
  guest->transport->ops->stats(guest->transport, &stats);
  double seconds = (double)(guest->guests->worker->now - guest->since) / 1e9;
  const char *name = code == TRANSPORT_NO_CODE ? "lost" : lite_close_name(code);
  log_info(guest->guests->log,
           "session closed id=%llu by=%s code=%s seconds=%.1f sent=%llu received=%llu reason=\"%.*s\"",
           (unsigned long long)guest->id, by_peer ? "peer" : "relay", name, seconds,
           (unsigned long long)stats.bytes_sent, (unsigned long long)stats.bytes_received, SLICE_FMT(reason));
  admission_end(&guest->ticket, &(struct admission_end){name, stats.bytes_sent, stats.bytes_received});
  guest_free(guest);
}

static const struct lite_session_events session_events = {on_setup, on_goaway, on_closed};

static int start_session(struct guest *guest, struct transport *t, enum lite_version version)
{
  struct lite_session_config config = {.env = &guest->guests->env,
                                       .events = &session_events,
                                       .ctx = guest,
                                       .version = version,
                                       .legacy = guest->guests->legacy,
                                       .id = guest->id};
  guest->transport = t;
  return lite_session_new(&config, t, &guest->session);
}

/* ---- admission ---- */

/* Of the protocol chosen for WebTransport; none is the legacy exchange. */
static const struct lite_version_info *version_of(const struct guest *guest)
{
  enum lite_version version = LITE_02;
  lite_from_alpn(slice_str(guest->protocol), &version);
  return lite_info(version);
}

static uint64_t close_code(int status)
{
  if (status == 502) /* whoever decides cannot be asked: deployed peers know the HTTP status as an application code */
    return LITE_CODE_APPLICATION + 502;
  return status == 400 ? LITE_CLOSE_PROTOCOL : status >= 500 ? LITE_CLOSE_INTERNAL : LITE_CLOSE_UNAUTHORIZED;
}

/* What tells a client that was refused with which token it may come again, if any: 0, and header or reason of a close. */
static int asking(const struct guest *guest, int status, bool header, struct buf *out)
{
  const struct privacypass *pp = admission_privacypass(guest->guests->admission);
  struct path path;
  if (!pp || status != 401 || strlen(guest->path) + 1 == sizeof guest->path || /* perhaps cut */
      path_parse(&path, slice_str(guest->path)) < 0)
    return -ENOENT;
  if (header)
    return privacypass_header(pp, PP_SUBSCRIBE, path_slice(&path), out);
  return privacypass_reason(pp, PP_SUBSCRIBE, path_slice(&path), QUIC_REASON_MAX, out);
}

/* Browsers tell a page neither status nor header of a CONNECT, so what it has to read comes with a close. */
static void refuse_request(struct guest *guest, int status)
{
  struct wt_session *wt = guest->wt;
  struct buf text = {0};
  wt_session_set_user(wt, NULL);
  if (guest->browser && asking(guest, status, false, &text) == 0)
    lite_transport_refuse(wt_accept(wt, guest->protocol), LITE_CLOSE_UNAUTHORIZED, (const char *)text.p);
  else if (!guest->browser && asking(guest, status, true, &text) == 0)
    wt_reject_asking(wt, status, buf_slice(&text));
  else
    wt_reject(wt, status);
  buf_destroy(&text);
  guest_free(guest);
}

static void refuse_session(struct guest *guest, int status, const char *reason)
{
  uint64_t code = close_code(status);
  struct buf text = {0};
  if (asking(guest, status, false, &text) == 0) {
    reason = (const char *)text.p;
    if (!guest->browser && strcmp(guest->transport->kind, "webtransport") == 0)
      wt_close_at_once(guest->transport);
  } else if (code == LITE_CLOSE_UNAUTHORIZED) {
    reason = "unauthorized";
  }
  lite_session_close(guest->session, code, reason);
  buf_destroy(&text);
}

static void refused(struct guest *guest, int status, const char *reason)
{
  log_info(guest->guests->log, "session refused id=%llu peer=%s path=\"%s\": %s", (unsigned long long)guest->id,
           guest->peer, guest->path, reason);
  if (guest->wt)
    refuse_request(guest, status);
  else
    refuse_session(guest, status, reason);
}

static void accept_webtransport(struct guest *guest)
{
  enum lite_version version = version_of(guest)->version;
  wt_session_set_user(guest->wt, NULL);
  struct transport *t = wt_accept(guest->wt, guest->protocol);
  guest->wt = NULL;
  if (start_session(guest, t, version) < 0) {
    lite_transport_refuse(t, LITE_CLOSE_INTERNAL, "out of memory");
    guest_free(guest);
  }
}

static void keep_grant(struct guest *guest, const struct grant *grant)
{
  snprintf(guest->subject, sizeof guest->subject, "%s%s%s", grant->source, *grant->subject ? " " : "", grant->subject);
}

static void admitted(struct admission_ticket *t, int status, const struct grant *grant, const char *reason)
{
  struct guest *guest = container_of(t, struct guest, ticket);
  if (status == 0 && scope_init(&guest->scope, grant->root, grant->publish, grant->publish_count, grant->subscribe,
                                grant->subscribe_count) < 0) {
    status = 503;
    reason = "out of memory";
  }
  if (status != 0) {
    refused(guest, status, reason);
    return;
  }
  guest->granted = true;
  guest->scope.peer = grant->cluster;
  keep_grant(guest, grant);
  if (guest->wt)
    accept_webtransport(guest);
  else
    run(guest);
}

/* ---- connections ---- */

/* Our own copy of a name, which lives on. */
static const char *spoken(const struct guests *g, const char *protocol)
{
  for (const char *const *v = g->versions; *v; v++) {
    if (strcmp(*v, protocol) == 0)
      return *v;
  }
  return NULL;
}

/* The first of the client's list that we speak; browsers and the Rust stack expect their order to
 * count. "" when it offers nothing: then the SETUP exchange tells. NULL: no common version. */
static const char *choose(const struct guests *g, const char *const *offered)
{
  const char *found = offered[0] || !g->legacy ? NULL : "";
  for (; *offered && !found; offered++)
    found = spoken(g, *offered);
  return found;
}

static void wt_request(void *ctx, struct wt_session *s, const struct wt_request *request)
{
  struct guests *g = ctx;
  bool full = g->full && g->full(g->ctx, &request->connection->peer);
  struct guest *guest = g->leaving || full ? NULL : guest_new(g, request->connection);
  if (!guest) {
    wt_reject(s, 503);
    return;
  }
  guest->wt = s;
  wt_session_set_user(s, guest);
  guest->browser = request->origin[0] != '\0';
  if (request->authorization[0])
    guest->authorization = strdup(request->authorization);
  guest->protocol = choose(g, request->protocols);
  if (request->authorization[0] && !guest->authorization)
    refused(guest, 503, "out of memory"); /* who brings a credential is not let in without it */
  else if (!guest->protocol)
    refused(guest, 400, "no common version");
  else if (version_of(guest)->legacy_setup)
    accept_webtransport(guest);
  else
    ask(guest, request->path, request->authority, LITE_ROLE_BOTH, slice_str(""));
}

static void wt_gone(void *ctx, struct wt_session *s)
{
  struct guest *guest = wt_session_user(s);
  if (guest)
    guest_free(guest);
}

static void wt_excess(void *ctx, const struct sockaddr_storage *peer)
{
  struct guests *g = ctx;
  char text[64];
  peer_text(peer, text, sizeof text);
  limit_hit(g->env.counts, LIMIT_CONNECTION_SESSIONS, g->worker->now, "peer=%s", text);
}

void guests_init(struct guests *g)
{
  list_init(&g->all);
  g->webtransport = (struct wt_server_events){wt_request, wt_gone, wt_excess, 0};
}

void guests_connection(struct guests *g, struct transport *t)
{
  enum lite_version version;
  if (strcmp(t->protocol, "h3") == 0) {
    if (wt_serve(t, g->worker, g->log, &g->webtransport, g) < 0)
      transport_close(t, LITE_CLOSE_INTERNAL, "out of memory");
    return;
  }
  if (g->leaving) {
    lite_transport_refuse(t, LITE_CLOSE_GOAWAY_TIMEOUT, "server shutdown");
    return;
  }
  struct guest *guest = lite_from_alpn(slice_str(t->protocol), &version) ? guest_new(g, t) : NULL;
  if (!guest) {
    lite_transport_refuse(t, LITE_CLOSE_INTERNAL, "out of memory");
    return;
  }
  if (start_session(guest, t, version) < 0) {
    lite_transport_refuse(t, LITE_CLOSE_INTERNAL, "out of memory");
    guest_free(guest);
  }
}

/* ---- memory ---- */

static uint64_t held(const struct guest *guest)
{
  struct transport_stats stats = {0};
  uint64_t n = guest->session ? lite_session_memory(guest->session) : 0;
  if (n == 0)
    return 0;
  guest->transport->ops->stats(guest->transport, &stats);
  return n + stats.memory;
}

size_t guests_memory(const struct guests *g)
{
  size_t n = g->count * sizeof(struct guest);
  list_for_each (it, &g->all) {
    const struct guest *guest = container_of(it, struct guest, link);
    n += guest->session ? lite_session_memory(guest->session) : 0;
  }
  return n;
}

#define CLOSED_AT_ONCE 16

struct holder {
  struct guest *guest;
  uint64_t held;
};

/* Those that hold most, at least `least` and something, the largest first. Returns how many. */
static size_t find_largest(const struct guests *g, uint64_t least, struct holder top[CLOSED_AT_ONCE])
{
  size_t n = 0;
  list_for_each (it, &g->all) {
    struct guest *guest = container_of(it, struct guest, link);
    uint64_t mine = held(guest);
    if (mine == 0 || mine < least || (n == CLOSED_AT_ONCE && mine <= top[n - 1].held))
      continue;
    size_t at = n < CLOSED_AT_ONCE ? n++ : n - 1;
    for (; at > 0 && top[at - 1].held < mine; at--)
      top[at] = top[at - 1];
    top[at] = (struct holder){guest, mine};
  }
  return n;
}

uint64_t guests_close_largest(struct guests *g, uint64_t bytes, uint64_t least, struct limits *counts)
{
  struct holder top[CLOSED_AT_ONCE];
  size_t n = find_largest(g, least, top);
  uint64_t sum = 0;
  for (size_t i = 0; i < n && sum < bytes; i++) {
    const struct guest *guest = top[i].guest;
    limit_hit(counts, LIMIT_MEMORY, g->worker->now, "session closed id=%llu peer=%s held=%llu",
              (unsigned long long)guest->id, guest->peer, (unsigned long long)top[i].held);
    lite_session_close(guest->session, LITE_CLOSE_MEMORY, "memory is short and much is held for this session");
    sum += top[i].held;
  }
  return sum;
}

void guests_goaway(struct guests *g)
{
  g->leaving = true;
  list_for_each_safe (it, tmp, &g->all) {
    struct guest *guest = container_of(it, struct guest, link);
    if (guest->session)
      ask_to_leave(guest);
  }
}

void guests_close(struct guests *g, uint64_t code, const char *reason)
{
  g->leaving = true;
  list_for_each_safe (it, tmp, &g->all) {
    struct guest *guest = container_of(it, struct guest, link);
    if (guest->session)
      lite_session_close(guest->session, code, reason);
    else if (guest->wt)
      refused(guest, 503, reason);
  }
}
