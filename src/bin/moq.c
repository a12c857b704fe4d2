/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* moq: publishes to a relay and watches what is published, from the command line. */
#include "moq.h"
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

static void help_codes(void)
{
  printf("Exit codes; a line on stderr says more:\n");
  for (const struct exit_meaning *m = program_exit_codes; m->text; m++)
    printf("  %d  %s\n", (int)m->code, m->text);
}

static void help(void)
{
  printf("moq publishes live media to a Media over QUIC relay, and watches it.\n\nUsage:\n");
  for (const struct command *const *c = commands; *c; c++)
    printf("  moq %s\n      %s\n", (*c)->usage, (*c)->summary);
  printf("\nURL of the relay:\n%s\n", moq_url_help);
  help_codes();
  printf("\n\"moq COMMAND --help\" tells the options of a command, \"moq --version\" the version.\n");
}

static void command_help(const struct command *c)
{
  printf("Usage: moq %s\n\n%s.\n\n%s\nURL of the relay:\n%s\nOptions:\n", c->usage, c->summary, c->details,
         moq_url_help);
  options_help(c->options);
  printf("  %-38s %s\n\n", "--help", "print this and end");
  help_codes();
}

static bool asks_help(int argc, char **argv)
{
  for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return true;
  }
  return false;
}

static int run(const struct command *c, int argc, char **argv)
{
  if (asks_help(argc, argv)) {
    command_help(c);
    return EXIT_DONE;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT); /* not safe later, when there are threads */
  int code = c->run(c, argc, argv);
  curl_global_cleanup();
  return code;
}

int main(int argc, char **argv)
{
  const char *name = argc > 1 ? argv[1] : "";
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
    help();
    return EXIT_DONE;
  }
  if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
    printf("moq %s\n", MOQ_VERSION);
    return EXIT_DONE;
  }
  for (const struct command *const *c = commands; *c; c++) {
    if (strcmp(name, (*c)->name) == 0)
      return run(*c, argc - 2, argv + 2);
  }
  fprintf(stderr,
          name[0] ? "moq: unknown command \"%.100s\"; see \"moq --help\"\n"
                  : "moq: a command is missing%s; see \"moq --help\"\n",
          name);
  return EXIT_USAGE;
}
