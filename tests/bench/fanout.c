/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A load tool: one publisher, many viewers, one relay. See load.h for its parts. */
#include "load.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOURCE_WAIT_S 10
#define JOIN_WAIT_S 15 /* and the ramp itself */
#define DRAIN_WAIT_S 5
#define LEAVE_WAIT_S 5
#define SETTLE_MS 1000
#define AFTER_MS 7000 /* until a relay has let go of closed connections */
#define SERIES_S 10   /* between two lines of --series */

struct run {
  struct options o;
  struct shared *shared;
  pid_t source, crowd[CROWDS_MAX];
  uint32_t crowd_n, stalled_at; /* stalled_at: index of the crowd that is stopped, CROWDS_MAX = none */
  uint64_t rss_empty, rss_joined, rss_end, rss_after, rss_min, rss_max;
};

/* What is counted over the measured time. */
struct sample {
  uint64_t at, frames, bytes, own_cpu;
  struct proc_usage relay;
};

static uint64_t now_ns(void)
{
  struct clock c = clock_system();
  return clock_now(&c);
}

static void sleep_ms(uint64_t ms)
{
  struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
  nanosleep(&t, NULL);
}

/* ---- sums over the crowds ---- */

#define SUM(run, field)                                                                                                \
  ({                                                                                                                   \
    uint64_t sum_ = 0;                                                                                                 \
    for (uint32_t i_ = 0; i_ < (run)->crowd_n; i_++)                                                                   \
      sum_ += i_ == (run)->stalled_at ? 0 : atomic_load(&(run)->shared->crowd[i_].field);                              \
    sum_;                                                                                                              \
  })

static struct sample sample(const struct run *r)
{
  struct sample s = {.at = now_ns(), .frames = SUM(r, frames), .bytes = SUM(r, bytes)};
  s.own_cpu = SUM(r, cpu_ns) + atomic_load(&r->shared->source_cpu_ns);
  if (r->o.relay)
    proc_usage(r->o.relay, &s.relay);
  return s;
}

static uint64_t rss(const struct run *r)
{
  struct proc_usage u = {0};
  return r->o.relay && proc_usage(r->o.relay, &u) ? u.rss_kb : 0;
}

/* ---- children ---- */

static bool start_crowd(struct run *r, uint32_t viewers)
{
  struct crowd_stats *stats = &r->shared->crowd[r->crowd_n];
  pid_t pid = fork();
  if (pid == 0)
    _exit(crowd_main(&r->o, r->shared, stats, viewers));
  if (pid > 0)
    r->crowd[r->crowd_n++] = pid;
  return pid > 0;
}

static bool start_source(struct run *r)
{
  r->source = fork();
  if (r->source == 0)
    _exit(source_main(&r->o, r->shared));
  for (int i = 0; i < SOURCE_WAIT_S * 100; i++) {
    if (atomic_load(&r->shared->source_up)) {
      sleep_ms(300); /* the announcement is on its way */
      return true;
    }
    sleep_ms(10);
  }
  fprintf(stderr, "fanout: the publisher cannot connect\n");
  return false;
}

static void end_child(pid_t pid)
{
  int status;
  for (int i = 0; i < LEAVE_WAIT_S * 100; i++) {
    if (waitpid(pid, &status, WNOHANG) != 0)
      return;
    sleep_ms(10);
  }
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
}

static void end_children(struct run *r)
{
  atomic_store(&r->shared->phase, PHASE_LEAVE);
  if (r->stalled_at < r->crowd_n)
    kill(r->crowd[r->stalled_at], SIGKILL);
  for (uint32_t i = 0; i < r->crowd_n; i++)
    end_child(r->crowd[i]);
  if (r->source > 0)
    end_child(r->source);
}

/* ---- phases ---- */

static bool joined(const struct run *r)
{
  uint64_t up = SUM(r, up), failed = SUM(r, failed), lost = SUM(r, lost);
  if (up + failed < r->o.viewers)
    return false;
  return r->o.idle || SUM(r, watching) + lost >= up;
}

static bool start_viewers(struct run *r)
{
  uint32_t left = r->o.viewers;
  for (uint32_t i = 0; i < r->o.processes && left > 0; i++) {
    uint32_t n = (left + r->o.processes - i - 1) / (r->o.processes - i);
    if (!start_crowd(r, n))
      return false;
    left -= n;
  }
  uint64_t until = now_ns() + (JOIN_WAIT_S + r->o.viewers / r->o.ramp) * NS_PER_S;
  while (!joined(r) && now_ns() < until)
    sleep_ms(10);
  if (!joined(r))
    fprintf(stderr, "fanout: of %u viewers %lu are up and %lu watch\n", r->o.viewers, (unsigned long)SUM(r, up),
            (unsigned long)SUM(r, watching));
  return true;
}

/* Viewers that subscribe and then stop reading: their process is stopped. */
static bool start_stalled(struct run *r)
{
  r->stalled_at = r->crowd_n;
  if (!start_crowd(r, r->o.stalled))
    return false;
  struct crowd_stats *st = &r->shared->crowd[r->stalled_at];
  for (int i = 0; i < JOIN_WAIT_S * 100 && atomic_load(&st->watching) < r->o.stalled; i++)
    sleep_ms(10);
  kill(r->crowd[r->stalled_at], SIGSTOP);
  return true;
}

static void watch(struct run *r)
{
  uint64_t from = now_ns();
  r->rss_min = UINT64_MAX;
  for (uint32_t s = 1; s <= r->o.seconds; s++) {
    uint64_t due = from + s * NS_PER_S, now = now_ns();
    if (due > now)
      sleep_ms((due - now) / NS_PER_MS);
    uint64_t kb = rss(r);
    r->rss_min = kb < r->rss_min ? kb : r->rss_min;
    r->rss_max = kb > r->rss_max ? kb : r->rss_max;
    if (r->o.series && s % SERIES_S == 0)
      fprintf(stderr, "%4u s  RSS %lu KB  frames %lu  reset groups %lu\n", s, (unsigned long)kb,
              (unsigned long)SUM(r, frames), (unsigned long)SUM(r, groups_reset));
  }
}

static void drain(struct run *r)
{
  atomic_store(&r->shared->phase, PHASE_DRAIN);
  if (r->o.idle)
    return;
  for (int i = 0; i < DRAIN_WAIT_S * 100; i++) {
    sleep_ms(10);
    if (atomic_load(&r->shared->source_done) && SUM(r, complete) >= SUM(r, up))
      break;
  }
  sleep_ms(50);
}

/* ---- the report ---- */

static void merge_latency(const struct run *r, struct histogram *ret_all)
{
  for (uint32_t i = 0; i < r->crowd_n; i++) {
    if (i != r->stalled_at)
      histogram_merge(ret_all, &r->shared->crowd[i].latency);
  }
}

struct figures {
  double seconds, cpu_us, mbit, relay_share, own_share, rss_per_viewer;
  uint64_t frames, switches;
  double p50, p90, p99, max; /* ms */
};

static struct figures figures_of(const struct run *r, const struct sample *a, const struct sample *b)
{
  static struct histogram all;
  double ns = (double)(b->at - a->at), cpu = (double)(b->relay.cpu_ns - a->relay.cpu_ns);
  struct figures f = {.seconds = ns / 1e9, .frames = b->frames - a->frames};
  merge_latency(r, &all);
  f.cpu_us = f.frames ? cpu / 1e3 / (double)f.frames : 0;
  f.mbit = (double)(b->bytes - a->bytes) * 8 / ns * 1e3;
  f.relay_share = cpu / ns;
  f.own_share = (double)(b->own_cpu - a->own_cpu) / ns;
  f.switches = b->relay.switches - a->relay.switches;
  f.rss_per_viewer = ((double)r->rss_joined - (double)r->rss_empty) / r->o.viewers;
  f.p50 = (double)histogram_at(&all, 0.5) / 1e6;
  f.p90 = (double)histogram_at(&all, 0.9) / 1e6;
  f.p99 = (double)histogram_at(&all, 0.99) / 1e6;
  f.max = (double)all.max / 1e6;
  return f;
}

static void print_text(const struct run *r, const struct figures *f)
{
  printf("viewers %u, up %lu, failed %lu, lost %lu\n", r->o.viewers, (unsigned long)SUM(r, up),
         (unsigned long)SUM(r, failed), (unsigned long)SUM(r, lost));
  printf("frames %lu in %.1f s (%.0f/s, %.1f Mbit/s), bad %lu\n", (unsigned long)f->frames, f->seconds,
         (double)f->frames / f->seconds, f->mbit, (unsigned long)SUM(r, bad));
  printf("groups whole %lu, reset %lu, missing %lu of %lu published\n", (unsigned long)SUM(r, groups_whole),
         (unsigned long)SUM(r, groups_reset), (unsigned long)SUM(r, groups_missing),
         (unsigned long)atomic_load(&r->shared->source_groups));
  printf("latency ms p50 %.2f p90 %.2f p99 %.2f max %.1f; publisher late by %.1f at most\n", f->p50, f->p90, f->p99,
         f->max, (double)atomic_load(&r->shared->source_late_ns) / 1e6);
  printf("relay: %.2f us CPU per delivered frame, %.0f %% of a core, %lu switches/s\n", f->cpu_us, f->relay_share * 100,
         (unsigned long)((double)f->switches / f->seconds));
  printf("relay RSS KB: empty %lu, joined %lu (%.1f per viewer), run %lu to %lu, end %lu, after "
         "all left %lu\n",
         (unsigned long)r->rss_empty, (unsigned long)r->rss_joined, f->rss_per_viewer, (unsigned long)r->rss_min,
         (unsigned long)r->rss_max, (unsigned long)r->rss_end, (unsigned long)r->rss_after);
  printf("load tool: %.0f %% of a core%s\n", f->own_share * 100,
         f->own_share > 0.9 ? " - it may have been the limit" : "");
}

static void print_json(const struct run *r, const struct figures *f)
{
  printf("{\"viewers\": %u, \"up\": %lu, \"failed\": %lu, \"lost\": %lu, \"seconds\": %.3f, "
         "\"frames\": %lu, \"bad\": %lu, \"mbit\": %.2f, ",
         r->o.viewers, (unsigned long)SUM(r, up), (unsigned long)SUM(r, failed), (unsigned long)SUM(r, lost),
         f->seconds, (unsigned long)f->frames, (unsigned long)SUM(r, bad), f->mbit);
  printf("\"groups_whole\": %lu, \"groups_reset\": %lu, \"groups_missing\": %lu, \"p50_ms\": %.3f, "
         "\"p90_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, ",
         (unsigned long)SUM(r, groups_whole), (unsigned long)SUM(r, groups_reset),
         (unsigned long)SUM(r, groups_missing), f->p50, f->p90, f->p99, f->max);
  printf("\"cpu_us_per_frame\": %.3f, \"relay_share\": %.4f, \"switches\": %lu, "
         "\"load_share\": %.3f, \"rss_empty_kb\": %lu, \"rss_joined_kb\": %lu, \"rss_min_kb\": %lu, "
         "\"rss_max_kb\": %lu, \"rss_after_kb\": %lu, \"rss_per_viewer_kb\": %.2f}\n",
         f->cpu_us, f->relay_share, (unsigned long)f->switches, f->own_share, (unsigned long)r->rss_empty,
         (unsigned long)r->rss_joined, (unsigned long)r->rss_min, (unsigned long)r->rss_max,
         (unsigned long)r->rss_after, f->rss_per_viewer);
}

static int report(struct run *r, const struct sample *a, const struct sample *b)
{
  struct figures f = figures_of(r, a, b);
  if (r->o.json)
    print_json(r, &f);
  else
    print_text(r, &f);
  bool failed = SUM(r, failed) + SUM(r, lost) + SUM(r, bad) > 0 || SUM(r, up) < r->o.viewers;
  return failed ? 1 : 0;
}

static int run(struct run *r)
{
  r->rss_empty = rss(r);
  bool ok = (r->o.idle || start_source(r)) && start_viewers(r) && (r->o.stalled == 0 || start_stalled(r));
  if (!ok) {
    end_children(r);
    return 1;
  }
  sleep_ms(SETTLE_MS);
  r->rss_joined = rss(r);
  atomic_store(&r->shared->phase, PHASE_RUN);
  struct sample a = sample(r);
  watch(r);
  struct sample b = sample(r);
  r->rss_end = b.relay.rss_kb;
  drain(r);
  end_children(r);
  sleep_ms(AFTER_MS);
  r->rss_after = rss(r);
  return report(r, &a, &b);
}

/* ---- options ---- */

static const struct option longs[] = {{"url", 1, 0, 'u'},        {"viewers", 1, 0, 'n'},   {"rate", 1, 0, 'r'},
                                      {"size", 1, 0, 'b'},       {"group", 1, 0, 'g'},     {"seconds", 1, 0, 's'},
                                      {"pid", 1, 0, 'p'},        {"ramp", 1, 0, 'R'},      {"processes", 1, 0, 'P'},
                                      {"per-socket", 1, 0, 'k'}, {"stalled", 1, 0, 'S'},   {"max-age", 1, 0, 'a'},
                                      {"idle", 0, 0, 'i'},       {"broadcast", 1, 0, 'B'}, {"json", 0, 0, 'j'},
                                      {"series", 0, 0, 'e'},     {"help", 0, 0, 'h'},      {0}};

static const char usage[] = "fanout: one publisher and many viewers on a relay, every frame checked\n"
                            "  --url URL          moql://HOST:PORT/ (QUIC) or https://HOST:PORT/ (WebTransport)\n"
                            "  --viewers N        [100]     --stalled N     more that stop reading [0]\n"
                            "  --rate FPS         [60]      --size BYTES    of a frame [4096]\n"
                            "  --group FRAMES     [60]      --max-age MS    of the subscriptions [2000]\n"
                            "  --seconds S        measured, after all have joined [10]\n"
                            "  --pid PID          the relay's: its CPU and memory are reported\n"
                            "  --idle             sessions that ask for nothing; no publisher\n"
                            "  --ramp N           connections begun per second [200]\n"
                            "  --processes N      that hold the viewers [1]\n"
                            "  --per-socket N     viewers that share a UDP socket [16]\n"
                            "  --broadcast PATH   [bench]\n"
                            "  --json             one line of JSON; --series: RSS every 10 s, on stderr\n"
                            "Exit code 1: a viewer did not come up or was lost, or a frame was wrong.\n";

static bool set_option(struct options *o, int c)
{
  uint32_t n = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;
  switch (c) {
  case 'u':
    o->url = optarg;
    break;
  case 'B':
    o->broadcast = optarg;
    break;
  case 'n':
    o->viewers = n;
    break;
  case 'r':
    o->rate = strtod(optarg, NULL);
    break;
  case 'b':
    o->size = n;
    break;
  case 'g':
    o->group = n;
    break;
  case 's':
    o->seconds = n;
    break;
  case 'p':
    o->relay = (pid_t)n;
    break;
  case 'R':
    o->ramp = n;
    break;
  case 'P':
    o->processes = n;
    break;
  case 'k':
    o->per_socket = n;
    break;
  case 'S':
    o->stalled = n;
    break;
  case 'a':
    o->max_age_ms = n;
    break;
  case 'i':
    o->idle = true;
    break;
  case 'j':
    o->json = true;
    break;
  case 'e':
    o->series = true;
    break;
  default:
    return false;
  }
  return true;
}

static bool usable(const struct options *o)
{
  return o->url && o->viewers > 0 && o->rate > 0 && o->size >= sizeof(struct stamp) && o->group > 0 && o->seconds > 0 &&
         o->seconds <= 3600 && o->ramp > 0 && o->processes > 0 && o->processes < CROWDS_MAX && o->per_socket > 0;
}

int main(int argc, char **argv)
{
  static struct run r = {.o = {.broadcast = "bench",
                               .viewers = 100,
                               .processes = 1,
                               .per_socket = 16,
                               .ramp = 200,
                               .rate = 60,
                               .size = 4096,
                               .group = 60,
                               .seconds = 10,
                               .max_age_ms = 2000},
                         .stalled_at = CROWDS_MAX};
  for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
    if (!set_option(&r.o, c)) {
      fputs(usage, c == 'h' ? stdout : stderr);
      return c == 'h' ? 0 : 2;
    }
  }
  if (!usable(&r.o) || pattern_init(r.o.size) < 0) {
    fputs(usage, stderr);
    return 2;
  }
  r.shared = mmap(NULL, sizeof *r.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (r.shared == MAP_FAILED)
    return 1;
  return run(&r);
}
