/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The options of moq-relay. Names are those of the Rust relay of today; the released older ones are
 * accepted (see `names` in the table). */
#pragma once
#include "base/log.h"
#include "config/options.h"

enum congestion { CONGESTION_CUBIC, CONGESTION_BBR, CONGESTION_RENO };

struct relay_config {
  char *file; /* the configuration file that was read, NULL = none */
  bool check_config;

  struct strlist listen;
  struct strlist listen_version;
  uint64_t listen_timeout;
  struct strlist tls_cert, tls_key, tls_generate;

  uint64_t max_streams, idle_timeout, keep_alive;
  uint64_t receive_window, stream_receive_window, send_window;
  bool gso, mtu_discovery;
  unsigned congestion; /* enum congestion */

  unsigned log_level;  /* enum log_level */
  unsigned log_format; /* enum log_format */

  struct strlist auth_public, auth_public_subscribe, auth_public_publish;
  char *auth_key, *auth_key_dir;
  uint64_t auth_leeway;
  char *auth_url, *auth_node; /* NULL or "" = none */
  char *auth_tls_root, *auth_tls_cert, *auth_tls_key;
  bool auth_tls_insecure;
  uint64_t auth_timeout;

  bool pp_enabled, pp_wide;
  struct strlist pp_issuer, pp_issuer_key, pp_grant;
  char *pp_spent_file, *pp_tls_root;
  uint64_t pp_context, pp_spent_max, pp_checks;

  char *http_listen;
  bool http_listen_set;
  char *https_listen; /* NULL or "" = off */
  struct strlist https_cert, https_key;
  struct strlist allow_origin;
  char *web_root;
  uint64_t fetch_timeout;
  char *internal_listen; /* NULL or "" = off */

  uint64_t cache_capacity, cache_duration, memory_max;
  uint64_t hop_id;
  uint64_t drain_timeout;
  char *state_dir;

  uint64_t limit_connections, limit_connections_per_ip, limit_handshakes, limit_handshakes_retry;
  uint64_t limit_broadcasts, limit_tracks, limit_subscribers, limit_announces, limit_subscriptions, limit_http_clients;
  uint64_t limit_connection_sessions, limit_egress, limit_session_tracks, limit_session_fetches, limit_fetches_total;
  uint64_t limit_requests_per_second, limit_announce_streams, limit_announce_entries, limit_path_parts,
      limit_path_bytes;
  uint64_t limit_partial_bytes, limit_tracks_total, limit_subscriptions_total, limit_http_request_bytes;
  uint64_t limit_auth_requests;
  uint64_t limit_groups, limit_message_bytes, limit_queue_bytes, limit_session_queue_bytes, limit_message_timeout;
  uint64_t limit_group_bytes, limit_frame_bytes, limit_group_frames, limit_behind_bytes, limit_connection_bytes;
  uint64_t linger, track_linger;
  unsigned takeover; /* enum takeover of the model */

  struct strlist missing; /* texts: features that --check-config has found on and a start refuses */
};

extern const struct option_table relay_options;

/* What the command line asks for before anything else. */
enum relay_command { RELAY_RUN, RELAY_CHECK, RELAY_HELP, RELAY_VERSION };

/* Fills *c (which need not be initialised) from defaults, file, environment and command line, and
 * checks that it makes sense. On failure nothing is to be freed and ret_err names the place. `log`
 * (may be NULL) gets its level and format from the configuration, then hears of older names. With
 * RELAY_CHECK features of later versions are listed in c->missing; with RELAY_RUN the first one is
 * an error. */
int relay_config_load(struct relay_config *c, int argc, char *const *argv, char *const *env, struct log *log,
                      enum relay_command *ret_command, struct err *ret_err);
void relay_config_free(struct relay_config *c);
