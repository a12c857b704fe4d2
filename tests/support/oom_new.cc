/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* operator new, of the little C++ there is. */
#include "support/oom.h"
#include <cstddef>
#include <new>

extern "C" {
void *__real__Znwm(size_t n);
void *__wrap__Znwm(size_t n);

void *__wrap__Znwm(size_t n)
{
  if (oom_fails())
    throw std::bad_alloc();
  return __real__Znwm(n);
}
}
