/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/catalog.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "media/codec_config.h"
#include "media/media_buf.h"
#include "media/text_bytes.h"

/* The largest integer that JavaScript holds exactly. */
#define U53_MAX ((INT64_C(1) << 53) - 1)
/* Enough for 29.97002997, and no digits that only tell of binary fractions. */
#define REAL_DIGITS 10
#define PATCH_DEPTH_MAX 32
#define DOPS_LEN 11

static void entry_destroy(struct catalog_entry *e)
{
  free(e->name);
  free(e->broadcast);
  free(e->init);
  media_track_destroy(&e->track);
  *e = (struct catalog_entry){0};
}

void catalog_destroy(struct catalog *c)
{
  for (size_t i = 0; i < c->count; i++)
    entry_destroy(&c->entries[i]);
  free(c->entries);
  *c = (struct catalog){0};
}

/* Moves the entry into the catalog, or destroys it. */
static int append(struct catalog *c, struct catalog_entry *e)
{
  struct catalog_entry *entries = realloc(c->entries, (c->count + 1) * sizeof(*entries));
  if (!entries) {
    entry_destroy(e);
    return -ENOMEM;
  }
  c->entries = entries;
  entries[c->count++] = *e;
  return 0;
}

/* Whether JSON can hold it (RFC 3629; surrogates and overlong forms are none). */
static bool is_utf8(const char *text)
{
  const uint8_t *p = (const uint8_t *)text;
  while (*p) {
    unsigned more = *p < 0x80 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
    uint32_t code = more ? *p & (0x3fu >> more) : *p;
    if ((*p >= 0x80 && *p < 0xc2) || *p > 0xf4)
      return false;
    p++;
    for (unsigned i = 0; i < more; i++, p++) {
      if ((*p & 0xc0) != 0x80)
        return false;
      code = code << 6 | (*p & 0x3f);
    }
    if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || code > 0x10ffff ||
        (code >= 0xd800 && code < 0xe000))
      return false;
  }
  return true;
}

int catalog_add(struct catalog *c, const char *name, const struct media_track *track, uint32_t jitter_ms)
{
  size_t len = strlen(name);
  if (len == 0 || len > CATALOG_NAME_MAX || !is_utf8(name))
    return -EINVAL;
  if (c->count == CATALOG_ENTRIES_MAX)
    return -E2BIG;
  struct catalog_entry e = {.jitter_ms = jitter_ms, .container = CONTAINER_LEGACY};
  e.name = strdup(name);
  if (!e.name || media_track_copy(track, &e.track) < 0) {
    free(e.name);
    return -ENOMEM;
  }
  return append(c, &e);
}

/* --- writing --- */

/* jansson's setters fail when the value is NULL, so one check at the end finds any failure. */
static void set(json_t *object, const char *key, json_t *value, int *failed)
{
  if (json_object_set_new(object, key, value) < 0)
    *failed = -ENOMEM;
}

static void set_uint(json_t *object, const char *key, uint64_t value, int *failed)
{
  if (value > 0 && value <= (uint64_t)U53_MAX)
    set(object, key, json_integer((json_int_t)value), failed);
}

static void set_hex(json_t *object, const uint8_t *data, size_t len, int *failed)
{
  char *hex = media_hex_encode(data, len);
  set(object, "description", hex ? json_string(hex) : NULL, failed);
  free(hex);
}

/* dOps is OpusHead without its magic, with version 0 and big-endian (RFC 7845, 5.1). */
static void set_opus_head(json_t *object, const struct media_track *t, int *failed)
{
  const uint8_t *p = t->config;
  if (t->config_len < DOPS_LEN)
    return;
  const uint8_t head[] = {'O',  'p',  'u',  's',  'H',  'e',  'a',  'd',  1,    p[1],
                          p[3], p[2], p[7], p[6], p[5], p[4], p[9], p[8], p[10]};
  struct media_buf b = {0};
  media_buf_put(&b, head, sizeof(head));
  media_buf_put(&b, p + DOPS_LEN, t->config_len - DOPS_LEN);
  if (media_buf_error(&b) < 0)
    *failed = -ENOMEM;
  else
    set_hex(object, b.data, b.len, failed);
  media_buf_destroy(&b);
}

static void set_description(json_t *object, const struct media_track *t, int *failed)
{
  if (!t->config || t->codec == MEDIA_VP9 || t->codec == MEDIA_AV1)
    return;
  if (t->codec == MEDIA_OPUS)
    set_opus_head(object, t, failed);
  else
    set_hex(object, t->config, t->config_len, failed);
}

static void set_video(json_t *object, const struct media_track *t, int *failed)
{
  set_uint(object, "codedWidth", t->width, failed);
  set_uint(object, "codedHeight", t->height, failed);
  if (t->display_width && t->display_height) {
    set_uint(object, "displayAspectWidth", t->display_width, failed);
    set_uint(object, "displayAspectHeight", t->display_height, failed);
  }
  if (t->framerate_num && t->framerate_den == 1)
    set_uint(object, "framerate", t->framerate_num, failed);
  else if (t->framerate_num && t->framerate_den)
    set(object, "framerate", json_real((double)t->framerate_num / t->framerate_den), failed);
  if (t->reorder_depth > 0)
    set(object, "optimizeForLatency", json_false(), failed);
}

static json_t *encode_entry(const struct catalog_entry *e, int *failed)
{
  const struct media_track *t = &e->track;
  json_t *object = json_object();
  set(object, "codec", json_string(t->codec_string), failed);
  set(object, "container", json_pack("{s:s}", "kind", "legacy"), failed);
  set_description(object, t, failed);
  if (t->kind == MEDIA_VIDEO) {
    set_video(object, t, failed);
  } else {
    set(object, "sampleRate", json_integer(t->sample_rate), failed);
    set(object, "numberOfChannels", json_integer(t->channels), failed);
  }
  set_uint(object, "bitrate", t->bitrate, failed);
  set_uint(object, "jitter", e->jitter_ms, failed);
  return object;
}

/*
 * One section of the catalog, NULL if it would be empty. `priority` is there for the Rust stack of
 * January 2026, which does not take a section without it; nobody else looks at it.
 */
static json_t *encode_section(const struct catalog *c, enum media_kind kind, int *failed)
{
  uint32_t rotation = 0;
  size_t count = 0;
  json_t *renditions = json_object();
  for (size_t i = 0; i < c->count; i++) {
    const struct catalog_entry *e = &c->entries[i];
    if (e->track.kind != kind)
      continue;
    if (e->container != CONTAINER_LEGACY)
      *failed = -EINVAL;
    set(renditions, e->name, encode_entry(e, failed), failed);
    rotation = e->track.rotation;
    count++;
  }
  if (count == 0) {
    json_decref(renditions);
    return NULL;
  }
  json_t *section = json_object();
  set(section, "renditions", renditions, failed);
  set_uint(section, "priority", kind == MEDIA_VIDEO ? CATALOG_PRIORITY_VIDEO : CATALOG_PRIORITY_AUDIO, failed);
  set_uint(section, "rotation", rotation, failed);
  return section;
}

int catalog_encode(const struct catalog *c, char **ret_json, size_t *ret_len)
{
  int failed = 0;
  json_t *root = json_object();
  json_t *video = encode_section(c, MEDIA_VIDEO, &failed);
  json_t *audio = encode_section(c, MEDIA_AUDIO, &failed);
  if (video)
    set(root, "video", video, &failed);
  if (audio)
    set(root, "audio", audio, &failed);
  char *json = NULL;
  if (root && failed == 0)
    json = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
  json_decref(root);
  if (!json)
    return failed ? failed : -ENOMEM;
  *ret_json = json;
  *ret_len = strlen(json);
  return 0;
}

/* --- reading --- */

/* A number that is a whole one within bounds, else 0. */
static uint64_t get_uint(const json_t *object, const char *key, uint64_t max)
{
  const json_t *v = json_object_get(object, key);
  uint64_t n = 0;
  if (json_is_integer(v) && json_integer_value(v) > 0)
    n = (uint64_t)json_integer_value(v);
  else if (json_is_real(v) && json_real_value(v) >= 1 && json_real_value(v) <= (double)U53_MAX)
    n = (uint64_t)json_real_value(v);
  return n <= max ? n : 0;
}

static uint32_t get_u32(const json_t *object, const char *key)
{
  return (uint32_t)get_uint(object, key, UINT32_MAX);
}

static int parse_cmaf(struct catalog_entry *e, const json_t *container)
{
  const json_t *init = json_object_get(container, "init");
  if (!json_is_string(init))
    return -EINVAL;
  return media_base64_decode(json_string_value(init), json_string_length(init), &e->init, &e->init_len);
}

static int parse_container(struct catalog_entry *e, const json_t *object)
{
  const json_t *container = json_object_get(object, "container");
  const json_t *kind = json_object_get(container, "kind");
  if (!container)
    return 0;
  if (!json_is_string(kind))
    return -EINVAL;
  const char *text = json_string_value(kind);
  if (strcmp(text, "legacy") == 0)
    return 0;
  if (strcmp(text, "cmaf") == 0) {
    e->container = CONTAINER_CMAF;
    return parse_cmaf(e, container);
  }
  e->container = strcmp(text, "loc") == 0 ? CONTAINER_LOC : CONTAINER_UNKNOWN;
  return 0;
}

/* `entry` is the sample entry type that a codec string begins with. */
static int use_description(struct media_track *t, const char *entry, const uint8_t *p, size_t len)
{
  switch (t->codec) {
  case MEDIA_H264:
    return media_config_avcc(t, entry, p, len);
  case MEDIA_H265:
    return media_config_hvcc(t, entry, p, len);
  case MEDIA_AAC:
    return media_config_asc(t, p, len);
  case MEDIA_OPUS:
    return media_config_opus(t, p, len);
  case MEDIA_VP9:
    return media_config_vpcc(t, p, len);
  case MEDIA_AV1:
    return media_config_av1c(t, p, len);
  case MEDIA_CODEC_NONE:
    break;
  }
  return len > MEDIA_CONFIG_MAX ? -EPROTO : media_track_set_config(t, p, len);
}

static int parse_description(struct media_track *t, const json_t *object)
{
  const json_t *text = json_object_get(object, "description");
  uint8_t *data;
  size_t len;
  if (!text)
    return 0;
  if (!json_is_string(text))
    return -EINVAL;
  int rv = media_hex_decode(json_string_value(text), json_string_length(text), &data, &len);
  if (rv < 0)
    return rv;
  /* The codec string is the catalog's, whatever the description would make of it. */
  struct media_track parsed = *t;
  rv = use_description(&parsed, t->codec_string, data, len);
  memcpy(parsed.codec_string, t->codec_string, sizeof(t->codec_string));
  *t = parsed;
  free(data);
  /* VP9 and AV1 decode without it. */
  bool optional = t->codec == MEDIA_VP9 || t->codec == MEDIA_AV1;
  return rv == -EPROTO && optional ? 0 : rv;
}

static int parse_track(struct media_track *t, enum media_kind kind, const json_t *object)
{
  const json_t *codec = json_object_get(object, "codec");
  const json_t *fps = json_object_get(object, "framerate");
  t->kind = kind;
  if (!json_is_string(codec))
    return -EINVAL;
  int rv = media_codec_from_string(t, json_string_value(codec));
  if (rv < 0)
    return rv;
  t->width = get_u32(object, "codedWidth");
  t->height = get_u32(object, "codedHeight");
  t->display_width = get_u32(object, "displayAspectWidth");
  t->display_height = get_u32(object, "displayAspectHeight");
  t->sample_rate = get_u32(object, "sampleRate");
  t->channels = get_u32(object, "numberOfChannels");
  t->bitrate = get_uint(object, "bitrate", (uint64_t)U53_MAX);
  if (json_is_number(fps))
    media_track_set_framerate(t, json_number_value(fps));
  if (kind == MEDIA_AUDIO && (!t->sample_rate || !t->channels || t->channels > UINT8_MAX))
    return -EINVAL;
  return parse_description(t, object);
}

static int copy_string(const json_t *object, const char *key, char **ret_text)
{
  const json_t *v = json_object_get(object, key);
  if (!v)
    return 0;
  if (!json_is_string(v) || json_string_length(v) > CATALOG_NAME_MAX)
    return -EINVAL;
  *ret_text = strdup(json_string_value(v));
  return *ret_text ? 0 : -ENOMEM;
}

static int parse_entry(struct catalog_entry *e, const char *name, enum media_kind kind, const json_t *object)
{
  size_t len = strlen(name);
  if (len == 0 || len > CATALOG_NAME_MAX || !json_is_object(object))
    return -EINVAL;
  e->name = strdup(name);
  if (!e->name)
    return -ENOMEM;
  e->jitter_ms = get_u32(object, "jitter");
  int rv = copy_string(object, "broadcast", &e->broadcast);
  if (rv == 0)
    rv = parse_container(e, object);
  return rv < 0 ? rv : parse_track(&e->track, kind, object);
}

static int parse_section(struct catalog *c, const json_t *root, const char *key, enum media_kind kind)
{
  json_t *section = json_object_get(root, key);
  json_t *renditions = json_object_get(section, "renditions");
  uint32_t rotation = get_u32(section, "rotation");
  const char *name;
  json_t *object;
  json_object_foreach(renditions, name, object)
  {
    struct catalog_entry e = {0};
    int rv = c->count < CATALOG_ENTRIES_MAX ? parse_entry(&e, name, kind, object) : -E2BIG;
    if (rv == 0) {
      e.track.rotation = kind == MEDIA_VIDEO ? rotation / 90 % 4 * 90 : 0;
      rv = append(c, &e);
    } else {
      entry_destroy(&e);
      c->skipped++;
    }
    if (rv == -ENOMEM)
      return rv;
  }
  return 0;
}

static int parse_root(const json_t *root, struct catalog *ret_catalog)
{
  struct catalog c = {0};
  int rv = parse_section(&c, root, "video", MEDIA_VIDEO);
  if (rv == 0)
    rv = parse_section(&c, root, "audio", MEDIA_AUDIO);
  if (rv < 0)
    catalog_destroy(&c);
  else
    *ret_catalog = c;
  return rv;
}

static int load(const char *json, size_t len, json_t **ret_value)
{
  json_error_t error;
  if (len > CATALOG_BYTES_MAX)
    return -EMSGSIZE;
  json_t *value = json_loadb(json, len, 0, &error);
  /* jansson has a word for everything but a failed allocation. */
  if (!value)
    return error.text[0] == '\0' ? -ENOMEM : -EPROTO;
  if (!json_is_object(value)) {
    json_decref(value);
    return -EPROTO;
  }
  *ret_value = value;
  return 0;
}

int catalog_parse(const char *json, size_t len, struct catalog *ret_catalog)
{
  json_t *root;
  int rv = load(json, len, &root);
  if (rv < 0)
    return rv;
  rv = parse_root(root, ret_catalog);
  json_decref(root);
  return rv;
}

/* --- following --- */

void catalog_stream_destroy(struct catalog_stream *s)
{
  json_decref(s->value);
  *s = (struct catalog_stream){0};
}

/* RFC 7396, section 2: null removes, an object goes deeper, all else replaces. */
static int merge(json_t *target, json_t *patch, unsigned depth)
{
  const char *key;
  json_t *value;
  if (depth == PATCH_DEPTH_MAX)
    return -EPROTO;
  json_object_foreach(patch, key, value)
  {
    if (json_is_null(value)) {
      json_object_del(target, key);
      continue;
    }
    if (!json_is_object(value)) {
      if (json_object_set(target, key, value) < 0)
        return -ENOMEM;
      continue;
    }
    if (!json_is_object(json_object_get(target, key)) && json_object_set_new(target, key, json_object()) < 0)
      return -ENOMEM;
    int rv = merge(json_object_get(target, key), value, depth + 1);
    if (rv < 0)
      return rv;
  }
  return 0;
}

static int apply(struct catalog_stream *s, uint64_t index, json_t *value)
{
  if (index == 0) {
    json_decref(s->value);
    s->value = json_incref(value);
    return 0;
  }
  return s->value ? merge(s->value, value, 0) : -EPROTO;
}

int catalog_stream_frame(struct catalog_stream *s, uint64_t index, const char *json, size_t len,
                         struct catalog *ret_catalog)
{
  json_t *value = NULL;
  if (index == 0)
    s->bytes = 0;
  int rv = len > CATALOG_BYTES_MAX - s->bytes ? -EMSGSIZE : load(json, len, &value);
  if (rv == 0) {
    s->bytes += len;
    rv = apply(s, index, value);
    json_decref(value);
  }
  if (rv == 0)
    rv = parse_root(s->value, ret_catalog);
  if (rv < 0)
    catalog_stream_destroy(s);
  return rv;
}
