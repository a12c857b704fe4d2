/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/lite/lite.h"

static const char *reset_name(uint64_t code)
{
  static const char *const names[LITE_CODE_APPLICATION] = {
      [LITE_RESET_INTERNAL] = "internal",
      [LITE_RESET_CANCELLED] = "cancelled",
      [LITE_RESET_TIMEOUT] = "delivery timeout",
      [LITE_RESET_SESSION_CLOSED] = "session closed",
      [LITE_RESET_GOING_AWAY] = "going away",
      [LITE_RESET_TOO_FAR_BEHIND] = "too far behind",
      [LITE_RESET_MALFORMED] = "malformed",
      [LITE_RESET_CONTROL_TIMEOUT] = "control timeout",
      [LITE_RESET_GROUP_TOO_LARGE] = "group too large",
      [LITE_RESET_NOT_FOUND] = "not found",
      [LITE_RESET_OLD] = "old",
      [LITE_RESET_EVICTED] = "evicted",
      [LITE_RESET_UNROUTABLE] = "unroutable",
      [LITE_RESET_WRONG_FRAME_SIZE] = "wrong frame size",
      [LITE_RESET_FRAME_TOO_LARGE] = "frame too large",
      [LITE_RESET_TIMESTAMP] = "timestamp does not fit the timescale",
  };
  return code < LITE_CODE_APPLICATION ? names[code] : NULL;
}

static const char *close_name(uint64_t code)
{
  static const char *const names[LITE_CODE_APPLICATION] = {
      [LITE_CLOSE_DONE] = "done",
      [LITE_CLOSE_INTERNAL] = "internal",
      [LITE_CLOSE_UNAUTHORIZED] = "unauthorized",
      [LITE_CLOSE_PROTOCOL] = "protocol violation",
      [LITE_CLOSE_PARAMETERS] = "bad parameters",
      [LITE_CLOSE_GOAWAY_TIMEOUT] = "goaway timeout",
      [LITE_CLOSE_CONTROL_TIMEOUT] = "control timeout",
      [LITE_CLOSE_VERSION] = "no common version",
  };
  return code < LITE_CODE_APPLICATION ? names[code] : NULL;
}

static bool is_application(uint64_t code)
{
  return code >= LITE_CODE_APPLICATION && code - LITE_CODE_APPLICATION < LITE_APPLICATION_CODES;
}

static const char *or_other(const char *name, uint64_t code)
{
  if (name)
    return name;
  return is_application(code) ? "application" : "unknown";
}

const char *lite_reset_name(uint64_t code)
{
  if (code == LITE_RESET_OVER_LIMIT)
    return "over a limit";
  return or_other(reset_name(code), code);
}

const char *lite_close_name(uint64_t code)
{
  if (code == LITE_CLOSE_MEMORY)
    return "memory";
  return or_other(close_name(code), code);
}

uint64_t lite_reset_relayed(uint64_t code)
{
  return reset_name(code) || is_application(code) ? code : LITE_RESET_INTERNAL;
}
