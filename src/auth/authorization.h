/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The Authorization field of HTTP (RFC 9110, section 11.6.2), on requests and on a CONNECT alike. */
#pragma once

/* The token of the scheme Bearer (RFC 6750, section 2.1), borrowed from the field; NULL for another scheme or no field
 * (NULL). The scheme's case is not looked at. */
const char *authorization_bearer(const char *field);

/* The field itself when its scheme is PrivateToken (RFC 9577, section 2.2), else NULL. */
const char *authorization_private_token(const char *field);
