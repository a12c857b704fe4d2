/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/lite/lite.h"
#include <assert.h>

static const struct lite_version_info versions[LITE_VERSIONS] = {
    [LITE_01] = {.version = LITE_01,
                 .name = "01",
                 .alpn = "moql",
                 .code = 0xff0dad01,
                 .ints = &varint_quic,
                 .legacy_setup = true,
                 .announce_init = true,
                 .hops = LITE_HOPS_NONE,
                 .subscribe_ok = true},
    [LITE_02] = {.version = LITE_02,
                 .name = "02",
                 .alpn = "moql",
                 .code = 0xff0dad02,
                 .ints = &varint_quic,
                 .legacy_setup = true,
                 .announce_init = true,
                 .hops = LITE_HOPS_NONE,
                 .subscribe_ok = true},
    [LITE_03] = {.version = LITE_03,
                 .name = "03",
                 .alpn = "moq-lite-03",
                 .code = 0xff0dad03,
                 .ints = &varint_quic,
                 .hops = LITE_HOPS_COUNT,
                 .subscribe_ok = true,
                 .max_age = true,
                 .group_start_latest = true,
                 .probe = true},
    [LITE_04] = {.version = LITE_04,
                 .name = "04",
                 .alpn = "moq-lite-04",
                 .code = 0xff0dad04,
                 .ints = &varint_quic,
                 .exclude_hop = true,
                 .hops = LITE_HOPS_WITH_SENDER,
                 .subscribe_ok = true,
                 .max_age = true,
                 .group_start_latest = true,
                 .probe = true,
                 .probe_rtt = true,
                 .goaway = true},
    [LITE_05] = {.version = LITE_05,
                 .name = "05",
                 .alpn = "moq-lite-05",
                 .code = 0xff0dad05,
                 .ints = &varint_quic,
                 .setup_stream = true,
                 .announce_ok = true,
                 .announce_again = true,
                 .exclude_hop = true,
                 .hops = LITE_HOPS_WITHOUT_SENDER,
                 .max_age = true,
                 .group_start_latest = true,
                 .track = true,
                 .fetch = true,
                 .probe = true,
                 .probe_rtt = true,
                 .goaway = true,
                 .timestamps = true,
                 .datagrams = true},
    [LITE_06] = {.version = LITE_06,
                 .name = "06",
                 .alpn = "moq-lite-06",
                 .code = 0xff0dad06,
                 .ints = &varint_quic,
                 .setup_stream = true,
                 .announce_ok = true,
                 .typed_announces = true,
                 .hops = LITE_HOPS_WITHOUT_SENDER,
                 .costs = true,
                 .max_age = true,
                 .frame_bounds = true,
                 .track = true,
                 .fetch = true,
                 .probe = true,
                 .probe_rtt = true,
                 .goaway = true,
                 .timestamps = true,
                 .datagrams = true},
    [LITE_07] = {.version = LITE_07,
                 .name = "07-wip",
                 .alpn = "moq-lite-07-wip",
                 .code = 0xff0dad07,
                 .by_name_only = true,
                 .ints = &varint_ones,
                 .setup_stream = true,
                 .announce_ok = true,
                 .typed_announces = true,
                 .hidden = true,
                 .bases = true,
                 .hops = LITE_HOPS_WITHOUT_SENDER,
                 .costs = true,
                 .stream_count = true,
                 .max_age = true,
                 .frame_bounds = true,
                 .track = true,
                 .fetch = true,
                 .probe = true,
                 .probe_rtt = true,
                 .goaway = true,
                 .timestamps = true,
                 .datagrams = true},
};

const struct lite_version_info *lite_info(enum lite_version v)
{
  assert((unsigned)v < LITE_VERSIONS);
  return &versions[v];
}

unsigned lite_default_versions(void)
{
  unsigned mask = 0;
  for (size_t i = 0; i < LITE_VERSIONS; i++) {
    if (!versions[i].by_name_only)
      mask |= 1u << i;
  }
  return mask;
}

/* Newest first, so that an ALPN that two versions share means the newer. */
bool lite_from_alpn(struct slice alpn, enum lite_version *ret_version)
{
  for (size_t i = LITE_VERSIONS; i-- > 0;) {
    if (slice_eq(alpn, slice_str(versions[i].alpn))) {
      *ret_version = versions[i].version;
      return true;
    }
  }
  return false;
}

bool lite_from_code(uint64_t code, enum lite_version *ret_version)
{
  for (size_t i = 0; i < LITE_VERSIONS; i++) {
    if (versions[i].legacy_setup && versions[i].code == code) {
      *ret_version = versions[i].version;
      return true;
    }
  }
  return false;
}
