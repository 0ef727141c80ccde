/** What the console signs of what it did: complete, chained, once, whatever happens to connection and page. */
import { describe, expect, it } from "vitest";
import { type ChainEnd, type ChainStore } from "../src/evidence/chain";
import { Displayed } from "../src/evidence/displayed";
import { readUnlisted, writeUnlisted } from "../src/evidence/lastwords";
import { Scribe, type Unlisted } from "../src/evidence/scribe";
import { type Bytes, concat, equal, toHex } from "../src/wire/bytes";
import { Fields, fromCbor } from "../src/wire/cbor";
import { type Signer, signerFromSeed } from "../src/wire/ed25519";
import { Kind } from "../src/wire/kind";
import { sha256 } from "../src/wire/mac";
import { Domain, open } from "../src/wire/signed";

const SESSION = new Uint8Array(16);
const frameOf = (sequence: bigint): Bytes => sha256(new TextEncoder().encode(`frame ${sequence}`));

class Memory implements ChainStore {
  end: ChainEnd | undefined;
  broken = false;
  async load(): Promise<ChainEnd | undefined> {
    return this.end;
  }
  async save(end: ChainEnd): Promise<void> {
    if (this.broken) throw new Error("full");
    this.end = structuredClone(end);
  }
}

/** What outlives a page, and the page. */
class Desk {
  now = 0;
  takes = true;
  received: Bytes[] = [];
  left: readonly Unlisted[] = [];
  readonly commands = new Memory();
  readonly display = new Memory();
  scribe: Scribe;

  constructor(readonly signer: Signer) {
    this.scribe = this.reload();
  }

  reload(): Scribe {
    const lastWords = {
      leave: (unlisted: readonly Unlisted[]) => void (this.left = readUnlisted(writeUnlisted(unlisted))),
      take: () => {
        const left = this.left;
        this.left = [];
        return left;
      },
    };
    const { commands, display, signer } = this;
    const send = (bytes: Bytes) => this.takes && this.received.push(bytes) > 0;
    this.scribe = new Scribe({ session: SESSION, signer, commands, display, lastWords, send, now: () => this.now });
    return this.scribe;
  }

  /** Connected, and told that nothing is on record. */
  async begin(): Promise<this> {
    this.scribe.connected();
    this.scribe.watermark({ token: 0n, newest: 0n, segments: 0n });
    return this;
  }

  sendCommands(token: bigint, from: bigint, to: bigint): void {
    for (let sequence = from; sequence <= to; sequence++) this.scribe.sent(token, sequence, frameOf(sequence));
  }

  async later(ms: number): Promise<void> {
    this.now += ms;
    this.scribe.tick();
    await this.scribe.settled();
  }

  async segments(): Promise<Segment[]> {
    return Promise.all(this.received.filter((message) => message[0] === Kind.SurgeonSegment).map((message) => read(message, this.signer)));
  }
}

interface Segment {
  readonly number: bigint;
  readonly previous: Bytes;
  readonly token: bigint;
  readonly sent: readonly { sequence: bigint; hash: Bytes }[];
  readonly envelope: Bytes;
}

async function read(message: Bytes, signer: Signer): Promise<Segment> {
  const envelope = message.slice(2);
  const { author, body } = await open(Domain.surgeonSegment, envelope);
  expect(equal(author, signer.publicKey)).toBe(true);
  const f = new Fields("segment", fromCbor("segment", body, 20_000), 3);
  const link = f.record("link", 3);
  expect(equal(link.bytes(16), SESSION)).toBe(true);
  const [number, previous, token] = [link.u64(), link.bytes(32), f.u64()];
  const sent = f.list("sent", 256, (item) => {
    const one = item.record("sent", 2);
    return { sequence: one.u64(), hash: one.bytes(32) };
  });
  return { number, previous, token, sent, envelope };
}

/** A verifier's rules: numbers from 1, each names the one before, sequences without holes within a token, hashes right. */
function verify(segments: readonly Segment[]): bigint {
  let [number, previous, listed] = [0n, new Uint8Array(32) as Bytes, 0n];
  const last = new Map<bigint, bigint>();
  for (const segment of segments) {
    expect(segment.number).toBe((number += 1n));
    expect(toHex(segment.previous)).toBe(toHex(previous));
    previous = sha256(segment.envelope);
    for (const { sequence, hash } of segment.sent) {
      expect(sequence).toBe((last.get(segment.token) ?? 0n) + 1n);
      expect(toHex(hash)).toBe(toHex(sha256(frameOf(sequence))));
      last.set(segment.token, sequence);
      listed += 1n;
    }
  }
  return listed;
}

const once = (segments: readonly Segment[]) => [...new Map(segments.map((one) => [one.number, one])).values()];
const desk = async () => new Desk(await signerFromSeed(new Uint8Array(32).fill(7))).begin();

describe("the surgeon's segments", () => {
  // Goal: every command is listed once, in order, in segments of bounded size, one token each.
  it("list every command once, a token a segment, at most 256 in each", async () => {
    const at = await desk();
    at.sendCommands(1n, 1n, 600n);
    at.sendCommands(2n, 1n, 5n);
    await at.later(100);
    const segments = await at.segments();
    expect(segments.map(({ token, sent }) => [token, sent.length])).toEqual([[1n, 256], [1n, 256], [1n, 88], [2n, 5]]);
    expect(verify(segments)).toBe(605n);
  });

  it("come every 100 ms, and not at all where nothing was sent", async () => {
    const at = await desk();
    at.sendCommands(1n, 1n, 3n);
    await at.later(99);
    expect(at.received).toHaveLength(0);
    await at.later(1);
    await at.later(100);
    expect(at.received).toHaveLength(1);
  });

  // Goal: a broken connection breaks no chain. The edge box has what came twice once, by its number.
  it("are complete after a connection broke, sent again from where the edge box was heard last", async () => {
    const at = await desk();
    at.sendCommands(1n, 1n, 3n);
    await at.later(100);
    at.received = [];
    at.now = 4000;
    at.sendCommands(1n, 4n, 6n);
    await at.later(0);
    at.takes = false;
    at.sendCommands(1n, 7n, 9n);
    at.scribe.disconnected(3500);
    await at.scribe.settled();
    expect(at.scribe.openSegments).toBe(3);
    at.takes = true;
    const before = [...at.received];
    at.scribe.connected();
    await at.later(10);
    expect(at.received).toEqual(before);
    at.scribe.watermark({ token: 1n, newest: 3n, segments: 1n });
    await at.scribe.settled();
    const again = await at.segments();
    expect(again.map(({ number }) => number)).toEqual([2n, 2n, 3n]);
    expect(once(again).flatMap(({ sent }) => sent.map(({ sequence }) => Number(sequence)))).toEqual([4, 5, 6, 7, 8, 9]);
  });

  it("go again without a watermark after a second", async () => {
    const at = await desk();
    at.scribe.connected();
    at.sendCommands(1n, 1n, 3n);
    await at.later(100);
    expect(at.received).toHaveLength(0);
    await at.later(900);
    expect(verify(await at.segments())).toBe(3n);
  });

  // Goal: a page that is loaded again goes on with the chain, and what it had not signed is listed first.
  it("go on over a reload of the page", async () => {
    const at = await desk();
    at.sendCommands(1n, 1n, 4n);
    await at.later(100);
    at.sendCommands(1n, 5n, 7n);
    at.scribe.leave();
    await (at.reload(), at.begin());
    at.sendCommands(2n, 1n, 2n);
    await at.later(100);
    expect(verify(once(await at.segments()))).toBe(9n);
  });

  it("are forgotten when they are durable, by our tokens alone", async () => {
    const at = await desk();
    at.sendCommands(5n, 1n, 1n);
    await at.later(100);
    at.scribe.watermark({ token: 4n, newest: 9n, segments: 9n });
    expect(at.scribe.openSegments).toBe(1);
    at.scribe.watermark({ token: 5n, newest: 1n, segments: 1n });
    expect(at.scribe.openSegments).toBe(0);
  });

  it("are signed to the last command by a flush", async () => {
    const at = await desk();
    at.sendCommands(1n, 1n, 2n);
    await at.scribe.flush();
    expect(verify(await at.segments())).toBe(2n);
  });

  it("go on where the store fails", async () => {
    const at = await desk();
    at.commands.broken = true;
    at.sendCommands(1n, 1n, 2n);
    await at.later(100);
    at.sendCommands(1n, 3n, 4n);
    await at.later(100);
    expect(verify(await at.segments())).toBe(4n);
  });
});

describe("display reports", () => {
  const shown = (frame: bigint) => ({ frame, pictureHash: sha256(frameOf(frame)), shownUs: frame, glassToGlassUs: 1n });
  const reports = (at: Desk) => at.received.filter((message) => message[0] === Kind.DisplayReport);

  it("come every 500 ms, or when one is full", async () => {
    const at = await desk();
    at.scribe.shown(shown(1n));
    await at.later(499);
    expect(reports(at)).toHaveLength(0);
    await at.later(1);
    expect(reports(at)).toHaveLength(1);
    for (let frame = 2n; frame < 258n; frame++) at.scribe.shown(shown(frame));
    await at.later(1);
    expect(reports(at)).toHaveLength(2);
  });

  it("are chained under their own domain", async () => {
    const at = await desk();
    for (const frame of [1n, 2n]) {
      at.scribe.shown(shown(frame));
      await at.later(500);
    }
    const [first, second] = reports(at).map((message) => message.slice(2));
    const { body } = await open(Domain.displayReport, second!);
    const link = new Fields("report", fromCbor("report", body, 20_000), 2).record("link", 3);
    expect([link.bytes(16).length, link.u64(), toHex(link.bytes(32))]).toEqual([16, 2n, toHex(sha256(first!))]);
    await expect(open(Domain.surgeonSegment, second!)).rejects.toThrow();
  });
});

describe("frames shown", () => {
  const picture = sha256(new Uint8Array(1));
  const frame = (rtpTimestamp: number, pictureHash = picture) => ({ frame: 9n, rtpTimestamp, capturedUs: 0n, pictureHash, shownMs: 12.5, stampUs: undefined });

  it("are reported with the hash of what was received, in either order", () => {
    const displayed = new Displayed();
    expect(displayed.hashed(1, picture)).toBeUndefined();
    expect(displayed.shown(frame(1), 61.2)).toEqual({ frame: 9n, pictureHash: picture, shownUs: 12_500n, glassToGlassUs: 61_200n });
    expect(displayed.shown(frame(2), -0.4)).toBeUndefined();
    expect(displayed.hashed(2, picture)).toMatchObject({ glassToGlassUs: 0n });
    expect([displayed.asSent, displayed.other]).toEqual([2, 0]);
  });

  // Goal: another picture than the one that was sent is reported as it is, and counted.
  it("another picture is reported as it was received", () => {
    const displayed = new Displayed();
    const other = sha256(concat(picture, picture));
    displayed.hashed(1, other);
    expect(displayed.shown(frame(1), 1)?.pictureHash).toEqual(other);
    expect(displayed.other).toBe(1);
  });

  it("wait for their hash without end, but not without bound", () => {
    const displayed = new Displayed();
    for (let rtp = 0; rtp < 2000; rtp++) displayed.shown(frame(rtp), 1);
    expect(displayed.hashed(0, picture)).toBeUndefined();
    expect(displayed.hashed(1999, picture)).toBeDefined();
  });
});

describe("last words", () => {
  it("are read as they were written, and nonsense is none", () => {
    const unlisted = [{ token: 7n, sent: [1n, 2n].map((sequence) => ({ sequence, hash: sha256(frameOf(sequence)) })) }];
    expect(readUnlisted(writeUnlisted(unlisted))).toEqual(unlisted);
    expect(readUnlisted("x y z\n")).toEqual([]);
  });
});
