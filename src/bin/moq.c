/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* moq: publishes to a relay and watches what is published, from the command line. */
#include "moq.h"
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

extern char **environ;

static const struct command *const commands[] = {&command_publish, &command_subscribe,
                                                 &command_announced};
#define COMMANDS (sizeof commands / sizeof *commands)

static const char url_help[] = "URL of the relay:\n"
                               "  https://HOST[:PORT][/PATH]   WebTransport\n"
                               "  http://HOST[:PORT][/PATH]    WebTransport, the certificate's "
                               "hash is fetched from /certificate.sha256\n"
                               "  moql://HOST[:PORT][/PATH]    QUIC without HTTP (also moqt://)\n";

static const char codes_help[] = "Exit codes: 0 done, also after Ctrl-C; 1 it failed, a line on "
                                 "stderr says why; 2 wrong usage.\n";

static void help(void) {
  printf("moq publishes live media to a Media over QUIC relay, and watches it.\n\nUsage:\n");
  for (size_t i = 0; i < COMMANDS; i++)
    printf("  moq %s\n      %s\n", commands[i]->usage, commands[i]->summary);
  printf("\n%s\n%s\n\"moq COMMAND --help\" tells the options of a command, \"moq --version\" the "
         "version.\n",
         url_help, codes_help);
}

static void command_help(const struct command *c) {
  printf("Usage: moq %s\n\n%s.\n\n%s\n%s\nOptions:\n", c->usage, c->summary, c->details, url_help);
  options_help(c->options);
  printf("  %-38s %s\n\n%s", "--help", "print this and end", codes_help);
}

int command_usage_error(const struct command *c, const char *what) {
  fprintf(stderr, "moq %s: %s; see \"moq %s --help\"\n", c->name, what, c->name);
  return EXIT_USAGE;
}

int command_parse(const struct command *c, int argc, char **argv, void *target,
                  const char **ret_positional, size_t min, size_t max, size_t *ret_count) {
  struct option_state st = {0};
  struct err err;
  int rc = options_begin(&st, c->options, target, &err);
  if (rc == 0)
    rc = options_environment(&st, environ, &err);
  if (rc == 0)
    rc = options_flags(&st, argc, argv, ret_positional, max, ret_count, &err);
  options_end(&st);
  if (rc < 0)
    return command_usage_error(c, err.text);
  return *ret_count < min ? command_usage_error(c, "arguments are missing") : 0;
}

static bool asks_help(int argc, char **argv) {
  for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return true;
  }
  return false;
}

static int run(const struct command *c, int argc, char **argv) {
  if (asks_help(argc, argv)) {
    command_help(c);
    return EXIT_DONE;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT); /* not safe later, when there are threads */
  int code = c->run(c, argc, argv);
  curl_global_cleanup();
  return code;
}

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "";
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
    help();
    return EXIT_DONE;
  }
  if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
    printf("moq %s\n", MOQ_VERSION);
    return EXIT_DONE;
  }
  for (size_t i = 0; i < COMMANDS; i++) {
    if (strcmp(name, commands[i]->name) == 0)
      return run(commands[i], argc - 2, argv + 2);
  }
  fprintf(stderr,
          name[0] ? "moq: unknown command \"%.100s\"; see \"moq --help\"\n"
                  : "moq: a command is missing%s; see \"moq --help\"\n",
          name);
  return EXIT_USAGE;
}
