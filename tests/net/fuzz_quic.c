/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of the QUIC endpoint before there is a connection: datagrams from two addresses, as bytes or as an
 * Initial packet around them, which may carry the token of the last Retry and go to the connection ID of the last answer.
 * Nobody gets more than three times what came from there, and nothing is left in the end. */
#include "base/buf.h"
#include "base/cursor.h"
#include "net/quic_impl.h"
#include "support/fuzz.h"
#include "support/sim.h"

#define DATAGRAMS_MAX 64
#define PEERS 2
#define INITIAL_MIN 1200 /* bytes of a datagram with one */
#define PAYLOAD 1180

static const uint8_t zeros[INITIAL_MIN];

struct answer {
  uint8_t cid[20], token[512];
  size_t cid_n, token_n;
};

struct fuzz {
  struct udp udp;
  struct worker w;
  struct quic_endpoint *ep;
  uint64_t seed;
  size_t received[PEERS], sent[PEERS];
  struct answer last;
};

/* ---- the socket ---- */

static unsigned peer_of(const union udp_addr *a)
{
  return (unsigned)(ntohs(a->v4.sin_port) - 1000) % PEERS;
}

/* The sender's connection ID, and a Retry's token (RFC 9000, sections 17.2 and 17.2.5). */
static void learn(struct fuzz *f, struct slice packet)
{
  struct cursor c = cursor_of(packet);
  uint8_t first = cursor_u8(&c);
  uint32_t version = cursor_u32(&c);
  cursor_bytes(&c, cursor_u8(&c));
  struct slice cid = cursor_bytes(&c, cursor_u8(&c));
  if (!(first & 0x80) || c.failed || cid.n > sizeof f->last.cid)
    return;
  f->last.cid_n = cid.n;
  if (cid.n > 0)
    memcpy(f->last.cid, cid.p, cid.n);
  struct slice rest = cursor_rest(&c);
  if (version != NGTCP2_PROTO_VER_V1 || (first & 0x30) != 0x30 || rest.n < 16 || rest.n - 16 > sizeof f->last.token)
    return;
  f->last.token_n = rest.n - 16;
  memcpy(f->last.token, rest.p, f->last.token_n);
}

static size_t udp_send(struct udp *u, const struct udp_train *t)
{
  struct fuzz *f = container_of(u, struct fuzz, udp);
  check(t->n > 0 && t->segment > 0);
  f->sent[peer_of(&t->peer)] += t->n;
  learn(f, slice_of(t->p, t->n < t->segment ? t->n : t->segment));
  return t->n;
}

static void udp_watch(struct udp *u) {}

static void udp_free(struct udp *u) {}

static const struct udp_ops udp_ops = {udp_send, udp_watch, udp_free};

static union udp_addr address(unsigned port)
{
  return (union udp_addr){
      .v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
}

/* ---- datagrams ---- */

static struct slice destination(const struct fuzz *f, struct cursor *c, uint8_t flags)
{
  return flags & 1 ? slice_of(f->last.cid, f->last.cid_n) : cursor_bytes(c, cursor_u8(c) % 24);
}

static void put_initial(const struct fuzz *f, struct cursor *c, struct buf *out)
{
  uint8_t flags = cursor_u8(c);
  struct slice to = destination(f, c, flags), from = cursor_bytes(c, cursor_u8(c) % 24);
  struct slice token = flags & 2 ? slice_of(f->last.token, f->last.token_n) : cursor_bytes(c, flags & 4 ? 32 : 0);
  struct slice body = cursor_bytes(c, cursor_u8(c));
  buf_u8(out, (uint8_t)(0xc0 | (flags >> 4)));
  buf_u32(out, flags & 8 ? NGTCP2_PROTO_VER_V2 : NGTCP2_PROTO_VER_V1);
  buf_u8(out, (uint8_t)to.n);
  buf_bytes(out, to);
  buf_u8(out, (uint8_t)from.n);
  buf_bytes(out, from);
  buf_prefixed(out, token);
  buf_varint(out, PAYLOAD);
  buf_bytes(out, body);
  buf_bytes(out, slice_of(zeros, PAYLOAD - body.n));
}

static void datagram(struct fuzz *f, struct cursor *c)
{
  uint8_t flags = cursor_u8(c);
  struct buf b = {0};
  if (flags & 1)
    put_initial(f, c, &b);
  else
    buf_bytes(&b, cursor_bytes(c, cursor_u8(c)));
  if (flags & 2 && b.n < INITIAL_MIN)
    buf_bytes(&b, slice_of(zeros, INITIAL_MIN - b.n));
  struct udp_packet p = {.data = buf_slice(&b), .local = address(4443), .peer = address(1000 + (flags >> 2 & 1))};
  if (b.n > 0) {
    f->received[flags >> 2 & 1] += b.n;
    f->udp.events->packet(f->udp.ctx, &p);
  }
  buf_destroy(&b);
  sim_run(&f->w, flags & 0x80 ? (uint64_t)(flags & 0x78) * 50 * NS_PER_MS : 0);
}

static struct tls_server *certificate(void)
{
  static struct tls_server *tls;
  static const char *const hosts[] = {"localhost"};
  struct tls_server_config config = {.generate = hosts, .generate_count = 1};
  struct err err;
  if (!tls)
    check(tls_server_new(&config, 1767225600, &tls, &err) == 0);
  return tls;
}

static void refuse_all(void *ctx, struct transport *t)
{
  check(false); /* nobody here can finish a handshake */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const alpn[] = {"moq-lite-06", NULL};
  static struct fuzz f;
  struct cursor c = cursor_of(slice_of(data, size));
  struct err err;
  f = (struct fuzz){.seed = 1, .udp = {.ops = &udp_ops, .address = address(4443)}};
  sim_init(&f.w);
  struct quic_endpoint_config config = {.worker = &f.w,
                                        .rng = rng_seeded(&f.seed),
                                        .tls = certificate(),
                                        .alpn = alpn,
                                        .secret = "a secret of the tests",
                                        .on_connection = refuse_all};
  quic_limits_default(&config.limits);
  uint8_t how = cursor_u8(&c);
  config.limits.handshakes_retry = how & 1 ? 0 : 1;
  config.limits.connections = how & 2 ? 1 : 100;
  check(quic_endpoint_new_on(&config, &f.udp, &f.ep, &err) == 0);
  for (int i = 0; i < DATAGRAMS_MAX && cursor_left(&c) > 0; i++)
    datagram(&f, &c);
  sim_run(&f.w, 120 * NS_PER_S);
  for (unsigned i = 0; i < PEERS; i++)
    check(f.sent[i] <= 3 * f.received[i]);
  check(f.ep->conn_count == 0 && f.ep->handshakes == 0);
  quic_endpoint_free(f.ep);
  return 0;
}
