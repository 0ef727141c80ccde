/** About pictures: what the edge box says of each frame, and how console and edge box compare clocks. */
import { type Bytes } from "./bytes";
import { Kind, VERSION, bounded, bytesAt, flags, layout } from "./kind";
import { Malformed } from "./malformed";
import { type Pose, readPose } from "./pose";
import { ARMS_MAX } from "./state";

export const FRAME_RECORD_BYTES = 88;
const KEY_FRAME = 1;
const STEREO = 1;
/** Under this name an access unit carries its own record. */
export const FRAME_RECORD_NAME = Uint8Array.of(0xb3, 0x9e, 0x5a, 0x1c, 0x6f, 0x27, 0x4d, 0x08, 0x91, 0x43, 0xd2, 0x7b, 0x0e, 0x85, 0xfa, 0x36);

/** Beside each frame: which frame carries this RTP timestamp, when it was captured, and its hashes. */
export interface FrameRecord {
  readonly frame: bigint;
  /** 90 kHz, wraps at 2^32. */
  readonly rtpTimestamp: number;
  /** µs since the edge box started. */
  readonly capturedUs: bigint;
  readonly keyFrame: boolean;
  readonly auHash: Bytes;
  readonly pictureHash: Bytes;
}

export function readFrameRecord(bytes: Uint8Array): FrameRecord {
  const view = layout(Kind.FrameRecord, bytes, FRAME_RECORD_BYTES);
  flags("reserved byte", view.getUint8(3), 0);
  return {
    keyFrame: flags("frame flags", view.getUint8(2), KEY_FRAME) === KEY_FRAME,
    rtpTimestamp: view.getUint32(4, true),
    frame: view.getBigUint64(8, true),
    capturedUs: view.getBigUint64(16, true),
    auHash: bytesAt(view, 24, 32),
    pictureHash: bytesAt(view, 56, 32),
  };
}

/** Console to edge: what time is it? The console's own clock comes back as it is. */
export function clockPing(sentUs: bigint): Bytes {
  const bytes = new Uint8Array(10);
  bytes.set([Kind.ClockPing, VERSION]);
  new DataView(bytes.buffer).setBigUint64(2, sentUs, true);
  return bytes;
}

/** Console to edge: pictures shall come over this one of its paths from now on. */
export function picturesVia(path: number): Bytes {
  return Uint8Array.of(Kind.PicturesVia, VERSION, path);
}

/** Console to edge: whether this surgeon wants to see what the net sees. */
export function sightWanted(wanted: boolean): Bytes {
  return Uint8Array.of(Kind.SightWanted, VERSION, wanted ? 1 : 0);
}

export const CAMERA_BYTES = 68;
/** In place of an arm's number: no arm carries the camera. */
export const STANDS = 255;

/** How the endoscope looks: a pinhole without distortion. */
export interface Camera {
  /** The arm that carries it; undefined: it stands. */
  readonly arm: number | undefined;
  /** The optical frame (x to the right of the picture, y down, z into it) in the frame of that arm's tip; else in the kit's. */
  readonly parentFromCamera: Pose;
  /** Full vertical angle of view. */
  readonly fovYRad: number;
  /** The picture holds what two eyes see: the left one's in its left half. The frame and the angle of view are the left eye's. */
  readonly stereo: boolean;
}

export function readCamera(bytes: Uint8Array): Camera {
  const view = layout(Kind.Camera, bytes, CAMERA_BYTES);
  const arm = view.getUint8(2);
  if (arm !== STANDS && arm >= ARMS_MAX) throw new Malformed(`unknown arm of the camera ${arm}`);
  return {
    arm: arm === STANDS ? undefined : arm,
    parentFromCamera: readPose(view, 3),
    fovYRad: bounded("fov_y_rad", view.getFloat64(59, true), 0.1, 2.4),
    stereo: flags("camera flags", view.getUint8(67), STEREO) === STEREO,
  };
}

export interface ClockPong {
  readonly sentUs: bigint;
  readonly edgeUs: bigint;
}

export function readClockPong(bytes: Uint8Array): ClockPong {
  const view = layout(Kind.ClockPong, bytes, 18);
  return { sentUs: view.getBigUint64(2, true), edgeUs: view.getBigUint64(10, true) };
}

/** What is durable on the edge box's record. */
export interface Watermark {
  readonly token: bigint;
  /** Every command under that token that the edge box relayed, up to this one, is durable. */
  readonly newest: bigint;
  /** Number of the newest durable segment of the surgeon's; 0 before the first. */
  readonly segments: bigint;
}

export function readWatermark(bytes: Uint8Array): Watermark {
  const view = layout(Kind.Watermark, bytes, 26);
  return { token: view.getBigUint64(2, true), newest: view.getBigUint64(10, true), segments: view.getBigUint64(18, true) };
}
