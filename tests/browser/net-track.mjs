// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Subscribes to one track with @moq/net in Chromium, over WebTransport, and prints each frame as a
// line of JSON: {"group", "frame", "timestamp" (us), "size", "payload" (base64)}; a last line says
// {"version", "transport", "frames", "ended"}.
//
//   node net-track.mjs URL BROADCAST TRACK [--frames=N] [--timeout=SECONDS] [--no-payload]
//
// Ends after N frames (default 10) or when the track ends; fails when nothing comes for SECONDS.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundleOptions, importFrom, modulesDir } from "../../web/build.mjs";
import { Failure, openPage, run, serveDirectory } from "./harness.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    frames: { type: "string", default: "10" },
    timeout: { type: "string", default: "20" },
    "no-payload": { type: "boolean" },
  },
});
const [url, broadcast, track] = positionals;
if (!url || broadcast === undefined || track === undefined) {
  console.error("usage: net-track.mjs URL BROADCAST TRACK [--frames=N] [--timeout=SECONDS] [--no-payload]");
  process.exit(2);
}

const here = path.dirname(fileURLToPath(import.meta.url));
const dir = await mkdtemp(path.join(tmpdir(), "moq-net-track-"));
const esbuild = await importFrom(modulesDir(), "esbuild");
await esbuild.build({
  ...bundleOptions(modulesDir()),
  entryPoints: [path.join(here, "net-track-page.js")],
  outfile: path.join(dir, "app.js"),
});
await writeFile(path.join(dir, "index.html"), '<!doctype html><script type="module" src="app.js"></script>');
const server = await serveDirectory(dir);

await run(`${broadcast} ${track}`, async (browser) => {
  const page = await openPage(browser, server.url);
  await page.exposeFunction("printFrame", (frame) => console.log(JSON.stringify(frame)));
  const result = await page.evaluate((options) => globalThis.readTrack(options), {
    url,
    broadcast,
    track,
    frames: Number(values.frames),
    timeoutMs: Number(values.timeout) * 1000,
    payload: !values["no-payload"],
  });
  if (result.error) throw new Failure(result.error);
  console.log(JSON.stringify(result));
});
server.close();
await rm(dir, { recursive: true });
