/** The ghost lies where the tool would, by the arm's own link table, and where the camera would see it. */
import { describe, expect, it } from "vitest";
import { axesOf, project, SIMULATOR_VIEW } from "../src/control/camera";
import { plainness, skeleton, Trail } from "../src/control/ghost";
import { type Pose, type Quaternion, type Vec3 } from "../src/wire/pose";
import { type Camera } from "../src/wire/video";
import vectors from "./vectors/ghost.json";

const pose = (one: { position_m: number[]; orientation_wxyz: number[] }): Pose => ({
  positionM: one.position_m as unknown as Vec3,
  orientationWxyz: one.orientation_wxyz as unknown as Quaternion,
});
const camera: Camera = { baseFromCamera: pose(vectors.camera), fovYRad: vectors.camera.fov_y_rad };

function near(seen: readonly number[] | undefined, wanted: readonly number[], within = 1e-9): void {
  expect(seen).toBeDefined();
  wanted.forEach((value, i) => expect(Math.abs((seen as number[])[i]! - value)).toBeLessThan(within));
}

describe("the ghost", () => {
  /** Goal: whatever the joints, wrist and jaws are drawn where the arm's own table has them, from the tip's pose alone. */
  it("has the arm's own geometry", () => {
    for (const one of vectors.poses) {
      const [shaft, link, ...jaws] = skeleton(pose(one), one.jaw_rad);
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

  /** Goal: it is drawn where the endoscope sees those places. */
  it("lies where the camera sees it", () => {
    const view = axesOf(camera);
    for (const axis of ["right", "down", "into"] as const) near(view[axis], SIMULATOR_VIEW[axis]);
    for (const one of vectors.poses) {
      const [, link, ...jaws] = skeleton(pose(one), one.jaw_rad);
      const seen = (line: readonly [Vec3, Vec3] | undefined) => line && project(camera, ...line)?.map(({ right, down }) => [right, down]);
      near(seen(link)?.[0], one.seen.wrist);
      near(seen(link)?.[1], one.seen.tip);
      one.seen.jaw_ends.forEach((end, i) => near(seen(jaws[i])?.[1], end));
    }
  });

  it("is not drawn behind the eye, and is cut off where it passes it", () => {
    const eye = camera.baseFromCamera.positionM;
    const { into } = axesOf(camera);
    const along = (m: number): Vec3 => [eye[0] + into[0] * m, eye[1] + into[1] * m, eye[2] + into[2] * m];
    expect(project(camera, along(-0.02), along(-0.01))).toBeUndefined();
    const cut = project(camera, along(-0.01), along(0.1));
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
    trail.clear();
    expect(trail.at(250)).toBeUndefined();
  });
});
