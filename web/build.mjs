// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Bundles the demo page into one flat directory: index.html, app.js, app.css.
//
//   node build.mjs [--outdir=DIR] [--modules=DIR/node_modules] [--dev]
//
// --modules says where the packages of package-lock.json were installed (default: MOQ_NODE_MODULES,
// else node_modules beside this file), so that a build can keep them out of the source tree.

import { copyFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const here = path.dirname(fileURLToPath(import.meta.url));

/** Resolves the directory of the installed packages from an option, the environment or the default. */
export function modulesDir(option) {
  return path.resolve(option ?? process.env.MOQ_NODE_MODULES ?? path.join(here, "node_modules"));
}

/** Imports a package from @p modules, which Node's own lookup for ES modules cannot be told about. */
export async function importFrom(modules, name) {
  const file = createRequire(path.join(modules, "_.cjs")).resolve(name);
  const loaded = await import(pathToFileURL(file).href);
  return loaded.default ?? loaded;
}

// The players carry an Opus decoder in WebAssembly for browsers without WebCodecs audio. None of
// those can reach the relay (they have no WebTransport either), so it is left out of the bundle.
const withoutAudioPolyfill = {
  name: "without-audio-polyfill",
  setup(build) {
    const filter = /^(@libav\.js\/variant-opus-af|@kixelated\/libavjs-webcodecs-polyfill)$/;
    build.onResolve({ filter }, (args) => ({ path: args.path, namespace: "absent" }));
    build.onLoad({ filter: /.*/, namespace: "absent" }, () => ({
      contents: 'throw new Error("this browser has no WebCodecs audio");',
    }));
  },
};

/** The esbuild options that every bundle of this project shares. */
export function bundleOptions(modules) {
  return {
    bundle: true,
    format: "esm",
    target: ["chrome114", "firefox130", "safari17"],
    nodePaths: [modules],
    define: { "import.meta.env": '{"MODE":"production"}' },
    plugins: [withoutAudioPolyfill],
    legalComments: "none",
    logLevel: "warning",
  };
}

export async function buildPage({ outdir, modules, dev = false }) {
  const esbuild = await importFrom(modules, "esbuild");
  await mkdir(outdir, { recursive: true });
  await esbuild.build({
    ...bundleOptions(modules),
    entryPoints: [path.join(here, "src/app.js"), path.join(here, "src/app.css")],
    outdir,
    entryNames: "[name]",
    minify: !dev,
    sourcemap: dev ? "inline" : false,
  });
  await copyFile(path.join(here, "src/index.html"), path.join(outdir, "index.html"));
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { outdir: { type: "string" }, modules: { type: "string" }, dev: { type: "boolean" } },
  });
  const outdir = path.resolve(values.outdir ?? path.join(here, "dist"));
  await buildPage({ outdir, modules: modulesDir(values.modules), dev: values.dev });
  console.log(`page written to ${outdir}`);
}
