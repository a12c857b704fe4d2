// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Publishes Chromium's fake camera from one page and expects to see and hear it on a second page,
// reached as a person would: through the list of what is announced. Then the camera stops, and the
// list must forget it.
//
//   node publish.mjs URL [NAME] [--relay=URL] [--page=DIR] [--timeout=SECONDS] [--keep=SECONDS]
//
// --keep only publishes, for that long, for other tests to watch.

import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import {
  Failure,
  expectMovingPictures,
  expectSound,
  openPage,
  pageWords,
  run,
  serveDirectory,
  until,
  withParams,
} from "./harness.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    relay: { type: "string" },
    page: { type: "string" },
    timeout: { type: "string", default: "30" },
    keep: { type: "string" },
  },
});
const [address, name = "fake-camera"] = positionals;
if (!address) {
  console.error("usage: publish.mjs URL [NAME] [--relay=URL] [--page=DIR] [--timeout=SECONDS] [--keep=SECONDS]");
  process.exit(2);
}
const wait = { timeoutMs: Number(values.timeout) * 1000 };
const server = values.page ? await serveDirectory(values.page) : undefined;
const base = withParams(server?.url ?? address, { url: server ? address : values.relay });

async function startCamera(browser) {
  const page = await openPage(browser, withParams(base, { publish: name }));
  const live = () => page.evaluate(() => document.getElementById("preview-screen").dataset.state === "live");
  await until("the camera to be live", live, wait).catch(async (err) => {
    throw new Failure(`${err.message} [${await pageWords(page)}]`);
  });
  console.log(`publishing the fake camera as ${name}`);
  return page;
}

await run(`publish ${name}`, async (browser) => {
  const camera = await startCamera(browser);
  if (values.keep) {
    await sleep(Number(values.keep) * 1000);
    return;
  }
  const viewer = await openPage(browser, base);
  const entry = viewer.locator(`#broadcasts a[data-name="${name}"]`);
  await entry.click({ timeout: wait.timeoutMs });
  await expectMovingPictures(viewer, wait);
  await expectSound(viewer, wait);

  await viewer.click('nav a[data-view="home"]');
  await camera.click("#publish-stop");
  await entry.waitFor({ state: "detached", timeout: wait.timeoutMs });
  console.log("the list forgot the broadcast");
});
server?.close();
