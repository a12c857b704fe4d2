/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Several relays and their clients in one process, in virtual time, from a seed. */
#include "run.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS 100

static const char help[] =
    "usage: sim [--seed N] [--count N] [--steps N] [--twice] [--trace] [--verbose]\n"
    "\n"
    "Plays relays, publishers and viewers in virtual time and checks what must hold (tests/sim/README.md).\n"
    "The first seed that breaks something is named, with the command that replays it; the exit code is 1.\n"
    "\n"
    "  --seed N    the first seed (1)\n"
    "  --count N   how many seeds, one after the other (1)\n"
    "  --steps N   actions in a run (100)\n"
    "  --twice     play each seed twice: both runs have to be the same, event by event\n"
    "  --trace     tell the story, a line per event: virtual time in seconds, who, what\n"
    "  --verbose   a line per seed\n"
    "  --help      this\n";

struct options {
  uint64_t seed, count;
  unsigned long steps;
  bool twice, trace, verbose;
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
      {"seed", required_argument, NULL, 's'},  {"count", required_argument, NULL, 'c'},
      {"steps", required_argument, NULL, 'n'}, {"twice", no_argument, NULL, '2'},
      {"trace", no_argument, NULL, 't'},       {"verbose", no_argument, NULL, 'v'},
      {"help", no_argument, NULL, 'h'},        {0},
  };
  struct options o = {.seed = 1, .count = 1, .steps = STEPS};
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
  struct result second = run_play(seed, o->steps, false);
  if (second.hash == first->hash && second.events == first->events)
    return;
  fprintf(stderr, "seed %" PRIu64 " failed\n  invariant: a seed replays exactly\n", seed);
  fprintf(stderr, "  what:      %016" PRIx64 " after %" PRIu64 " events, then %016" PRIx64 " after %" PRIu64 "\n",
          first->hash, first->events, second.hash, second.events);
  exit(1);
}

int main(int argc, char **argv)
{
  struct options o = parse(argc, argv);
  uint64_t events = 0;
  for (uint64_t seed = o.seed; seed < o.seed + o.count; seed++) {
    struct result result = run_play(seed, o.steps, o.trace);
    if (o.twice)
      play_again(&o, seed, &result);
    if (o.verbose)
      printf("seed %" PRIu64 ": %016" PRIx64 ", %" PRIu64 " events, %lu turns, %u groups\n", seed, result.hash,
             result.events, result.turns, result.sendings);
    events += result.events;
  }
  if (!o.trace)
    printf("%" PRIu64 " seeds, %" PRIu64 " events\n", o.count, events);
  return 0;
}
