// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Takes pairs of JavaScript clients in one Chromium through a relay (see clients-page.js).
//
//   node clients.mjs [--jobs=N] <ROWS
//
// Reads a JSON list of rows, {"name", "url", "path", "publisher", "viewer", "refused"}, each end being
// {"client", "protocols", "version"}: the client is a key of CLIENTS; protocols are what it offers, null
// for no list at all, absent for what it offers by itself; the version is the one that must come of it.
// With "refused" the relay must turn the viewer away; with "lenient" it may do two things that the
// Rust relay does: never tell 01 and 02 the end of what was live when they came, and lose a publisher whose
// groups begin with 0 again. Prints a line {"name", "problem"} for each row; no problem is "".

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundleOptions, importFrom, modulesDir } from "../../web/build.mjs";
import { openPage, run, serveDirectory } from "./harness.mjs";

const CLIENTS = {
  "net-0.3": { entry: "client-net.js", package: "@moq/net-0.3" },
  "net-0.3-only-01": { entry: "client-net.js", package: "@moq/net-0.3", setup: "[Lite.Version.DRAFT_01]" },
  "net-0.2": { entry: "client-net.js", package: "@moq/net" },
  "lite-0.2": { entry: "client-lite.js", package: "@moq/lite" },
};

const SETUP_VERSIONS = "[Lite.Version.DRAFT_02, Lite.Version.DRAFT_01, Ietf.Version.DRAFT_14]";

/** The packages have no option for the versions in their SETUP, and prefer 02. */
function offeringInSetup(versions) {
  const onLoad = async ({ path: file }) => {
    const source = await readFile(file, "utf8");
    if (!source.includes(SETUP_VERSIONS)) throw new Error(`${file} offers other versions than expected`);
    return { contents: source.replace(SETUP_VERSIONS, versions) };
  };
  return { name: "setup-versions", setup: (build) => build.onLoad({ filter: /connection\/connect\.js$/ }, onLoad) };
}

const here = path.dirname(fileURLToPath(import.meta.url));

async function bundle(dir) {
  const esbuild = await importFrom(modulesDir(), "esbuild");
  const options = bundleOptions(modulesDir());
  const clients = Object.entries(CLIENTS).map(([name, client]) =>
    esbuild.build({
      ...options,
      entryPoints: [path.join(here, client.entry)],
      outfile: path.join(dir, `${name}.js`),
      alias: { "package-under-test": client.package },
      define: { ...options.define, CLIENT_NAME: JSON.stringify(name) },
      plugins: [...options.plugins, ...(client.setup ? [offeringInSetup(client.setup)] : [])],
    }),
  );
  const page = esbuild.build({
    ...options,
    entryPoints: [path.join(here, "clients-page.js")],
    outfile: path.join(dir, "page.js"),
  });
  await Promise.all([...clients, page]);
  const scripts = [...Object.keys(CLIENTS), "page"].map((name) => `<script type="module" src="${name}.js"></script>`);
  await writeFile(path.join(dir, "index.html"), `<!doctype html>${scripts.join("")}`);
}

const { values } = parseArgs({ options: { jobs: { type: "string", default: "4" } } });
const rows = JSON.parse(await text(process.stdin));
const dir = await mkdtemp(path.join(tmpdir(), "moq-clients-"));
await bundle(dir);
const server = await serveDirectory(dir);

await run("clients", async (browser) => {
  const page = await openPage(browser, server.url);
  await page.waitForFunction(() => globalThis.runRow);
  const left = [...rows];
  const work = async () => {
    for (let row = left.shift(); row; row = left.shift()) {
      const problem = await page.evaluate((options) => globalThis.runRow(options), row);
      console.log(JSON.stringify({ name: row.name, problem }));
    }
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, work));
});
server.close();
await rm(dir, { recursive: true });
