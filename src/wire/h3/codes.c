/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "wire/h3/codes.h"

/* One code in GREASE_STEP is reserved, so GREASE_STEP - 1 application codes lie between two
 * reserved points. */
#define GREASE_STEP 31
#define GREASE_BASE 0x21

uint64_t wt_code_to_h3(uint32_t code)
{
  return WT_CODE_FIRST + code + code / (GREASE_STEP - 1);
}

bool h3_code_to_wt(uint64_t wire, uint32_t *ret_code)
{
  if (wire < WT_CODE_FIRST || wire > WT_CODE_LAST || (wire - GREASE_BASE) % GREASE_STEP == 0)
    return false;
  uint64_t shifted = wire - WT_CODE_FIRST;
  *ret_code = (uint32_t)(shifted - shifted / GREASE_STEP);
  return true;
}
