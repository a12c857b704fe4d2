/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of how sessions begin: SETUP streams, the SETUP exchange of 01 and 02 in its three framings, what comes
 * before or beside them. Header: version, which end is ours, how the bytes are cut; then pieces, each a byte that says
 * where it goes, its length and bytes. Whatever comes, the session is set up at most once and within its deadline, or closed. */
#include "../../wire/lite/compose.h"
#include "lab.h"
#include "support/fuzz.h"

#define PIECES_MAX 24
#define DEADLINE_MS 12000 /* past the session's own */

struct fuzz {
  struct lab lab;
  struct node relay;
  struct raw peer;
  struct end end;
  struct raw_stream *current;
};

static void compose(struct fuzz *f, struct cursor *c)
{
  static const enum lite_msg setups[] = {LITE_SETUP,
                                         LITE_CLIENT_SETUP,
                                         LITE_SERVER_SETUP,
                                         LITE_CLIENT_SETUP_OLDER,
                                         LITE_SERVER_SETUP_OLDER,
                                         LITE_CLIENT_SETUP_OLDEST,
                                         LITE_SERVER_SETUP_OLDEST,
                                         LITE_SESSION_INFO};
  struct buf b = {0};
  if (compose_message(f->peer.version, setups[cursor_u8(c) % 8], c, &b) == 0)
    raw_write(f->current, b.p, b.n, false);
  buf_destroy(&b);
}

static void piece(struct fuzz *f, struct cursor *c)
{
  uint8_t what = cursor_u8(c);
  if (!f->current || what & 1)
    f->current = raw_open(&f->peer, what & 2);
  if (what & 4)
    compose(f, c);
  struct slice bytes = cursor_bytes(c, cursor_u8(c));
  raw_write(f->current, bytes.p, bytes.n, what & 8);
  if ((what & 0x30) == 0x30)
    raw_reset(f->current, what);
  if (what & 0x40)
    lab_run(&f->lab, 2);
}

static void check_end(const struct end *e)
{
  if (!e->closed) {
    check(e->setup && e->session);
    return;
  }
  check(e->by_peer || e->code == LITE_CLOSE_DONE || lite_close_name(e->code)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct fuzz f;
  struct cursor c = cursor_of(slice_of(data, size));
  struct mem_config config = mem_config_default();
  enum lite_version v = (enum lite_version)(cursor_u8(&c) % LITE_VERSIONS);
  uint8_t how = cursor_u8(&c);
  f = (struct fuzz){0};
  lab_init(&f.lab);
  f.lab.quiet = oom_armed();
  oom_spared = &lab_unlimited;
  node_init(&f.relay, &f.lab);
  f.relay.legacy = how & 8 ? 1u << LITE_01 : f.relay.legacy;
  config.segment = how & 6 ? (how & 6) : config.segment;
  (how & 1 ? raw_serve : raw_join)(&f.peer, &f.lab, &f.relay, &config, v, &f.end);
  for (int i = 0; i < PIECES_MAX && cursor_left(&c) > 0; i++)
    piece(&f, &c);
  lab_run(&f.lab, DEADLINE_MS);
  check_end(&f.end);
  lab_destroy(&f.lab);
  node_destroy(&f.relay);
  return 0;
}
