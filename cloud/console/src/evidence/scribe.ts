/**
 * Writes what this console did: every 100 ms the commands it sent, every 500 ms the frames it showed, signed, chained, over
 * the reliable channel. **Every command that got a number is listed once, in order and without holes, sent or lost.**
 */
import { type Bytes } from "../wire/bytes";
import { type Signer } from "../wire/ed25519";
import { Kind, wrap } from "../wire/kind";
import { sha256 } from "../wire/mac";
import { SEGMENT_ITEMS_MAX, type Sent, type Shown, displayReport, surgeonSegment } from "../wire/segment";
import { type Watermark } from "../wire/video";
import { Chain, type ChainStore, type Envelope } from "./chain";

const SEGMENT_MS = 100;
const REPORT_MS = 500;
/** The edge box says every 100 ms what is durable; a connection that says nothing of it gets everything again. */
const WATERMARK_MS_MAX = 1000;
/** What was sent this long before the edge box was heard last, may not have come. */
const IN_FLIGHT_MS = 1000;
/** Reports are not acknowledged; so many stay at hand for sending again. */
const REPORTS_KEPT = 120n;

/** Commands under one token that no segment lists yet. */
export interface Unlisted {
  readonly token: bigint;
  readonly sent: readonly Sent[];
}

/** What a page that goes away leaves behind for the next one: written and read in one go, without waiting. */
export interface LastWords {
  leave(unlisted: readonly Unlisted[]): void;
  take(): readonly Unlisted[];
}

export interface ScribeParts {
  readonly session: Bytes;
  readonly signer: Signer;
  readonly commands: ChainStore;
  readonly display: ChainStore;
  readonly lastWords: LastWords;
  /** Whether the statements channel took it. */
  readonly send: (bytes: Bytes) => boolean;
  /** This page's clock, in ms. */
  readonly now: () => number;
}

export class Scribe {
  readonly #commands: Chain;
  readonly #display: Chain;
  #unlisted: { token: bigint; sent: Sent[] }[] = [];
  #shown: Shown[] = [];
  #listedMs = 0;
  #reportedMs = 0;
  #connected = false;
  /** Until then the new connection's first watermark is waited for. */
  #resumeMs: number | undefined;
  readonly #tokens = new Set<bigint>();
  /** Segments and reports could not be signed. */
  failures = 0;

  constructor(private readonly parts: ScribeParts) {
    this.#commands = new Chain(parts.session, parts.commands);
    this.#display = new Chain(parts.session, parts.display);
    for (const { token, sent } of parts.lastWords.take()) this.#unlisted.push({ token, sent: [...sent] });
  }

  get segments(): bigint {
    return this.#commands.number;
  }

  get reports(): bigint {
    return this.#display.number;
  }

  /** Segments that the edge box has not said to be durable. */
  get openSegments(): number {
    return this.#commands.open.length;
  }

  /** A command was given to the connection, whether or not it took it. */
  sent(token: bigint, sequence: bigint, frame: Bytes): void {
    this.#tokens.add(token);
    const item = { sequence, hash: sha256(frame) };
    const last = this.#unlisted.at(-1);
    if (last?.token === token && last.sent.length < SEGMENT_ITEMS_MAX) last.sent.push(item);
    else this.#unlisted.push({ token, sent: [item] });
  }

  shown(frame: Shown): void {
    this.#shown.push(frame);
  }

  /** Called often; what is due goes out. */
  tick(): void {
    const nowMs = this.parts.now();
    if (nowMs - this.#listedMs >= SEGMENT_MS) this.#list();
    if (nowMs - this.#reportedMs >= REPORT_MS || this.#shown.length >= SEGMENT_ITEMS_MAX) this.#report();
    if (this.#resumeMs !== undefined && nowMs >= this.#resumeMs) this.#resume();
  }

  /** Everything so far is signed and handed to the connection when this ends. */
  async flush(): Promise<void> {
    this.#list();
    this.#report();
    await this.settled();
    this.#send();
  }

  /** When all that was to be signed by now is signed. */
  async settled(): Promise<void> {
    await Promise.all([this.#commands.settled(), this.#display.settled()]);
  }

  connected(): void {
    this.#connected = true;
    this.#resumeMs = this.parts.now() + WATERMARK_MS_MAX;
  }

  /** `heardMs`: when the edge box was heard last. What was sent after that goes out again. */
  disconnected(heardMs: number): void {
    this.#connected = false;
    this.#resumeMs = undefined;
    for (const envelope of [...this.#commands.open, ...this.#display.open]) {
      if ((envelope.sentMs ?? 0) >= heardMs - IN_FLIGHT_MS) envelope.sentMs = undefined;
    }
    this.#list();
  }

  watermark({ token, segments }: Watermark): void {
    // A page that was loaded again has no token yet: then the record's newest is its predecessor's.
    const ours = this.#tokens.has(token) || (this.#tokens.size === 0 && segments <= this.#commands.number);
    if (ours) this.#commands.acknowledge(segments);
    if (this.#resumeMs !== undefined) this.#resume();
  }

  /** The page goes away: nothing more can be signed. */
  leave(): void {
    this.parts.lastWords.leave(this.#unlisted);
  }

  #list(): void {
    this.#listedMs = this.parts.now();
    const unlisted = this.#unlisted;
    this.#unlisted = [];
    for (const { token, sent } of unlisted) {
      this.#append(this.#commands, (link) => surgeonSegment({ link, token, sent }, this.parts.signer));
    }
  }

  #report(): void {
    this.#reportedMs = this.parts.now();
    while (this.#shown.length > 0) {
      const shown = this.#shown.splice(0, SEGMENT_ITEMS_MAX);
      this.#append(this.#display, (link) => displayReport({ link, shown }, this.parts.signer));
    }
  }

  #append(chain: Chain, make: Parameters<Chain["append"]>[0]): void {
    chain
      .append(make)
      .then(() => this.#send())
      .catch(() => (this.failures += 1));
  }

  #resume(): void {
    this.#resumeMs = undefined;
    this.#send();
  }

  #send(): void {
    if (!this.#connected || this.#resumeMs !== undefined) return;
    this.#sendAll(Kind.SurgeonSegment, this.#commands.open);
    this.#sendAll(Kind.DisplayReport, this.#display.open);
    this.#display.acknowledge(this.#display.number - REPORTS_KEPT);
  }

  #sendAll(kind: Kind, open: readonly Envelope[]): void {
    for (const envelope of open) {
      if (envelope.sentMs !== undefined) continue;
      if (!this.parts.send(wrap(kind, envelope.bytes))) return;
      envelope.sentMs = this.parts.now();
    }
  }
}
