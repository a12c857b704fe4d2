/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stdin's lines as frames of one track. */
#include "base/buf.h"
#include "client/feed.h"
#include "client/publish.h"
#include <errno.h>

#define LINE_BYTES_MAX ((size_t)32 << 20)

struct lines {
  struct feed feed;
  const struct publish_options *options;
  struct publisher_track *track;
  struct buf line; /* one that has not ended */
  uint64_t in_group;
  int error;
};

static struct lines *lines_of(struct feed *f)
{
  return container_of(f, struct lines, feed);
}

static int begin(struct feed *f)
{
  struct lines *l = lines_of(f);
  const struct publish_options *o = l->options;
  struct track_info info = {
      .priority = (uint8_t)o->priority, .max_age_ms = o->max_age / NS_PER_MS, .timescale = 1000000};
  int rc = feed_announce(f);
  if (rc < 0)
    return rc;
  rc = publisher_track(f->publisher, o->track, &info, program_now(&f->program), &l->track);
  if (rc < 0)
    program_error(&f->program, "track \"%s\": %s", o->track, uv_strerror(rc));
  return rc;
}

static int frame(struct lines *l, struct slice a, struct slice b)
{
  uint64_t now = program_now(&l->feed.program);
  struct slice parts[] = {a, b};
  int rc = l->in_group == 0 ? publisher_group(l->track, now) : 0;
  if (rc == 0)
    rc = publisher_frame(l->track, (now - l->feed.began) / 1000, parts, 2);
  if (rc < 0 && rc != -EMSGSIZE) {
    program_error(&l->feed.program, "%s", uv_strerror(rc));
    return rc;
  }
  if (++l->in_group == l->options->group_lines) {
    publisher_end_group(l->track);
    l->in_group = 0;
  }
  return 0;
}

static int data(struct feed *f, struct slice in)
{
  struct lines *l = lines_of(f);
  const uint8_t *newline;
  while (in.n > 0 && (newline = memchr(in.p, '\n', in.n)) != NULL) {
    size_t n = (size_t)(newline - in.p);
    int rc = frame(l, buf_slice(&l->line), slice_of(in.p, n));
    if (rc < 0)
      return rc;
    buf_clear(&l->line);
    in = slice_from(in, n + 1);
  }
  buf_bytes(&l->line, in);
  if (!l->line.failed && l->line.n <= LINE_BYTES_MAX)
    return 0;
  program_error(&f->program, "a line is longer than %zu bytes", LINE_BYTES_MAX);
  return -EMSGSIZE;
}

/* A last line need not end. */
static int end(struct feed *f)
{
  struct lines *l = lines_of(f);
  return l->line.n > 0 ? frame(l, buf_slice(&l->line), slice_of(NULL, 0)) : 0;
}

static const struct feed_ops ops = {begin, data, end};

int publish_raw(const struct publish_options *o, const char *url, const char *broadcast)
{
  static struct lines l; /* holds the input's buffer: not for the stack */
  l.options = o;
  int code = feed_run(&l.feed, &ops, &o->connection, url, broadcast);
  buf_destroy(&l.line);
  return code;
}
