/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libFuzzer target of what lies inside media: decoder configurations, parameter sets, Annex B,
 * frames' headers, bytes as text. Byte 0 chooses, the rest is the input of that parser. */
#include <errno.h>

#include "media/annexb.h"
#include "media/codec_config.h"
#include "media/container.h"
#include "media/h26x_sps.h"
#include "media/mp4_init.h"
#include "media/text_bytes.h"
#include "support/fuzz.h"

/* A track that was understood can be written, once it has what the header needs. */
static void use_track(struct media_track *t)
{
  struct media_buf out = {0};
  check(memchr(t->codec_string, '\0', sizeof t->codec_string) != NULL);
  if (t->timescale == 0)
    t->timescale = media_track_pick_timescale(t);
  check(t->timescale > 0);
  if (media_config_synthesize(t) == 0 && mp4_put_init(&out, t, 1) == 0)
    check(out.len > 0);
  media_buf_destroy(&out);
  media_track_destroy(t);
}

static void fuzz_avcc(const uint8_t *p, size_t n)
{
  struct media_track t = {.kind = MEDIA_VIDEO, .width = 16, .height = 16};
  media_config_avcc(&t, "avc1", p, n);
  use_track(&t);
}

static void fuzz_hvcc(const uint8_t *p, size_t n)
{
  struct media_track t = {.kind = MEDIA_VIDEO, .width = 16, .height = 16};
  media_config_hvcc(&t, "hev1", p, n);
  use_track(&t);
}

static void fuzz_vpcc(const uint8_t *p, size_t n)
{
  struct media_track t = {.kind = MEDIA_VIDEO, .width = 16, .height = 16};
  media_config_vpcc(&t, p, n);
  use_track(&t);
}

static void fuzz_av1c(const uint8_t *p, size_t n)
{
  struct media_track t = {.kind = MEDIA_VIDEO, .width = 16, .height = 16};
  media_config_av1c(&t, p, n);
  use_track(&t);
}

static void fuzz_esds(const uint8_t *p, size_t n)
{
  struct media_track t = {.kind = MEDIA_AUDIO};
  media_config_esds(&t, p, n);
  use_track(&t);
}

static void fuzz_asc(const uint8_t *p, size_t n)
{
  struct media_track t = {.kind = MEDIA_AUDIO};
  media_config_asc(&t, p, n);
  use_track(&t);
}

static void fuzz_opus(const uint8_t *p, size_t n)
{
  struct media_track t = {.kind = MEDIA_AUDIO, .sample_rate = 48000, .channels = 2};
  media_config_opus(&t, p, n);
  use_track(&t);
}

/* The first byte is the kind, two more are dimensions, then comes the text. */
static void fuzz_string(const uint8_t *p, size_t n)
{
  char text[128] = {0};
  if (n < 3)
    return;
  struct media_track t = {.kind = p[0] & 1 ? MEDIA_AUDIO : MEDIA_VIDEO,
                          .width = p[1],
                          .height = p[2],
                          .sample_rate = p[1] * 1000u,
                          .channels = p[2]};
  memcpy(text, p + 3, n - 3 < sizeof text - 1 ? n - 3 : sizeof text - 1);
  media_codec_from_string(&t, text);
  use_track(&t);
}

static void check_sps(const struct h26x_sps *s)
{
  check(s->reorder_depth <= MEDIA_REORDER_MAX);
  check((s->fps_num == 0) == (s->fps_den == 0));
}

static void fuzz_sps(const uint8_t *p, size_t n)
{
  struct h26x_sps s;
  if (h264_sps_parse(p, n, &s) == 0)
    check_sps(&s);
  if (h265_sps_parse(p, n, &s) == 0)
    check_sps(&s);
}

static void fuzz_annexb(const uint8_t *p, size_t n)
{
  struct media_track t = {.kind = MEDIA_VIDEO, .width = 16, .height = 16};
  struct media_buf out = {0};
  annexb_h264_config(&t, p, n);
  use_track(&t);
  check(annexb_h264_frame(&out, p, n) == 0);
  /* Start codes of three bytes become lengths of four. */
  check(out.len <= n + n / 3 + 4);
  media_buf_destroy(&out);
}

static void fuzz_container(const uint8_t *p, size_t n)
{
  struct container_frame f;
  uint8_t head[CONTAINER_HEADER_MAX];
  if (container_loc_parse(p, n, &f) == 0)
    check(f.len <= n);
  if (container_legacy_parse(p, n, &f) < 0)
    return;
  check(f.len <= n && f.data + f.len == p + n);
  check(container_legacy_header(f.pts_us, head) > 0);
}

static void fuzz_bytes_of_text(const uint8_t *p, size_t n)
{
  uint8_t *data;
  size_t len;
  if (media_base64_decode((const char *)p, n, &data, &len) == 0) {
    check(len <= n);
    free(data);
  }
  if (media_hex_decode((const char *)p, n, &data, &len) < 0)
    return;
  char *hex = media_hex_encode(data, len);
  check(hex && strlen(hex) == 2 * len && 2 * len == n);
  free(hex);
  free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static void (*const parts[])(const uint8_t *, size_t) = {
      fuzz_avcc, fuzz_hvcc,   fuzz_vpcc, fuzz_av1c,   fuzz_esds,      fuzz_asc,
      fuzz_opus, fuzz_string, fuzz_sps,  fuzz_annexb, fuzz_container, fuzz_bytes_of_text,
  };
  if (size > 0)
    parts[data[0] % (sizeof parts / sizeof *parts)](data + 1, size - 1);
  return 0;
}
