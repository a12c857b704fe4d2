// SPDX-License-Identifier: MIT OR Apache-2.0
//
// @moq/net, whichever version "package-under-test" is, in the shape that clients-page.js works with.

import { Broadcast, Connection, Path, Time } from "package-under-test";

const TRACK_INFO = { timescale: Time.Timescale.MILLI, latencyMax: 30_000 };
const SUBSCRIPTION = { priority: 1, latencyMax: 30_000 };

async function become(getter, value) {
  while (getter.peek() !== value) await getter.changed();
}

class Source {
  #producer;

  constructor(producer) {
    this.#producer = producer;
  }

  async wanted() {
    await become(this.#producer.used, true);
  }

  async unwanted() {
    await become(this.#producer.used, false);
  }

  group() {
    const group = this.#producer.appendGroup();
    return {
      write: (payload, ms) => group.writeFrame({ payload, timestamp: new Time.Timestamp(ms, Time.Timescale.MILLI) }),
      close: () => group.close(),
    };
  }

  datagram(payload, ms) {
    this.#producer.appendDatagram(new Time.Timestamp(ms, Time.Timescale.MILLI), payload);
  }

  end() {
    this.#producer.close();
  }
}

async function refuseAll(broadcast) {
  for (;;) {
    const request = await broadcast.requested();
    if (!request) return;
    request.reject(new Error("no such track"));
  }
}

function groupReader(group) {
  const frame = async () => {
    const next = await group.readFrame();
    return next && { payload: next.payload, ms: next.timestamp.as(Time.Timescale.MILLI) };
  };
  return { sequence: group.sequence, frame };
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
    const broadcast = new Broadcast.Producer();
    this.#connection.publish(Path.from(path), broadcast);
    refuseAll(broadcast);
    return {
      track: (name) => new Source(broadcast.createTrack(name, TRACK_INFO)),
      close: () => broadcast.close(),
    };
  }

  /** Announcements below a prefix, their paths without it. */
  announced(prefix) {
    return this.#connection.announced(Path.from(prefix));
  }

  subscribe(path, name) {
    const track = this.#connection.consume(Path.from(path)).track(name);
    const subscriber = track.subscribe(SUBSCRIPTION);
    return {
      group: async () => {
        const group = await subscriber.recvGroup();
        return group && groupReader(group);
      },
      fetch: async (sequence) => groupReader(await track.fetchGroup(sequence)),
      datagram: () => subscriber.recvDatagram(),
      close: () => subscriber.close(),
    };
  }

  close() {
    this.#connection.close();
  }
}

globalThis.clients ??= {};
globalThis.clients[CLIENT_NAME] = {
  keepsOldGroups: true, // its subscriptions can ask for more than the newest group
  keepsCounting: true, // a track goes on where it was when it is asked for again
  async connect(url, webtransport) {
    return new Client(await Connection.connect(new URL(url), { webtransport, websocket: { enabled: false } }));
  },
};
