/** Several paths to the edge box: once, in order, unnoticed. */
import { describe, expect, it } from "vitest";
import { Bond, type Event } from "../src/link/bond";
import { Inbox, Outbox } from "../src/link/order";
import { PathGauge, Race } from "../src/link/quality";
import { readSignal } from "../src/link/signalling";
import { heard, hello, message, readWord } from "../src/link/words";
import { type Bytes, fromHex, toHex } from "../src/wire/bytes";
import { FrameMatcher } from "../src/video/frames";
import { picturesVia } from "../src/wire/video";
import { onePathNote, pathInWords } from "../src/words/paths";

const RUN = new Uint8Array(16).fill(7);
const text = (content: string) => new TextEncoder().encode(content) as Bytes;
const WELCOME = Uint8Array.of(1);
const APART = Uint8Array.of(4);

/** Everything that a path would send now. */
function out(bond: Bond, path: number): Bytes[] {
  const all: Bytes[] = [];
  for (let next = bond.next(path); next !== undefined; next = bond.next(path)) all.push(next);
  return all;
}

function together(): Bond {
  const bond = new Bond(RUN);
  for (const path of [0, 1]) bond.opened(path);
  out(bond, 0);
  expect(bond.take(0, WELCOME)).toEqual({ is: "began" });
  out(bond, 1);
  expect(bond.take(1, WELCOME)).toEqual({ is: "joined" });
  return bond;
}

describe("words", () => {
  it("are those that shared/link reads, byte for byte", () => {
    expect(toHex(hello({ run: RUN, number: 258n }, 1, true))).toBe(`00${"07".repeat(16)}02010000000000000101`);
    expect(toHex(message(3n, text("x")))).toBe("02030000000000000078");
    expect(toHex(heard(4n))).toBe("030400000000000000");
    expect(toHex(picturesVia(1))).toBe("170101");
    expect(readWord(message(3n, text("x")))).toEqual({ is: "message", number: 3n, content: text("x") });
    expect(readWord(heard(4n))).toEqual({ is: "heard", count: 4n });
    for (const none of ["", "00", "0100", "02ff", "0304", "0400", "05"]) expect(readWord(fromHex(none, none.length / 2) as Bytes)).toBeUndefined();
  });

  it("of the signalling name a path, or mean the first", () => {
    const nonce = "A".repeat(43);
    expect(readSignal(`{"type":"hello","nonce":"${nonce}"}`)).toMatchObject({ path: 0, paths: 1 });
    expect(readSignal(`{"type":"hello","nonce":"${nonce}","path":1,"paths":9}`)).toMatchObject({ path: 1, paths: 2 });
    for (const path of ["2", "-1", "0.5", '"1"', "null"]) {
      const read = readSignal(`{"type":"error","path":${path},"code":"x","message":"y"}`);
      expect(read?.type === "error" ? read.path : undefined, path).toBe(path === "null" ? 0 : undefined);
    }
  });
});

describe("messages over paths that die", () => {
  /** Goal: whichever paths die and whenever, messages come once and in order, and all of them once one path lives long enough. */
  it("come once, in order, and none is lost", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = generator(seed);
      const [outbox, inbox] = [new Outbox(1000), new Inbox()];
      let paths = [0, 1, 2].map(() => ({ sent: 0n, underWay: [] as bigint[], heard: [] as bigint[] }));
      const taken: bigint[] = [];
      let pushed = 0n;
      const step = (what: number, at: number) => {
        const path = paths[at]!;
        if (what < 2) pushed += outbox.push(text("")) ? 1n : 0n;
        else if (what < 6) {
          const next = outbox.after(path.sent);
          if (next === undefined) return;
          path.sent = next.number;
          path.underWay.push(next.number);
        } else if (what < 10) {
          const number = path.underWay.shift();
          const arrived = number === undefined ? "again" : inbox.take(number);
          expect(arrived).not.toBe("too-early");
          if (arrived === "next") taken.push(number!);
        } else if (what === 10) path.heard.push(inbox.taken);
        else if (what < 13) {
          const count = path.heard.shift();
          if (count !== undefined) expect(outbox.acknowledge(count)).toBe(true);
        } else paths = paths.map((other, i) => (i === at ? { sent: 0n, underWay: [], heard: [] } : other));
      };
      for (let i = 0; i < 400; i++) step(Math.floor(random() * 14), Math.floor(random() * 3));
      for (let i = 0n; i <= pushed; i++) step(2, 0);
      while (paths[0]!.underWay.length > 0) step(6, 0);
      expect(taken, `seed ${seed}`).toEqual(Array.from({ length: Number(pushed) }, (_, i) => BigInt(i + 1)));
    }
  });

  it("wait in bounds, and a lie about them is seen", () => {
    const outbox = new Outbox(2);
    expect([outbox.push(text("a")), outbox.push(text("b")), outbox.push(text("c"))]).toEqual([true, true, false]);
    expect(outbox.acknowledge(3n)).toBe(false);
    expect(outbox.acknowledge(1n)).toBe(true);
    expect(outbox.after(1n)?.number).toBe(2n);
    const inbox = new Inbox();
    expect([inbox.take(2n), inbox.take(1n), inbox.take(1n), inbox.take(2n)]).toEqual(["too-early", "next", "again", "next"]);
  });
});

describe("a bond", () => {
  /** Goal: it begins on one path; another that is open before that waits, and joins it by its name. */
  it("begins once, whichever path is first", () => {
    const bond = new Bond(RUN);
    bond.opened(1);
    bond.opened(0);
    expect(bond.say(text("too soon"))).toBe(false);
    expect(out(bond, 1)).toEqual([hello({ run: RUN, number: 1n }, 1, true)]);
    expect(out(bond, 0)).toEqual([]);
    expect(bond.take(1, WELCOME)).toEqual({ is: "began" });
    expect(out(bond, 0)).toEqual([hello({ run: RUN, number: 1n }, 0, false)]);
    expect(bond.take(0, WELCOME)).toEqual({ is: "joined" });
    expect(bond.standing).toEqual([0, 1]);
  });

  /** Goal: what a dying path took with it goes over the other, and over the one that takes its place; nothing is said of it. */
  it("loses nothing with a path", () => {
    const bond = together();
    expect(bond.say(text("a"))).toBe(true);
    expect(out(bond, 0)).toEqual([message(1n, text("a"))]);
    expect(bond.closed(0)).toEqual({ is: "nothing" });
    expect(out(bond, 1)).toEqual([message(1n, text("a"))]);
    bond.opened(0);
    expect(out(bond, 0)).toEqual([hello({ run: RUN, number: 1n }, 0, false)]);
    bond.take(0, WELCOME);
    expect(out(bond, 0)).toEqual([message(1n, text("a"))]);
    expect(bond.take(1, heard(1n))).toEqual({ is: "nothing" });
    bond.say(text("b"));
    expect(out(bond, 0)).toEqual([message(2n, text("b"))]);
  });

  /** Goal: what comes over both counts once, and is acknowledged over both. */
  it("takes each message once", () => {
    const bond = together();
    const events: Event[] = [0, 1, 1, 0].map((path, i) => bond.take(path, message(BigInt(i < 2 ? 1 : 2), text("m"))));
    expect(events.map(({ is }) => is)).toEqual(["message", "nothing", "message", "nothing"]);
    expect([out(bond, 0), out(bond, 1)]).toEqual([[heard(2n)], [heard(2n)]]);
    expect(bond.take(0, message(9n, text("")))).toEqual({ is: "broken" });
    expect(bond.take(0, heard(1n))).toEqual({ is: "broken" });
    expect(bond.take(0, Uint8Array.of(99))).toEqual({ is: "broken" });
  });

  /** Goal: only the last path ends it, or the edge box's word that it knows no such bond; then numbers and name begin anew. */
  it("is over with its last path, or where it is not known", () => {
    const bond = together();
    bond.say(text("lost"));
    expect(bond.closed(1)).toEqual({ is: "nothing" });
    expect(bond.closed(0)).toEqual({ is: "over" });
    expect(bond.closed(0)).toEqual({ is: "nothing" });
    bond.opened(0);
    expect(out(bond, 0)).toEqual([hello({ run: RUN, number: 2n }, 0, true)]);
    bond.take(0, WELCOME);
    expect(out(bond, 0)).toEqual([]);
    bond.opened(1);
    out(bond, 1);
    expect(bond.take(1, APART)).toEqual({ is: "over" });
    expect(bond.isTogether).toBe(false);
  });

  it("that died before its welcome gets another name", () => {
    const bond = new Bond(RUN);
    bond.opened(0);
    out(bond, 0);
    expect(bond.closed(0)).toEqual({ is: "nothing" });
    bond.opened(0);
    expect(out(bond, 0)).toEqual([hello({ run: RUN, number: 2n }, 0, true)]);
  });
});

describe("pictures", () => {
  /** Goal: a frame that comes, or is shown, over two paths was shown once. */
  it("over two paths are shown once", () => {
    const frames = new FrameMatcher();
    const record = { frame: 5n, rtpTimestamp: 90, capturedUs: 1n, keyFrame: true, auHash: RUN, pictureHash: RUN };
    const shown = { rtpTimestamp: 90, shownMs: 7, stampUs: undefined };
    expect(frames.record(record)).toBeUndefined();
    expect(frames.shown(shown)?.frame).toBe(5n);
    expect(frames.shown({ ...shown, shownMs: 9 })).toBeUndefined();
    expect(frames.record(record)).toBeUndefined();
    expect(frames.newest?.shownMs).toBe(7);
  });
});

describe("the quality of a path", () => {
  it("is its own pings' round trip, jitter and loss", () => {
    const gauge = new PathGauge(0);
    for (let i = 0n; i < 100n; i++) {
      const sentMs = Number(i) * 100;
      gauge.pinged(i, sentMs);
      if (i % 10n !== 0n) gauge.ponged(i, sentMs + (i % 2n === 0n ? 20 : 24));
    }
    gauge.heard(9_950);
    gauge.ponged(1n, 9_999); // twice
    gauge.ponged(777n, 9_999); // never asked
    const { rttMs, jitterMs, lossPercent, silentMs } = gauge.figures(10_950);
    expect(rttMs).toBeGreaterThan(20);
    expect(rttMs).toBeLessThan(24);
    expect(jitterMs).toBeGreaterThan(2);
    expect(jitterMs).toBeLessThan(4.1);
    expect(lossPercent).toBe(10);
    expect(silentMs).toBe(1_000);
    expect(gauge.figures(60_000).lossPercent).toBeUndefined();
  });

  /** Goal: silence is what another path brought meanwhile; where all are silent, none is. */
  it("is behind only while another speaks", () => {
    const race = new Race();
    race.begin(0);
    race.begin(1);
    for (let i = 0; i < 20; i++) race.heard(i % 2);
    expect(race.ahead(0)?.by ?? 0).toBeLessThanOrEqual(1);
    for (let i = 0; i < 8; i++) race.heard(1);
    expect(race.ahead(0)).toEqual({ path: 1, by: 9 });
    expect(race.ahead(1)).toBeUndefined();
    race.heard(0);
    expect(race.ahead(0)).toBeUndefined();
    race.end(1);
    expect(race.ahead(0)).toBeUndefined();
  });

  it("is said calmly", () => {
    const view = { path: 0, stands: true, stood: true, pictures: true, rttMs: 12.3, jitterMs: 0.6, lossPercent: 0, silentMs: 10 };
    const down = { ...view, path: 1, stands: false, pictures: false };
    expect(pathInWords(view)).toEqual({ is: "stands", short: "12 ms", long: "Path 1: round trip 12.3 ms, jitter 0.6 ms, loss 0.0 %, pictures come over it" });
    expect(pathInWords({ ...view, silentMs: 700 }).short).toBe("silent");
    expect(pathInWords(down)).toMatchObject({ is: "down", short: "down" });
    expect(onePathNote([view, down])).toContain("goes on");
    expect(onePathNote([view, { ...down, stood: false }])).toBe("");
    expect(onePathNote([down, down])).toBe("");
  });
});

/** Numbers in 0 to 1 from a seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
