// What the session plays, on this computer; and the button that mutes it.

import type { SoundFormat, SoundPacket } from "../wire/sound.ts";
import { element, remember, remembered, words } from "./dom.ts";
import { Playout } from "./playout.ts";

const MUTED = "chevet.muted";
/** Packets that wait to be decoded. */
const MOST_DECODING = 25;
/** Lost packets in a row in whose place the last one is played, ever softer. */
const MOST_CONCEALED = 3;
/** Samples of the left channel that are kept to be looked at: a fifth of a second. */
const KEPT = 9600;
/** What a browser takes for its user's wish to hear something. */
const GESTURES = ["pointerdown", "keydown", "touchend"] as const;

/** What tests and support may look at. */
export interface Heard {
  /** Frames that were decoded, and handed to the computer. */
  decoded: number;
  played: number;
  lost: number;
  muted: boolean;
  /** "running" when the computer plays. */
  player: string;
  rate: number;
  /** The newest of the left channel, -1 to 1. */
  samples: number[];
}

export class Sound {
  private readonly button = element("mute", HTMLButtonElement);
  private readonly stopped = new AbortController();
  private format: SoundFormat | null = null;
  private muted = remembered("local", MUTED) === "1";
  private player: AudioContext | null = null;
  private decoder: AudioDecoder | null = null;
  private wanted = false;
  private playout = new Playout();
  private newest = -1;
  private lastPlayed: { number: number; buffer: AudioBuffer } | null = null;
  private readonly kept = new Float32Array(KEPT);
  private keptAt = 0;
  private decoded = 0;
  private played = 0;
  private lost = 0;

  /** `tell` says whether the session is to send what it plays. */
  constructor(
    private readonly tell: (wanted: boolean) => void,
    private readonly done: () => void,
  ) {
    this.button.hidden = true;
    const { signal } = this.stopped;
    this.button.addEventListener("click", () => this.toggle(), { signal });
    for (const gesture of GESTURES) {
      document.addEventListener(gesture, () => this.begin(true), { signal, capture: true, passive: true });
    }
  }

  /** The session plays something, or nothing any more. */
  offered(format: SoundFormat | null): void {
    this.format = format;
    // Each link says it: another gateway's session counts from another number.
    this.beginAnew();
    this.button.hidden = format === null;
    this.speakAgain();
    this.begin(navigator.userActivation?.hasBeenActive ?? false);
    this.update();
  }

  speakAgain(): void {
    this.button.textContent = this.muted ? words().unmute : words().mute;
    this.button.title = this.muted ? words().unmuteDetail : words().muteDetail;
  }

  private toggle(): void {
    this.muted = !this.muted;
    remember("local", MUTED, this.muted ? "1" : null);
    this.speakAgain();
    this.begin(true);
    this.update();
    this.done();
  }

  /** Browsers let a page play once its user has done something there. */
  private begin(allowed: boolean): void {
    if (!allowed || this.format === null || this.muted) return;
    if (this.player === null) {
      try {
        this.player = new AudioContext({ latencyHint: "interactive", sampleRate: this.format.rate });
      } catch {
        // No way to play here: the session goes on in silence.
        return;
      }
      this.player.onstatechange = () => this.update();
    }
    if (this.player.state !== "running") void this.player.resume().then(() => this.update(), () => undefined);
    this.update();
  }

  private update(): void {
    const wanted = this.format !== null && !this.muted && this.player?.state === "running";
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.tell(wanted);
    if (wanted) this.beginAnew();
  }

  private beginAnew(): void {
    this.playout = new Playout();
    this.newest = -1;
    this.lastPlayed = null;
  }

  hear(packet: SoundPacket): void {
    // One that comes after a later one is too late.
    if (!this.wanted || packet.number <= this.newest) return;
    const decoder = this.openDecoder();
    if (decoder === null || decoder.decodeQueueSize >= MOST_DECODING) return;
    this.newest = packet.number;
    const micros = this.frameMicros;
    const chunk = { type: "key", timestamp: packet.number * micros, duration: micros, data: packet.opus } as const;
    decoder.decode(new EncodedAudioChunk(chunk));
  }

  private get frameMicros(): number {
    return this.format === null ? 20_000 : Math.round((this.format.frame * 1e6) / this.format.rate);
  }

  private openDecoder(): AudioDecoder | null {
    if (this.decoder?.state === "configured") return this.decoder;
    if (this.format === null) return null;
    const { rate, channels } = this.format;
    // A packet that cannot be decoded ends the decoder: the next packet opens another.
    this.decoder = new AudioDecoder({ output: (data) => this.take(data), error: () => (this.decoder = null) });
    this.decoder.configure({ codec: "opus", sampleRate: rate, numberOfChannels: channels });
    return this.decoder;
  }

  private take(data: AudioData): void {
    const { player } = this;
    if (player === null || player.state !== "running") return data.close();
    const buffer = player.createBuffer(data.numberOfChannels, data.numberOfFrames, data.sampleRate);
    for (let channel = 0; channel < data.numberOfChannels; channel++) {
      data.copyTo(buffer.getChannelData(channel), { planeIndex: channel, format: "f32-planar" });
    }
    const number = Math.round(data.timestamp / this.frameMicros);
    data.close();
    this.decoded++;
    this.keep(buffer.getChannelData(0));
    this.conceal(player, number);
    this.play(player, buffer, 1);
    this.lastPlayed = { number, buffer };
  }

  /** In the place of the few that were lost, the one before them. */
  private conceal(player: AudioContext, number: number): void {
    if (this.lastPlayed === null) return;
    const missing = number - this.lastPlayed.number - 1;
    if (missing <= 0) return;
    this.lost += missing;
    for (let at = 1; at <= Math.min(missing, MOST_CONCEALED); at++) this.play(player, this.lastPlayed.buffer, 0.5 ** at);
  }

  private play(player: AudioContext, buffer: AudioBuffer, loudness: number): void {
    for (const at of this.playout.place(player.currentTime, buffer.duration)) {
      const source = player.createBufferSource();
      source.buffer = buffer;
      if (loudness === 1) {
        source.connect(player.destination);
      } else {
        const gain = player.createGain();
        gain.gain.value = loudness;
        source.connect(gain).connect(player.destination);
      }
      source.start(at);
      this.played++;
    }
  }

  private keep(samples: Float32Array): void {
    for (const sample of samples) {
      this.kept[this.keptAt] = sample;
      this.keptAt = (this.keptAt + 1) % KEPT;
    }
  }

  get heard(): Heard {
    const { decoded, played, lost, muted } = this;
    const samples = [...this.kept.subarray(this.keptAt), ...this.kept.subarray(0, this.keptAt)];
    return { decoded, played, lost, muted, player: this.player?.state ?? "none", rate: this.format?.rate ?? 0, samples };
  }

  /** The session is left: nothing of it is heard any more. */
  clear(): void {
    this.stopped.abort();
    this.format = null;
    this.wanted = false;
    this.button.hidden = true;
    this.kept.fill(0);
    if (this.decoder?.state === "configured") this.decoder.close();
    this.decoder = null;
    void this.player?.close();
    this.player = null;
  }
}
