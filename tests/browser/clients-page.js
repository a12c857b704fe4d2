// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The page side of clients.mjs: one publisher and one viewer on connections of their own, taken
// through what an application does with a relay.

const STEP_MS = 10_000;
const FRAME_MS = 40; // between timestamps
const LARGE = 150_000; // bytes; many packets

class Late extends Error {}

function within(promise, what) {
  const { promise: late, reject } = Promise.withResolvers();
  const timer = setTimeout(() => reject(new Late(`no ${what} within ${STEP_MS} ms`)), STEP_MS);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function expect(good, what) {
  if (!good) throw new Error(what);
}

/** Bytes that no other frame has. */
function payload(group, frame, size) {
  const bytes = new Uint8Array(size);
  let state = 1 + group * 1009 + frame * 9176;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

const same = (a, b) => a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);

// Sizes of the frames of each group; the index is the group's number in this test.
const LOCKSTEP = [[3, 0, 500], [LARGE, 1], [64, 64, 64]];
const BURST = [[10, 20], [LARGE], [0], [1, 2, 3]];
const ONE = [[5, 6]];

class Row {
  constructor({ url, path, publisher, viewer, lenient }) {
    Object.assign(this, { url, path, lenient, ends: { publisher, viewer }, number: 0 });
    this.timed = publisher.version >= "moq-lite-05" && viewer.version >= "moq-lite-05";
  }

  async connect(role) {
    const { client, protocols, version } = this.ends[role];
    // null: the page offers no list at all; undefined: what the package offers by itself.
    const options = protocols === undefined ? {} : { protocols: protocols ?? undefined };
    const connection = await within(globalThis.clients[client].connect(this.url, options), `connection of the ${role}`);
    this[role] = connection;
    expect(connection.version === version, `the ${role} speaks ${connection.version}, not ${version}`);
  }

  listen() {
    return this.viewer.announced(this.path.split("/")[0]);
  }

  async hears(announced, active) {
    const next = await within(announced.next(), `announcement (active ${active})`);
    expect(next, "the announcements ended");
    expect(next.path === "demo" && next.active === active, `${next.path} became ${next.active}, not ${active}`);
  }

  frameOf(number, frame, size) {
    return { payload: payload(number, frame, size), ms: 1000 + number * 1000 + frame * FRAME_MS };
  }

  check(got, number, frame, size) {
    const want = this.frameOf(number, frame, size);
    const name = `frame ${frame} of group ${number}`;
    expect(got, `${name} is missing`);
    expect(same(got.payload, want.payload), `${name} differs: ${got.payload.byteLength} bytes, not ${size}`);
    if (this.timed) expect(got.ms === want.ms, `${name} is of ${got.ms} ms, not ${want.ms}`);
  }

  /** Each frame is written only once the one before has been read: nothing may wait for more. */
  async lockstep(source, subscription, sizes) {
    const number = this.number++;
    const writer = source.group();
    let reader;
    for (const [frame, size] of sizes.entries()) {
      const { payload, ms } = this.frameOf(number, frame, size);
      writer.write(payload, ms);
      reader ??= await within(subscription.group(), `group ${number}`);
      expect(reader, `the track ended before group ${number}`);
      this.check(await within(reader.frame(), `frame ${frame} of group ${number}`), number, frame, size);
    }
    writer.close();
    expect((await within(reader.frame(), `end of group ${number}`)) === undefined, `group ${number} goes on`);
    return { number, sizes, sequence: reader.sequence };
  }

  async whole(reader, number, sizes) {
    for (const [frame, size] of sizes.entries()) {
      this.check(await within(reader.frame(), `frame ${frame} of group ${number}`), number, frame, size);
    }
    expect((await within(reader.frame(), `end of group ${number}`)) === undefined, `group ${number} goes on`);
  }

  /** All at once; streams may overtake each other, so groups are told apart by their numbers. */
  async burst(source, subscription, last) {
    const first = this.number;
    for (const sizes of BURST) {
      const number = this.number++;
      const writer = source.group();
      for (const [frame, size] of sizes.entries()) {
        const { payload, ms } = this.frameOf(number, frame, size);
        writer.write(payload, ms);
      }
      writer.close();
    }
    const seen = new Set();
    while (seen.size < BURST.length) {
      const reader = await within(subscription.group(), `group ${seen.size + 1} of the burst`);
      expect(reader, "the track ended in the burst");
      const i = reader.sequence - last.sequence - 1;
      expect(i >= 0 && i < BURST.length && !seen.has(i), `group ${reader.sequence} comes out of nowhere`);
      seen.add(i);
      await this.whole(reader, first + i, BURST[i]);
    }
  }

  async fetched(subscription, { number, sizes, sequence }) {
    const reader = await within(subscription.fetch(sequence), "answer to FETCH");
    await this.whole(reader, number, sizes);
  }

  /** Datagrams may be lost, so they are sent until one has come. */
  async datagrams(source, subscription) {
    const bytes = payload(0, 99, 100);
    const timer = setInterval(() => source.datagram(bytes, 7000), 20);
    try {
      const got = await within(subscription.datagram(), "datagram");
      expect(same(got.payload, bytes), "the datagram differs");
    } finally {
      clearInterval(timer);
    }
  }

  /** A subscription that must come to nothing: an error, or an end where the package tells no difference. */
  async refused(path, name, mayEnd) {
    const subscription = this.viewer.subscribe(path, name);
    const got = await within(
      subscription.group().catch(() => "refused"),
      `refusal of ${path} ${name}`,
    );
    expect(got === "refused" || (mayEnd && got === undefined), `${path} ${name} was not refused`);
    subscription.close();
  }

  async watchWhole(broadcast) {
    const { viewer } = this.ends;
    const source = broadcast.track("whole");
    const subscription = this.viewer.subscribe(this.path, "whole");
    await within(source.wanted(), "subscription");
    let last;
    for (const sizes of LOCKSTEP) last = await this.lockstep(source, subscription, sizes);
    // From 03 on, a subscription that asks for no age is owed no group but the newest.
    if (globalThis.clients[viewer.client].keepsOldGroups || viewer.version < "moq-lite-03") {
      await this.burst(source, subscription, last);
    }
    if (viewer.version >= "moq-lite-05") await this.fetched(subscription, last);
    if (this.timed) await this.datagrams(source, subscription);
    source.end();
    let after;
    do after = await within(subscription.group(), "end of the track");
    while (after && this.timed); // datagrams are groups, too
    expect(after === undefined, "the track goes on after its end");
  }

  /** The publisher hears that nobody watches, and of the next who does. */
  async leaveAndReturn(broadcast) {
    const source = broadcast.track("again");
    let subscription = this.viewer.subscribe(this.path, "again");
    await within(source.wanted(), "subscription");
    const first = await this.lockstep(source, subscription, ONE[0]);
    subscription.close();
    await within(source.unwanted(), "unsubscription");

    subscription = this.viewer.subscribe(this.path, "again");
    await within(source.wanted(), "second subscription");
    const writer = source.group();
    const number = this.number++;
    const want = this.frameOf(number, 0, 77);
    writer.write(want.payload, want.ms);
    writer.close();
    for (;;) {
      const reader = await within(subscription.group(), "group after the return");
      expect(reader, "the track ended after the return");
      const frame = await within(reader.frame(), "frame after the return");
      if (frame && same(frame.payload, want.payload)) break;
      // What was the newest group before may come first.
      this.check(frame, first.number, 0, ONE[0][0]);
    }
    subscription.close();
  }

  async run() {
    await this.connect("viewer");
    const early = this.listen();
    await this.connect("publisher");
    const broadcast = this.publisher.publish(this.path);
    await this.hears(early, true);
    const late = this.listen();
    await this.hears(late, true);
    await this.watchWhole(broadcast);
    const restarts = !globalThis.clients[this.ends.publisher.client].keepsCounting;
    if (!this.lenient || !restarts) await this.leaveAndReturn(broadcast);
    const blind = this.ends.viewer.version >= "moq-lite-05" && this.ends.publisher.version < "moq-lite-05";
    await this.refused(this.path, "no-such-track", blind);
    await this.refused(`${this.path}/nobody`, "whole", false);
    broadcast.close();
    await this.hears(early, false);
    if (!this.lenient || this.ends.viewer.version >= "moq-lite-03") await this.hears(late, false);
  }

  async turnedAway() {
    const accepted = await this.connect("viewer").then(
      () => true,
      (err) => {
        if (err instanceof Late) throw err;
        return false;
      },
    );
    expect(!accepted, "the relay accepted it");
  }

  close() {
    this.viewer?.close();
    this.publisher?.close();
  }
}

/** Returns what went wrong, or "". */
globalThis.runRow = async (options) => {
  const row = new Row(options);
  try {
    await (options.refused ? row.turnedAway() : row.run());
    return "";
  } catch (err) {
    return String(err?.message ?? err);
  } finally {
    row.close();
  }
};
