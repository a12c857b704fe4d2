/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "config/rust_log.h"
#include "loading.h"

static void directives(void **state)
{
  static const struct {
    const char *text;
    int level; /* -1 = none */
  } rows[] = {
      {"debug", LOG_DEBUG},
      {"WARN", LOG_WARN},
      {"off", LOG_ERROR},
      {"moq_relay=trace", LOG_TRACE},
      {"moq_relay=trace,info", LOG_TRACE},
      {"info,moq_relay=trace", LOG_TRACE},
      {" info , quinn=warn", LOG_INFO},
      {"info,debug", LOG_DEBUG},
      {"moq_net::lite=debug", -1},
      {"moq_relay::web=debug", -1},
      {"moq_relay", -1},
      {"moq_relay=loudly", -1},
      {"moq_relay=loudly,warn", LOG_WARN},
      {"=,=debug,,", LOG_DEBUG},
      {"", -1},
      {"averylongword", -1},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    enum log_level level = (enum log_level)99;
    bool found = rust_log_level(rows[i].text, &level);
    if (found != (rows[i].level >= 0) || (found && (int)level != rows[i].level))
      fail_msg("\"%s\": %d", rows[i].text, found ? (int)level : -1);
  }
}

static void over_everything(void **state)
{
  static const char base[] = "listen.tls.generate = \"x\"\nauth.public = \"\"\nlog.level = \"warn\"\n";
  struct loading l;
  (void)state;
  loading_do(&l, base, WORDS("RUST_LOG=moq_relay=debug", "MOQ_LOG_LEVEL=error"), WORDS("--log-level=error"));
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.config.log_level, LOG_DEBUG);
  loading_end(&l);
  loading_do(&l, base, WORDS("RUST_LOG=quinn=debug"), NONE);
  assert_int_equal(l.rc, 0);
  assert_int_equal(l.config.log_level, LOG_WARN);
  loading_end(&l);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(directives), cmocka_unit_test(over_everything)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
