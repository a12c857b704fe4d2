/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clip.h"
#include "media/catalog.h"
#include "media/codec_config.h"

/* What a player of npm's @moq/watch takes, and what the Rust stack of early 2026 wrote. */
static const char example[] =
    "{\"video\":{\"renditions\":{\"video0\":{\"codec\":\"avc1.64000b\",\"container\":{\"kind\":"
    "\"legacy\"},\"description\":"
    "\"0164000bffe100196764000bacd9428df93011000003000100000300320f14299601000568ef839cb0fdf8f800\""
    ",\"codedWidth\":160,\"codedHeight\":90,\"framerate\":25,\"optimizeForLatency\":false,"
    "\"jitter\":80}},\"priority\":60},\"audio\":{\"renditions\":{\"audio0\":{\"codec\":"
    "\"mp4a.40.2\",\"container\":{\"kind\":\"legacy\"},\"description\":\"121056e500\","
    "\"sampleRate\":44100,\"numberOfChannels\":2,\"bitrate\":32000}},\"priority\":80}}";

static struct catalog parse(const char *json)
{
  struct catalog c;
  assert_int_equal(catalog_parse(json, strlen(json), &c), 0);
  return c;
}

static void encode_is_as_players_read_it(void **state)
{
  struct media_buf in = clip_load("h264-aac.mp4");
  struct clip_samples s;
  struct catalog c = {0};
  char *json;
  size_t len;
  clip_read(in.data, in.len, NULL, NULL, NULL, &s);
  assert_int_equal(catalog_add(&c, "video0", &s.tracks[0], 80), 0);
  assert_int_equal(catalog_add(&c, "audio0", &s.tracks[1], 0), 0);
  assert_int_equal(catalog_encode(&c, &json, &len), 0);
  assert_string_equal(json, example);
  assert_int_equal(len, strlen(example));
  free(json);
  catalog_destroy(&c);
  clip_samples_destroy(&s);
  media_buf_destroy(&in);
}

/* Every clip's tracks are the same after a trip through JSON. */
static void round_trip(void **state)
{
  static const char *const names[] = {"h264-aac.mp4", "h264-aac-base.mp4", "vp9-opus.mp4", "av1-opus.mp4", "hevc.mp4"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    struct media_buf in = clip_load(names[i]);
    struct clip_samples s;
    struct catalog c = {0}, back;
    char *json, name[32];
    size_t len;
    clip_read(in.data, in.len, NULL, NULL, NULL, &s);
    for (size_t t = 0; t < s.track_count; t++) {
      snprintf(name, sizeof(name), "track %zu", t);
      assert_int_equal(catalog_add(&c, name, &s.tracks[t], 0), 0);
    }
    assert_int_equal(catalog_encode(&c, &json, &len), 0);
    assert_int_equal(catalog_parse(json, len, &back), 0);
    assert_int_equal(back.count, s.track_count);
    for (size_t t = 0; t < s.track_count; t++) {
      const struct media_track *x = &s.tracks[t], *y = &back.entries[t].track;
      assert_string_equal(back.entries[t].name, c.entries[t].name);
      assert_int_equal(x->kind, y->kind);
      assert_int_equal(x->codec, y->codec);
      assert_string_equal(x->codec_string, y->codec_string);
      assert_int_equal(x->width, y->width);
      assert_int_equal(x->height, y->height);
      assert_int_equal(x->framerate_num, y->framerate_num);
      assert_int_equal(x->framerate_den, y->framerate_den);
      assert_int_equal(x->reorder_depth, y->reorder_depth);
      assert_int_equal(x->sample_rate, y->sample_rate);
      assert_int_equal(x->channels, y->channels);
      assert_int_equal(x->bitrate, y->bitrate);
      assert_int_equal(media_track_pick_timescale(y), x->timescale);
      if (x->codec == MEDIA_VP9 || x->codec == MEDIA_AV1)
        continue;
      assert_int_equal(x->config_len, y->config_len);
      assert_memory_equal(x->config, y->config, x->config_len);
    }
    free(json);
    catalog_destroy(&c);
    catalog_destroy(&back);
    clip_samples_destroy(&s);
    media_buf_destroy(&in);
  }
}

static void display_and_rotation(void **state)
{
  struct media_track t = {.width = 720, .height = 576, .display_width = 1024, .display_height = 576, .rotation = 270};
  struct catalog c = {0};
  char *json;
  size_t len;
  assert_int_equal(media_codec_from_string(&t, "vp09.00.30.08"), 0);
  assert_int_equal(catalog_add(&c, "v", &t, 0), 0);
  assert_int_equal(catalog_encode(&c, &json, &len), 0);
  assert_string_equal(json, "{\"video\":{\"renditions\":{\"v\":{\"codec\":\"vp09.00.30.08\","
                            "\"container\":{\"kind\":\"legacy\"},\"codedWidth\":720,"
                            "\"codedHeight\":576,\"displayAspectWidth\":1024,"
                            "\"displayAspectHeight\":576}},\"priority\":60,\"rotation\":270}}");
  catalog_destroy(&c);
  c = parse(json);
  assert_int_equal(c.entries[0].track.rotation, 270);
  assert_int_equal(c.entries[0].track.display_width, 1024);
  free(json);
  catalog_destroy(&c);
  assert_int_equal(catalog_encode(&c, &json, &len), 0);
  assert_string_equal(json, "{}");
  free(json);
}

static void names_are_checked(void **state)
{
  struct media_track t = {0};
  struct catalog c = {0};
  char longest[CATALOG_NAME_MAX + 2];
  char *json;
  size_t len;
  memset(longest, 'n', sizeof(longest) - 1);
  longest[sizeof(longest) - 1] = '\0';
  assert_int_equal(catalog_add(&c, "", &t, 0), -EINVAL);
  assert_int_equal(catalog_add(&c, longest, &t, 0), -EINVAL);
  static const char *const bad[] = {"\xff",         "\xc0\x80",         "\xe0\x80\x80",
                                    "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    assert_int_equal(catalog_add(&c, bad[i], &t, 0), -EINVAL);
  assert_int_equal(catalog_add(&c, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xa5", &t, 0), 0);
  assert_int_equal(catalog_encode(&c, &json, &len), 0);
  free(json);
  for (int i = 1; i < CATALOG_ENTRIES_MAX; i++)
    assert_int_equal(catalog_add(&c, "n", &t, 0), 0);
  assert_int_equal(catalog_add(&c, "n", &t, 0), -E2BIG);
  catalog_destroy(&c);
}

static void containers(void **state)
{
  struct catalog c = parse("{\"video\":{\"renditions\":{"
                           "\"a\":{\"codec\":\"vp8\"},"
                           "\"b\":{\"codec\":\"vp8\",\"container\":{\"kind\":\"cmaf\",\"init\":\"AAECAwQ=\"}},"
                           "\"c\":{\"codec\":\"vp8\",\"container\":{\"kind\":\"loc\"}},"
                           "\"d\":{\"codec\":\"vp8\",\"container\":{\"kind\":\"tomorrow\",\"x\":[1]}},"
                           "\"e\":{\"codec\":\"vp8\",\"container\":{\"kind\":\"cmaf\"}},"
                           "\"f\":{\"codec\":\"vp8\",\"container\":{\"kind\":\"cmaf\",\"init\":\"A*==\"}},"
                           "\"g\":{\"codec\":\"vp8\",\"container\":\"legacy\"},"
                           "\"h\":{\"codec\":\"vp8\",\"broadcast\":\"../source\"}}}}");
  assert_int_equal(c.count, 5);
  assert_int_equal(c.skipped, 3);
  assert_int_equal(c.entries[0].container, CONTAINER_LEGACY);
  assert_int_equal(c.entries[1].container, CONTAINER_CMAF);
  assert_int_equal(c.entries[1].init_len, 5);
  assert_memory_equal(c.entries[1].init, "\0\1\2\3\4", 5);
  assert_int_equal(c.entries[2].container, CONTAINER_LOC);
  assert_int_equal(c.entries[3].container, CONTAINER_UNKNOWN);
  assert_string_equal(c.entries[4].broadcast, "../source");
  assert_int_equal(c.entries[0].track.codec, MEDIA_CODEC_NONE);
  catalog_destroy(&c);
}

static void unknown_and_wrong_fields(void **state)
{
  struct catalog c = parse("{\"chat\":{},\"scte35\":[null],\"video\":{\"priority\":1,\"detection\":{\"track\":1},"
                           "\"renditions\":{"
                           "\"ok\":{\"codec\":\"av01.0.04M.08\",\"codedWidth\":1280.0,\"codedHeight\":-5,"
                           "\"framerate\":29.97,\"bitrate\":\"much\",\"new\":{\"er\":true},\"timeline\":{}},"
                           "\"no codec\":{\"codedWidth\":1},\"null\":null,\"number\":{\"codec\":5},"
                           "\"bad hex\":{\"codec\":\"avc1.64001f\",\"description\":\"0x01\"},"
                           "\"bad avcC\":{\"codec\":\"avc1.64001f\",\"description\":\"0264\"},"
                           "\"\":{\"codec\":\"vp8\"}}},"
                           "\"audio\":{\"renditions\":{"
                           "\"ok\":{\"codec\":\"opus\",\"sampleRate\":48000,\"numberOfChannels\":2},"
                           "\"no rate\":{\"codec\":\"opus\",\"numberOfChannels\":2}}}}");
  assert_int_equal(c.count, 2);
  assert_int_equal(c.skipped, 7);
  const struct media_track *t = &c.entries[0].track;
  assert_int_equal(t->codec, MEDIA_AV1);
  assert_int_equal(t->width, 1280);
  assert_int_equal(t->height, 0);
  assert_int_equal(t->framerate_num, 30000);
  assert_int_equal(t->framerate_den, 1001);
  assert_int_equal(t->bitrate, 0);
  assert_int_equal(c.entries[1].track.codec, MEDIA_OPUS);
  catalog_destroy(&c);
  c = parse("{\"video\":5,\"audio\":{\"renditions\":[]}}");
  assert_int_equal(c.count, 0);
  catalog_destroy(&c);
}

static void no_json(void **state)
{
  static const char *const texts[] = {"", "{", "[]", "5", "null", "{\"a\":1} x", "\xff", "{}\0"};
  struct catalog c;
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) - 1; i++)
    assert_int_equal(catalog_parse(texts[i], strlen(texts[i]), &c), -EPROTO);
  assert_int_equal(catalog_parse("{}\0", 3, &c), -EPROTO);
}

/* Any prefix is either refused or, where it happens to be whole, taken. */
static void prefixes_and_flips(void **state)
{
  uint64_t seed = 0x13198a2e03707344;
  size_t len = strlen(example);
  struct catalog c;
  for (size_t i = 0; i < len; i++)
    assert_int_equal(catalog_parse(example, i, &c), -EPROTO);
  char *copy = strdup(example);
  for (int i = 0; i < 3000; i++) {
    uint64_t r = clip_random(&seed);
    size_t at = (r >> 8) % len;
    char saved = copy[at];
    copy[at] = (char)(r & 7 ? (uint8_t)(r >> 40) : (uint8_t)(saved ^ 1 << (r >> 4 & 7)));
    if (catalog_parse(copy, len, &c) == 0)
      catalog_destroy(&c);
    copy[at] = saved;
  }
  free(copy);
}

/* `depth` times `open`, then `close`. */
static char *nested(const char *open, const char *close, size_t depth)
{
  char *text = malloc((strlen(open) + strlen(close)) * depth + 1);
  assert_non_null(text);
  text[0] = '\0';
  char *at = text;
  for (size_t i = 0; i < depth; i++)
    at = stpcpy(at, open);
  for (size_t i = 0; i < depth; i++)
    at = stpcpy(at, close);
  return text;
}

static void bounds(void **state)
{
  struct catalog c;
  char *text = malloc(CATALOG_BYTES_MAX + 1);
  assert_non_null(text);
  memset(text, ' ', CATALOG_BYTES_MAX + 1);
  memcpy(text, "{}", 2);
  assert_int_equal(catalog_parse(text, CATALOG_BYTES_MAX + 1, &c), -EMSGSIZE);
  assert_int_equal(catalog_parse(text, CATALOG_BYTES_MAX, &c), 0);
  catalog_destroy(&c);
  free(text);
  text = nested("{\"a\":", "}", 100000);
  assert_int_equal(catalog_parse(text, strlen(text), &c), -EPROTO);
  free(text);

  size_t room = 64 * 200;
  text = malloc(room);
  assert_non_null(text);
  size_t at = (size_t)snprintf(text, room, "{\"video\":{\"renditions\":{");
  for (int i = 0; i < 100; i++)
    at += (size_t)snprintf(text + at, room - at, "%s\"t%d\":{\"codec\":\"vp8\"}", i ? "," : "", i);
  snprintf(text + at, room - at, "}}}");
  c = parse(text);
  assert_int_equal(c.count, CATALOG_ENTRIES_MAX);
  assert_int_equal(c.skipped, 100 - CATALOG_ENTRIES_MAX);
  catalog_destroy(&c);
  free(text);
}

static struct catalog frame(struct catalog_stream *s, uint64_t index, const char *json)
{
  struct catalog c;
  assert_int_equal(catalog_stream_frame(s, index, json, strlen(json), &c), 0);
  return c;
}

static void merge_patches(void **state)
{
  struct catalog_stream s = {0};
  struct catalog c;
  assert_int_equal(catalog_stream_frame(&s, 1, "{}", 2, &c), -EPROTO);
  c = frame(&s, 0, example);
  assert_int_equal(c.count, 2);
  catalog_destroy(&c);
  c = frame(&s, 1,
            "{\"video\":{\"renditions\":{\"video0\":{\"bitrate\":5000},"
            "\"video1\":{\"codec\":\"vp8\",\"bitrate\":null}}}}");
  assert_int_equal(c.count, 3);
  assert_int_equal(c.entries[0].track.bitrate, 5000);
  assert_int_equal(c.entries[0].track.width, 160);
  assert_string_equal(c.entries[1].name, "video1");
  catalog_destroy(&c);
  c = frame(&s, 2, "{\"audio\":null,\"video\":{\"renditions\":{\"video0\":null}}}");
  assert_int_equal(c.count, 1);
  assert_string_equal(c.entries[0].name, "video1");
  catalog_destroy(&c);
  /* The next group starts afresh. */
  c = frame(&s, 0, example);
  assert_int_equal(c.count, 2);
  catalog_destroy(&c);

  char *deep = nested("{\"a\":{\"b\":", "}}", 40);
  char *middle = strstr(deep, ":}");
  assert_non_null(middle);
  size_t room = strlen(deep) + 2;
  char *text = malloc(room);
  assert_non_null(text);
  snprintf(text, room, "%.*s1%s", (int)(middle + 1 - deep), deep, middle + 1);
  assert_int_equal(catalog_stream_frame(&s, 1, text, strlen(text), &c), -EPROTO);
  assert_int_equal(catalog_stream_frame(&s, 2, "{}", 2, &c), -EPROTO);
  free(text);
  free(deep);

  /* Patches of one group are bounded in all. */
  text = malloc(CATALOG_BYTES_MAX / 2 + 1);
  assert_non_null(text);
  memset(text, ' ', CATALOG_BYTES_MAX / 2);
  memcpy(text, "{}", 2);
  text[CATALOG_BYTES_MAX / 2] = '\0';
  c = frame(&s, 0, text);
  catalog_destroy(&c);
  c = frame(&s, 1, text);
  catalog_destroy(&c);
  assert_int_equal(catalog_stream_frame(&s, 2, "{}", 2, &c), -EMSGSIZE);
  free(text);
  catalog_stream_destroy(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(encode_is_as_players_read_it),
      cmocka_unit_test(round_trip),
      cmocka_unit_test(display_and_rotation),
      cmocka_unit_test(names_are_checked),
      cmocka_unit_test(containers),
      cmocka_unit_test(unknown_and_wrong_fields),
      cmocka_unit_test(no_json),
      cmocka_unit_test(prefixes_and_flips),
      cmocka_unit_test(bounds),
      cmocka_unit_test(merge_patches),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
