/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The hang catalog: the JSON on a broadcast's track "catalog.json" that tells which renditions of
 * video and audio there are and how to decode each. Written as the players of npm's @moq/watch 0.4
 * and of the Rust stack (from early 2026 on) read it.
 *
 * On the wire each group holds one catalog: its frame 0 is the whole JSON. Frames after it, which
 * we never send, are RFC 7396 merge patches to it (catalog_stream follows them).
 */
#ifndef MOQ_MEDIA_CATALOG_H
#define MOQ_MEDIA_CATALOG_H

#include <stddef.h>
#include <stdint.h>

#include "media/container.h"
#include "media/track.h"

#define CATALOG_TRACK "catalog.json"

/* Delivery priorities that players subscribe with; higher goes first. */
#define CATALOG_PRIORITY 100
#define CATALOG_PRIORITY_AUDIO 80
#define CATALOG_PRIORITY_VIDEO 60

/* What a catalog may hold; a larger one is refused. */
#define CATALOG_BYTES_MAX ((size_t)1 << 20) /* JSON of a group, patches included */
#define CATALOG_ENTRIES_MAX 64              /* renditions, the ones after that are left out */
#define CATALOG_NAME_MAX 512                /* bytes of a track name or broadcast path */

/* One rendition: the track of the broadcast that carries it, and what it is. */
struct catalog_entry {
  char *name;                     /* of the MoQ track; owned */
  char *broadcast;                /* where that track is, relative to this broadcast; NULL: here */
  enum media_container container; /* how its frames are packed */
  uint8_t *init;                  /* ftyp and moov of a CONTAINER_CMAF one, owned; else NULL */
  size_t init_len;
  uint32_t jitter_ms; /* how long a frame may wait before it is sent; 0 unknown */
  struct media_track track;
};

struct catalog {
  struct catalog_entry *entries; /* owned */
  size_t count;
  size_t skipped; /* renditions of a parsed catalog that were malformed or too many */
};

void catalog_destroy(struct catalog *c);

/*
 * Adds a rendition in the legacy container; name and track are copied. 0, -EINVAL for a name that
 * is empty, too long or not UTF-8, -E2BIG over CATALOG_ENTRIES_MAX, -ENOMEM.
 */
int catalog_add(struct catalog *c, const char *name, const struct media_track *track, uint32_t jitter_ms);

/*
 * The JSON, compact; *ret_json is zero-terminated, free() it. 0, -EINVAL for an entry in another
 * container than legacy, -ENOMEM.
 *
 * A description is written for H.264, HEVC, AAC (as WebCodecs defines them) and Opus (OpusHead),
 * not for VP9 and AV1, whose streams carry all they need. Video with B-frames is marked as not to
 * be decoded for lowest latency, because browsers then put frames out before their turn.
 */
int catalog_encode(const struct catalog *c, char **ret_json, size_t *ret_len);

/*
 * Parses a catalog. Unknown fields are ignored, a rendition that cannot be made sense of is left
 * out and counted. 0 with *ret_catalog set (catalog_destroy it), -EPROTO for what is no JSON
 * object, -EMSGSIZE over CATALOG_BYTES_MAX, -ENOMEM.
 */
int catalog_parse(const char *json, size_t len, struct catalog *ret_catalog);

/* Follows the catalog track of a broadcast. Zero-initialize; frees with catalog_stream_destroy. */
struct catalog_stream {
  void *value; /* the JSON so far */
  size_t bytes;
};

void catalog_stream_destroy(struct catalog_stream *s);

/*
 * Takes frame number `index` of a group. Results as catalog_parse, and -EPROTO for a patch with
 * nothing to patch (frames of a group come from 0 on, each once). After a failure the next
 * frame 0 starts afresh.
 */
int catalog_stream_frame(struct catalog_stream *s, uint64_t index, const char *json, size_t len,
                         struct catalog *ret_catalog);

#endif
