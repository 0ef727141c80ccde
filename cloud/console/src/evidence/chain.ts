/**
 * One author's chain of signed segments. **A number is signed once**: where the chain ends is stored before an envelope is
 * handed out, so that a page that is loaded again goes on and never begins a second chain.
 */
import { type Bytes } from "../wire/bytes";
import { sha256 } from "../wire/mac";
import { type Link } from "../wire/segment";

/** Envelopes kept for sending again; the oldest go first. */
const OPEN_MAX = 1024;
/** Of those, the newest are kept across a reload of the page. */
const STORED_MAX = 32;

export interface Envelope {
  readonly number: bigint;
  readonly bytes: Bytes;
  /** When it was handed to the connection, on this page's clock. */
  sentMs: number | undefined;
}

/** Where a chain ends, and what the edge box may not have yet. */
export interface ChainEnd {
  readonly number: bigint;
  readonly newest: Bytes;
  readonly open: readonly { readonly number: bigint; readonly bytes: Bytes }[];
}

export interface ChainStore {
  load(): Promise<ChainEnd | undefined>;
  save(end: ChainEnd): Promise<void>;
}

export class Chain {
  #number = 0n;
  #newest: Bytes = new Uint8Array(32);
  #open: Envelope[] = [];
  #queue: Promise<void>;
  /** The store failed: the chain holds only as long as this page. */
  unstored = 0;

  constructor(
    private readonly session: Bytes,
    private readonly store: ChainStore,
  ) {
    this.#queue = this.#load();
  }

  get number(): bigint {
    return this.#number;
  }

  /** Envelopes that were not acknowledged, oldest first. */
  get open(): readonly Envelope[] {
    return this.#open;
  }

  /** Signs the next segment, after those that were asked for before. */
  append(make: (link: Link) => Promise<Bytes>): Promise<void> {
    this.#queue = this.settled().then(() => this.#append(make));
    return this.#queue;
  }

  /** When all that was asked for is signed, or has failed. */
  settled(): Promise<void> {
    return this.#queue.catch(() => undefined);
  }

  /** Durable up to this number: not to be sent again. */
  acknowledge(number: bigint): void {
    this.#open = this.#open.filter((envelope) => envelope.number > number);
  }

  async #load(): Promise<void> {
    const end = await this.store.load().catch(() => undefined);
    if (end === undefined) return;
    [this.#number, this.#newest] = [end.number, end.newest];
    this.#open = end.open.map((envelope) => ({ ...envelope, sentMs: undefined }));
  }

  async #append(make: (link: Link) => Promise<Bytes>): Promise<void> {
    const number = this.#number + 1n;
    const bytes = await make({ session: this.session, number, previous: this.#newest });
    [this.#number, this.#newest] = [number, sha256(bytes)];
    this.#open = [...this.#open.slice(1 - OPEN_MAX), { number, bytes, sentMs: undefined }];
    const open = this.#open.slice(-STORED_MAX).map((envelope) => ({ number: envelope.number, bytes: envelope.bytes }));
    await this.store.save({ number, newest: this.#newest, open }).catch(() => void (this.unstored += 1));
  }
}
