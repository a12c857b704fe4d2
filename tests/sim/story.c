/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "run.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Letters of `args`: p path, t track, n number, m milliseconds, c reset code, e close code. Other characters stand for
 * themselves. */
static const struct {
  const char *word, *args;
} rows[EVENTS] = {
    [EV_PLAN] = {"plan", "n relays, n joints, cache of n bytes, healthy viewer at relay n"},
    [EV_JOIN] = {"join", "relay n, delay m ms, n bytes/s, good n"},
    [EV_READY] = {"ready", ""},
    [EV_CLOSE] = {"close", "e"},
    [EV_KILL] = {"kill", "dies without a word"},
    [EV_CUT] = {"cut", "both ends are gone"},
    [EV_CLOSED] = {"closed", "e, by the relay: n"},
    [EV_GOAWAY] = {"go away", "to session n of its own"},
    [EV_ANNOUNCE] = {"announce", "p"},
    [EV_UNANNOUNCE] = {"unannounce", "p"},
    [EV_BREAK] = {"break", "announcements are reset"},
    [EV_MUTE] = {"mute", "answers no request"},
    [EV_SPEAK] = {"speak", "answers again"},
    [EV_ASKED] = {"asked", "subscription n to p t"},
    [EV_UNASKED] = {"unasked", "subscription n ends"},
    [EV_BEGIN] = {"begin", "group n of p t, sending n"},
    [EV_FRAME] = {"frame", "n of sending n, n bytes"},
    [EV_WHOLE] = {"whole", "sending n, n frames"},
    [EV_RESET] = {"reset", "sending n after n frames: c"},
    [EV_DAMAGE] = {"damage", "sending n ends inside frame n"},
    [EV_DATAGRAM] = {"datagram", "group n of p t, sending n"},
    [EV_FINISH] = {"finish", "p t ends at group n"},
    [EV_ANSWER] = {"answer", "fetch of group n of p t, sending n"},
    [EV_REFUSE] = {"refuse", "p t: c"},
    [EV_LIST] = {"list", "prefix n"},
    [EV_UNLIST] = {"unlist", "prefix n"},
    [EV_ADDED] = {"added", "p, prefix n"},
    [EV_REMOVED] = {"removed", "p, prefix n"},
    [EV_SUBSCRIBE] = {"subscribe", "id n: p t, kind n"},
    [EV_UPDATE] = {"update", "id n"},
    [EV_UNSUBSCRIBE] = {"unsubscribe", "id n, way n"},
    [EV_SUB_OK] = {"accepted", "id n"},
    [EV_SUB_END] = {"ended", "id n"},
    [EV_SUB_RESET] = {"refused", "id n: c"},
    [EV_TRACK] = {"track", "p t"},
    [EV_TRACK_INFO] = {"info", "p t"},
    [EV_TRACK_RESET] = {"no info", "p t: c"},
    [EV_FETCH] = {"fetch", "group n of p t"},
    [EV_FETCHED] = {"fetched", "group n, n frames"},
    [EV_FETCH_RESET] = {"no group", "group n: c"},
    [EV_GROUP] = {"group", "n of id n"},
    [EV_GOT] = {"got", "group n of id n: sending n, n frames"},
    [EV_LOST] = {"lost", "group n of id n after n frames: c"},
    [EV_GOT_DATAGRAM] = {"datagram", "group n of id n: sending n"},
    [EV_STALL] = {"stall", "gives no credit"},
    [EV_GO_ON] = {"go on", "gives credit again"},
    [EV_STOP] = {"stop", "group n of id n"},
    [EV_HALF] = {"half", "n bytes of a request"},
    [EV_BLACKOUT] = {"blackout", "for m ms"},
    [EV_LIGHT] = {"light", "the blackout is over"},
    [EV_LEAP] = {"leap", "m ms pass at once"},
    [EV_CALM] = {"calm", "no more faults"},
    [EV_VERIFY] = {"verify", ""},
    [EV_LEAVE_ALL] = {"leave", "everybody"},
    [EV_END] = {"end", "n events"},
};

static const char *const kinds[] = {"sim", "relay", "joint", "publisher", "viewer"};

static void print_who(FILE *f, const struct actor *who)
{
  char name[32];
  int n = snprintf(name, sizeof name, "%s", kinds[who->kind]);
  if (who->kind != ACTOR_SIM)
    n += snprintf(name + n, sizeof name - (size_t)n, " %u", who->index);
  if (who->version >= 0)
    n += snprintf(name + n, sizeof name - (size_t)n, " v%s", lite_info((enum lite_version)who->version)->name);
  fprintf(f, "%-20s", name);
}

static void print_arg(FILE *f, char letter, uint64_t v)
{
  switch (letter) {
  case 'p':
    fprintf(f, "%s", v < PATHS ? path_names[v] : "?");
    break;
  case 't':
    fprintf(f, "%s", v < TRACKS ? track_names[v] : "?");
    break;
  case 'c':
    fprintf(f, "%s (0x%llx)", lite_reset_name(v), (unsigned long long)v);
    break;
  case 'e':
    fprintf(f, "%s", v == TRANSPORT_NO_CODE ? "without a word" : lite_close_name(v));
    break;
  case 'm':
    fprintf(f, "%.1f", (double)v / 1e6);
    break;
  default:
    fprintf(f, "%llu", (unsigned long long)v);
  }
}

/* A letter stands for an argument where no other letter touches it. */
static void print_args(FILE *f, const char *args, const uint64_t arg[TELL_MAX])
{
  size_t i = 0;
  for (const char *p = args; *p; p++) {
    bool alone = (p == args || p[-1] == ' ') && !(p[1] >= 'a' && p[1] <= 'z');
    if (alone && strchr("ptncem", *p) && i < TELL_MAX)
      print_arg(f, *p, arg[i++]);
    else
      fputc(*p, f);
  }
}

static void print_time(FILE *f, const struct run *r)
{
  fprintf(f, "%12.6f  ", (double)(r->w.now - SIM_START) / 1e9);
}

static void mix(struct run *r, uint64_t v)
{
  r->hash = (r->hash ^ v) * 0x9e3779b97f4a7c15ULL;
  r->hash ^= r->hash >> 29;
}

void story_tell(struct run *r, const struct actor *who, enum event e, const uint64_t arg[TELL_MAX])
{
  r->events++;
  mix(r, r->w.now);
  mix(r, (uint64_t)who->kind << 48 | (uint64_t)who->index << 32 | (uint64_t)e << 8 | (uint8_t)who->version);
  for (int i = 0; i < TELL_MAX; i++)
    mix(r, arg[i]);
  if (!r->trace)
    return;
  print_time(stdout, r);
  print_who(stdout, who);
  printf("%-12s", rows[e].word);
  print_args(stdout, rows[e].args, arg);
  putchar('\n');
}

static int replay_line(const struct run *r, char *out, size_t n)
{
  char fail[48] = "";
  if (r->fail_at >= 0)
    snprintf(fail, sizeof fail, " --fail-at %ld", r->fail_at);
  return snprintf(out, n, "  replay:    build/sim --seed %llu --steps %lu%s --trace\n", (unsigned long long)r->seed,
                  r->steps, fail);
}

_Noreturn void broken(const struct run *r, const struct actor *who, const char *invariant, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  fflush(stdout);
  fprintf(stderr, "seed %llu failed at step %lu, %.6f s\n  invariant: %s\n  who:       ", (unsigned long long)r->seed,
          r->step, (double)(r->w.now - SIM_START) / 1e9, invariant);
  print_who(stderr, who);
  fprintf(stderr, "\n  what:      ");
  vfprintf(stderr, fmt, ap);
  char text[160];
  replay_line(r, text, sizeof text);
  fprintf(stderr, "\n%s", text);
  va_end(ap);
  _exit(1);
}

/* -- crashes -- */

static const struct run *guarded;

static void say_seed(void)
{
  char text[320];
  if (!guarded)
    return;
  int n = snprintf(text, sizeof text, "seed %llu failed at step %lu: it crashed\n", (unsigned long long)guarded->seed,
                   guarded->step);
  n += replay_line(guarded, text + n, sizeof text - (size_t)n);
  (void)!write(STDERR_FILENO, text, (size_t)n);
  guarded = NULL;
}

static void on_signal(int number)
{
  say_seed();
  signal(number, SIG_DFL);
  raise(number);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

void story_guard(const struct run *r)
{
  guarded = r;
  if (__sanitizer_set_death_callback) {
    __sanitizer_set_death_callback(say_seed);
  } else {
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGFPE, on_signal);
  }
  signal(SIGABRT, on_signal);
}
