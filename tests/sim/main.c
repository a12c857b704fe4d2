/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Several relays and their clients in one process, in virtual time, from a seed. */
#include "run.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS 100

static const char help[] =
    "usage: sim [--seed N] [--count N] [--steps N] [--twice] [--fail-alloc [--stride N]] [--trace]\n"
    "           [--verbose]\n"
    "\n"
    "Plays relays, publishers and viewers in virtual time and checks what must hold (tests/sim/README.md).\n"
    "The first seed that breaks something is named, with the command that replays it; the exit code is 1.\n"
    "\n"
    "  --seed N      the first seed (1)\n"
    "  --count N     how many seeds, one after the other (1)\n"
    "  --steps N     actions in a run (100)\n"
    "  --twice       play each seed twice: both runs have to be the same, event by event\n"
    "  --fail-alloc  play each seed again and again, each time with another allocation failing\n"
    "  --stride N    only every N-th of them (1)\n"
    "  --fail-at N   only the N-th, once\n"
    "  --trace       tell the story, a line per event: virtual time in seconds, who, what\n"
    "  --verbose     a line per seed\n"
    "  --help        this\n";

struct options {
  uint64_t seed, count;
  unsigned long steps;
  long fail_at, stride;
  bool twice, fail_alloc, trace, verbose;
};

static uint64_t number(const char *text)
{
  char *end;
  uint64_t n = strtoull(text, &end, 10);
  if (*text < '0' || *text > '9' || *end) {
    fprintf(stderr, "sim: not a number: %s\n", text);
    exit(2);
  }
  return n;
}

static struct options parse(int argc, char **argv)
{
  static const struct option names[] = {
      {"seed", required_argument, NULL, 's'},
      {"count", required_argument, NULL, 'c'},
      {"steps", required_argument, NULL, 'n'},
      {"twice", no_argument, NULL, '2'},
      {"fail-alloc", no_argument, NULL, 'f'},
      {"stride", required_argument, NULL, 'i'},
      {"fail-at", required_argument, NULL, 'a'},
      {"trace", no_argument, NULL, 't'},
      {"verbose", no_argument, NULL, 'v'},
      {"help", no_argument, NULL, 'h'},
      {0},
  };
  struct options o = {.seed = 1, .count = 1, .steps = STEPS, .fail_at = -1, .stride = 1};
  for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (c) {
    case 's':
      o.seed = number(optarg);
      break;
    case 'c':
      o.count = number(optarg);
      break;
    case 'n':
      o.steps = number(optarg);
      break;
    case '2':
      o.twice = true;
      break;
    case 'f':
      o.fail_alloc = true;
      break;
    case 'i':
      o.stride = (long)number(optarg);
      break;
    case 'a':
      o.fail_at = (long)number(optarg);
      break;
    case 't':
      o.trace = true;
      break;
    case 'v':
      o.verbose = true;
      break;
    case 'h':
      fputs(help, stdout);
      exit(0);
    default:
      exit(2);
    }
  }
  if (optind < argc) {
    fprintf(stderr, "sim: what is \"%s\"? See sim --help.\n", argv[optind]);
    exit(2);
  }
  return o;
}

static void play_again(const struct options *o, uint64_t seed, const struct result *first)
{
  struct result second = run_play(seed, o->steps, o->fail_at, false);
  if (second.hash == first->hash && second.events == first->events)
    return;
  fprintf(stderr, "seed %" PRIu64 " failed\n  invariant: a seed replays exactly\n", seed);
  fprintf(stderr, "  what:      %016" PRIx64 " after %" PRIu64 " events, then %016" PRIx64 " after %" PRIu64 "\n",
          first->hash, first->events, second.hash, second.events);
  exit(1);
}

/* Until a run ends before its failure is due. */
static void fail_each(const struct options *o, uint64_t seed)
{
  long n = 0, runs = 0;
  for (; !run_play(seed, o->steps, n, false).spared; n += o->stride)
    runs++;
  printf("seed %" PRIu64 ": %ld runs, each with a failed allocation\n", seed, runs);
}

int main(int argc, char **argv)
{
  struct options o = parse(argc, argv);
  uint64_t events = 0, sent = 0, got = 0;
  for (uint64_t seed = o.seed; seed < o.seed + o.count; seed++) {
    if (o.fail_alloc) {
      fail_each(&o, seed);
      continue;
    }
    struct result result = run_play(seed, o.steps, o.fail_at, o.trace);
    if (o.twice)
      play_again(&o, seed, &result);
    if (o.verbose)
      printf("seed %" PRIu64 ": %016" PRIx64 ", %" PRIu64 " events, %lu turns, %u groups sent, %" PRIu64 " received\n",
             seed, result.hash, result.events, result.turns, result.sendings, result.got);
    events += result.events;
    sent += result.sendings;
    got += result.got;
  }
  if (!o.trace)
    printf("%" PRIu64 " seeds, %" PRIu64 " events, %" PRIu64 " groups sent, %" PRIu64 " received\n", o.count, events,
           sent, got);
  return 0;
}
