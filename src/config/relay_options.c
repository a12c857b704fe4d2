/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The table of moq-relay's options. doc/config.md is printed from it. */
#include "config/relay_config.h"

/* A smaller receive window would stop every peer before it has said anything. */
#define WINDOW_MIN (64 << 10)

#define AT(member) offsetof(struct relay_config, member)

static const char *const congestion_choices[] = {"cubic", "bbr", "reno", "loss", "delay", NULL};
static const char *const takeover_choices[] = {"newest", "never", NULL};
static const char *const format_choices[] = {"text", "json", NULL};
static const char *const level_choices[] = {"error", "warn", "info", "debug", "trace", "1", "2", "3", "4", "5", NULL};

/* What later versions bring, and what has no meaning here; with and without a value on the command
 * line. */
/* clang-format off */
#define LATER(key, flag, what, ...) {key, flag, OPT_LATER, 0, NULL, "VALUE", what, 0, 0, 0, {__VA_ARGS__}}
#define LATER_FLAG(key, flag, what, ...) {key, flag, OPT_LATER, 0, NULL, "", what, 0, 0, 0, {__VA_ARGS__}}
#define ABSENT_FLAG(key, flag, what, ...) {key, flag, OPT_ABSENT, 0, NULL, "", what, 0, 0, 0, {__VA_ARGS__}}
#define IGNORED(key, flag, ...) {key, flag, OPT_IGNORED, 0, NULL, "VALUE", "", 0, 0, 0, {__VA_ARGS__}}
#define IGNORED_FLAG(key, flag, ...) {key, flag, OPT_IGNORED, 0, NULL, "", "", 0, 0, 0, {__VA_ARGS__}}

/* One row per option. */
static const struct option rows[] = {
    {"file", "file", OPT_STRING, AT(file), NULL, "PATH", "configuration file (TOML); also the first argument", 0, 0, 0, {0}},
    {NULL, "check-config", OPT_BOOL, AT(check_config), NULL, "", "check the configuration and end", 0, 0, 0, {0}},

    {"listen.bind", "listen", OPT_LIST, AT(listen), "[::]:443", "ADDR", "UDP address for QUIC; may be repeated", 0, 0, 0,
     {"server.bind", "server.listen", "--server-bind", "--server-listen"}},
    {"listen.version", "listen-version", OPT_LIST, AT(listen_version), NULL, "VERSION",
     "MoQ versions to speak (moq-lite-01 to moq-lite-06); empty = all", 0, 0, 0, {"server.version", "--server-version"}},
    {"listen.timeout", "listen-timeout", OPT_DURATION, AT(listen_timeout), "10s", "TIME",
     "bound on the handshake and the session setup", 0, 0, 0, {"server.timeout", "--server-timeout"}},
    {"listen.tls.cert", "listen-tls-cert", OPT_LIST, AT(tls_cert), NULL, "PATH", "certificate chain (PEM)", 0, 0, 0,
     {"server.tls.cert", "--tls-cert", "--server-tls-cert"}},
    {"listen.tls.key", "listen-tls-key", OPT_LIST, AT(tls_key), NULL, "PATH", "private key (PEM) of the certificate at the same place", 0, 0, 0,
     {"server.tls.key", "--tls-key", "--server-tls-key"}},
    {"listen.tls.generate", "listen-tls-generate", OPT_LIST, AT(tls_generate), NULL, "HOST",
     "make a self-signed certificate for these names", 0, 0, 0, {"server.tls.generate", "--tls-generate", "--server-tls-generate"}},

    {"quic.max_streams", "quic-max-streams", OPT_INT, AT(max_streams), "10000", "N", "streams a peer may have open, of each kind", 0, 16, 1000000,
     {"--server-max-streams", "--client-max-streams", "--server-quic-max-streams", "server.quic.max_streams", "server.max_streams", "client.max_streams", "client.quic.max_streams"}},
    {"quic.idle_timeout", "quic-idle-timeout", OPT_DURATION, AT(idle_timeout), "10s", "TIME", "close a silent connection after this", 0, 0, 0,
     {"--server-quic-idle-timeout", "server.quic.idle_timeout", "--client-quic-idle-timeout", "client.quic.idle_timeout"}},
    {"quic.keep_alive", "quic-keep-alive", OPT_DURATION, AT(keep_alive), "3s", "TIME", "send a PING after this much silence at the latest; 0 = off", 0, 0, 0,
     {"--server-quic-keep-alive", "server.quic.keep_alive", "--client-quic-keep-alive", "client.quic.keep_alive"}},
    {"quic.congestion_control", "quic-congestion-control", OPT_CHOICE, AT(congestion), "cubic", "NAME",
     "cubic, bbr or reno (loss = cubic, delay = bbr)", congestion_choices, 0, 0, {"--server-quic-congestion-control", "server.quic.congestion_control", "--client-quic-congestion-control", "client.quic.congestion_control"}},
    {"quic.receive_window", "quic-receive-window", OPT_SIZE, AT(receive_window), "64MiB", "SIZE", "largest receive window of a connection", 0, WINDOW_MIN, 0,
     {"--server-quic-receive-window", "server.quic.receive_window", "--client-quic-receive-window", "client.quic.receive_window"}},
    {"quic.stream_receive_window", "quic-stream-receive-window", OPT_SIZE, AT(stream_receive_window), "16MiB", "SIZE",
     "largest receive window of a stream", 0, WINDOW_MIN, 0, {"--server-quic-stream-receive-window", "server.quic.stream_receive_window", "--client-quic-stream-receive-window", "client.quic.stream_receive_window"}},
    {"quic.send_window", "quic-send-window", OPT_SIZE, AT(send_window), "0", "SIZE", "unacknowledged bytes per connection; 0 = congestion control alone", 0, 0, 0,
     {"--server-quic-send-window", "server.quic.send_window", "--client-quic-send-window", "client.quic.send_window"}},
    {"quic.gso", "quic-gso", OPT_BOOL, AT(gso), "true", "", "send trains of packets with one system call", 0, 0, 0, {"--server-quic-gso", "server.quic.gso", "--client-quic-gso", "client.quic.gso"}},
    {"quic.mtu_discovery", "quic-mtu-discovery", OPT_BOOL, AT(mtu_discovery), "true", "", "probe for larger packets", 0, 0, 0,
     {"--server-quic-mtu-discovery", "server.quic.mtu_discovery", "--client-quic-mtu-discovery", "client.quic.mtu_discovery"}},

    {"log.level", "log-level", OPT_CHOICE, AT(log_level), "info", "LEVEL", "error, warn, info, debug or trace", level_choices, 0, 0, {0}},
    {"log.format", "log-format", OPT_CHOICE, AT(log_format), "text", "FORMAT", "text or json, one object a line", format_choices, 0, 0, {0}},

    {"auth.public", "auth-public", OPT_LIST, AT(auth_public), NULL, "PREFIX", "path prefix that anyone may publish and watch under; \"\" = everything", 0, 0, 0, {0}},
    {"auth.public_subscribe", "auth-public-subscribe", OPT_LIST, AT(auth_public_subscribe), NULL, "PREFIX", "path prefix that anyone may watch under", 0, 0, 0,
     {"auth.public.subscribe"}},
    {"auth.public_publish", "auth-public-publish", OPT_LIST, AT(auth_public_publish), NULL, "PREFIX", "path prefix that anyone may publish under", 0, 0, 0,
     {"auth.public.publish"}},

    {"web.http.listen", "web-http-listen", OPT_STRING, AT(http_listen), NULL, "ADDR",
     "TCP address for HTTP; \"\" = off [default: loopback and the QUIC port's number, off when there is HTTPS]", 0, 0, 0, {0}},
    {"web.https.listen", "web-https-listen", OPT_STRING, AT(https_listen), NULL, "ADDR", "TCP address for HTTPS; needs a certificate and a key of its own", 0, 0, 0, {0}},
    {"web.https.cert", "web-https-cert", OPT_LIST, AT(https_cert), NULL, "PATH", "certificate chain (PEM) for HTTPS", 0, 0, 0, {0}},
    {"web.https.key", "web-https-key", OPT_LIST, AT(https_key), NULL, "PATH", "private key (PEM) of the certificate at the same place", 0, 0, 0, {0}},
    {"web.allow_origin", "web-allow-origin", OPT_LIST, AT(allow_origin), "*", "ORIGIN", "web pages that may read the answers: * for all, or https://host", 0, 0, 0, {0}},
    {"web.root", "web-root", OPT_STRING, AT(web_root), NULL, "DIR", "folder with the page that / shows", 0, 0, 0, {0}},
    {"web.fetch_timeout", "web-fetch-timeout", OPT_DURATION, AT(fetch_timeout), "30s", "TIME",
     "how long /fetch waits for a broadcast or a group", 0, 0, 0, {0}},

    {"cache.capacity", "cache-capacity", OPT_SIZE, AT(cache_capacity), "1GiB", "SIZE", "memory for cached media; 0 = no bound", 0, 0, 0, {0}},
    {"cache.duration", "cache-duration", OPT_DURATION, AT(cache_duration), "30s", "TIME", "longest time that a group which is not the newest is kept", 0, 0, 0, {0}},
    {"cluster.id", "cluster-id", OPT_INT, AT(hop_id), "0", "N", "hop id of this relay; 0 = random", 0, 0, (1ULL << 53) - 1, {0}},
    {"drain_timeout", "drain-timeout", OPT_DURATION, AT(drain_timeout), "10s", "TIME", "on SIGTERM, all is over after this time; sessions that have not left by themselves are closed in its last quarter, 1 s at most", 0, 0, 0, {0}},
    {"state_dir", "state-dir", OPT_STRING, AT(state_dir), NULL, "DIR", "folder for what outlives the process: the secret that tells clients of a crashed relay at once", 0, 0, 0, {0}},

    {"limits.connections", "limits-connections", OPT_INT, AT(limit_connections), "10000", "N", "QUIC connections", 0, 1, 10000000, {0}},
    {"limits.connections_per_address", "limits-connections-per-address", OPT_INT, AT(limit_connections_per_ip), "0", "N",
     "QUIC connections of one address (IPv6: /64); 0 = no bound", 0, 0, 10000000, {0}},
    {"limits.handshakes", "limits-handshakes", OPT_INT, AT(limit_handshakes), "1000", "N", "handshakes in flight, above that first packets are dropped", 0, 1, 10000000, {0}},
    {"limits.handshakes_retry", "limits-handshakes-retry", OPT_INT, AT(limit_handshakes_retry), "100", "N",
     "handshakes in flight above which an address must be proven (Retry)", 0, 0, 10000000, {0}},
    {"limits.announces", "limits-announces", OPT_INT, AT(limit_announces), "1000", "N", "broadcasts one session may announce", 0, 1, 10000000, {0}},
    {"limits.subscriptions", "limits-subscriptions", OPT_INT, AT(limit_subscriptions), "1000", "N", "requests (subscribe, track, fetch, announce, probe) one session may have open", 0, 1, 10000000, {0}},
    {"limits.groups", "limits-groups", OPT_INT, AT(limit_groups), "4096", "N", "groups on their way to one session; beyond it the oldest of a subscription are given up", 0, 1, 10000000, {0}},
    {"limits.message_bytes", "limits-message-bytes", OPT_SIZE, AT(limit_message_bytes), "64KiB", "SIZE", "largest control message (at most 1 MiB)", 0, 1024, 1 << 20, {0}},
    {"limits.message_timeout", "limits-message-timeout", OPT_DURATION, AT(limit_message_timeout), "10s", "TIME",
     "age of an incomplete message; also the wait for a stream or for an answer", 0, 0, 0, {0}},
    {"limits.queue_bytes", "limits-queue-bytes", OPT_SIZE, AT(limit_queue_bytes), "4MiB", "SIZE", "control bytes that wait for a peer to read them, one stream's", 0, 1024, UINT32_MAX, {0}},
    {"limits.session_queue_bytes", "limits-session-queue-bytes", OPT_SIZE, AT(limit_session_queue_bytes), "16MiB", "SIZE", "the same, all of a session's streams", 0, 1024, UINT32_MAX, {0}},
    {"limits.broadcasts", "limits-broadcasts", OPT_INT, AT(limit_broadcasts), "100000", "N", "broadcasts in all", 0, 1, 100000000, {0}},
    {"limits.tracks", "limits-tracks", OPT_INT, AT(limit_tracks), "1024", "N", "tracks of one broadcast", 0, 1, 1000000, {0}},
    {"limits.subscribers", "limits-subscribers", OPT_INT, AT(limit_subscribers), "100000", "N", "subscriptions of one track", 0, 1, 10000000, {0}},
    {"limits.group_bytes", "limits-group-bytes", OPT_SIZE, AT(limit_group_bytes), "32MiB", "SIZE", "largest group", 0, 0, 0, {0}},
    {"limits.frame_bytes", "limits-frame-bytes", OPT_SIZE, AT(limit_frame_bytes), "32MiB", "SIZE", "largest frame", 0, 0, 0, {0}},
    {"limits.group_frames", "limits-group-frames", OPT_INT, AT(limit_group_frames), "8192", "N", "most frames in a group", 0, 1, 100000000, {0}},
    {"limits.behind_bytes", "limits-behind-bytes", OPT_SIZE, AT(limit_behind_bytes), "64MiB", "SIZE", "a viewer further behind skips ahead", 0, 0, 0, {0}},
    {"limits.http_clients", "limits-http-clients", OPT_INT, AT(limit_http_clients), "256", "N", "HTTP connections", 0, 1, 1000000, {0}},
    {"publish.linger", "publish-linger", OPT_DURATION, AT(linger), "5s", "TIME", "how long a broadcast whose publisher was lost stays announced", 0, 0, 0, {0}},
    {"publish.takeover", "publish-takeover", OPT_CHOICE, AT(takeover), "newest", "WHICH",
     "a further publisher of a broadcast: newest = it serves from now on, never = it waits until those before it have left", takeover_choices, 0, 0, {0}},
    {"publish.track_linger", "publish-track-linger", OPT_DURATION, AT(track_linger), "2s", "TIME",
     "how long a track is still received after its last viewer left", 0, 0, 0, {0}},

    LATER("auth.key", "auth-key", "authentication by token (auth.key)", 0),
    LATER("auth.key_dir", "auth-key-dir", "authentication by token (auth.key_dir)", 0),
    LATER("auth.url", "auth-url", "an auth server (auth.url)", 0),
    LATER("auth.api", "auth-api", "an auth server (auth.api)", "auth.auth_api"),
    LATER("auth.public.api", "auth-public-api", "an auth server (auth.public.api)", 0),
    LATER("auth.domains", "auth-domain", "roots by host name (auth.domains)", 0),
    LATER("auth.mtls_tier", "auth-mtls-tier", "client certificates (auth.mtls_tier)", 0),
    LATER("auth.tls.root", "auth-tls-root", "an auth server (auth.tls)", 0),
    LATER("auth.tls.cert", "auth-tls-cert", "an auth server (auth.tls)", 0),
    LATER("auth.tls.key", "auth-tls-key", "an auth server (auth.tls)", 0),
    LATER_FLAG("auth.tls.disable_verify", "auth-tls-disable-verify", "an auth server (auth.tls)", "auth.tls.insecure"),
    LATER_FLAG("privacypass.enabled", "pp-enabled", "Privacy Pass (privacypass)", 0),
    LATER("privacypass.issuer_key", "pp-issuer-key", "Privacy Pass (privacypass)", 0),
    IGNORED("privacypass.issuer", "pp-issuer", 0),
    LATER("web.https.root", "web-https-root", "client certificates (web.https.root)", 0),
    LATER_FLAG("web.ws", "web-ws", "WebSocket (web.ws)", 0),
    LATER("listen.tls.root", "listen-tls-root", "client certificates (listen.tls.root)", "server.tls.root", "--server-tls-root"),
    LATER("listen.tcp.bind", "listen-tcp-bind", "MoQ over TCP (listen.tcp)", "server.tcp.bind", "--server-tcp-bind"),
    LATER("listen.unix.bind", "listen-unix-bind", "MoQ over UNIX sockets (listen.unix)", "server.unix.bind", "--server-unix-bind"),
    LATER("listen.unix.allow.uid", "listen-unix-allow-uid", "MoQ over UNIX sockets (listen.unix)", "server.unix.allow.uid", "--server-unix-allow-uid"),
    LATER("listen.unix.allow.gid", "listen-unix-allow-gid", "MoQ over UNIX sockets (listen.unix)", "server.unix.allow.gid", "--server-unix-allow-gid"),
    LATER("listen.unix.allow.pid", "listen-unix-allow-pid", "MoQ over UNIX sockets (listen.unix)", "server.unix.allow.pid", "--server-unix-allow-pid"),
    LATER("listen.preferred_v4", "listen-preferred-v4", "a preferred address (listen.preferred_v4)", "server.preferred_v4", "--server-preferred-v4"),
    LATER("listen.preferred_v6", "listen-preferred-v6", "a preferred address (listen.preferred_v6)", "server.preferred_v6", "--server-preferred-v6"),
    LATER("listen.load_balancer.id", "listen-quic-lb-id", "QUIC-LB (listen.load_balancer)", "server.quic_lb_id", "--server-quic-lb-id"),
    LATER("listen.load_balancer.nonce", "listen-quic-lb-nonce", "QUIC-LB (listen.load_balancer)", "server.quic_lb_nonce", "--server-quic-lb-nonce"),
    LATER("quic.qlog", "quic-qlog", "qlog (quic.qlog)", "server.quic.qlog", "client.quic.qlog", "--server-quic-qlog", "--client-quic-qlog"),
    LATER("cluster.connect", "cluster-connect", "clustering (cluster.connect)", "cluster.root", "--cluster-root", "cluster.connect.url", "cluster.connect.cost", "cluster.connect.egress", "cluster.connect.token"),
    LATER("cluster.connect_api", "cluster-connect-api", "clustering (cluster.connect_api)", 0),
    LATER("cluster.token", "cluster-token", "clustering (cluster.token)", 0),
    LATER("cluster.node", "cluster-node", "clustering (cluster.node)", "cluster.advertise", "--cluster-advertise"),
    LATER("cluster.prefix", "cluster-prefix", "clustering (cluster.prefix)", 0),
    LATER("cluster.tier", "cluster-tier", "clustering (cluster.tier)", 0),
    LATER("cluster.max_hops", "cluster-max-hops", "clustering (cluster.max_hops)", 0),
    LATER_FLAG("cluster.mesh", "cluster-mesh", "clustering (cluster.mesh)", 0),
    LATER("cluster.linger", "cluster-linger", "clustering (cluster.linger)", 0),
    ABSENT_FLAG("cluster.lan.enabled", "cluster-lan", "LAN discovery (cluster.lan)", 0),
    LATER_FLAG("stats.enabled", "stats-enabled", "stats broadcasts (stats)", 0),
    LATER("internal.listen", "internal-listen", "the internal listener (internal.listen)", 0),
    LATER("runtime.workers", "runtime-workers", "several workers (runtime.workers)", 0),
    ABSENT_FLAG("runtime.io_uring", "runtime-io-uring", "io_uring (runtime.io_uring)", 0),
    LATER("cache.headroom", "cache-headroom", "free memory to leave (cache.headroom)", 0),
    ABSENT_FLAG("iroh.enabled", "iroh-enabled", "iroh (iroh)", 0),
    /* Settings of features that are off, and of outgoing connections, which a relay without a cluster never makes. */
    IGNORED("iroh.secret", "iroh-secret", 0),
    IGNORED("iroh.bind_v4", "iroh-bind-v4", 0),
    IGNORED("iroh.bind_v6", "iroh-bind-v6", 0),
    IGNORED_FLAG("iroh.disable_relay", "iroh-disable-relay", 0),
    IGNORED("cluster.lan.secret", "cluster-lan-secret", 0),
    IGNORED("cluster.lan.app", "cluster-lan-app", 0),
    IGNORED("stats.prefix", "stats-prefix", 0),
    IGNORED("stats.interval", "stats-interval", 0),
    IGNORED("stats.node", "stats-node", 0),
    IGNORED("stats.depth", "stats-depth", 0),
    IGNORED("stats.linger", "stats-linger", 0),
    IGNORED_FLAG("runtime.pin", "runtime-pin", 0),
    IGNORED("connect.url", "connect", "client.connect", "--client-connect"),
    IGNORED("connect.bind", "connect-bind", "client.bind", "--client-bind"),
    IGNORED("connect.race", "connect-race", "client.failover_delay", "--client-failover-delay"),
    IGNORED("connect.resolution_delay", "connect-resolution-delay", "--client-resolution-delay", "client.resolution_delay"),
    IGNORED("connect.timeout", "connect-timeout", "--client-connect-timeout", "client.connect_timeout", "client.timeout"),
    IGNORED("connect.version", "connect-version", "client.version", "--client-version"),
    IGNORED_FLAG("connect.once", "connect-once", "client.reconnect", "--client-reconnect"),
    IGNORED("connect.tls.root", "connect-tls-root", "client.tls.root", "--tls-root", "--client-tls-root"),
    IGNORED_FLAG("connect.tls.system_roots", "connect-tls-system-roots", "client.tls.system_roots", "--tls-system-roots", "--client-tls-system-roots"),
    IGNORED("connect.tls.fingerprint", "connect-tls-fingerprint", "client.tls.fingerprint", "--tls-fingerprint", "--client-tls-fingerprint"),
    IGNORED("connect.tls.cert", "connect-tls-cert", "client.tls.cert", "--client-tls-cert"),
    IGNORED("connect.tls.key", "connect-tls-key", "client.tls.key", "--client-tls-key"),
    IGNORED_FLAG("connect.tls.insecure", "connect-tls-insecure", "client.tls.disable_verify", "--tls-disable-verify", "--client-tls-disable-verify"),
    IGNORED("connect.tls.host_name", "connect-tls-host-name", "client.tls.host_name", "--client-tls-host-name"),
    IGNORED("connect.backoff.initial", "backoff-initial", "client.backoff.initial"),
    IGNORED("connect.backoff.multiplier", "backoff-multiplier", "client.backoff.multiplier"),
    IGNORED("connect.backoff.max", "backoff-max", "client.backoff.max"),
    IGNORED("connect.backoff.timeout", "backoff-timeout", "client.backoff.timeout"),
    IGNORED("connect.goaway.redirect", "goaway-redirect", "client.goaway.redirect"),
    IGNORED("connect.goaway.handover", "goaway-handover", "client.goaway.handover"),
    IGNORED_FLAG("connect.websocket.enabled", "connect-websocket-enabled", "client.websocket.enabled", "--websocket-enabled", "--client-websocket-enabled"),
    IGNORED("connect.websocket.delay", "connect-websocket-delay", "client.websocket.delay", "--websocket-delay", "--client-websocket-delay"),
};
/* clang-format on */

const struct option_table relay_options = {rows, sizeof rows / sizeof *rows};
