// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Plays one broadcast into a canvas, on the page's shared connection.

import { Path } from "@moq/net";
import { Effect, Signal } from "@moq/signals";
import { Audio, Broadcast, Sync, Video } from "@moq/watch";

const STATS_INTERVAL_MS = 500;

/** One sentence about what the viewer sees or waits for; empty while pictures move. */
function describe({ status, name, hasVideo, hasAudio, unsupported, hasFrame, stalled }) {
  if (status === "offline") return `Waiting for “${name}” to be announced…`;
  if (status === "loading") return "Loading…";
  if (unsupported) return "This browser cannot decode the video of this broadcast.";
  if (!hasVideo) return hasAudio ? "This broadcast has sound only." : "This broadcast is empty.";
  if (!hasFrame) return "Waiting for the first picture…";
  return stalled ? "Waiting for more…" : "";
}

export class Player {
  muted = new Signal(true);
  #signals = new Effect();
  #parts;
  #view;

  /** @p view: {canvas, screen, state, stats}, elements this player writes to. */
  constructor({ connection, name, view }) {
    this.#view = view;
    const established = connection.established;
    const broadcast = new Broadcast({
      connection: established,
      name: Path.from(name),
      enabled: true,
    });
    const videoSource = new Video.Source({ broadcast, supported: Video.Decoder.supported });
    const audioSource = new Audio.Source({ broadcast, supported: Audio.Decoder.supported });
    const sync = new Sync({
      connection: established,
      video: videoSource.out.jitter,
      audio: audioSource.out.jitter,
    });
    const videoOn = new Signal(false);
    const audioOn = new Signal(false);
    const video = new Video.Decoder(videoSource, sync, { enabled: videoOn });
    const audio = new Audio.Decoder(audioSource, sync, { enabled: audioOn });
    const emitter = new Audio.Emitter(audio, { muted: this.muted, volume: 0.8 });
    const renderer = new Video.Renderer(video, { canvas: view.canvas });
    // Nothing is downloaded for a canvas out of sight, nor sound for a muted player.
    this.#signals.proxy(videoOn, renderer.out.visible);
    this.#signals.proxy(audioOn, emitter.out.enabled);
    this.#parts = { broadcast, videoSource, audioSource, sync, video, audio, emitter, renderer };

    this.#signals.run((effect) => this.#showState(effect, name));
    let last = { time: performance.now(), bytes: 0 };
    this.#signals.interval(() => {
      last = this.#showStats(last);
    }, STATS_INTERVAL_MS);
  }

  #showState(effect, name) {
    const { broadcast, videoSource, video } = this.#parts;
    const catalog = effect.get(broadcast.out.catalog);
    const status = effect.get(broadcast.out.status);
    const state = {
      status,
      name,
      hasVideo: Object.keys(catalog?.video?.renditions ?? {}).length > 0,
      hasAudio: Object.keys(catalog?.audio?.renditions ?? {}).length > 0,
      unsupported: effect.get(videoSource.out.error) !== undefined,
      hasFrame: effect.get(video.out.frame) !== undefined,
      stalled: effect.get(video.out.stalled),
    };
    this.#view.state.textContent = describe(state);
    this.#view.screen.dataset.state = status;
  }

  #showStats(last) {
    const { videoSource, audioSource, video, audio } = this.#parts;
    const config = videoSource.out.config.peek();
    const display = video.out.display.peek();
    const videoStats = video.out.stats.peek();
    const audioBytes = audio.out.stats.peek()?.bytesReceived ?? 0;
    const bytes = (videoStats?.bytesReceived ?? 0) + audioBytes;
    const time = performance.now();
    const kbits = Math.round(((bytes - last.bytes) * 8) / (time - last.time));
    const sound = audioSource.out.config.peek();

    const { screen, stats } = this.#view;
    screen.dataset.videoFrames = String(videoStats?.frameCount ?? 0);
    screen.dataset.audioBytes = String(audioBytes);
    screen.dataset.audioMs = String(Math.round(audio.out.timestamp.peek() ?? 0));
    stats.textContent = [
      config && display && `${display.width}×${display.height} ${config.codec}`,
      sound && `${sound.codec} ${sound.sampleRate} Hz${this.muted.peek() ? " (off)" : ""}`,
      bytes > 0 && `${Math.max(kbits, 0)} kbit/s`,
    ]
      .filter(Boolean)
      .join(" · ");
    return { time, bytes };
  }

  close() {
    this.#signals.close();
    for (const part of Object.values(this.#parts).reverse()) part.close();
  }
}
