import { describe, expect, it } from "vitest";
import { APART_MAX, TipWatch, apart } from "../src/video/tips";
import { type Contour, SeenClass } from "../src/wire/overlay";

/** A rectangle by shares of the picture's sides. */
const box = (seen: SeenClass, left: number, top: number, right: number, bottom: number): Contour => ({
  class: seen,
  points: Uint16Array.from([left, top, right, top, right, bottom, left, bottom], (share) => Math.round(share * 65535)),
});

describe("the end of a tool", () => {
  const seen = [box(SeenClass.Jaws, 0.5, 0.5, 0.6, 0.6), box(SeenClass.Vessel, 0, 0, 1, 1)];

  it("is where an instrument is seen, or as far from it as from its nearest edge", () => {
    expect(apart({ right: 0.1, down: 0.05 }, seen, 16 / 9)).toBe(0);
    expect(apart({ right: -0.1, down: 0.05 }, seen, 16 / 9)).toBeCloseTo(0.1, 3);
    expect(apart({ right: -0.03, down: -0.04 }, seen, 16 / 9)).toBeCloseTo(0.05, 3);
    expect(apart({ right: 0.1, down: 0.25 }, seen, 16 / 9)).toBeCloseTo(0.15, 3);
  });

  it("is far from every instrument where none is seen, and a vessel is none", () => {
    expect(apart({ right: 0, down: 0 }, seen.slice(1), 16 / 9)).toBe(Number.POSITIVE_INFINITY);
  });

  it("can't be told outside the picture", () => {
    expect(apart({ right: 0.9, down: 0 }, seen, 16 / 9)).toBeUndefined();
    expect(apart({ right: 0, down: 0.49 }, seen, 16 / 9)).toBeUndefined();
  });
});

describe("the flag", () => {
  const after = (...distances: (number | undefined)[]) => {
    const watch = new TipWatch();
    distances.forEach((distance) => watch.judge("PSM1", distance));
    return watch.raised;
  };
  const times = (count: number, distance: number | undefined) => Array.from({ length: count }, () => distance);

  it("is raised by a second of it and not by less, and lowered again", () => {
    expect(after(...times(7, 2 * APART_MAX))).toEqual([]);
    expect(after(...times(8, 2 * APART_MAX))).toEqual(["PSM1"]);
    expect(after(...times(7, 2 * APART_MAX), 0, ...times(7, 2 * APART_MAX))).toEqual([]);
    expect(after(...times(8, 2 * APART_MAX), ...times(4, 0))).toEqual([]);
  });

  it("stays while nothing can be said", () => {
    expect(after(...times(8, 2 * APART_MAX), ...times(20, undefined))).toEqual(["PSM1"]);
    expect(after(...times(7, 2 * APART_MAX), undefined, 2 * APART_MAX)).toEqual([]);
  });
});
