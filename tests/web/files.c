/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The page and its files; what must not be served. */
#include "world.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct page {
  struct world w;
  char folder[32], root[64];
};

static void put(const char *folder, const char *name, const char *text)
{
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

/* folder/secret.html lies above the root, folder/www. */
static void page_init(struct page *p)
{
  char path[128];
  strcpy(p->folder, "/tmp/moq-page-XXXXXX");
  assert_non_null(mkdtemp(p->folder));
  snprintf(p->root, sizeof p->root, "%s/www", p->folder);
  assert_int_equal(mkdir(p->root, 0700), 0);
  put(p->folder, "secret.html", "secret");
  put(p->root, "index.html", "<p>the page");
  put(p->root, "app.js", "let a");
  put(p->root, "app.css", "b{}");
  put(p->root, "notes.txt", "no");
  put(p->root, ".hidden.js", "no");
  snprintf(path, sizeof path, "%s/sub.js", p->root);
  assert_int_equal(mkdir(path, 0700), 0);
  put(path, "index.html", "no");
  snprintf(path, sizeof path, "%s/link.html", p->root);
  assert_int_equal(symlink("../secret.html", path), 0);
  snprintf(path, sizeof path, "%s/pipe.js", p->root);
  assert_int_equal(mkfifo(path, 0600), 0);
  world_init(&p->w, NULL);
  p->w.config.web_root = p->root;
  world_start(&p->w);
}

static void page_destroy(struct page *p)
{
  static const char *const names[] = {"www/index.html",
                                      "www/app.js",
                                      "www/app.css",
                                      "www/notes.txt",
                                      "www/.hidden.js",
                                      "www/sub.js/index.html",
                                      "www/sub.js",
                                      "www/link.html",
                                      "www/pipe.js",
                                      "www/big.wasm",
                                      "www",
                                      "secret.html",
                                      ""};
  char path[128];
  world_destroy(&p->w);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", p->folder, names[i]);
    remove(path);
  }
}

static void served(void **state)
{
  struct page p;
  struct client c;
  struct answer a;
  char tag[64], have[96];
  (void)state;
  page_init(&p);
  expect(&p.w, "GET /", 200, "<p>the page");
  expect(&p.w, "GET /?x=y", 200, "<p>the page");
  expect(&p.w, "GET /index.html", 200, "<p>the page");
  expect(&p.w, "GET /%61pp.css", 200, "b{}");
  request(&p.w, &c, &a, "GET /app.js", "");
  assert_int_equal(a.status, 200);
  assert_string_equal(a.body, "let a");
  assert_string_equal(header(&a, "content-type"), "text/javascript; charset=utf-8");
  assert_string_equal(header(&a, "cache-control"), "no-cache");
  snprintf(tag, sizeof tag, "%s", header(&a, "etag"));
  client_close(&c);
  snprintf(have, sizeof have, "if-none-match: %s\r\n", tag);
  request(&p.w, &c, &a, "GET /app.js", have);
  assert_int_equal(a.status, 304);
  assert_int_equal(a.body_n, 0);
  client_close(&c);
  put(p.root, "app.js", "let changed");
  request(&p.w, &c, &a, "GET /app.js", have);
  assert_int_equal(a.status, 200);
  assert_string_equal(a.body, "let changed");
  client_close(&c);
  request(&p.w, &c, &a, "HEAD /app.js", "");
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "content-length"), "11");
  assert_int_equal(a.body_n, 0);
  client_close(&c);
  page_destroy(&p);
}

static void not_served(void **state)
{
  static const char *const lines[] = {
      "GET /notes.txt",
      "GET /.hidden.js",
      "GET /sub.js",
      "GET /sub.js/index.html",
      "GET /link.html",
      "GET /pipe.js",
      "GET /../secret.html",
      "GET /%2e%2e/secret.html",
      "GET /..%2fsecret.html",
      "GET //secret.html",
      "GET /./index.html",
      "GET /index.html/",
      "GET /app",
      "GET /missing.js",
      "POST /",
      "POST /app.js",
      "GET /www%2Findex.html",
      "GET /%5c..%5csecret.html",
  };
  struct page p;
  (void)state;
  page_init(&p);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    expect(&p.w, lines[i], 404, NULL);
  page_destroy(&p);
}

static void a_large_file(void **state)
{
  enum { SIZE = 3 << 20 };
  struct page p;
  struct client c;
  struct answer a;
  char path[128];
  (void)state;
  page_init(&p);
  snprintf(path, sizeof path, "%s/big.wasm", p.root);
  FILE *f = fopen(path, "w");
  for (int i = 0; i < SIZE; i++)
    putc(i * 7 & 0xff, f);
  fclose(f);
  request(&p.w, &c, &a, "GET /big.wasm", "");
  assert_int_equal(a.status, 200);
  assert_string_equal(header(&a, "content-type"), "application/wasm");
  assert_true(a.whole);
  assert_int_equal(a.body_n, SIZE);
  for (int i = 0; i < SIZE; i++)
    assert_int_equal((unsigned char)a.body[i], i * 7 & 0xff);
  client_close(&c);
  page_destroy(&p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(served), cmocka_unit_test(not_served),
                                     cmocka_unit_test(a_large_file)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
