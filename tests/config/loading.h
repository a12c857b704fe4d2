/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loads the relay's configuration in a test: a file's text, an environment, a command line. */
#pragma once
#include "config/relay_config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct loading {
  struct relay_config config;
  enum relay_command command;
  int rc;
  struct err err;
  char log[4096]; /* lines of the log, each with its newline */
};

#define WORDS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define NONE WORDS()

/* text: of a file named relay.toml in a folder of its own, given as the first argument; NULL = no
 * file. */
void loading_do(struct loading *l, const char *text, const char *const *env, const char *const *args);

/* A file that exists. */
void loading_path(struct loading *l, const char *path, const char *const *args);

void loading_end(struct loading *l);

/* Loads, expects a refusal whose text holds each of the pieces. */
void refused(const char *text, const char *const *env, const char *const *args, const char *const *pieces);

/* The smallest configuration that starts. */
#define BASE "listen.tls.generate = [\"localhost\"]\nauth.public = \"\"\n"
#define BASE_FLAGS "--listen-tls-generate=localhost", "--auth-public="
