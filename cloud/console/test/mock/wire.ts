/** What only the other side reads and writes: commands, kit states, frame records, cameras, clock pongs, watermarks. */
import { type Bytes } from "../../src/wire/bytes";
import { COMMAND_BYTES, type Command } from "../../src/wire/command";
import { Kind, VERSION, bounded, bytesAt, flags, layout } from "../../src/wire/kind";
import { Malformed } from "../../src/wire/malformed";
import { type MacKey } from "../../src/wire/mac";
import { readPose, writePose } from "../../src/wire/pose";
import { type Rejection } from "../../src/wire/rejection";
import { KIT_STATE_BYTES, type KitState } from "../../src/wire/state";
import { CAMERA_BYTES, type Camera, FRAME_RECORD_BYTES, type FrameRecord, STANDS } from "../../src/wire/video";

export function sealKitState(state: KitState, key: MacKey): Bytes {
  const bytes = new Uint8Array(KIT_STATE_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set([Kind.KitState, VERSION, state.mode, state.operatingState, state.flags, state.verdicts.length, state.arm, state.arms]);
  bytes.set(state.session, 8);
  const { token, tickUs, engagement, hold, newest, applied, rejected, unauthentic, newestFrame } = state;
  [token, tickUs, engagement, hold, newest, applied, rejected, unauthentic, newestFrame].forEach((value, i) => view.setBigUint64(24 + 8 * i, value, true));
  writePose(view, 96, state.setpoint);
  writePose(view, 152, state.measured);
  view.setFloat64(208, state.jawRad, true);
  [state.speedLimitMmS, state.commandAgeMs, state.pictureAgeMs, state.lagMm].forEach((value, i) => view.setFloat32(216 + 4 * i, value, true));
  writeVerdict(view, 232, state.newest, state.reason);
  state.verdicts.forEach(({ sequence, rejection }, i) => writeVerdict(view, 252 + 20 * i, sequence, rejection));
  key.seal(bytes);
  return bytes;
}

function writeVerdict(view: DataView, at: number, sequence: bigint, rejection: Rejection | undefined): void {
  view.setBigUint64(at, sequence, true);
  view.setUint32(at + 8, rejection?.code ?? 0, true);
  view.setFloat32(at + 12, rejection?.seen ?? 0, true);
  view.setFloat32(at + 16, rejection?.limit ?? 0, true);
}

export function clockPong(sentUs: bigint, edgeUs: bigint): Bytes {
  return words(Kind.ClockPong, sentUs, edgeUs);
}

export function watermark(token: bigint, newest: bigint, segments: bigint): Bytes {
  return words(Kind.Watermark, token, newest, segments);
}

function words(kind: number, ...values: readonly bigint[]): Bytes {
  const bytes = new Uint8Array(2 + 8 * values.length);
  bytes.set([kind, VERSION]);
  values.forEach((value, i) => new DataView(bytes.buffer).setBigUint64(2 + 8 * i, value, true));
  return bytes;
}

export function writeFrameRecord(record: FrameRecord): Bytes {
  const bytes = new Uint8Array(FRAME_RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set([Kind.FrameRecord, VERSION, record.keyFrame ? 1 : 0, 0]);
  view.setUint32(4, record.rtpTimestamp, true);
  view.setBigUint64(8, record.frame, true);
  view.setBigUint64(16, record.capturedUs, true);
  bytes.set(record.auHash, 24);
  bytes.set(record.pictureHash, 56);
  return bytes;
}

export function writeCamera({ arm, parentFromCamera, fovYRad, stereo }: Camera): Bytes {
  const bytes = new Uint8Array(CAMERA_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set([Kind.Camera, VERSION, arm ?? STANDS]);
  writePose(view, 3, parentFromCamera);
  view.setFloat64(59, fovYRad, true);
  view.setUint8(67, stereo ? 1 : 0);
  return bytes;
}

/** The command in `bytes`, its code not looked at. */
export function readCommand(bytes: Uint8Array): Command {
  const view = layout(Kind.Command, bytes, COMMAND_BYTES);
  const set = flags("command flags", view.getUint8(2), 3);
  const age = view.getUint32(4, true);
  return {
    session: bytesAt(view, 8, 16),
    token: view.getBigUint64(24, true),
    sequence: view.getBigUint64(32, true),
    kitTickEchoUs: view.getBigUint64(40, true),
    arm: view.getUint8(3),
    deadMan: (set & 1) !== 0,
    clutch: (set & 2) !== 0,
    engagement: view.getBigUint64(48, true),
    hold: view.getBigUint64(56, true),
    target: readPose(view, 64),
    jawRad: bounded("jaw_rad", view.getFloat64(120, true), -Math.PI, Math.PI),
    frameSeen: view.getBigUint64(128, true),
    frameAgeUs: age === 0xffff_ffff ? undefined : age,
  };
}

/** The command in `bytes`, if the holder of `key` sealed it. */
export function openCommand(bytes: Uint8Array, key: MacKey): Command {
  layout(Kind.Command, bytes, COMMAND_BYTES);
  if (!key.checks(bytes)) throw new Malformed("the authentication code does not match");
  return readCommand(bytes);
}
