// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The demo page: three views, chosen by the address. `?watch=NAME` plays, `?publish=NAME` publishes
// the camera at once (`?publish=` shows the form), anything else lists what is announced.
// `?url=` names another relay than the one that served the page.

import { BroadcastList } from "./list.js";
import { Player } from "./player.js";
import { Publisher, refusal } from "./publisher.js";
import { connect, diagnose, obstacle, relayUrl } from "./relay.js";

const $ = (id) => document.getElementById(id);

const url = relayUrl(location);
const connection = connect(url);

let player;
let publisher;
let starting = false;

/** The address of a view, keeping which relay is meant. */
function address(view, name = "") {
  const params = new URLSearchParams();
  const named = new URL(location.href).searchParams.get("url");
  if (named) params.set("url", named);
  if (view !== "home") params.set(view, name);
  const query = params.toString();
  return query ? `?${query}` : location.pathname;
}

function showProblem(text) {
  $("problem").textContent = text ?? "";
  $("problem").hidden = !text;
}

// ---- connection ----

const CONNECTION_WORDS = {
  connecting: "Connecting…",
  connected: `Connected to ${url.host}`,
  disconnected: "Not connected",
};

function showConnection(status) {
  document.body.dataset.connection = status;
  $("connection").textContent = CONNECTION_WORDS[status];
}

async function onConnection(status) {
  showConnection(status);
  if (status === "connected") showProblem();
  if (status !== "disconnected") return;
  const reason = await diagnose(url);
  if (connection.status.peek() !== "connected") showProblem(reason);
}

// ---- watching ----

function startWatching(name) {
  $("watch-title").textContent = name;
  const view = {
    canvas: $("canvas"),
    screen: $("screen"),
    state: $("watch-state"),
    stats: $("stats"),
  };
  player = new Player({ connection, name, view });
  showSound(true);
}

function stopWatching() {
  player?.close();
  player = undefined;
}

function showSound(muted) {
  $("sound").setAttribute("aria-pressed", String(!muted));
  $("sound").textContent = muted ? "Sound on" : "Sound off";
}

$("sound").addEventListener("click", () => {
  if (!player) return;
  const muted = !player.muted.peek();
  player.muted.set(muted);
  showSound(muted);
});

$("fullscreen").addEventListener("click", () => {
  if (document.fullscreenElement) void document.exitFullscreen();
  else $("screen").requestFullscreen().catch((err) => showProblem(err.message));
});

// ---- publishing ----

const PUBLISH_WORDS = {
  off: "The camera is off.",
  asking: "Waiting for the camera…",
  live: "",
};

function onPublish(state) {
  $("preview-screen").dataset.state = state;
  $("publish-state").textContent = PUBLISH_WORDS[state];
  $("publish-link").hidden = state !== "live";
}

function setFormBusy(busy) {
  for (const id of ["publish-name", "publish-audio", "publish-start"]) $(id).disabled = busy;
  $("publish-stop").disabled = !busy;
}

async function startPublishing() {
  const name = $("publish-name").value.trim();
  if (publisher || starting || name === "") return;
  starting = true;
  setFormBusy(true);
  onPublish("asking");
  const audio = $("publish-audio").checked;
  const no = await refusal(audio);
  const wanted = starting;
  starting = false;
  if (no || !wanted) {
    stopPublishing();
    if (no) $("publish-state").textContent = no;
    return;
  }
  const link = $("publish-link").querySelector("a");
  link.href = address("watch", name);
  link.textContent = name;
  publisher = new Publisher({ connection, name, audio, preview: $("preview"), onState: onPublish });
}

function stopPublishing() {
  starting = false;
  publisher?.close();
  publisher = undefined;
  $("preview").srcObject = null;
  setFormBusy(false);
  onPublish("off");
}

$("publish-form").addEventListener("submit", (event) => {
  event.preventDefault();
  void startPublishing();
});
$("publish-stop").addEventListener("click", stopPublishing);

// ---- views ----

function currentView() {
  const params = new URL(location.href).searchParams;
  for (const view of ["watch", "publish"]) {
    if (params.has(view)) return { view, name: params.get(view) };
  }
  return { view: "home", name: "" };
}

function showView() {
  const { view, name } = currentView();
  stopWatching();
  stopPublishing();
  for (const id of ["home", "watch", "publish"]) $(id).hidden = id !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = view === "watch" ? `${name} · moq-relay` : "moq-relay";
  if (view === "watch") startWatching(name);
  if (view === "publish" && name) {
    $("publish-name").value = name;
    void startPublishing();
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-view]");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (!link || !plain) return;
  event.preventDefault();
  history.pushState(null, "", address(link.dataset.view, link.dataset.name));
  showView();
});
addEventListener("popstate", showView);

for (const link of document.querySelectorAll("a[data-view]")) link.href = address(link.dataset.view);

const never = obstacle(url);
if (never) {
  connection.close();
  showConnection("disconnected");
  showProblem(never);
} else {
  connection.status.subscribe((status) => void onConnection(status));
}
new BroadcastList({
  connection,
  list: $("broadcasts"),
  empty: $("nothing"),
  href: (name) => address("watch", name),
});
showView();
