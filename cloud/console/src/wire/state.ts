/**
 * What the kit says of itself and of one of its arms, 428 bytes, sealed under the lease's kit key: a hundred times a second of
 * arms that move, ten times of the others.
 */
import { Kind, bounded, bytesAt, layout } from "./kind";
import { type MacKey } from "./mac";
import { Malformed } from "./malformed";
import { type Pose, readPose } from "./pose";
import { type Rejection, isRejectionCode } from "./rejection";

export const KIT_STATE_BYTES = 428;
export const VERDICTS_MAX = 8;
/** Arms that a kit may have. */
export const ARMS_MAX = 4;
const VERDICT_BYTES = 20;

/** How freely the tool may move; the greatest is the most severe. */
export const Mode = { Free: 0, Limited: 1, Holding: 2, Paused: 3, SafeStop: 4, Stopped: 5 } as const;
export type Mode = (typeof Mode)[keyof typeof Mode];

/** CRTK's operating states. */
export const OperatingState = { Disabled: 0, Enabled: 1, Paused: 2, Fault: 3 } as const;
export type OperatingState = (typeof OperatingState)[keyof typeof OperatingState];

export const StateFlag = {
  Homed: 1,
  Armed: 2,
  Engaged: 4,
  AtRest: 8,
  EStop: 16,
  Clamped: 32,
  Leased: 64,
  Grasping: 128,
} as const;
/** Those that are one arm's; the others are the kit's. */
const ARM_FLAGS = StateFlag.Homed | StateFlag.Engaged | StateFlag.AtRest | StateFlag.Clamped | StateFlag.Grasping;

/** What became of one command; without a rejection it was taken in. */
export interface Verdict {
  readonly sequence: bigint;
  readonly rejection: Rejection | undefined;
}

/** The newest of each arm counts. Poses are in the kit's frame. */
export interface KitState {
  readonly session: Uint8Array;
  readonly token: bigint;
  readonly tickUs: bigint;
  /** The arm that this is about, from 0: its are mode, reason, engagement, hold, poses, jaw, speed limit, lag, and the flags of {@link ARM_FLAGS}. */
  readonly arm: number;
  /** How many the kit has. */
  readonly arms: number;
  readonly mode: Mode;
  readonly operatingState: OperatingState;
  /** Of {@link StateFlag}. */
  readonly flags: number;
  readonly engagement: bigint;
  /** The setpoint held at rest, from which the arm's next engagement starts. */
  readonly hold: bigint;
  /** Newest authentic command taken in, for whichever arm. */
  readonly newest: bigint;
  readonly applied: bigint;
  readonly rejected: bigint;
  readonly unauthentic: bigint;
  readonly newestFrame: bigint;
  /** Where the arm was told to be: CRTK's `setpoint_cp`. */
  readonly setpoint: Pose;
  /** Where the arm says it is: CRTK's `measured_cp`. */
  readonly measured: Pose;
  readonly jawRad: number;
  readonly speedLimitMmS: number;
  readonly commandAgeMs: number;
  readonly pictureAgeMs: number;
  readonly lagMm: number;
  /** Why the tool does not move, if it does not. */
  readonly reason: Rejection | undefined;
  /** On commands for whichever arm. */
  readonly verdicts: readonly Verdict[];
}

/** One arm's state with what is the kit's as `newest`, which may be about another arm, has it. What stops, stops all. */
export function upToDate(state: KitState, newest: KitState): KitState {
  if (newest.tickUs <= state.tickUs) return state;
  const { tickUs, token, applied, rejected, unauthentic, newestFrame, commandAgeMs, pictureAgeMs } = newest;
  const flags = (state.flags & ARM_FLAGS) | (newest.flags & ~ARM_FLAGS);
  const stopped = newest.mode === Mode.Stopped ? { mode: newest.mode, reason: newest.reason } : {};
  return { ...state, tickUs, token, newest: newest.newest, applied, rejected, unauthentic, newestFrame, commandAgeMs, pictureAgeMs, flags, ...stopped };
}

/** The state in `bytes`, if the kit sealed it under `key`. */
export function openKitState(bytes: Uint8Array, key: MacKey): KitState {
  layout(Kind.KitState, bytes, KIT_STATE_BYTES);
  if (!key.checks(bytes)) throw new Malformed("the authentication code does not match");
  return readKitState(bytes);
}

/** The state in `bytes`, its code not looked at. */
export function readKitState(bytes: Uint8Array): KitState {
  const view = layout(Kind.KitState, bytes, KIT_STATE_BYTES);
  const u64 = (at: number) => view.getBigUint64(at, true);
  const f32 = (at: number) => view.getFloat32(at, true);
  const count = view.getUint8(5);
  if (count > VERDICTS_MAX) throw new Malformed(`${count} verdicts, at most ${VERDICTS_MAX} are allowed`);
  const [arm, arms] = [view.getUint8(6), view.getUint8(7)];
  if (arms > ARMS_MAX || arm >= arms) throw new Malformed(`arm ${arm} of ${arms} arms`);
  return {
    arm,
    arms,
    mode: numbered("mode", view.getUint8(2), Mode.Stopped) as Mode,
    operatingState: numbered("operating state", view.getUint8(3), OperatingState.Fault) as OperatingState,
    flags: view.getUint8(4),
    session: bytesAt(view, 8, 16),
    token: u64(24),
    tickUs: u64(32),
    engagement: u64(40),
    hold: u64(48),
    newest: u64(56),
    applied: u64(64),
    rejected: u64(72),
    unauthentic: u64(80),
    newestFrame: u64(88),
    setpoint: readPose(view, 96),
    measured: readPose(view, 152),
    jawRad: bounded("jaw_rad", view.getFloat64(208, true), -Math.PI, Math.PI),
    speedLimitMmS: f32(216),
    commandAgeMs: f32(220),
    pictureAgeMs: f32(224),
    lagMm: f32(228),
    reason: readVerdict(view, 232).rejection,
    verdicts: Array.from({ length: count }, (_, i) => readVerdict(view, 252 + VERDICT_BYTES * i)),
  };
}

function readVerdict(view: DataView, at: number): Verdict {
  const sequence = view.getBigUint64(at, true);
  const code = view.getUint32(at + 8, true);
  if (code === 0) return { sequence, rejection: undefined };
  if (!isRejectionCode(code)) throw new Malformed(`unknown rejection ${code}`);
  const rejection = { code, seen: view.getFloat32(at + 12, true), limit: view.getFloat32(at + 16, true) };
  return { sequence, rejection };
}

function numbered(field: string, value: number, max: number): number {
  if (value <= max) return value;
  throw new Malformed(`unknown ${field} ${value}`);
}
