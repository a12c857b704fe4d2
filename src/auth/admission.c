/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/admission.h"
#include "auth/public.h"
#include "base/path.h"
#include <errno.h>
#include <stdlib.h>

struct admission {
  struct public_rules rules;
};

int admission_new(const struct admission_config *config, struct admission **ret_admission, struct err *ret_err)
{
  struct admission *a = calloc(1, sizeof *a);
  if (!a)
    return err_set(ret_err, -ENOMEM, "out of memory");
  int rc = public_rules_init(&a->rules, config, ret_err);
  if (rc < 0) {
    free(a);
    return rc;
  }
  *ret_admission = a;
  return 0;
}

void admission_free(struct admission *a)
{
  if (!a)
    return;
  public_rules_destroy(&a->rules);
  free(a);
}

/* Whether the query has a non-empty jwt parameter: the first one counts. */
static bool has_token(const char *query)
{
  while (query && *query) {
    if (strncmp(query, "jwt=", 4) == 0)
      return query[4] != '\0' && query[4] != '&';
    query = strchr(query, '&');
    if (query)
      query++;
  }
  return false;
}

static void answer(struct admission_ticket *t, int status, const struct grant *grant, const char *reason)
{
  list_remove(&t->link);
  t->done(t, status, grant, reason);
}

void admission_start(struct admission *a, const struct admission_request *request, struct admission_ticket *ticket)
{
  size_t n = request->query ? strlen(request->url) : strcspn(request->url, "?");
  const char *query = request->query;
  if (!query && request->url[n] == '?')
    query = request->url + n + 1;
  struct path path;
  if (path_parse(&path, slice_of(request->url, n)) < 0) {
    answer(ticket, 400, NULL, "malformed path");
    return;
  }
  /* A token never falls back to the public rules. */
  if (has_token(query)) {
    answer(ticket, 401, NULL, "authentication is disabled");
    return;
  }
  struct grant grant = {.root = path_slice(&path), .source = "public", .subject = ""};
  if (!public_rules_grant(&a->rules, &grant) || grant_is_empty(&grant)) {
    answer(ticket, 401, NULL, "the path is not public");
    return;
  }
  answer(ticket, 0, &grant, NULL);
}

void admission_cancel(struct admission_ticket *ticket)
{
  list_remove(&ticket->link);
}
