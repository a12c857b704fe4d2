/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "recording.h"
#include "../../wire/lite/vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

static struct slice keep(struct recording *rec, const json_t *entry)
{
  static struct hex hex;
  struct slice bytes = vector_bytes(entry, &hex);
  assert_true(bytes.n <= sizeof rec->space - rec->used);
  uint8_t *p = rec->space + rec->used;
  memcpy(p, bytes.p, bytes.n);
  rec->used += bytes.n;
  return slice_of(p, bytes.n);
}

static enum side side_of(const char *text)
{
  return strcmp(text, "client") == 0 ? CLIENT : SERVER;
}

/* The stream whose name is the first n bytes. */
static struct rec_stream *stream_named(struct recording *rec, const char *name, size_t n)
{
  for (size_t i = 0; i < rec->n; i++) {
    struct rec_stream *s = &rec->streams[i];
    if (strlen(s->name) == n && memcmp(s->name, name, n) == 0)
      return s;
  }
  assert_true(rec->n < REC_STREAMS_MAX);
  struct rec_stream *s = &rec->streams[rec->n++];
  assert_true(n < sizeof s->name);
  memcpy(s->name, name, n);
  return s;
}

static void take_entry(struct recording *rec, const json_t *entry)
{
  const char *name = vector_text(entry, "name"), *from = strstr(name, "_from_");
  if (!from)
    return;
  enum side sender = side_of(from + strlen("_from_"));
  if (strncmp(name, "datagram_", 9) == 0) {
    rec->datagram[sender] = keep(rec, entry);
    return;
  }
  const json_t *fields = json_object_get(entry, "fields");
  struct rec_stream *s = stream_named(rec, name, (size_t)(from - name));
  s->bidi = strcmp(vector_text(fields, "kind"), "bidi") == 0;
  s->opener = side_of(vector_text(fields, "opener"));
  const char *end = vector_text(fields, "end");
  s->by[sender] = (struct said){.bytes = keep(rec, entry),
                                .there = true,
                                .fin = strcmp(end, "fin") == 0,
                                .was_reset = strncmp(end, "reset", 5) == 0};
}

void recording_load(struct recording *rec, const char *file)
{
  json_t *root = vectors_load(file), *entry;
  size_t i, n;
  *rec = (struct recording){0};
  json_array_foreach(root, i, entry)
  {
    assert_true(vector_version(entry, &rec->version));
    take_entry(rec, entry);
  }
  json_decref(root);
  for (i = 0; i < rec->n; i++) {
    struct rec_stream *s = &rec->streams[i];
    assert_int_equal(lite_stream_open(rec->version, !s->bidi, s->by[s->opener].bytes, &s->type, &n), 1);
  }
}

const struct rec_stream *recording_find(const struct recording *rec, enum side opener, enum lite_stream type,
                                        unsigned nth)
{
  for (size_t i = 0; i < rec->n; i++) {
    const struct rec_stream *s = &rec->streams[i];
    if (s->opener == opener && s->type == type && nth-- == 0)
      return s;
  }
  return NULL;
}

struct slice rec_words(const struct recording *rec, const struct rec_stream *s, enum side by)
{
  enum lite_stream type;
  size_t n = 0;
  if (by == s->opener)
    lite_stream_open(rec->version, !s->bidi, s->by[by].bytes, &type, &n);
  return slice_from(s->by[by].bytes, n);
}
