// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The page's one connection to the relay, and words for when there is none.

import { Connection } from "@moq/net";

// A page stays open for days: never give up, but do not hammer a relay that is down.
const RETRY = { initial: 500, multiplier: 2, max: 5000, timeout: 0 };

const PROBE_TIMEOUT_MS = 3000;

/** The relay to talk to: the host that served this page, unless `?url=` names another. */
export function relayUrl(location) {
  const named = new URL(location.href).searchParams.get("url");
  return new URL(named ?? "/", location.href);
}

export function connect(url) {
  // WebSocket is off: the relay speaks WebTransport only, and a failed race would hide its error.
  return new Connection.Reload({ url, enabled: true, delay: RETRY, websocket: { enabled: false } });
}

/** Why this browser can never connect from this page, or undefined when it might. */
export function obstacle(url) {
  if (!globalThis.isSecureContext) {
    return (
      "A browser lets only secure pages use WebTransport and the camera. Open this page through " +
      "https, or on the relay's own machine as http://localhost" +
      `${url.port ? `:${url.port}` : ""}/.`
    );
  }
  if (!Connection.isWebTransportSupported()) {
    return (
      "This browser cannot use WebTransport well enough for live video yet. " +
      "Use a current Chrome, Edge or another browser built on Chromium."
    );
  }
  return undefined;
}

async function webServerAnswers(url) {
  const probe = new URL("/certificate.sha256", url);
  try {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    return (await fetch(probe, { signal, cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** Looks for the reason of a failed connection; resolves with a sentence for the user. */
export async function diagnose(url) {
  const place = `${url.host}${url.pathname === "/" ? "" : url.pathname}`;
  if (url.protocol === "http:" && !(await webServerAnswers(url))) {
    return `No answer from ${place}. Is the relay running? Trying again…`;
  }
  const port = url.port || (url.protocol === "http:" ? "80" : "443");
  return (
    `No WebTransport session with ${place}: UDP port ${port} does not answer, or the relay ` +
    "refused the session. Trying again…"
  );
}
