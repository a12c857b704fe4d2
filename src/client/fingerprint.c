/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client/fingerprint.h"
#include <ctype.h>
#include <stdatomic.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_TIMEOUT_S 10L
#define HEX_DIGITS 64

struct fingerprint_job {
  uv_work_t work;
  struct worker *worker;
  void (*done)(void *ctx, enum fingerprint_result, const char *text); /* NULL once cancelled */
  void *ctx;
  atomic_bool cancelled; /* the one field that both threads use meanwhile */
  char url[320];
  char body[128];
  size_t n;
  enum fingerprint_result result;
  char error[400];
};

static size_t receive(char *data, size_t size, size_t count, void *user)
{
  struct fingerprint_job *job = user;
  size_t n = size * count;
  if (n > sizeof job->body - 1 - job->n)
    return 0; /* too long to be a hash: curl fails the transfer */
  memcpy(job->body + job->n, data, n);
  job->n += n;
  return n;
}

/* Asked about once a second while nothing comes. */
static int still_wanted(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
  struct fingerprint_job *job = user;
  return atomic_load(&job->cancelled) ? 1 : 0;
}

static void check_body(struct fingerprint_job *job)
{
  while (job->n > 0 && isspace((unsigned char)job->body[job->n - 1]))
    job->n--;
  job->body[job->n] = '\0';
  if (job->n == HEX_DIGITS && strspn(job->body, "0123456789abcdefABCDEF") == HEX_DIGITS)
    return;
  job->result = FINGERPRINT_REFUSED;
  snprintf(job->error, sizeof job->error, "%.200s: the answer is not a certificate hash", job->url);
}

static enum fingerprint_result result_of(CURLcode code)
{
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
    return FINGERPRINT_UNKNOWN_HOST;
  case CURLE_COULDNT_CONNECT:
  case CURLE_OPERATION_TIMEDOUT:
  case CURLE_GOT_NOTHING:
  case CURLE_RECV_ERROR:
    return FINGERPRINT_UNREACHABLE;
  case CURLE_HTTP_RETURNED_ERROR:
  case CURLE_WRITE_ERROR: /* too long an answer */
    return FINGERPRINT_REFUSED;
  default:
    return FINGERPRINT_FAILED;
  }
}

/* What went wrong with the request. */
static void explain(struct fingerprint_job *job, CURL *curl, CURLcode code)
{
  long status = 0;
  job->result = result_of(code);
  if (code == CURLE_HTTP_RETURNED_ERROR && curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
    snprintf(job->error, sizeof job->error, "%.200s: HTTP status %ld", job->url, status);
  else
    snprintf(job->error, sizeof job->error, "%.200s: %s", job->url, curl_easy_strerror(code));
}

static void fetch(uv_work_t *work)
{
  struct fingerprint_job *job = work->data;
  CURL *curl = curl_easy_init();
  if (!curl) {
    job->result = FINGERPRINT_FAILED;
    snprintf(job->error, sizeof job->error, "out of memory");
    return;
  }
  curl_easy_setopt(curl, CURLOPT_URL, job->url);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, FETCH_TIMEOUT_S);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, job);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, still_wanted);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, job);
  CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_OK)
    check_body(job);
  else
    explain(job, curl, code);
  curl_easy_cleanup(curl);
}

static void fetched(uv_work_t *work, int status)
{
  struct fingerprint_job *job = work->data;
  if (job->done) {
    worker_enter(job->worker);
    job->done(job->ctx, job->result, job->result == FINGERPRINT_GOT ? job->body : job->error);
  }
  free(job);
}

struct fingerprint_job *fingerprint_fetch(struct worker *worker, const char *host, const char *port,
                                          void (*done)(void *ctx, enum fingerprint_result result, const char *text),
                                          void *ctx)
{
  struct fingerprint_job *job = calloc(1, sizeof *job);
  if (!job)
    return NULL;
  job->worker = worker;
  job->done = done;
  job->ctx = ctx;
  job->work.data = job;
  snprintf(job->url, sizeof job->url,
           strchr(host, ':') ? "http://[%s]:%s/certificate.sha256" : "http://%s:%s/certificate.sha256", host, port);
  if (uv_queue_work(worker->loop, &job->work, fetch, fetched) < 0) {
    free(job);
    return NULL;
  }
  return job;
}

void fingerprint_cancel(struct fingerprint_job *job)
{
  if (!job)
    return;
  job->done = NULL;
  atomic_store(&job->cancelled, true);
}
