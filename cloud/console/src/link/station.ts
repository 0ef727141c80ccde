/**
 * A place at the operation, surgeon's or bedside: connected to the edge box, hearing the kit, able to sign. **Only what the
 * kit of the proven opening signed is taken as the kit's word.**
 */
import { type Signal, computed, signal } from "@preact/signals";
import { type Bytes, equal, toHex } from "../wire/bytes";
import { Kind } from "../wire/kind";
import { type KitNotice, type LeaseTranscript, type Region, type Said, openStatement, signStatement } from "../wire/statement";
import { session } from "./api";
import { type Member } from "../trust/opening";
import { type Proven } from "./boot";
import { Connector, type LinkState } from "./connector";
import { type Lane } from "./peer";

/** Nothing at all from the edge box for this long: a new connection is made. */
const SILENCE_MS_MAX = 5000;
const ASK_SEALED_MS = 2000;
const BOOTS_MAX = 16;
const SIGNED_PRESSES_MAX = 32;

export interface Heard<T> {
  readonly said: T;
  /** On this page's clock. */
  readonly atMs: number;
}

/** Somebody of the roster who came to this session. */
export interface Present extends Member {
  readonly sessionKey: Bytes;
}

/** Forbidden regions, and who said so. */
export interface Forbidden {
  readonly version: bigint;
  readonly regions: readonly Region[];
  readonly by: Present;
}

/** What the owner of a station does with what comes. */
export interface StationEvents {
  readonly connected?: () => void;
  readonly disconnected?: () => void;
  readonly notice?: (notice: KitNotice) => void;
  readonly granted?: (transcript: LeaseTranscript) => void;
  /** Not a statement. */
  readonly message?: (lane: Lane, bytes: Bytes) => void;
  readonly video?: (path: number, stream: MediaStream) => void;
  readonly pictureHashed?: (rtpTimestamp: number, hash: Bytes) => void;
}

export class Station {
  readonly link: Signal<LinkState> = signal<LinkState>({ is: "connecting" });
  readonly notice = signal<Heard<KitNotice> | undefined>(undefined);
  /** The kit did not do what this page asked, in its words. */
  readonly refusal = signal<Heard<string> | undefined>(undefined);
  /** Name of the sealed bundle, by the server's word. */
  readonly sealed = signal<string | undefined>(undefined);
  readonly connector: Connector;
  /** Who speaks for whom: roster members with the session key that they endorsed last, themselves included. */
  readonly people = signal<readonly Present[]>([]);
  /** Statements that were not believed. */
  disbelieved = 0;
  heardMs = 0;
  /** The order to forbid regions that this page was told of last. */
  readonly #forbid = signal<Forbidden | undefined>(undefined);
  /** What the kit keeps the tools out of, by the order that it follows; undefined where there is none, or this page does not know it. */
  readonly forbidden = computed(() => {
    const told = this.#forbid.value;
    return told !== undefined && told.version === this.notice.value?.said.regions ? told : undefined;
  });
  readonly #boots: string[] = [];
  readonly #signedPresses = new Map<string, Promise<Bytes>>();
  #askedMs = Number.NEGATIVE_INFINITY;
  #inbox: Promise<void> = Promise.resolve();

  constructor(
    readonly proven: Proven,
    withVideo: boolean,
    private readonly events: StationEvents,
  ) {
    this.connector = new Connector(proven.identity, proven.opening, withVideo, {
      state: (state) => (this.link.value = state),
      connected: () => this.#connected(),
      disconnected: () => events.disconnected?.(),
      message: (lane, bytes) => this.#message(lane, bytes),
      video: (path, stream) => events.video?.(path, stream),
      pictureHashed: (rtpTimestamp, hash) => events.pictureHashed?.(rtpTimestamp, hash),
    });
  }

  start(): void {
    this.connector.start();
    setInterval(() => this.#watch(), 500);
  }

  /** Signs and sends, in order with other statements. */
  async say(said: Said): Promise<boolean> {
    const { identity } = this.proven;
    const bytes = await signStatement({ session: identity.session, said }, identity.signer);
    return this.connector.send("statements", bytes);
  }

  /** An e-stop press goes on both channels and every path; signed once, repeated as it is. */
  async sendPress(press: Bytes): Promise<void> {
    const bytes = await this.#signedPress(press);
    this.connector.send("control", bytes);
    this.connector.send("statements", bytes);
  }

  /** The pseudonym of whoever a session key speaks for, if they came while this page was there. */
  nameOf(sessionKey: Uint8Array): string | undefined {
    return this.people.value.find((person) => equal(person.sessionKey, sessionKey))?.pseudonym;
  }

  /** Surgeons but `sessionKey`'s and this page's own, each of whom control may be given to. */
  surgeonsBut(sessionKey: Uint8Array | null): readonly Present[] {
    const { linkKey } = this.proven.identity;
    return this.people.value.filter((one) => one.role === "surgeon" && !equal(one.key, linkKey) && !(sessionKey && equal(one.sessionKey, sessionKey)));
  }

  isOurs(sessionKey: Uint8Array | null): boolean {
    return sessionKey !== null && equal(sessionKey, this.proven.identity.signer.publicKey);
  }

  get hasSigned(): boolean {
    const ours = this.proven.identity.linkKey;
    return this.notice.value?.said.signedBy.some((key) => equal(key, ours)) ?? false;
  }

  #connected(): void {
    this.heardMs = performance.now();
    // The kit has to know this session key before anything it signs counts.
    this.connector.send("statements", this.proven.identity.endorsement);
    this.events.connected?.();
  }

  #signedPress(press: Bytes): Promise<Bytes> {
    const known = this.#signedPresses.get(toHex(press));
    if (known !== undefined) return known;
    const { identity } = this.proven;
    const said = { is: "e-stop", press } as const;
    const signed = signStatement({ session: identity.session, said }, identity.signer);
    if (this.#signedPresses.size >= SIGNED_PRESSES_MAX) this.#signedPresses.clear();
    this.#signedPresses.set(toHex(press), signed);
    return signed;
  }

  #message(lane: Lane, bytes: Bytes): void {
    this.heardMs = performance.now();
    if (lane !== "statements" || bytes[0] !== Kind.Signed) return this.events.message?.(lane, bytes);
    this.#inbox = this.#inbox.then(() => this.#statement(bytes)).catch(() => void (this.disbelieved += 1));
  }

  async #statement(bytes: Bytes): Promise<void> {
    const { opening, identity } = this.proven;
    const { author, session: about, said } = await openStatement(bytes);
    const member = opening.member(author);
    if (said.is === "endorse" && member !== undefined && equal(about, opening.session)) return this.#meet(member, said.sessionKey);
    const person = this.people.peek().find(({ sessionKey }) => equal(sessionKey, author));
    if (said.is === "forbid" && person !== undefined && equal(about, opening.session)) {
      this.#forbid.value = { version: said.version, regions: said.regions, by: person };
      return;
    }
    if (!equal(author, opening.kit) || !equal(about, opening.session)) {
      this.disbelieved += 1;
      return;
    }
    if (said.is === "notice") this.#notice(said.notice);
    else if (said.is === "lease-grant") this.events.granted?.(said.transcript);
    else if (said.is === "refused" && (this.isOurs(said.to) || equal(said.to, identity.linkKey))) {
      this.refusal.value = { said: said.why, atMs: performance.now() };
    }
  }

  /** By the person's own signature; the edge box that brings it can leave people out, and invent none. */
  #meet(member: Member, sessionKey: Bytes): void {
    const others = this.people.peek().filter(({ key }) => !equal(key, member.key));
    this.people.value = [...others, { ...member, sessionKey }];
  }

  /** The newest notice of the newest run of the kit: an old one that comes again changes nothing. */
  #notice(notice: KitNotice): void {
    const boot = toHex(notice.boot);
    const newest = this.#boots.at(-1);
    if (boot !== newest) {
      if (this.#boots.includes(boot)) return;
      if (this.#boots.length >= BOOTS_MAX) this.#boots.shift();
      this.#boots.push(boot);
    } else if (this.notice.value !== undefined && notice.tickUs <= this.notice.value.said.tickUs) {
      return;
    }
    this.notice.value = { said: notice, atMs: performance.now() };
    this.events.notice?.(notice);
  }

  async #askSealed(): Promise<void> {
    const now = performance.now();
    if (now - this.#askedMs < ASK_SEALED_MS) return;
    this.#askedMs = now;
    const answer = await session(this.proven.identity).catch(() => undefined);
    if (answer?.sealed) this.sealed.value = answer.sealed;
  }

  #watch(): void {
    if (this.notice.value?.said.closed && this.sealed.value === undefined) void this.#askSealed();
    if (this.link.value.is === "connected" && performance.now() - this.heardMs > SILENCE_MS_MAX) {
      this.connector.restart("the edge box said nothing for 5 s");
    }
  }
}
