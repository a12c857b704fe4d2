// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The page side of net-track.mjs.

import { Connection, Path } from "@moq/net";

function base64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function within(promise, ms, what) {
  const { promise: late, reject } = Promise.withResolvers();
  const timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)), ms);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function read(connection, { broadcast, track, frames, timeoutMs, payload }) {
  const subscriber = connection.consume(Path.from(broadcast)).track(track).subscribe({ priority: 1 });
  let count = 0;
  while (count < frames) {
    const next = await within(subscriber.readFrameSequence(), timeoutMs, "frame");
    if (!next) return { frames: count, ended: true };
    count++;
    await globalThis.printFrame({
      group: next.group,
      frame: next.frame,
      timestamp: Math.round(next.timestamp.asMicros()),
      size: next.payload.byteLength,
      payload: payload ? base64(next.payload) : undefined,
    });
  }
  return { frames: count, ended: false };
}

globalThis.readTrack = async (options) => {
  let connection;
  try {
    const opening = Connection.connect(new URL(options.url), { websocket: { enabled: false } });
    connection = await within(opening, options.timeoutMs, "connection");
    const result = await read(connection, options);
    return { version: connection.version, transport: connection.transport, ...result };
  } catch (err) {
    return { error: String(err?.message ?? err) };
  } finally {
    connection?.close();
  }
};
