/** What the net sees: read as `shared/wire` wrote it, and drawn over the picture that it belongs to. */
import { describe, expect, it } from "vitest";
import { BEHIND_MS_MAX, SHOWN, Sight, next } from "../src/video/sight";
import { type ShownFrame } from "../src/video/frames";
import { shownAt } from "../src/video/viewer";
import { Kind, wrap } from "../src/wire/kind";
import { Doubt, type Overlay, SeenClass, readNoSight, readOverlay } from "../src/wire/overlay";
import { sightInShort, sightNote } from "../src/words/sight";
import { bytes, vectors } from "./hex";

const wire = vectors("wire");

const overlay = (capturedMs: number, doubt?: Doubt): Overlay => ({ rtpTimestamp: capturedMs * 90, capturedUs: BigInt(capturedMs * 1000), doubt, contours: [] });
const shown = (capturedMs: number): ShownFrame => ({
  frame: BigInt(capturedMs),
  rtpTimestamp: capturedMs * 90,
  capturedUs: BigInt(capturedMs * 1000),
  pictureHash: new Uint8Array(32),
  shownMs: capturedMs + 30,
  stampUs: undefined,
});

describe("overlays", () => {
  it("fields stand where the layout says", () => {
    const { contours, ...rest } = readOverlay(bytes(wire, "overlay"));
    expect(rest).toEqual({ rtpTimestamp: 4_294_967_000, capturedUs: 5_000_000_123n, doubt: undefined });
    expect(contours.map(({ class: seen, points }) => [seen, [...points]])).toEqual([
      [SeenClass.Shaft, [0, 0, 65_535, 1, 32_768, 65_535]],
      [SeenClass.Vessel, [7, 8, 9, 10]],
    ]);
    expect(readOverlay(bytes(wire, "overlay_doubt"))).toMatchObject({ doubt: Doubt.Blurred, contours: [] });
  });

  // Goal: what is cut, longer, or says what no overlay can say is refused whole.
  it("anything else is none", () => {
    const whole = bytes(wire, "overlay");
    for (let length = 0; length < whole.length; length++) expect(() => readOverlay(whole.slice(0, length))).toThrow();
    expect(() => readOverlay(Uint8Array.from([...whole, 0]))).toThrow(/bytes/);
    const changed = (at: number, byte: number) => Uint8Array.from(whole, (was, i) => (i === at ? byte : was));
    expect(() => readOverlay(changed(2, Doubt.Dark))).toThrow(/doubt/);
    expect(() => readOverlay(changed(3, 65))).toThrow(/65/);
    expect(() => readOverlay(changed(16, 6))).toThrow(/class/);
    expect(() => readOverlay(changed(17, 1))).toThrow(/reserved/);
    expect(() => readOverlay(changed(19, 9))).toThrow(/points/);
    const doubt = bytes(wire, "overlay_doubt");
    expect(() => readOverlay(Uint8Array.from(doubt, (was, i) => (i === 2 ? 6 : was)))).toThrow(/doubt/);
  });
});

describe("no sight", () => {
  it("comes with its reason, in words that are some and not too many", () => {
    const told = (words: Uint8Array) => readNoSight(wrap(Kind.NoSight, words));
    expect(told(new TextEncoder().encode("the model is cut"))).toBe("the model is cut");
    expect(() => told(Uint8Array.of(0xff))).toThrow();
    expect(() => told(new Uint8Array(201))).toThrow(/201/);
  });
});

describe("over the picture", () => {
  // Goal: nothing is drawn over a picture older than the one it was seen in, in whichever order both come.
  it("an overlay waits for its own picture", () => {
    const sight = new Sight();
    sight.take(overlay(1100));
    sight.take(overlay(1000));
    expect(sight.over(undefined)).toBeUndefined();
    expect(sight.over(shown(999))).toBeUndefined();
    expect(sight.over(shown(1000))).toMatchObject({ behindMs: 0, overlay: { capturedUs: 1_000_000n } });
    expect(sight.over(shown(1066))).toMatchObject({ behindMs: 66, overlay: { capturedUs: 1_000_000n } });
    expect(sight.over(shown(1100))).toMatchObject({ behindMs: 0 });
  });

  // Goal: what is stale is dropped, and nothing of an earlier connection is left.
  it("and goes when it is stale", () => {
    const sight = new Sight();
    sight.take(overlay(1000));
    expect(sight.over(shown(1000 + BEHIND_MS_MAX))).toBeDefined();
    expect(sight.over(shown(1001 + BEHIND_MS_MAX))).toBeUndefined();
    sight.reset();
    expect(sight.over(shown(1000))).toBeUndefined();
  });

  it("only so many are kept, the newest", () => {
    const sight = new Sight();
    for (let at = 0; at < 40; at++) sight.take(overlay(1000 + at));
    expect(sight.over(shown(1020))).toBeUndefined();
    expect(sight.over(shown(1030))).toBeDefined();
  });
});

describe("in words", () => {
  it("a doubt is said, with its reason, unless nothing is wanted", () => {
    const doubting = { overlay: overlay(1000, Doubt.Dark), behindMs: 12 };
    expect(sightNote("all", doubting, "")).toBe("No outlines: the picture is dark. The operation goes on without them.");
    expect(sightNote("off", doubting, "no net")).toBe("");
    expect(sightNote("all", { overlay: overlay(1000), behindMs: 12 }, "")).toBe("");
    expect(sightNote("all", undefined, "no net")).toMatch(/^No outlines: no net/);
    expect(["all", "off"].map((wanted) => sightInShort(wanted as "all", doubting))).toEqual(["Doubts", "Off"]);
    expect(sightInShort("instruments", { overlay: overlay(1000), behindMs: 33.4 })).toBe("Tools, 33 ms");
    expect(sightInShort("all", { overlay: overlay(1000), behindMs: 33.4 })).toBe("33 ms");
    expect(sightInShort("all", undefined)).toBe("–");
  });

  it("the key goes through all there is and begins anew", () => {
    expect(SHOWN.map(next)).toEqual(["instruments", "vessels", "off", "all"]);
  });
});

describe("when a frame is on the screen", () => {
  it("is when the browser expects it to be, as long as that is near", () => {
    expect(shownAt(100, { presentationTime: 101, expectedDisplayTime: 112 })).toBe(112);
    expect(shownAt(100, { presentationTime: 101, expectedDisplayTime: 400 })).toBe(101);
    expect(shownAt(100, { presentationTime: 90, expectedDisplayTime: 95 })).toBe(100);
  });

  it("is never before it was there, on a page that is behind", () => {
    expect(shownAt(100, { presentationTime: 180, expectedDisplayTime: 116 })).toBe(180);
  });
});
