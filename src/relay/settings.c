/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relay/settings.h"

#define LAST_WORDS_NS NS_PER_S

static uint64_t smaller(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

void settings_quic(const struct relay_config *c, struct quic_limits *l)
{
  static const enum quic_congestion congestion[] = {
      [CONGESTION_CUBIC] = QUIC_CUBIC, [CONGESTION_BBR] = QUIC_BBR, [CONGESTION_RENO] = QUIC_RENO};
  quic_limits_default(l);
  l->idle_timeout_ns = c->idle_timeout;
  l->keep_alive_ns = c->keep_alive;
  l->handshake_timeout_ns = c->listen_timeout;
  l->connections = (uint32_t)c->limit_connections;
  l->connections_per_ip = (uint32_t)c->limit_connections_per_ip;
  l->handshakes = (uint32_t)c->limit_handshakes;
  l->handshakes_retry = (uint32_t)c->limit_handshakes_retry;
  l->egress = c->limit_egress;
  l->streams_bidi = l->streams_uni = (uint32_t)c->max_streams;
  l->window_max = c->receive_window;
  l->window = smaller(l->window, c->receive_window);
  l->stream_window_max = c->stream_receive_window;
  l->stream_window = smaller(l->stream_window, c->stream_receive_window);
  l->send_window = c->send_window;
  l->connection_bytes = c->limit_connection_bytes;
  l->gso = c->gso;
  l->mtu_discovery = c->mtu_discovery;
  l->congestion = congestion[c->congestion];
}

void settings_model(const struct relay_config *c, struct model_limits *l)
{
  model_limits_default(l);
  l->broadcasts = (uint32_t)c->limit_broadcasts;
  l->tracks_per_broadcast = (uint32_t)c->limit_tracks;
  l->subs_per_track = (uint32_t)c->limit_subscribers;
  l->tracks = (uint32_t)c->limit_tracks_total;
  l->subs = (uint32_t)c->limit_subscriptions_total;
  l->objects_per_group = (uint32_t)c->limit_group_frames;
  l->bytes_per_group = c->limit_group_bytes;
  l->bytes_per_object = c->limit_frame_bytes;
  l->max_age_ns = c->cache_duration;
  l->sub_behind_bytes = c->limit_behind_bytes;
  l->takeover = c->takeover ? TAKEOVER_NEVER : TAKEOVER_NEWEST;
  l->linger_ns = c->linger;
  l->track_linger_ns = c->track_linger;
}

void settings_lite(const struct relay_config *c, struct lite_limits *l)
{
  lite_limits_default(l);
  l->announces = (uint32_t)c->limit_announces;
  l->requests = (uint32_t)c->limit_subscriptions;
  l->tracks = (uint32_t)c->limit_session_tracks;
  l->fetches = (uint32_t)c->limit_session_fetches;
  l->fetches_total = (uint32_t)c->limit_fetches_total;
  l->requests_per_second = (uint32_t)c->limit_requests_per_second;
  l->announce_streams = (uint32_t)c->limit_announce_streams;
  l->announce_entries = (uint32_t)c->limit_announce_entries;
  l->path_parts = (uint32_t)c->limit_path_parts;
  l->path_bytes = (uint32_t)c->limit_path_bytes;
  l->partial_bytes = (uint32_t)c->limit_partial_bytes;
  l->groups = (uint32_t)c->limit_groups;
  l->message_bytes = (uint32_t)c->limit_message_bytes;
  l->queue_bytes = (uint32_t)c->limit_queue_bytes;
  l->session_queue_bytes = (uint32_t)c->limit_session_queue_bytes;
  l->setup_timeout_ns = c->listen_timeout;
  l->message_timeout_ns = c->limit_message_timeout;
}

/* Some of the time that a client has to get in is left for telling it that nobody could be asked. */
static uint64_t auth_timeout(const struct relay_config *c)
{
  return c->listen_timeout ? smaller(c->auth_timeout, c->listen_timeout / 5 * 4) : c->auth_timeout;
}

void settings_auth_server(const struct relay_config *c, struct auth_server_config *ret_config)
{
  *ret_config = (struct auth_server_config){.node = c->auth_node ? c->auth_node : "",
                                            .http = {.url = c->auth_url,
                                                     .tls_root = c->auth_tls_root,
                                                     .tls_cert = c->auth_tls_cert,
                                                     .tls_key = c->auth_tls_key,
                                                     .tls_insecure = c->auth_tls_insecure,
                                                     .timeout_ns = auth_timeout(c),
                                                     .requests = (unsigned)c->limit_auth_requests}};
}

void settings_privacypass(const struct relay_config *c, struct privacypass_config *ret_config)
{
  *ret_config =
      (struct privacypass_config){.issuers = (const char *const *)c->pp_issuer.v,
                                  .issuer_count = c->pp_issuer.n,
                                  .keys = (const char *const *)c->pp_issuer_key.v,
                                  .key_count = c->pp_issuer_key.n,
                                  .grants = (const char *const *)c->pp_grant.v,
                                  .grant_count = c->pp_grant.n,
                                  .offer = {.window_s = c->pp_context / NS_PER_S, .wide = c->pp_wide},
                                  .spent_file = c->pp_spent_file && *c->pp_spent_file ? c->pp_spent_file : NULL,
                                  .spent_max = c->pp_spent_max,
                                  .checks_per_second = c->pp_checks,
                                  .http = {.tls_root = c->pp_tls_root}};
}

void settings_http(const struct relay_config *c, struct http_config *h)
{
  *h = (struct http_config){
      .allow_origin = (const char *const *)c->allow_origin.v,
      .allow_origin_count = c->allow_origin.n,
      .web_root = c->web_root,
      .clients = (unsigned)c->limit_http_clients,
      .request_bytes = (size_t)c->limit_http_request_bytes,
      .wait_ns = c->fetch_timeout,
  };
}

uint64_t settings_last_words(const struct relay_config *c)
{
  return smaller(LAST_WORDS_NS, c->drain_timeout / 4);
}
