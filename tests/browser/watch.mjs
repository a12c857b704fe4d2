// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Opens the demo page on one broadcast and expects moving pictures.
//
//   node watch.mjs URL NAME [--sound] [--relay=URL] [--page=DIR] [--timeout=SECONDS]
//                  [--screenshot=FILE]
//
// URL is the page. --page=DIR serves the page from a directory instead and takes URL for the relay;
// --relay=URL makes the page at URL talk to another relay.

import { parseArgs } from "node:util";
import { expectMovingPictures, expectSound, openPage, run, serveDirectory, withParams } from "./harness.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sound: { type: "boolean" },
    relay: { type: "string" },
    page: { type: "string" },
    timeout: { type: "string", default: "30" },
    screenshot: { type: "string" },
  },
});
const [address, name] = positionals;
if (!address || name === undefined) {
  console.error("usage: watch.mjs URL NAME [--sound] [--relay=URL] [--page=DIR] [--timeout=SECONDS] [--screenshot=FILE]");
  process.exit(2);
}
const wait = { timeoutMs: Number(values.timeout) * 1000 };
const server = values.page ? await serveDirectory(values.page) : undefined;

await run(`watch ${name}`, async (browser) => {
  const relay = server ? address : values.relay;
  const page = await openPage(browser, withParams(server?.url ?? address, { watch: name, url: relay }));
  await expectMovingPictures(page, wait);
  if (values.sound) await expectSound(page, wait);
  if (values.screenshot) await page.screenshot({ path: values.screenshot });
});
server?.close();
