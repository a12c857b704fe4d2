/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/url.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void good_ones(void **state)
{
  static const struct {
    const char *text, *host, *port, *path;
    bool webtransport, fetch;
  } rows[] = {
      {"https://relay.example/", "relay.example", "443", "/", true, false},
      {"https://relay.example", "relay.example", "443", "/", true, false},
      {"https://relay.example:4443/room?jwt=a.b", "relay.example", "4443", "/room?jwt=a.b", true, false},
      {"https://relay.example?jwt=x", "relay.example", "443", "/?jwt=x", true, false},
      {"HTTPS://Relay.example/x#part", "Relay.example", "443", "/x", true, false},
      {"http://localhost:4443/", "localhost", "4443", "/", true, true},
      {"http://localhost", "localhost", "80", "/", true, true},
      {"moql://127.0.0.1:1/a/b", "127.0.0.1", "1", "/a/b", false, false},
      {"moqt://[::1]:65535/", "::1", "65535", "/", false, false},
      {"https://[2001:db8::1]", "2001:db8::1", "443", "/", true, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct relay_url u;
    struct err err = {""};
    assert_int_equal(relay_url_parse(rows[i].text, &u, &err), 0);
    assert_string_equal(u.host, rows[i].host);
    assert_string_equal(u.port, rows[i].port);
    assert_string_equal(u.path, rows[i].path);
    assert_int_equal(u.webtransport, rows[i].webtransport);
    assert_int_equal(u.fetch_fingerprint, rows[i].fetch);
  }
}

/* Each says what is wrong and leaves the result alone. */
static void bad_ones(void **state)
{
  static const char *const texts[] = {
      "",
      "relay.example",
      "ftp://relay.example/",
      "https://",
      "https:///x",
      "https://:1",
      "https://h:",
      "https://h:0",
      "https://h:65536",
      "https://h:99999999999",
      "https://h:x",
      "https://[::1",
      "https://[::1]x",
      "https://[]:1",
      "https://h:-1",
      "https://user@h:1:2/",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct relay_url u = {.port = "keep"};
    struct err err = {""};
    assert_true(relay_url_parse(texts[i], &u, &err) < 0);
    assert_true(strncmp(err.text, "URL: ", 5) == 0);
    assert_string_equal(u.port, "keep");
  }
}

static void long_ones(void **state)
{
  char text[4096];
  struct relay_url u;
  struct err err;
  size_t host = sizeof u.host, path = sizeof u.path;
  snprintf(text, sizeof text, "https://%0*d/", (int)host, 0);
  assert_true(relay_url_parse(text, &u, &err) < 0);
  snprintf(text, sizeof text, "https://%0*d/", (int)host - 1, 0);
  assert_int_equal(relay_url_parse(text, &u, &err), 0);
  snprintf(text, sizeof text, "https://h/%0*d", (int)path - 1, 0);
  assert_true(relay_url_parse(text, &u, &err) < 0);
  snprintf(text, sizeof text, "https://h/%0*d", (int)path - 2, 0);
  assert_int_equal(relay_url_parse(text, &u, &err), 0);
  assert_int_equal(strlen(u.path), path - 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_ones),
      cmocka_unit_test(bad_ones),
      cmocka_unit_test(long_ones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
