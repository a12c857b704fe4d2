/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What `moq --help` and the manual page have in common. */
#include "moq.h"

const struct command *const commands[] = {&command_publish,   &command_subscribe, &command_fetch,
                                          &command_announced, &command_clock,     NULL};

const char moq_url_help[] = "  https://HOST[:PORT][/PATH]   WebTransport\n"
                            "  http://HOST[:PORT][/PATH]    WebTransport, the certificate's hash "
                            "is fetched from /certificate.sha256\n"
                            "  moql://HOST[:PORT][/PATH]    QUIC without HTTP (also moqt://)\n";
