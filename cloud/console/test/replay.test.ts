/** A session looked through: what stood at a moment, how a session is found, and the audit path of an entry. */
import { describe, expect, it } from "vitest";
import { type Index, Indexer } from "../src/bundle/index";
import { auditPath } from "../src/bundle/proof";
import { type Session } from "../src/bundle/session";
import { type Passed } from "../src/bundle/verify";
import { matches } from "../src/pages/audit/find";
import { Marks, counted, saidOf } from "../src/pages/audit/marks";
import { Replay, lastAt } from "../src/pages/audit/replay";
import { armField, stateFields } from "../src/pages/audit/say";
import { Tree, leafHash, rootOfInclusion } from "../src/trust/merkle";
import { concat, equal } from "../src/wire/bytes";
import { MacKey } from "../src/wire/mac";
import { Kit, THREE_ARMS } from "./mock/kit";
import { sealKitState } from "./mock/wire";

describe("an audit path", () => {
  // Goal: of every leaf of every tree it leads to the root, by the check that is written from the RFC's other section.
  it("leads to the root", () => {
    for (let size = 1; size <= 33; size++) {
      const hashes = Array.from({ length: size }, (_, i) => leafHash(Uint8Array.of(size, i)));
      const tree = new Tree();
      hashes.forEach((hash) => tree.append(hash));
      hashes.forEach((hash, leaf) => {
        const reached = rootOfInclusion(hash, BigInt(leaf), BigInt(size), auditPath(concat(...hashes), leaf, size));
        expect(reached && equal(reached, tree.root()), `${leaf} of ${size}`).toBe(true);
      });
    }
  });
});

describe("a replay", () => {
  const frames = {
    leaf: Float64Array.of(1, 3, 5),
    number: Float64Array.of(1, 2, 3),
    capturedUs: Float64Array.of(100, 200, 300),
    key: Uint8Array.of(1, 0, 0),
    at: Float64Array.of(0, 0, 0),
    bytes: Float64Array.of(0, 0, 0),
    // The second one was never shown.
    shownUs: Float64Array.of(160, 0, 360),
  };
  const index = { utcUs: Float64Array.of(90, 110, 150, 210, 250, 310, 400), frames, commands: { leaf: Float64Array.of(2, 4), arm: Uint8Array.of(0, 0) }, states: { leaf: Float64Array.of(3), arm: Uint8Array.of(0) } } as unknown as Index;

  // Goal: at each moment the newest of everything, never what comes later.
  it("knows what stood", () => {
    const replay = new Replay(index);
    const stood = (us: number) => {
      replay.to(us);
      return [replay.leaf, replay.captured, replay.seen, replay.command, replay.state].map(({ value }) => value);
    };
    expect(stood(90)).toEqual([0, -1, -1, -1, -1]);
    expect(stood(155)).toEqual([2, 0, -1, 2, -1]);
    expect(stood(210)).toEqual([3, 1, 0, 2, 3]);
    expect(stood(359)).toEqual([5, 2, 0, 4, 3]);
    expect(stood(360)).toEqual([5, 2, 2, 4, 3]);
  });

  // Goal: of several arms, how the one stood that was commanded, though others were told of later.
  it("shows the arm that the newest command names", () => {
    const states = { leaf: Float64Array.of(0, 1, 4), arm: Uint8Array.of(0, 1, 0) };
    const commands = { leaf: Float64Array.of(2, 5), arm: Uint8Array.of(1, 2) };
    const replay = new Replay({ ...index, states, commands } as unknown as Index);
    const stood = (us: number) => (replay.to(us), replay.state.value);
    expect([110, 250, 310].map(stood)).toEqual([0, 1, -1]);
  });

  it("steps by pictures, stays inside, and ends by itself", () => {
    const replay = new Replay(index);
    replay.to(205);
    replay.step(1);
    expect(replay.atUs.value).toBe(300);
    replay.step(5);
    expect(replay.atUs.value).toBe(300);
    replay.playing.value = 4;
    replay.pass(10);
    expect(replay.atUs.value).toBe(340);
    replay.pass(1000);
    expect([replay.atUs.value, replay.playing.value]).toEqual([400, 0]);
  });

  it("finds the last one that is not later", () => {
    expect([5, 10, 15, 20, 99].map((most) => lastAt(Float64Array.of(10, 20, 20), most))).toEqual([-1, 0, 0, 2, 2]);
  });
});

describe("a kit of several arms", () => {
  const key = new MacKey(new Uint8Array(32));
  const kit = new Kit(new Uint8Array(16), THREE_ARMS);
  [kit.armed, kit.token] = [true, 1n];
  for (const arm of kit.arms) arm.releaseDue = false;
  const bytesOf = (arm: number, atMs: number) => sealKitState(kit.state(atMs, arm), key);
  const leafOf = (number: number, bytes: Uint8Array) =>
    ({ number, hash: new Uint8Array(32), at: 0, utcUs: BigInt(number), entry: { number: BigInt(number), recordedUs: 0n, what: { is: "kit state", bytes } } }) as unknown as Passed;

  // Goal: one engagement is one stretch, whatever the other arms' states between say; the whole is as free as its freest arm.
  it("is engaged while one of its arms is", () => {
    const indexer = new Indexer();
    for (let leaf = 0; leaf < 30; leaf++) {
      const [arm, running] = [leaf % 3, leaf >= 9 && leaf < 21];
      kit.arm(1).running = running ? { id: 1n, hold: 1n } : undefined;
      kit.arm(1).lastAppliedMs = running ? leaf : -1e9;
      indexer.take(leafOf(leaf, bytesOf(arm, leaf)));
    }
    const index = indexer.index({} as Session, [0, 0]);
    const spans = (lane: string) => index.spans.filter((span) => span.lane === lane).map(({ from, to }) => [from, to]);
    expect(spans("Engaged")).toEqual([[10, 22]]);
    expect(spans("Holding")).toEqual([[0, 10], [22, 29]]);
    expect(spans("Armed")).toEqual([[0, 29]]);
    expect(index.arms).toEqual(["arm 1", "arm 2", "arm 3"]);
    expect([...index.states.arm.slice(0, 4)]).toEqual([0, 1, 2, 0]);
  });

  it("is said arm by arm, by its name; of a kit of one arm nothing is said of that", () => {
    const names = THREE_ARMS.map(({ name }) => name);
    expect(stateFields(bytesOf(2, 0), names)[0]).toEqual(["arm", "3, ECM"]);
    expect(stateFields(bytesOf(0, 0), ["PSM1"])[0]?.[0]).toBe("mode");
    expect([armField(1, []), armField(0, [])]).toEqual([[["arm", "2"]], []]);
  });
});

describe("marks", () => {
  const kinds = ["redacted", "opening", "frame", "kit state", "restarted", "closed"];
  const index = { kinds, kind: Uint8Array.of(1, 2, 3, 2, 4, 3, 0, 3, 5) } as unknown as Index;

  // Goal: what is counted before is what the server is asked to leave out, and nothing that is needed is asked for.
  it("say what is left out, and never what is needed", () => {
    const marks = new Marks(index);
    marks.toggle({ first: 1, last: 1 });
    marks.toggle({ kind: "kit state" });
    expect([marks.words, counted(marks.counts.value), marks.total.value]).toEqual(["1-1,kit-state", "3 × kit state, 1 × frame with its picture", 4]);
    expect(marks.list.value.map(saidOf)).toEqual(["entry 1", "every kit state"]);
    marks.toggle({ kind: "kit state" });
    marks.edge(8);
    expect([marks.begun.value, marks.total.value]).toEqual([8, 1]);
    marks.edge(2);
    // Split at the restart, without the closing; a leaf that is gone already is not counted again.
    expect([marks.begun.value, marks.words, marks.total.value]).toEqual([undefined, "1-1,2-3,5-7", 5]);
    marks.edge(0);
    marks.edge(0);
    expect(marks.words).toBe("1-1,2-3,5-7");
    expect([0, 1, 4, 6, 8].map((leaf) => marks.kindOf(leaf))).toEqual([undefined, "frame", undefined, undefined, undefined]);
  });
});

describe("a session", () => {
  it("is found by every word that is known of it", () => {
    const bundle = { name: "ab12.mcap", bytes: 1, sealedAtMs: Date.UTC(2026, 10, 21) };
    const head = { session: "ab12", openedMs: Date.UTC(2026, 10, 20), durationMs: 1, people: [{ role: "surgeon", pseudonym: "S1" } as const] };
    const found = (wanted: string) => matches(wanted, bundle, { is: "read", head }, "this device: holds");
    for (const wanted of ["", "s1", "SURGEON 2026-11-20", "ab12 11-21", "s1 holds"]) expect(found(wanted), wanted).toBe(true);
    for (const wanted of ["s2", "surgeon field"]) expect(found(wanted), wanted).toBe(false);
  });
});
