// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Carries what @moq/publish captures over the page's connection.
//
// @moq/publish 0.2 is written against an older @moq/net, whose connection does not speak the
// moq-lite versions of today. Its in-memory model (broadcast, track, group) needs no connection
// though: it asks for an object with `publish(path, broadcast)`. This is that object; it pulls the
// tracks of the old broadcast when somebody subscribes and writes them into one of today's.

import { Broadcast, Group, Time, Varint } from "@moq/net";

// What @moq/publish names its tracks, and how they rank when a link is too small for all.
const CATALOG = { name: "catalog.json", priority: 100 };
const MEDIA = [
  { name: "audio/data", priority: 80 },
  { name: "video/hd", priority: 60 },
];

/** The moment of a frame in the hang "legacy" container: microseconds in front of the payload. */
function mediaTime(payload) {
  const [micros] = Varint.decode(payload);
  return Time.Timestamp.fromMicros(micros);
}

/** Writes every group of the old track @p source into @p target until one of them ends. */
async function copyGroups(source, target) {
  for (;;) {
    const from = await source.recvGroup();
    if (!from || target.closed.peek() !== undefined) return;
    const to = target.appendGroup();
    for (;;) {
      const payload = await from.readFrame();
      if (!payload) break;
      to.writeFrame({ payload, timestamp: mediaTime(payload) });
    }
    to.close();
  }
}

/**
 * A media track with one producer for all subscribers and for its whole life, so that group
 * numbers never start again. The encoder behind it runs only while somebody watches.
 */
async function serveMedia(target, old, priority) {
  while (target.closed.peek() === undefined) {
    if (!target.used.peek()) {
      await target.used.changed();
      continue;
    }
    const source = old.subscribe(target.name, priority);
    void target.unused().then(() => source.close());
    await copyGroups(source, target).catch((err) => console.warn(`${target.name}: ${err}`));
    source.close();
    // The encoder stopped by itself (say, the camera was unplugged): ask again, but gently.
    if (target.used.peek()) await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** The catalog: the newest document for whoever asks, under one group number for all. */
class Catalog {
  #producers = new Set();
  #sequence = -1;
  #payload;

  async run(old) {
    const source = old.subscribe(CATALOG.name, CATALOG.priority);
    for (;;) {
      const group = await source.recvGroup();
      if (!group) return;
      for (;;) {
        const payload = await group.readFrame();
        if (!payload) break;
        this.#sequence++;
        this.#payload = payload;
        for (const producer of this.#producers) this.#write(producer);
      }
    }
  }

  serve(request) {
    const producer = request.accept({ priority: CATALOG.priority });
    this.#producers.add(producer);
    void producer.closed.then(() => this.#producers.delete(producer));
    if (this.#payload) this.#write(producer);
    // A request that only wanted the track's properties never had a subscriber.
    void producer.unused().then(() => producer.close());
  }

  #write(producer) {
    const group = new Group.Producer(this.#sequence);
    producer.writeGroup(group);
    group.writeFrame({ payload: this.#payload, timestamp: Time.Timestamp.now() });
    group.close();
  }

  close() {
    for (const producer of this.#producers) producer.close();
  }
}

async function answerRequests(target, catalog) {
  for (;;) {
    const request = await target.requested();
    if (!request) return;
    if (request.name === CATALOG.name) catalog.serve(request);
    else request.reject(new Error(`no such track: ${request.name}`));
  }
}

/** Publishes old broadcasts on @p connection; one bridge for each established connection. */
export class Bridge {
  #connection;

  constructor(connection) {
    this.#connection = connection;
  }

  publish(path, old) {
    const target = new Broadcast.Producer();
    const catalog = new Catalog();
    const quietly = (promise) => promise.catch((err) => console.warn(`${path}: ${err}`));
    const tracks = MEDIA.map(({ name, priority }) => {
      const track = target.createTrack(name, { timescale: Time.Timescale.MICRO, priority });
      void quietly(serveMedia(track, old, priority));
      return track;
    });
    void quietly(catalog.run(old));
    void quietly(answerRequests(target, catalog));
    void old.closed.then(() => {
      target.close();
      catalog.close();
      for (const track of tracks) track.close();
    });
    this.#connection.publish(path, target);
  }
}
