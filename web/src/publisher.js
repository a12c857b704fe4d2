// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Publishes the camera and the microphone as one broadcast.

import * as Publish from "@moq/publish";
import { Bridge } from "./bridge.js";

// Opus knows no 44.1 kHz; ask for a rate that every decoder takes.
const SAMPLE_RATE = 48_000;

const { Effect, Signal } = Publish.Signals;

export class Publisher {
  #signals = new Effect();
  #camera = new Publish.Source.Camera({ enabled: true });
  #microphone;
  #broadcast;
  #stopFollowing;

  /** @p preview: a video element. @p onState: called with "asking" or "live". */
  constructor({ connection, name, audio, preview, onState }) {
    this.#microphone = new Publish.Source.Microphone({ enabled: audio });
    // Announced once there is something to show, so that nobody finds an empty broadcast.
    const ready = new Signal(false);
    this.#broadcast = new Publish.Broadcast({
      name: Publish.Net.Path.from(name),
      enabled: ready,
      audio: { enabled: audio, sampleRate: SAMPLE_RATE, source: this.#microphone.source },
      video: { source: this.#camera.source, hd: { enabled: true } },
    });
    this.#signals.run((effect) => {
      const catalog = effect.get(this.#broadcast.video.catalog);
      ready.set(Object.keys(catalog?.renditions ?? {}).length > 0);
      onState(ready.peek() ? "live" : "asking");
    });
    this.#signals.run((effect) => {
      const track = effect.get(this.#camera.source);
      preview.srcObject = track ? new MediaStream([track]) : null;
    });
    const follow = (established) => {
      this.#broadcast.connection.set(established ? new Bridge(established) : undefined);
    };
    follow(connection.established.peek());
    this.#stopFollowing = connection.established.subscribe(follow);
  }

  close() {
    this.#stopFollowing();
    this.#signals.close();
    this.#broadcast.close();
    this.#camera.close();
    this.#microphone.close();
  }
}

/** Asks for the devices up front; resolves with a sentence when the browser or the user says no. */
export async function refusal(audio) {
  if (!navigator.mediaDevices) return "The camera needs a page from https, or from http://localhost.";
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio });
    for (const track of stream.getTracks()) track.stop();
    return undefined;
  } catch (err) {
    if (err.name === "NotAllowedError") return "The browser was not allowed to use the camera.";
    if (err.name === "NotFoundError") {
      return audio ? "No camera and microphone were found." : "No camera was found.";
    }
    return `The camera cannot be used: ${err.message}`;
  }
}
