import { describe, expect, it } from "vitest";
import { type Eye, type Spot, spotOf } from "../src/control/camera";
import { shows } from "../src/video/sight";
import { CLEAR_MM, NEAR_MM, type NearVessel, VesselWatch, nearestVessel } from "../src/video/vessels";
import { type Contour, SeenClass } from "../src/wire/overlay";
import { vesselNote } from "../src/words/sight";

const ASPECT = 16 / 9;
/** Right of the picture's middle by so many of its heights, where the height is 60 mm. */
const spot = (right: number, down = 0): Spot => ({ at: { right, down }, heightM: 0.06 });
/** A rectangle from one side of the middle to the other, in heights of the picture. */
const box = (seen: SeenClass, left: number, right: number): Contour => ({
  class: seen,
  points: Uint16Array.from([left, -0.1, right, -0.1, right, 0.1, left, 0.1], (at, i) => Math.round((0.5 + (i % 2 === 0 ? at / ASPECT : at)) * 65535)),
});

describe("a vessel", () => {
  const vessel = box(SeenClass.Vessel, 0.2, 0.3);
  const mm = (spots: readonly (Spot | undefined)[], contours: readonly Contour[] = [vessel]) => nearestVessel(spots, contours, ASPECT)?.mm;

  it("is as far as its nearest edge at the jaws' depth, and not at all from within it", () => {
    expect(mm([spot(0.25)])).toBe(0);
    expect(mm([spot(0.1)])).toBeCloseTo(6, 1);
    expect(mm([{ ...spot(0.1), heightM: 0.03 }])).toBeCloseTo(3, 1);
    expect(mm([spot(-0.3), spot(0.15)])).toBeCloseTo(3, 1);
  });

  it("is the nearest of those that are seen, and no instrument is one", () => {
    const farther = box(SeenClass.Vessel, -0.3, -0.2);
    expect(nearestVessel([spot(0.1)], [box(SeenClass.Jaws, 0, 0.2), farther, vessel], ASPECT)?.contour).toBe(vessel);
    expect(nearestVessel([spot(0.1)], [box(SeenClass.Jaws, 0, 0.2)], ASPECT)).toEqual({ mm: Number.POSITIVE_INFINITY, contour: undefined });
  });

  it("can't be told outside the picture, nor behind the eye", () => {
    expect(mm([spot(0.9), spot(0, 0.51), undefined])).toBeUndefined();
    expect(mm([spot(0.9), spot(0.25)])).toBe(0);
    expect(mm([])).toBeUndefined();
  });

  it("is measured by the angle of view and the depth along the eye's axis", () => {
    const eye: Eye = { kitFromCamera: { positionM: [0, 0, 0.1], orientationWxyz: [0, 1, 0, 0] }, fovYRad: Math.PI / 2 };
    const seen = spotOf(eye, [0.02, 0, 0.05]);
    expect([seen?.heightM, seen?.at.right, seen?.at.down]).toEqual([0.1, 0.2, 0].map((is) => expect.closeTo(is, 9)));
    expect(spotOf(eye, [0, 0, 0.15])).toBeUndefined();
  });
});

describe("the warning", () => {
  const contour = box(SeenClass.Vessel, 0.2, 0.3);
  const at = (mm: number): NearVessel => ({ mm, contour });
  const after = (...all: (number | undefined)[]) => {
    const watch = new VesselWatch();
    all.forEach((mm) => watch.judge("PSM1", mm === undefined ? undefined : at(mm)));
    return watch.raised;
  };
  const [near, between, far] = [NEAR_MM - 0.1, NEAR_MM + 0.1, CLEAR_MM + 0.1];

  it("comes with three overlays in a row and not with fewer", () => {
    expect(after(near, near)).toEqual([]);
    expect(after(near, near, near)).toEqual(["PSM1"]);
    expect(after(near, near, between, near, near)).toEqual([]);
  });

  it("goes with three in a row that are clear, and stays in between", () => {
    expect(after(near, near, near, far, far)).toEqual(["PSM1"]);
    expect(after(near, near, near, far, far, between, far, far)).toEqual(["PSM1"]);
    expect(after(near, near, near, ...Array.from({ length: 9 }, () => between))).toEqual(["PSM1"]);
    expect(after(near, near, near, far, far, far)).toEqual([]);
    expect(after(near, near, near, far, far, far, near, near)).toEqual([]);
  });

  it("goes at once where nothing can be said, and begins anew", () => {
    expect(after(near, near, near, undefined)).toEqual([]);
    expect(after(near, near, undefined, near)).toEqual([]);
  });

  it("means the near outline of each overlay, once it is told, and that arm alone", () => {
    const [watch, first, third] = [new VesselWatch(), box(SeenClass.Vessel, 0.2, 0.3), box(SeenClass.Vessel, 0.2, 0.4)];
    for (const one of [first, contour, third]) watch.judge("PSM2", { mm: near, contour: one });
    watch.judge("PSM1", at(near));
    expect([first, contour, third].map((one) => watch.means(one))).toEqual([false, false, true]);
    const away = box(SeenClass.Vessel, 0.2, 0.5);
    watch.judge("PSM2", { mm: far, contour: away });
    expect([watch.means(away), watch.raised]).toEqual([false, ["PSM2"]]);
    watch.reset();
    expect(watch.raised).toEqual([]);
  });
});

describe("in words", () => {
  it("what the net sees is told, and that it does not see all; of nothing nothing is said", () => {
    expect(vesselNote(["PSM1"])).toBe(
      "Vessel near PSM1's jaws, as the net sees the picture. It does not see every vessel. Look before you go on; nothing is stopped by this.",
    );
    expect(vesselNote(["PSM1", "PSM2"])).toMatch(/^Vessels near the jaws of PSM1 and PSM2, as the net sees the picture\. It does not see every vessel\./);
    expect(vesselNote([])).toBe("");
  });

  it("only while vessels are shown", () => {
    expect((["all", "instruments", "vessels", "off"] as const).map((wanted) => shows(wanted, SeenClass.Vessel))).toEqual([true, false, true, false]);
    expect((["all", "instruments", "vessels", "off"] as const).map((wanted) => shows(wanted, SeenClass.Jaws))).toEqual([true, true, false, false]);
  });
});
