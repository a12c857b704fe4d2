/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/lite/tables.h"
#include "base/varint.h"
#include <assert.h>

#define AT(message, member) offsetof(struct lite_##message, member)
#define FIELD(kind_, message, member, versions_)                                                                       \
  {                                                                                                                    \
    .kind = KIND_##kind_, .offset = AT(message, member), .versions = (versions_)                                       \
  }

/* The lists are addressed as a struct lite_list. */
#define LIST_AT(message, count_, items_)                                                                               \
  static_assert(AT(message, items_) == AT(message, count_) + offsetof(struct lite_list, items),                        \
                "a list's count and items lie together")
LIST_AT(client_setup, version_count, versions);
LIST_AT(announce_init, count, suffixes);

/* ---- Setup ---- */

#define LEGACY_PARAMETER(id_, kind_, member)                                                                           \
  {                                                                                                                    \
    .id = (id_), .kind = KIND_##kind_, .offset = AT(client_setup, member), .versions = V01 | V02                       \
  }

static const struct lite_parameter legacy_parameters[] = {
    LEGACY_PARAMETER(1, BYTES, path),           LEGACY_PARAMETER(2, INT, max_request_id),
    LEGACY_PARAMETER(3, BYTES, authorization),  LEGACY_PARAMETER(5, BYTES, authority),
    LEGACY_PARAMETER(7, BYTES, implementation),
};

#define SETUP_PARAMETER(id_, kind_, member, versions_)                                                                 \
  .id = (id_), .kind = KIND_##kind_, .offset = AT(setup, member), .versions = (versions_)

static const struct lite_parameter setup_parameters[] = {
    {SETUP_PARAMETER(1, U8, probe, V05_UP), .max = 2, .over = 2},
    {SETUP_PARAMETER(2, STRING, path, V05_UP)},
    {SETUP_PARAMETER(3, U8, role, V05_UP), .max = LITE_ROLE_SUBSCRIBER, .over = LITE_ROLE_BOTH},
    {SETUP_PARAMETER(4, INT, cost, V06_UP), .absent = 1},
    {SETUP_PARAMETER(5, INT, hop, V05_UP)},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct lite_parameter_set legacy_set = {legacy_parameters, COUNT(legacy_parameters), .by_parity = true};
/* moq-transport before draft 11 and the oldest moq-lite write a length before every value. */
static const struct lite_parameter_set oldest_set = {legacy_parameters, COUNT(legacy_parameters)};
/* A server's parameters mean nothing to us: skipped, and sent empty. */
static const struct lite_parameter_set ignored_set = {NULL, 0, .by_parity = true};
static const struct lite_parameter_set ignored_oldest_set = {NULL, 0};
static const struct lite_parameter_set setup_set = {setup_parameters, COUNT(setup_parameters)};

#define PARAMETERS(set, versions_)                                                                                     \
  {                                                                                                                    \
    .kind = KIND_PARAMETERS, .versions = (versions_), .parameters = &(set)                                             \
  }
#define CLIENT_VERSIONS                                                                                                \
  {                                                                                                                    \
    .kind = KIND_INTS, .offset = AT(client_setup, version_count), .versions = V01 | V02,                               \
    .max = LITE_SETUP_VERSIONS_MAX                                                                                     \
  }

static const struct lite_field client_setup[] = {CLIENT_VERSIONS, PARAMETERS(legacy_set, V01 | V02)};
static const struct lite_field client_setup_oldest[] = {CLIENT_VERSIONS, PARAMETERS(oldest_set, V01 | V02)};
static const struct lite_field server_setup[] = {FIELD(INT, server_setup, version, V01 | V02),
                                                 PARAMETERS(ignored_set, V01 | V02)};
static const struct lite_field server_setup_oldest[] = {FIELD(INT, server_setup, version, V01 | V02),
                                                        PARAMETERS(ignored_oldest_set, V01 | V02)};
static const struct lite_field session_info[] = {FIELD(INT, session_info, bitrate, V01 | V02)};
static const struct lite_field setup[] = {PARAMETERS(setup_set, V05_UP)};

/* ---- Announce ---- */

static const struct lite_field announce_request[] = {
    FIELD(PATH, announce_request, prefix, V_ALL),
    FIELD(INT, announce_request, exclude_hop, V04 | V05),
    {.kind = KIND_U8, .offset = AT(announce_request, hidden), .versions = V07_UP, .max = 1},
};
static const struct lite_field announce_init[] = {FIELD(PATHS, announce_init, count, V01 | V02)};
static const struct lite_field announce_ok[] = {
    FIELD(INT, announce_ok, hop, V05_UP),
    FIELD(INT, announce_ok, active, V05_UP),
};
static const struct lite_field announce[] = {
    {.kind = KIND_U8, .offset = AT(announce, status), .versions = V01 | V02 | V03 | V04, .max = LITE_ACTIVE},
    {.kind = KIND_U8, .offset = AT(announce, status), .versions = V05, .max = LITE_RESTART},
    FIELD(PATH, announce, suffix, V_ALL),
    FIELD(HOPS, announce, hops, V03 | V04 | V05),
};
#define BASE(message, base, member)                                                                                    \
  {                                                                                                                    \
    .kind = KIND_INT, .offset = AT(message, base) + offsetof(struct lite_base, member), .versions = V07_UP             \
  }

static const struct lite_field announce_start[] = {
    BASE(announce_start, path_base, distance),     BASE(announce_start, path_base, keep),
    FIELD(PATH, announce_start, suffix, V06_UP),   BASE(announce_start, hop_base, distance),
    FIELD(HOPS, announce_start, hops, V06_UP),     BASE(announce_start, hop_base, keep),
    FIELD(INT, announce_start, warm_cost, V06_UP), FIELD(INT, announce_start, cold_cost, V06_UP),
};
static const struct lite_field announce_end[] = {FIELD(INT, announce_end, id, V06_UP)};
static const struct lite_field announce_update[] = {
    FIELD(INT, announce_update, id, V06_UP),        BASE(announce_update, hop_base, distance),
    FIELD(HOPS, announce_update, hops, V06_UP),     BASE(announce_update, hop_base, keep),
    FIELD(INT, announce_update, warm_cost, V06_UP), FIELD(INT, announce_update, cold_cost, V06_UP),
};

static bool base_valid(const struct lite_version_info *info, const struct lite_base *b)
{
  return !info->bases || b->distance > 0 || b->keep == 0;
}

static bool start_valid(const struct lite_version_info *info, const union lite_body *b)
{
  return base_valid(info, &b->announce_start.path_base) && base_valid(info, &b->announce_start.hop_base);
}

static bool update_valid(const struct lite_version_info *info, const union lite_body *b)
{
  return base_valid(info, &b->announce_update.hop_base);
}

/* ---- Subscribe ---- */

#define OR_NONE(kind_, offset_, versions_)                                                                             \
  {                                                                                                                    \
    .kind = KIND_##kind_, .offset = (offset_), .versions = (versions_), .none_if_absent = true                         \
  }
#define WANT(message, member) (AT(message, want) + offsetof(struct lite_want, member))
#define WANT_FIELDS(message)                                                                                           \
  {.kind = KIND_U8, .offset = WANT(message, priority), .versions = V_ALL},                                             \
      {.kind = KIND_U8, .offset = WANT(message, ordered), .versions = V03 | V04 | V05},                                \
      OR_NONE(INT, WANT(message, max_age), V03_UP), OR_NONE(OPT, WANT(message, group_start), V03 | V04 | V05),         \
      OR_NONE(FLOOR, WANT(message, group_start), V06_UP), OR_NONE(OPT, WANT(message, group_end), V03_UP),              \
      {.kind = KIND_INT, .offset = WANT(message, frame_start), .versions = V06_UP},                                    \
      OR_NONE(OPT, WANT(message, frame_end), V06_UP)

static const struct lite_field subscribe[] = {
    FIELD(INT, subscribe, id, V_ALL),
    FIELD(PATH, subscribe, broadcast, V_ALL),
    FIELD(STRING, subscribe, track, V_ALL),
    WANT_FIELDS(subscribe),
};
/* 01 and 02: only JS would send it, the priority alone. */
static const struct lite_field subscribe_update[] = {WANT_FIELDS(subscribe_update)};
static const struct lite_field subscribe_ok[] = {
    FIELD(U8, subscribe_ok, priority, V01 | V03 | V04),   FIELD(U8, subscribe_ok, ordered, V03 | V04),
    OR_NONE(INT, AT(subscribe_ok, max_age), V03 | V04),   OR_NONE(OPT, AT(subscribe_ok, group_start), V03 | V04),
    OR_NONE(OPT, AT(subscribe_ok, group_end), V03 | V04),
};
static const struct lite_field subscribe_start[] = {FIELD(INT, subscribe_start, group, V05_UP)};
static const struct lite_field subscribe_end[] = {
    FIELD(INT, subscribe_end, group, V05_UP),
    FIELD(INT, subscribe_end, streams, V07_UP),
};
/* Gone in 07, which counts streams instead. */
#define V03_TO_06 (V03 | V04 | V05 | V06)
static const struct lite_field subscribe_drop[] = {
    FIELD(INT, subscribe_drop, start, V03_TO_06),
    FIELD(INT, subscribe_drop, end, V03_TO_06),
    FIELD(INT, subscribe_drop, error, V03_TO_06),
};

static bool want_valid(const struct lite_version_info *info, const struct lite_want *w)
{
  return !info->frame_bounds || w->frame_end == LITE_NONE || w->group_end != LITE_NONE;
}

static bool subscribe_valid(const struct lite_version_info *info, const union lite_body *b)
{
  return want_valid(info, &b->subscribe.want);
}

static bool subscribe_update_valid(const struct lite_version_info *info, const union lite_body *b)
{
  return want_valid(info, &b->subscribe_update.want);
}

/* ---- The rest ---- */

static const struct lite_field track[] = {
    FIELD(PATH, track, broadcast, V05_UP),
    FIELD(STRING, track, track, V05_UP),
};
static const struct lite_field track_info[] = {
    FIELD(U8, track_info, priority, V05_UP),
    FIELD(U8, track_info, ordered, V05),
    OR_NONE(INT, AT(track_info, max_age), V05_UP),
    {.kind = KIND_INT, .offset = AT(track_info, timescale), .versions = V05_UP, .min = 1},
};
static const struct lite_field fetch[] = {
    FIELD(PATH, fetch, broadcast, V03_UP),  FIELD(STRING, fetch, track, V03_UP),
    FIELD(U8, fetch, priority, V03_UP),     FIELD(INT, fetch, group, V03_UP),
    FIELD(INT, fetch, frame_start, V06_UP), OR_NONE(OPT, AT(fetch, frame_end), V06_UP),
};
static const struct lite_field probe[] = {
    FIELD(INT, probe, bitrate, V03_UP),
    FIELD(INT, probe, rtt, V04_UP),
};
static const struct lite_field goaway[] = {
    {.kind = KIND_STRING, .offset = AT(goaway, uri), .versions = V04_UP, .max = LITE_GOAWAY_URI_MAX},
};
static const struct lite_field group[] = {
    FIELD(INT, group, subscribe_id, V_ALL),
    FIELD(INT, group, sequence, V_ALL),
    FIELD(INT, group, frame_start, V06_UP),
};

static bool fetch_valid(const struct lite_version_info *info, const union lite_body *b)
{
  return !info->frame_bounds || b->fetch.frame_end >= b->fetch.frame_start; /* LITE_NONE is above all */
}

/* ---- Messages ---- */

#define MESSAGE(name_, struct_, fields_)                                                                               \
  .name = (name_), .size = sizeof(struct lite_##struct_), .fields = (fields_), .n_fields = COUNT(fields_)

static const struct lite_message messages[LITE_MSGS] = {
    [LITE_UNKNOWN] = {.name = "unknown message"},
    [LITE_CLIENT_SETUP] = {MESSAGE("CLIENT_SETUP", client_setup, client_setup), .max = LITE_SETUP_MAX,
                           .u16_length = true},
    [LITE_SERVER_SETUP] = {MESSAGE("SERVER_SETUP", server_setup, server_setup), .max = LITE_SETUP_MAX,
                           .u16_length = true},
    [LITE_CLIENT_SETUP_OLDER] = {MESSAGE("CLIENT_SETUP", client_setup, client_setup_oldest), .max = LITE_SETUP_MAX},
    [LITE_SERVER_SETUP_OLDER] = {MESSAGE("SERVER_SETUP", server_setup, server_setup_oldest), .max = LITE_SETUP_MAX},
    [LITE_CLIENT_SETUP_OLDEST] = {MESSAGE("CLIENT_SETUP", client_setup, client_setup_oldest), .max = LITE_SETUP_MAX},
    [LITE_SERVER_SETUP_OLDEST] = {MESSAGE("SERVER_SETUP", server_setup, server_setup_oldest), .max = LITE_SETUP_MAX},
    [LITE_SESSION_INFO] = {MESSAGE("SESSION_INFO", session_info, session_info)},
    [LITE_SETUP] = {MESSAGE("SETUP", setup, setup), .max = LITE_SETUP_MAX},
    [LITE_ANNOUNCE_REQUEST] = {MESSAGE("ANNOUNCE_REQUEST", announce_request, announce_request)},
    [LITE_ANNOUNCE_INIT] = {MESSAGE("ANNOUNCE_INIT", announce_init, announce_init)},
    [LITE_ANNOUNCE_OK] = {MESSAGE("ANNOUNCE_OK", announce_ok, announce_ok)},
    [LITE_ANNOUNCE] = {MESSAGE("ANNOUNCE", announce, announce)},
    [LITE_ANNOUNCE_START] = {MESSAGE("ANNOUNCE_START", announce_start, announce_start), .valid = start_valid},
    [LITE_ANNOUNCE_END] = {MESSAGE("ANNOUNCE_END", announce_end, announce_end)},
    [LITE_ANNOUNCE_UPDATE] = {MESSAGE("ANNOUNCE_UPDATE", announce_update, announce_update), .valid = update_valid},
    [LITE_SUBSCRIBE] = {MESSAGE("SUBSCRIBE", subscribe, subscribe), .valid = subscribe_valid},
    [LITE_SUBSCRIBE_UPDATE] = {MESSAGE("SUBSCRIBE_UPDATE", subscribe_update, subscribe_update),
                               .valid = subscribe_update_valid},
    [LITE_SUBSCRIBE_OK] = {MESSAGE("SUBSCRIBE_OK", subscribe_ok, subscribe_ok)},
    [LITE_SUBSCRIBE_START] = {MESSAGE("SUBSCRIBE_START", subscribe_start, subscribe_start)},
    [LITE_SUBSCRIBE_END] = {MESSAGE("SUBSCRIBE_END", subscribe_end, subscribe_end)},
    [LITE_SUBSCRIBE_DROP] = {MESSAGE("SUBSCRIBE_DROP", subscribe_drop, subscribe_drop)},
    [LITE_TRACK] = {MESSAGE("TRACK", track, track)},
    [LITE_TRACK_INFO] = {MESSAGE("TRACK_INFO", track_info, track_info)},
    [LITE_FETCH] = {MESSAGE("FETCH", fetch, fetch), .valid = fetch_valid},
    [LITE_PROBE] = {MESSAGE("PROBE", probe, probe)},
    [LITE_GOAWAY] = {MESSAGE("GOAWAY", goaway, goaway), .max = LITE_GOAWAY_URI_MAX + VARINT_ONES_MAX_BYTES},
    [LITE_GROUP] = {MESSAGE("GROUP", group, group)},
};

static const struct lite_form forms[] = {
    {LITE_CLIENT_SETUP, V01 | V02, 0x20},
    {LITE_SERVER_SETUP, V01 | V02, 0x21},
    {LITE_CLIENT_SETUP_OLDER, V01 | V02, 0x40},
    {LITE_SERVER_SETUP_OLDER, V01 | V02, 0x41},
    {LITE_CLIENT_SETUP_OLDEST, V01 | V02, LITE_NO_TYPE},
    {LITE_SERVER_SETUP_OLDEST, V01 | V02, LITE_NO_TYPE},
    {LITE_SESSION_INFO, V01 | V02, LITE_NO_TYPE},
    {LITE_SETUP, V05_UP, LITE_NO_TYPE},
    {LITE_ANNOUNCE_REQUEST, V_ALL, LITE_NO_TYPE},
    {LITE_ANNOUNCE_INIT, V01 | V02, LITE_NO_TYPE},
    {LITE_ANNOUNCE_OK, V05_UP, LITE_NO_TYPE},
    {LITE_ANNOUNCE, V01 | V02 | V03 | V04 | V05, LITE_NO_TYPE},
    {LITE_ANNOUNCE_START, V06_UP, 0},
    {LITE_ANNOUNCE_END, V06_UP, 1},
    {LITE_ANNOUNCE_UPDATE, V06_UP, 2},
    {LITE_SUBSCRIBE, V_ALL, LITE_NO_TYPE},
    {LITE_SUBSCRIBE_UPDATE, V_ALL, LITE_NO_TYPE},
    {LITE_SUBSCRIBE_OK, V01 | V02, LITE_NO_TYPE},
    {LITE_SUBSCRIBE_OK, V03 | V04, 0},
    {LITE_SUBSCRIBE_START, V05_UP, 0},
    {LITE_SUBSCRIBE_END, V05_UP, 1},
    {LITE_SUBSCRIBE_DROP, V03 | V04, 1},
    {LITE_SUBSCRIBE_DROP, V05 | V06, 2},
    {LITE_TRACK, V05_UP, LITE_NO_TYPE},
    {LITE_TRACK_INFO, V05_UP, LITE_NO_TYPE},
    {LITE_FETCH, V03_UP, LITE_NO_TYPE},
    {LITE_PROBE, V03_UP, LITE_NO_TYPE},
    {LITE_GOAWAY, V04_UP, LITE_NO_TYPE},
    {LITE_GROUP, V_ALL, LITE_NO_TYPE},
};

#define OPENER(stream_) .stream = LITE_STREAM_##stream_, .side = LITE_OPENER
#define ACCEPTOR(stream_) .stream = LITE_STREAM_##stream_, .side = LITE_ACCEPTOR

static const struct lite_flow flows[] = {
    {OPENER(LEGACY), V01 | V02, LITE_CLIENT_SETUP, {LITE_SESSION_INFO}},
    {ACCEPTOR(LEGACY), V01 | V02, LITE_SERVER_SETUP, {LITE_SESSION_INFO}},
    {OPENER(LEGACY_OLDER), V01 | V02, LITE_CLIENT_SETUP_OLDER, {LITE_SESSION_INFO}},
    {ACCEPTOR(LEGACY_OLDER), V01 | V02, LITE_SERVER_SETUP_OLDER, {LITE_SESSION_INFO}},
    {OPENER(LEGACY_OLDEST), V01 | V02, LITE_CLIENT_SETUP_OLDEST, {LITE_SESSION_INFO}},
    {ACCEPTOR(LEGACY_OLDEST), V01 | V02, LITE_SERVER_SETUP_OLDEST, {LITE_SESSION_INFO}},
    {OPENER(ANNOUNCE), V_ALL, LITE_ANNOUNCE_REQUEST},
    {ACCEPTOR(ANNOUNCE), V01 | V02, LITE_ANNOUNCE_INIT, {LITE_ANNOUNCE}},
    {ACCEPTOR(ANNOUNCE), V03 | V04, LITE_UNKNOWN, {LITE_ANNOUNCE}},
    {ACCEPTOR(ANNOUNCE), V05, LITE_ANNOUNCE_OK, {LITE_ANNOUNCE}},
    {ACCEPTOR(ANNOUNCE), V06_UP, LITE_ANNOUNCE_OK, {LITE_ANNOUNCE_START, LITE_ANNOUNCE_END, LITE_ANNOUNCE_UPDATE}},
    {OPENER(SUBSCRIBE), V_ALL, LITE_SUBSCRIBE, {LITE_SUBSCRIBE_UPDATE}},
    {ACCEPTOR(SUBSCRIBE), V01 | V02, LITE_SUBSCRIBE_OK},
    {ACCEPTOR(SUBSCRIBE), V03 | V04, LITE_UNKNOWN, {LITE_SUBSCRIBE_OK, LITE_SUBSCRIBE_DROP}},
    {ACCEPTOR(SUBSCRIBE), V05 | V06, LITE_UNKNOWN, {LITE_SUBSCRIBE_START, LITE_SUBSCRIBE_END, LITE_SUBSCRIBE_DROP}},
    {ACCEPTOR(SUBSCRIBE), V07_UP, LITE_UNKNOWN, {LITE_SUBSCRIBE_START, LITE_SUBSCRIBE_END}},
    {OPENER(FETCH), V05_UP, LITE_FETCH},
    {ACCEPTOR(FETCH), V05_UP, .frames = true},
    {OPENER(PROBE), V03_UP, LITE_UNKNOWN, {LITE_PROBE}},
    {ACCEPTOR(PROBE), V03_UP, LITE_UNKNOWN, {LITE_PROBE}},
    {OPENER(GOAWAY), V04_UP, LITE_GOAWAY},
    {OPENER(TRACK), V05_UP, LITE_TRACK},
    {ACCEPTOR(TRACK), V05_UP, LITE_TRACK_INFO},
    {OPENER(GROUP), V_ALL, LITE_GROUP, .frames = true},
    {OPENER(SETUP), V05_UP, LITE_SETUP},
};

const struct lite_message *lite_message(enum lite_msg m)
{
  assert((unsigned)m < LITE_MSGS);
  return &messages[m];
}

const struct lite_form *lite_form(enum lite_version v, enum lite_msg m)
{
  for (size_t i = 0; i < COUNT(forms); i++) {
    if (forms[i].msg == m && forms[i].versions & V(v))
      return &forms[i];
  }
  return NULL;
}

const struct lite_flow *lite_flow(enum lite_version v, enum lite_stream s, enum lite_side side)
{
  for (size_t i = 0; i < COUNT(flows); i++) {
    if (flows[i].stream == s && flows[i].side == side && flows[i].versions & V(v))
      return &flows[i];
  }
  return NULL;
}

bool lite_has(enum lite_version v, enum lite_msg m)
{
  return lite_form(v, m) != NULL;
}

const char *lite_msg_name(enum lite_msg m)
{
  return lite_message(m)->name;
}
