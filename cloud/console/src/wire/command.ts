/** The command, 152 bytes: where the surgeon wants the tool, and everything that decides whether it may go there. */
import { type Bytes } from "./bytes";
import { Kind, VERSION, bounded, bytesAt, flags, layout } from "./kind";
import { type MacKey } from "./mac";
import { type Pose, readPose, writePose } from "./pose";

export const COMMAND_BYTES = 152;
const DEAD_MAN = 1;
const CLUTCH = 2;
const FRAME_AGE_UNKNOWN = 0xffff_ffff;
const AT = { flags: 2, arm: 3, age: 4, session: 8, token: 24, sequence: 32, echo: 40, engagement: 48, hold: 56 } as const;
const TARGET_AT = 64;
const JAW_AT = 120;
const FRAME_AT = 128;

export interface Command {
  readonly session: Uint8Array;
  readonly token: bigint;
  readonly sequence: bigint;
  /** The newest kit tick seen, µs on the kit's clock: the command's age is measured from it. */
  readonly kitTickEchoUs: bigint;
  /** The arm that all of this is about but the dead-man. */
  readonly arm: number;
  /** There is one pedal: up, it releases every arm of the kit. */
  readonly deadMan: boolean;
  /** Frees the hand while the dead-man is held: ends this arm's engagement, and is no release. */
  readonly clutch: boolean;
  readonly engagement: bigint;
  /** The arm's held setpoint that the engagement started from. */
  readonly hold: bigint;
  /** Absolute and already scaled, in the kit's frame. */
  readonly target: Pose;
  readonly jawRad: number;
  /** The last frame that the surgeon was shown; zero: none. */
  readonly frameSeen: bigint;
  /** That frame's age by this console's reckoning: evidence only, it permits nothing. */
  readonly frameAgeUs: number | undefined;
}

/** The command in `bytes`, its code not looked at. */
export function readCommand(bytes: Uint8Array): Command {
  const view = layout(Kind.Command, bytes, COMMAND_BYTES);
  const bits = flags("command flags", view.getUint8(AT.flags), DEAD_MAN | CLUTCH);
  const age = view.getUint32(AT.age, true);
  const u64 = (at: number) => view.getBigUint64(at, true);
  return {
    deadMan: (bits & DEAD_MAN) !== 0,
    clutch: (bits & CLUTCH) !== 0,
    arm: view.getUint8(AT.arm),
    frameAgeUs: age === FRAME_AGE_UNKNOWN ? undefined : age,
    session: bytesAt(view, AT.session, 16),
    token: u64(AT.token),
    sequence: u64(AT.sequence),
    kitTickEchoUs: u64(AT.echo),
    engagement: u64(AT.engagement),
    hold: u64(AT.hold),
    target: readPose(view, TARGET_AT),
    jawRad: bounded("jaw_rad", view.getFloat64(JAW_AT, true), -Math.PI, Math.PI),
    frameSeen: u64(FRAME_AT),
  };
}

/** The frame as it travels, sealed under the console's key of the lease. */
export function sealCommand(command: Command, key: MacKey): Bytes {
  const bytes = new Uint8Array(COMMAND_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = Kind.Command;
  bytes[1] = VERSION;
  bytes[AT.flags] = (command.deadMan ? DEAD_MAN : 0) | (command.clutch ? CLUTCH : 0);
  bytes[AT.arm] = command.arm;
  view.setUint32(AT.age, command.frameAgeUs ?? FRAME_AGE_UNKNOWN, true);
  bytes.set(command.session, AT.session);
  view.setBigUint64(AT.token, command.token, true);
  view.setBigUint64(AT.sequence, command.sequence, true);
  view.setBigUint64(AT.echo, command.kitTickEchoUs, true);
  view.setBigUint64(AT.engagement, command.engagement, true);
  view.setBigUint64(AT.hold, command.hold, true);
  writePose(view, TARGET_AT, command.target);
  view.setFloat64(JAW_AT, command.jawRad, true);
  view.setBigUint64(FRAME_AT, command.frameSeen, true);
  key.seal(bytes);
  return bytes;
}
