/**
 * A small kit for tests and for looking at the pages: the guard's rules of engagement, in virtual time, with arms that
 * follow at a given speed. Not the guard, and no authority on it: `shared/guard` is.
 */
import { type Bytes } from "../../src/wire/bytes";
import { type Command } from "../../src/wire/command";
import { type Pose } from "../../src/wire/pose";
import { type Rejection } from "../../src/wire/rejection";
import { type KitState, Mode, OperatingState, StateFlag, type Verdict } from "../../src/wire/state";
import { ArmKind, type ArmNotice } from "../../src/wire/statement";

export const HOME: Pose = { positionM: [0, 0, -0.13], orientationWxyz: [0, 1, 0, 0] };
const SPEED_MM_S = 200;
const WITHDRAWAL_MM_S = 30;

/** An instrument at the kit's own frame. */
const PSM1: ArmNotice = { name: "PSM1", kind: ArmKind.Instrument, positionUm: [0, 0, 0], wxyz: [1_000_000, 0, 0, 0] };
/** Two instruments and an endoscope between them, as a da Vinci has them. */
export const THREE_ARMS: readonly ArmNotice[] = [
  PSM1,
  { ...PSM1, name: "PSM2", positionUm: [100_000, 0, 0] },
  { name: "ECM", kind: ArmKind.Endoscope, positionUm: [50_000, -30_000, 20_000], wxyz: [1_000_000, 0, 0, 0] },
];

/** What an arm's motion is made of. */
export class KitArm {
  homed = true;
  setpoint: Pose = HOME;
  jawRad = 0;
  hold = 1n;
  running: { id: bigint; hold: bigint } | undefined;
  newestEngagement = 0n;
  moved = false;
  /** When its state was last told, and whether it has moved since. */
  toldMs = Number.NEGATIVE_INFINITY;
  movedSince = false;
  releaseDue = true;
  interruptedAtUs = 0n;
  lastAppliedMs = -1e9;
  target: { pose: Pose; jawRad: number } | undefined;
  refused: Rejection | undefined;

  constructor({ positionUm: [x = 0, y = 0, z = 0] }: ArmNotice) {
    const [homeX, homeY, homeZ] = HOME.positionM;
    this.setpoint = { ...HOME, positionM: [homeX + x / 1e6, homeY + y / 1e6, homeZ + z / 1e6] };
  }

  admit(command: Command): Rejection | undefined {
    const mismatch = { code: 12, seen: Number(command.engagement), limit: Number(this.newestEngagement) };
    const wrongHold = { code: 13, seen: Number(command.hold), limit: Number(this.hold) };
    if (this.running !== undefined) {
      if (this.running.id !== command.engagement) {
        this.running = undefined;
        return mismatch;
      }
      return this.running.hold === command.hold ? undefined : wrongHold;
    }
    if (command.engagement <= this.newestEngagement) return mismatch;
    if (this.moved) return { code: 14, seen: 1, limit: 0 };
    if (command.hold !== this.hold) return wrongHold;
    this.newestEngagement = command.engagement;
    this.running = { id: command.engagement, hold: command.hold };
    return undefined;
  }

  /** One tick of so many ms: it follows, or is drawn out, or stands. */
  tick(ms: number, follows: boolean, drawnOut: boolean): void {
    this.movedSince ||= this.moved;
    if (this.running !== undefined && this.target !== undefined && follows) {
      this.moved = true;
      const [x, y, z] = this.setpoint.positionM;
      const out: Pose = { ...this.setpoint, positionM: [x, y, z + (WITHDRAWAL_MM_S * ms) / 1e6] };
      this.setpoint = drawnOut ? out : towards(this.setpoint, this.target.pose, (SPEED_MM_S * ms) / 1000);
      this.jawRad = this.target.jawRad;
    } else if (this.moved && this.running === undefined) {
      this.moved = false;
      this.hold += 1n;
    }
  }

  interrupt(tickUs: bigint): void {
    this.running = undefined;
    this.releaseDue = true;
    this.interruptedAtUs = tickUs;
  }
}

export class Kit {
  armed = false;
  stopped = false;
  consentWithdrawn = false;
  token = 0n;
  pictureAgeMs = 45;
  pictureAgeMsMax = 400;
  applied = 0n;
  rejected = 0n;
  newest = 0n;
  commandAgeMs = 0;
  verdicts: Verdict[] = [];
  readonly arms: readonly KitArm[];

  constructor(
    readonly session: Bytes,
    readonly notices: readonly ArmNotice[] = [PSM1],
  ) {
    this.arms = notices.map((notice) => new KitArm(notice));
  }

  /** The arm of that number. */
  arm(number: number): KitArm {
    return this.arms[number] as KitArm;
  }

  tickUs(nowMs: number): bigint {
    return BigInt(Math.round(nowMs * 1000)) + 1_000_000n;
  }

  lease(nowMs: number, token: bigint): void {
    this.token = token;
    this.newest = 0n;
    for (const arm of this.arms) arm.newestEngagement = 0n;
    this.interrupt(nowMs);
  }

  interrupt(nowMs: number): void {
    for (const arm of this.arms) arm.interrupt(this.tickUs(nowMs));
  }

  stop(): void {
    this.stopped = true;
    for (const arm of this.arms) arm.running = undefined;
  }

  clear(nowMs: number): void {
    this.stopped = false;
    this.interrupt(nowMs);
  }

  take(nowMs: number, command: Command): void {
    // Every command comes over two paths.
    if (command.token !== this.token || command.sequence <= this.newest) return;
    this.newest = command.sequence;
    const rejection = this.#judge(nowMs, command);
    if (rejection === undefined) this.applied += 1n;
    else this.rejected += 1n;
    this.verdicts = [...this.verdicts.slice(-7), { sequence: command.sequence, rejection }];
  }

  #judge(nowMs: number, command: Command): Rejection | undefined {
    const arm = this.arms[command.arm];
    if (arm === undefined) return { code: 18, seen: command.arm, limit: this.arms.length };
    if (!command.deadMan) {
      for (const one of this.arms) {
        one.running = undefined;
        if (command.kitTickEchoUs >= one.interruptedAtUs) one.releaseDue = false;
      }
      return undefined;
    }
    if (command.clutch) {
      arm.running = undefined;
      return undefined;
    }
    const rejection = this.#apply(nowMs, command, arm);
    arm.refused = rejection;
    return rejection;
  }

  #apply(nowMs: number, command: Command, arm: KitArm): Rejection | undefined {
    if (this.stopped) return { code: 10, seen: 1, limit: 0 };
    if (!this.armed) return { code: 8, seen: 0, limit: 2 };
    this.commandAgeMs = Number(this.tickUs(nowMs) - command.kitTickEchoUs) / 1000;
    if (this.commandAgeMs > 300) return { code: 1, seen: this.commandAgeMs, limit: 300 };
    if (this.pictureAgeMs > this.pictureAgeMsMax) return { code: 3, seen: this.pictureAgeMs, limit: this.pictureAgeMsMax };
    if (arm.releaseDue) return { code: 17, seen: 0, limit: 1 };
    const why = arm.admit(command);
    if (why !== undefined) return why;
    const lagMm = distanceMm(command.target, arm.setpoint);
    if (lagMm > 10 && !this.consentWithdrawn) {
      arm.running = undefined;
      return { code: 15, seen: lagMm, limit: 10 };
    }
    arm.target = { pose: command.target, jawRad: command.jawRad };
    arm.lastAppliedMs = nowMs;
    return undefined;
  }

  /** One tick of so many ms. */
  tick(nowMs: number, ms: number): void {
    for (const arm of this.arms) {
      const silentMs = nowMs - arm.lastAppliedMs;
      if (arm.running !== undefined && silentMs > 500) arm.interrupt(this.tickUs(nowMs));
      arm.tick(ms, silentMs <= 50 && !this.stopped, this.consentWithdrawn);
    }
  }

  mode(nowMs: number, arm: KitArm = this.#freest(nowMs)): Mode {
    if (this.stopped) return Mode.Stopped;
    if (this.consentWithdrawn) return Mode.SafeStop;
    if (!this.armed || this.token === 0n || arm.releaseDue) return Mode.Paused;
    if (arm.running === undefined || nowMs - arm.lastAppliedMs > 50) return Mode.Holding;
    return Mode.Free;
  }

  /** Of an arm; or of the whole: homed if all its arms are, and engaged if one is. */
  flags(arm?: KitArm): number {
    const arms = arm ? [arm] : this.arms;
    return (
      (arms.every(({ homed }) => homed) ? StateFlag.Homed : 0) |
      (this.armed ? StateFlag.Armed : 0) |
      (arms.some(({ running }) => running) ? StateFlag.Engaged : 0) |
      (arms.every(({ moved }) => !moved) ? StateFlag.AtRest : 0) |
      (this.stopped ? StateFlag.EStop : 0) |
      (this.token > 0n ? StateFlag.Leased : 0)
    );
  }

  reason(nowMs: number, arm: KitArm = this.#freest(nowMs)): Rejection | undefined {
    if (this.stopped) return { code: 10, seen: 1, limit: 0 };
    if (!this.armed) return { code: 8, seen: 0, limit: 2 };
    if (this.token === 0n) return { code: 7, seen: Number.POSITIVE_INFINITY, limit: 10000 };
    if (arm.releaseDue) return { code: 17, seen: 0, limit: 1 };
    return arm.running === undefined || nowMs - arm.lastAppliedMs > 50 ? arm.refused : undefined;
  }

  #freest(nowMs: number): KitArm {
    return this.arms.reduce((freest, arm) => (this.mode(nowMs, arm) < this.mode(nowMs, freest) ? arm : freest));
  }

  /** The states that leave now, asked every 10 ms: of arms that move each time, of the others each tenth. */
  states(nowMs: number): KitState[] {
    return this.arms.flatMap((arm, number) => {
      if (!arm.moved && !arm.movedSince && nowMs - arm.toldMs < 95) return [];
      [arm.toldMs, arm.movedSince] = [nowMs, false];
      return [this.state(nowMs, number)];
    });
  }

  /** Verdicts ride on whichever comes first. */
  state(nowMs: number, number = 0): KitState {
    const [arm, verdicts] = [this.arm(number), this.verdicts];
    this.verdicts = [];
    return {
      session: this.session,
      token: this.token,
      tickUs: this.tickUs(nowMs),
      arm: number,
      arms: this.arms.length,
      mode: this.mode(nowMs, arm),
      operatingState: this.stopped ? OperatingState.Fault : this.armed ? OperatingState.Enabled : OperatingState.Disabled,
      flags: this.flags(arm),
      engagement: arm.newestEngagement,
      hold: arm.hold,
      newest: this.newest,
      applied: this.applied,
      rejected: this.rejected,
      unauthentic: 0n,
      newestFrame: 0n,
      setpoint: arm.setpoint,
      measured: arm.setpoint,
      jawRad: arm.jawRad,
      speedLimitMmS: SPEED_MM_S,
      commandAgeMs: this.commandAgeMs,
      pictureAgeMs: this.pictureAgeMs,
      lagMm: 0,
      reason: this.reason(nowMs, arm),
      verdicts,
    };
  }
}

export function distanceMm(a: Pose, b: Pose): number {
  return 1000 * Math.hypot(...a.positionM.map((value, i) => value - (b.positionM[i] ?? 0)));
}

function towards(from: Pose, to: Pose, stepMm: number): Pose {
  const mm = distanceMm(from, to);
  const share = mm <= stepMm ? 1 : stepMm / mm;
  const at = (i: 0 | 1 | 2) => from.positionM[i] + (to.positionM[i] - from.positionM[i]) * share;
  return { positionM: [at(0), at(1), at(2)], orientationWxyz: to.orientationWxyz };
}
