/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "media/text_bytes.h"

#include <errno.h>
#include <stdlib.h>

static int hex_digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int media_hex_decode(const char *text, size_t len, uint8_t **ret_data, size_t *ret_len)
{
  if (len % 2)
    return -EINVAL;
  uint8_t *data = malloc(len / 2 + 1);
  if (!data)
    return -ENOMEM;
  for (size_t i = 0; i < len / 2; i++) {
    int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) {
      free(data);
      return -EINVAL;
    }
    data[i] = (uint8_t)(high << 4 | low);
  }
  *ret_data = data;
  *ret_len = len / 2;
  return 0;
}

char *media_hex_encode(const uint8_t *data, size_t len)
{
  static const char digits[] = "0123456789abcdef";
  char *text = malloc(2 * len + 1);
  if (!text)
    return NULL;
  for (size_t i = 0; i < len; i++) {
    text[2 * i] = digits[data[i] >> 4];
    text[2 * i + 1] = digits[data[i] & 15];
  }
  text[2 * len] = '\0';
  return text;
}

static int base64_digit(char c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int media_base64_decode(const char *text, size_t len, uint8_t **ret_data, size_t *ret_len)
{
  for (int pad = 0; pad < 2 && len > 0 && text[len - 1] == '='; pad++)
    len--;
  if (len % 4 == 1)
    return -EINVAL;
  uint8_t *data = malloc(len / 4 * 3 + 3);
  if (!data)
    return -ENOMEM;
  uint32_t bits = 0;
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    int digit = base64_digit(text[i]);
    if (digit < 0) {
      free(data);
      return -EINVAL;
    }
    bits = bits << 6 | (uint32_t)digit;
    if (i % 4 > 0)
      data[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
  }
  *ret_data = data;
  *ret_len = n;
  return 0;
}
