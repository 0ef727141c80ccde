/** The ghost lies where the tool would, by the arm's own link table, and where the camera would see it. */
import { describe, expect, it } from "vitest";
import { axesOf, type Eye, eyeOf, project, SIMULATOR_VIEW } from "../src/control/camera";
import { plainness, skeleton, Trail } from "../src/control/ghost";
import { type Pose, type Quaternion, type Vec3 } from "../src/wire/pose";
import { type Camera } from "../src/wire/video";
import { composed, placed } from "../src/control/rotation";
import vectors from "./vectors/ghost.json";

const pose = (one: { position_m: number[]; orientation_wxyz: number[] }): Pose => ({
  positionM: one.position_m as unknown as Vec3,
  orientationWxyz: one.orientation_wxyz as unknown as Quaternion,
});
const eye: Eye = { kitFromCamera: pose(vectors.camera), fovYRad: vectors.camera.fov_y_rad };
const ORIGIN: Vec3 = [0, 0, 0];
/** Somewhere else, turned about all axes. */
const MOUNT: Pose = { positionM: [0.12, -0.05, 0.03], orientationWxyz: [0.5, -0.1, 0.7, 0.5] };

function near(seen: readonly number[] | undefined, wanted: readonly number[], within = 1e-9): void {
  expect(seen).toBeDefined();
  wanted.forEach((value, i) => expect(Math.abs((seen as number[])[i]! - value)).toBeLessThan(within));
}

describe("the ghost", () => {
  /** Goal: whatever the joints, wrist and jaws are drawn where the arm's own table has them, from the tip's pose alone. */
  it("has the arm's own geometry", () => {
    for (const one of vectors.poses) {
      const [shaft, link, ...jaws] = skeleton(pose(one), one.jaw_rad, ORIGIN);
      near(shaft?.[1], one.wrist_m);
      near(link?.[0], one.wrist_m);
      near(link?.[1], one.position_m);
      one.jaw_ends_m.forEach((end, i) => near(jaws[i]?.[1], end));
      // The shaft points from the remote centre, the base frame's origin.
      const [back, wrist] = shaft as readonly [Vec3, Vec3];
      const cross = [back[1] * wrist[2] - back[2] * wrist[1], back[2] * wrist[0] - back[0] * wrist[2]];
      near(cross, [0, 0]);
    }
  });

  /** Goal: an arm that stands elsewhere, and otherwise, has the same geometry there. */
  it("is that of an arm wherever it stands", () => {
    for (const one of vectors.poses) {
      const here = skeleton(pose(one), one.jaw_rad, ORIGIN);
      const there = skeleton(composed(MOUNT, pose(one)), one.jaw_rad, MOUNT.positionM);
      here.forEach((line, i) => line.forEach((end, j) => near(there[i]?.[j], placed(MOUNT, end))));
    }
  });

  /** Goal: it is drawn where the endoscope sees those places. */
  it("lies where the camera sees it", () => {
    const view = axesOf(eye);
    for (const axis of ["right", "down", "into"] as const) near(view[axis], SIMULATOR_VIEW[axis]);
    for (const one of vectors.poses) {
      const [, link, ...jaws] = skeleton(pose(one), one.jaw_rad, ORIGIN);
      const seen = (line: readonly [Vec3, Vec3] | undefined) => line && project(eye, ...line)?.map(({ right, down }) => [right, down]);
      near(seen(link)?.[0], one.seen.wrist);
      near(seen(link)?.[1], one.seen.tip);
      one.seen.jaw_ends.forEach((end, i) => near(seen(jaws[i])?.[1], end));
    }
  });

  /** Goal: a camera that an arm carries is where that arm's tip has it; one that stands is where it is said to be. */
  it("is seen from where the arm that carries the camera has it", () => {
    const tip = composed(MOUNT, pose(vectors.poses[0]!));
    const [w, x, y, z] = tip.orientationWxyz;
    const turnedBack: Quaternion = [w, -x, -y, -z];
    const inverse: Pose = { positionM: placed({ positionM: [0, 0, 0], orientationWxyz: turnedBack }, tip.positionM.map((m) => -m) as unknown as Vec3), orientationWxyz: turnedBack };
    const camera: Camera = { arm: 2, parentFromCamera: composed(inverse, eye.kitFromCamera), fovYRad: eye.fovYRad, stereo: false };
    const carried = eyeOf(camera, (arm) => (arm === 2 ? tip : undefined));
    near(carried?.kitFromCamera.positionM, eye.kitFromCamera.positionM);
    near(carried?.kitFromCamera.orientationWxyz, eye.kitFromCamera.orientationWxyz);
    expect(eyeOf(camera, () => undefined)).toBeUndefined();
    expect(eyeOf({ ...camera, arm: undefined }, () => undefined)?.kitFromCamera).toEqual(camera.parentFromCamera);
  });

  it("is not drawn behind the eye, and is cut off where it passes it", () => {
    const [x, y, z] = eye.kitFromCamera.positionM;
    const { into } = axesOf(eye);
    const along = (m: number): Vec3 => [x + into[0] * m, y + into[1] * m, z + into[2] * m];
    expect(project(eye, along(-0.02), along(-0.01))).toBeUndefined();
    const cut = project(eye, along(-0.01), along(0.1));
    for (const point of cut ?? []) near([point.right, point.down], [0, 0], 1e-6);
    expect(cut).toBeDefined();
  });

  /** Goal: where the picture shows the tool already, there is nothing to see twice; a turned wrist counts as well as a moved tip. */
  it("shows only what the picture does not", () => {
    const at = pose(vectors.poses[0]!);
    const moved = (m: number): Pose => ({ ...at, positionM: [at.positionM[0] + m, at.positionM[1], at.positionM[2]] });
    expect(plainness(at, at)).toBe(0);
    expect(plainness(moved(0.0003), at)).toBe(0);
    expect(plainness(moved(0.001), at)).toBeGreaterThan(0);
    expect(plainness(moved(0.002), at)).toBe(1);
    const turned: Pose = { ...at, orientationWxyz: pose(vectors.poses[1]!).orientationWxyz };
    expect(plainness(turned, at)).toBe(1);
  });

  it("compares with where the arm was when the picture was taken", () => {
    const trail = new Trail();
    const at = (x: number): Pose => ({ positionM: [x, 0, -0.1], orientationWxyz: [1, 0, 0, 0] });
    for (let ms = 0; ms <= 400; ms += 10) trail.heard(at(ms), ms);
    expect(trail.at(250)?.positionM[0]).toBe(250);
    expect(trail.at(255)?.positionM[0]).toBe(250);
    expect(trail.at(-50)?.positionM[0]).toBe(0);
    expect(new Trail().at(250)).toBeUndefined();
  });
});
