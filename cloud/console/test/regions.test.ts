import { describe, expect, test } from "vitest";
import { type Eye, lookingAt, project } from "../src/control/camera";
import { type Mark, outlineOf, regionOf } from "../src/control/regions";
import { length, subtract } from "../src/control/rotation";
import { type Vec3 } from "../src/wire/pose";
import { type Region } from "../src/wire/statement";

/** At the kit's origin, looking along its x with its z upward; so the picture's right is -y. */
const EYE: Eye = { kitFromCamera: { positionM: [0, 0, 0], orientationWxyz: [0.5, -0.5, 0.5, -0.5] }, fovYRad: 1 };
const MARK: Mark = { middle: { right: 0.1, down: -0.05 }, radius: 0.05 };
const TIP: Vec3 = [0.08, 0.004, -0.003];
const metres = (um: readonly number[]): Vec3 => [(um[0] ?? 0) / 1e6, (um[1] ?? 0) / 1e6, (um[2] ?? 0) / 1e6];

describe("a mark in the picture", () => {
  test("the eye of these tests looks along x", () => {
    expect(lookingAt([0, 0, 0], [1, 0, 0], [0, 0, 1]).right[1]).toBeCloseTo(-1);
    expect(project(EYE, [1, -0.1, 0.05], [1, -0.1, 0.05])?.[0].right).toBeGreaterThan(0);
    expect(project(EYE, [1, -0.1, 0.05], [1, -0.1, 0.05])?.[0].down).toBeLessThan(0);
  });

  test("forbids a rod along the line of sight, from before the tool's depth to behind it", () => {
    const region = regionOf(MARK, EYE, TIP);
    expect(region).toBeDefined();
    if (region === undefined) return;
    const [from, to] = [metres(region.fromUm), metres(region.toUm)];
    expect([from[0], to[0]]).toEqual([0.075, 0.11]);
    for (const end of [from, to]) {
      const seen = project(EYE, end, end)?.[0];
      expect(seen?.right).toBeCloseTo(MARK.middle.right, 4);
      expect(seen?.down).toBeCloseTo(MARK.middle.down, 4);
    }
    // 5 % of the picture's height where the tool is.
    expect(region.radiusUm / 1e6).toBeCloseTo(0.05 * 2 * Math.tan(0.5) * 0.08, 5);
  });

  test("a slip of the hand and a tool behind the lens forbid nothing; a circle over the whole picture is cut", () => {
    expect(regionOf({ ...MARK, radius: 0.002 }, EYE, TIP)).toBeUndefined();
    expect(regionOf(MARK, EYE, [-0.02, 0, 0])).toBeUndefined();
    expect(regionOf({ ...MARK, radius: 5 }, EYE, TIP)?.radiusUm).toBe(30_000);
  });
});

describe("the outline of a region", () => {
  test("a ball's is a circle around its middle, as large as it appears", () => {
    const ball: Region = { is: "capsule", fromUm: [80_000, 0, 0], toUm: [80_000, 0, 0], radiusUm: 4_000 };
    const outline = outlineOf(ball, EYE) ?? [];
    const radius = (0.5 / Math.tan(0.5)) * (0.004 / 0.08);
    expect(outline.length).toBeGreaterThan(12);
    for (const { right, down } of outline) expect(Math.hypot(right, down)).toBeCloseTo(radius, 3);
  });

  test("holds every corner of a box, and has a corner for what stands out", () => {
    const box: Region = { is: "block", centreUm: [90_000, 0, 0], wxyz: [1_000_000, 0, 0, 0], halfUm: [5_000, 10_000, 2_000] };
    const outline = outlineOf(box, EYE) ?? [];
    const rights = outline.map(({ right }) => right);
    expect(outline).toHaveLength(4);
    expect(Math.max(...rights)).toBeCloseTo(((0.5 / Math.tan(0.5)) * 0.01) / 0.085, 4);
  });

  test("nothing is drawn of what has no end, or lies behind the eye", () => {
    expect(outlineOf({ is: "half-space", pointUm: [0, 0, 0], outward: [1_000_000, 0, 0] }, EYE)).toBeUndefined();
    const behind: Region = { is: "capsule", fromUm: [-80_000, 0, 0], toUm: [-90_000, 0, 0], radiusUm: 4_000 };
    expect(outlineOf(behind, EYE)).toBeUndefined();
  });

  test("what was marked is drawn where it was marked", () => {
    const region = regionOf(MARK, EYE, TIP);
    const outline = (region && outlineOf(region, EYE)) ?? [];
    const farthest = Math.max(...outline.map(({ right, down }) => Math.hypot(right - MARK.middle.right, down - MARK.middle.down)));
    // Its near end is nearer than the tool, and so a little larger than what was drawn.
    expect(farthest).toBeGreaterThan(MARK.radius);
    expect(farthest).toBeLessThan(MARK.radius * 1.15);
    expect(length(subtract(metres(region?.toUm ?? []), metres(region?.fromUm ?? [])))).toBeGreaterThan(0.03);
  });
});
