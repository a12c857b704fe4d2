/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From the configuration to the bounds and settings of the parts. Pure. */
#pragma once
#include "auth/privacypass.h"
#include "auth/server.h"
#include "config/relay_config.h"
#include "model/origin.h"
#include "net/quic.h"
#include "session/lite/session.h"
#include "web/http.h"

void settings_quic(const struct relay_config *c, struct quic_limits *ret_limits);
void settings_model(const struct relay_config *c, struct model_limits *ret_limits);
void settings_lite(const struct relay_config *c, struct lite_limits *ret_limits);
/* All but what is the worker's; strings are borrowed from c. */
void settings_auth_server(const struct relay_config *c, struct auth_server_config *ret_config);
void settings_privacypass(const struct relay_config *c, struct privacypass_config *ret_config);
/* What both HTTP listeners share; strings and lists are borrowed from c. */
void settings_http(const struct relay_config *c, struct http_config *ret_http);

/* The end of drain_timeout, ns: who has not left by then is closed, and has this time to hear of it. */
uint64_t settings_last_words(const struct relay_config *c);
