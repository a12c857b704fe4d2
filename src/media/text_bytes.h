/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bytes inside JSON strings: hexadecimal, and base64 (RFC 4648, section 4). */
#ifndef MOQ_MEDIA_TEXT_BYTES_H
#define MOQ_MEDIA_TEXT_BYTES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Both: 0 with *ret_data (malloc, at least one byte of room) and *ret_len set, -EINVAL for text
 * that is not of that kind, -ENOMEM. base64 may lack its padding.
 */
int media_hex_decode(const char *text, size_t len, uint8_t **ret_data, size_t *ret_len);
int media_base64_decode(const char *text, size_t len, uint8_t **ret_data, size_t *ret_len);

/* Lower case, zero-terminated; free() it. NULL when out of memory. */
char *media_hex_encode(const uint8_t *data, size_t len);

#endif
