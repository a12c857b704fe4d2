/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "auth/pp_token.h"
#include <errno.h>

#define SCHEME_TOKEN 0x01 /* PrivateTokenAuth, draft version 01 */
#define ALIAS_USE_VALUE 3 /* of the Token structure; aliases would be registered for tokens that are good once */

int pp_challenge_decode(struct slice bytes, struct pp_challenge *ret_challenge)
{
  struct cursor c = cursor_of(bytes);
  struct pp_challenge v = {.type = cursor_u16(&c)};
  v.issuer = cursor_bytes(&c, cursor_u16(&c));
  v.context = cursor_bytes(&c, cursor_u8(&c));
  v.origin_info = cursor_bytes(&c, cursor_u16(&c));
  if (!cursor_done(&c) || v.issuer.n == 0 || (v.context.n != 0 && v.context.n != PP_CONTEXT_BYTES))
    return -EINVAL;
  *ret_challenge = v;
  return 0;
}

void pp_challenge_encode(struct buf *out, const struct pp_challenge *c)
{
  if (c->issuer.n == 0 || c->issuer.n > UINT16_MAX || c->origin_info.n > UINT16_MAX ||
      (c->context.n != 0 && c->context.n != PP_CONTEXT_BYTES)) {
    out->failed = true;
    return;
  }
  buf_u16(out, c->type);
  buf_u16(out, (uint16_t)c->issuer.n);
  buf_bytes(out, c->issuer);
  buf_u8(out, (uint8_t)c->context.n);
  buf_bytes(out, c->context);
  buf_u16(out, (uint16_t)c->origin_info.n);
  buf_bytes(out, c->origin_info);
}

int pp_token_decode(struct slice bytes, struct pp_token *ret_token)
{
  struct cursor c = cursor_of(bytes);
  uint16_t type = cursor_u16(&c);
  struct pp_token v = {.nonce = cursor_bytes(&c, PP_NONCE_BYTES)};
  if (bytes.n >= 2 && type != PP_TYPE)
    return -EPROTONOSUPPORT;
  v.digest = cursor_bytes(&c, PP_DIGEST_BYTES);
  v.key_id = cursor_bytes(&c, PP_KEY_ID_BYTES);
  v.signature = cursor_bytes(&c, PP_SIGNATURE_BYTES);
  v.input = slice_of(bytes.p, PP_SIGNED_BYTES);
  if (!cursor_done(&c))
    return -EINVAL;
  *ret_token = v;
  return 0;
}

static int decode_structure(struct slice value, uint64_t token_type, struct slice *ret_token)
{
  struct cursor c = cursor_of(value);
  uint64_t alias_type = cursor_varint(&c), type = cursor_varint(&c);
  struct slice token = cursor_rest(&c);
  if (!cursor_done(&c) || alias_type != ALIAS_USE_VALUE || type != token_type || token_type == PP_MOQT_TOKEN_TYPE_NONE)
    return -EINVAL;
  *ret_token = token;
  return 0;
}

int pp_setup_decode(struct slice value, uint64_t token_type, struct slice *ret_token)
{
  struct cursor c = cursor_of(value);
  uint8_t scheme = cursor_u8(&c);
  struct slice token = cursor_bytes(&c, cursor_u16(&c));
  if (!cursor_done(&c) || scheme != SCHEME_TOKEN)
    return decode_structure(value, token_type, ret_token);
  *ret_token = token;
  return 0;
}

void pp_setup_encode(struct buf *out, struct slice token)
{
  if (token.n > UINT16_MAX) {
    out->failed = true;
    return;
  }
  buf_u8(out, SCHEME_TOKEN);
  buf_u16(out, (uint16_t)token.n);
  buf_bytes(out, token);
}
