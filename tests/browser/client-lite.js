// SPDX-License-Identifier: MIT OR Apache-2.0
//
// @moq/lite 0.2, in the shape that clients-page.js works with.

import { Broadcast, Connection, Path } from "package-under-test";

const PRIORITY = 1;

/** One track, as it is asked for again and again: each request is a new Track. */
class Source {
  #track;
  #ask;
  #asked;

  constructor() {
    this.#reset();
  }

  #reset() {
    const { promise, resolve } = Promise.withResolvers();
    this.#asked = promise;
    this.#ask = resolve;
  }

  serve(track) {
    this.#track = track;
    this.#ask();
  }

  async wanted() {
    await this.#asked;
  }

  async unwanted() {
    await this.#track.closed;
    this.#reset();
  }

  group() {
    const group = this.#track.appendGroup();
    return { write: (payload) => group.writeFrame(payload), close: () => group.close() };
  }

  end() {
    this.#track.close();
  }
}

async function serve(broadcast, sources) {
  for (;;) {
    const request = await broadcast.requested();
    if (!request) return;
    const source = sources.get(request.track.name);
    if (source) source.serve(request.track);
    else request.track.close(new Error("no such track"));
  }
}

class Client {
  #connection;

  constructor(connection) {
    this.#connection = connection;
  }

  get version() {
    return this.#connection.version;
  }

  publish(path) {
    const broadcast = new Broadcast();
    const sources = new Map();
    this.#connection.publish(Path.from(path), broadcast);
    serve(broadcast, sources);
    return {
      track: (name) => {
        const source = new Source();
        sources.set(name, source);
        return source;
      },
      close: () => broadcast.close(),
    };
  }

  announced(prefix) {
    const announced = this.#connection.announced(Path.from(prefix));
    return {
      next: async () => {
        const entry = await announced.next();
        return entry && { ...entry, path: Path.stripPrefix(Path.from(prefix), entry.path) };
      },
    };
  }

  subscribe(path, name) {
    const track = this.#connection.consume(Path.from(path)).subscribe(name, PRIORITY);
    return {
      group: async () => {
        const group = await track.recvGroup();
        if (!group) return undefined;
        const frame = async () => {
          const payload = await group.readFrame();
          return payload && { payload };
        };
        return { sequence: group.sequence, frame };
      },
      close: () => track.close(),
    };
  }

  close() {
    this.#connection.close();
  }
}

globalThis.clients ??= {};
globalThis.clients[CLIENT_NAME] = {
  keepsOldGroups: false,
  keepsCounting: false, // a track that is asked for again begins with group 0
  async connect(url, webtransport) {
    return new Client(await Connection.connect(new URL(url), { webtransport, websocket: { enabled: false } }));
  },
};
