// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What the browser tests share: Chromium, a static server for the page, and pixels of a canvas.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { importFrom, modulesDir } from "../../web/build.mjs";

const CHROMIUM = process.env.MOQ_CHROMIUM ?? "/usr/bin/chromium";

// WebTransport needs QUIC, so --disable-quic must never appear here.
const CHROMIUM_ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding",
  "--autoplay-policy=no-user-gesture-required",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];

const LAUNCH_TIMEOUT_MS = 60_000;
const CONTENT_TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** A failed expectation: printed as one line, without a stack. */
export class Failure extends Error {}

export async function launch() {
  const { chromium } = await importFrom(modulesDir(), "playwright-core");
  return await chromium.launch({
    executablePath: CHROMIUM,
    args: CHROMIUM_ARGS,
    headless: true,
    ignoreDefaultArgs: ["--mute-audio"],
    timeout: LAUNCH_TIMEOUT_MS,
  });
}

/** Opens @p url; what the page logs goes to stderr when MOQ_VERBOSE is set, page errors always. */
export async function openPage(browser, url) {
  const context = await browser.newContext({ permissions: ["camera", "microphone"] });
  const page = await context.newPage();
  page.on("pageerror", (err) => console.error(`page error: ${err.message}`));
  page.on("console", (message) => {
    if (process.env.MOQ_VERBOSE) console.error(`[${message.type()}] ${message.text()}`);
  });
  await page.goto(url);
  return page;
}

/** Adds query parameters to an address, leaving out those that are undefined. */
export function withParams(base, params) {
  const url = new URL(base);
  for (const [key, value] of Object.entries(params)) {
    if (value !== undefined) url.searchParams.set(key, value);
  }
  return url.href;
}

/** Serves the files of one flat directory on http://localhost; returns {url, close}. */
export async function serveDirectory(dir) {
  const server = createServer(async (request, response) => {
    const name = path.basename(new URL(request.url, "http://localhost").pathname) || "index.html";
    const file = path.join(dir, name);
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    const type = CONTENT_TYPES[path.extname(name)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "localhost", resolve);
  });
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://localhost:${server.address().port}/`, close };
}

const SAMPLE = { width: 64, height: 36 };

/** A small grey picture of the canvas: an array of luma values. */
export async function samplePixels(page, selector) {
  return await page.evaluate(
    ({ selector, width, height }) => {
      const small = new OffscreenCanvas(width, height);
      const context = small.getContext("2d");
      context.drawImage(document.querySelector(selector), 0, 0, width, height);
      const { data } = context.getImageData(0, 0, width, height);
      const luma = [];
      for (let i = 0; i < data.length; i += 4) {
        luma.push((data[i] * 2 + data[i + 1] * 5 + data[i + 2]) >> 3);
      }
      return luma;
    },
    { selector, ...SAMPLE },
  );
}

/** How much a picture varies within itself: 0 for a blank one. */
export function contrast(luma) {
  return Math.max(...luma) - Math.min(...luma);
}

/** How many of the sampled pixels differ visibly between two pictures. */
export function difference(a, b) {
  const VISIBLE = 8;
  return a.reduce((count, value, i) => count + (Math.abs(value - b[i]) > VISIBLE ? 1 : 0), 0);
}

/** Calls @p attempt every @p intervalMs until it returns something true; fails after @p timeoutMs. */
export async function until(what, attempt, { timeoutMs = 20_000, intervalMs = 200 } = {}) {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const result = await attempt();
    if (result) return result;
    if (performance.now() > end) throw new Failure(`gave up waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

/** What the page says about itself, for the message of a failed test. */
export async function pageWords(page) {
  return await page.evaluate(() =>
    ["connection", "problem", "watch-state", "publish-state", "stats"]
      .map((id) => document.getElementById(id))
      .filter((element) => element && !element.closest("[hidden]") && element.textContent)
      .map((element) => `${element.id}: ${element.textContent}`)
      .join("; "),
  );
}

/** Waits until the player on @p page paints, then until its picture has changed several times. */
export async function expectMovingPictures(page, options) {
  const MIN_CONTRAST = 30;
  const MIN_DIFFERENCE = 5;
  const CHANGES = 3;
  const picture = async () => {
    const luma = await samplePixels(page, "#canvas");
    return contrast(luma) >= MIN_CONTRAST ? luma : undefined;
  };
  try {
    let last = await until("a picture on the canvas", picture, options);
    const counts = [];
    for (let i = 0; i < CHANGES; i++) {
      last = await until(
        `change ${i + 1} of the picture`,
        async () => {
          const luma = await picture();
          const count = luma ? difference(last, luma) : 0;
          if (count < MIN_DIFFERENCE) return undefined;
          counts.push(count);
          return luma;
        },
        options,
      );
    }
    const stats = await page.textContent("#stats");
    console.log(`moving pictures: ${counts.join(", ")} of ${last.length} pixels changed (${stats})`);
  } catch (err) {
    if (err instanceof Failure) err.message += ` [${await pageWords(page)}]`;
    throw err;
  }
}

/** Switches the sound on and waits until samples have been played. */
export async function expectSound(page, options) {
  await page.click("#sound");
  const data = (name) => page.evaluate((key) => Number(document.getElementById("screen").dataset[key]), name);
  const bytes = await until("sound to arrive", () => data("audioBytes"), options);
  const start = await until("sound to play", () => data("audioMs"), options);
  await until("sound to go on playing", async () => (await data("audioMs")) > start, options);
  console.log(`sound plays (${bytes} bytes at the first look)`);
}

/** Runs @p body with a browser; exit status 0 when it returns, 1 when it throws. */
export async function run(name, body) {
  let browser;
  try {
    browser = await launch();
    await body(browser);
    console.log(`PASS ${name}`);
  } catch (err) {
    console.error(`FAIL ${name}: ${err instanceof Failure ? err.message : err.stack}`);
    process.exitCode = 1;
  } finally {
    await browser?.close();
  }
}
