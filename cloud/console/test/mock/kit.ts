/**
 * A small kit for tests and for looking at the pages: the guard's rules of engagement, in virtual time, with an arm that
 * follows at a given speed. Not the guard, and no authority on it: `shared/guard` is.
 */
import { type Bytes } from "../../src/wire/bytes";
import { type Command } from "../../src/wire/command";
import { type Pose } from "../../src/wire/pose";
import { type Rejection } from "../../src/wire/rejection";
import { type KitState, Mode, OperatingState, StateFlag, type Verdict } from "../../src/wire/state";

export const HOME: Pose = { positionM: [0, 0, -0.13], orientationWxyz: [0, 1, 0, 0] };
const SPEED_MM_S = 200;
const WITHDRAWAL_MM_S = 30;

export class Kit {
  armed = false;
  homed = true;
  stopped = false;
  consentWithdrawn = false;
  token = 0n;
  pictureAgeMs = 45;
  pictureAgeMsMax = 400;
  applied = 0n;
  rejected = 0n;
  newest = 0n;
  setpoint: Pose = HOME;
  jawRad = 0;
  hold = 1n;
  running: { id: bigint; hold: bigint } | undefined;
  newestEngagement = 0n;
  moved = false;
  releaseDue = true;
  interruptedAtUs = 0n;
  lastAppliedMs = -1e9;
  target: { pose: Pose; jawRad: number } | undefined;
  refused: Rejection | undefined;
  commandAgeMs = 0;
  verdicts: Verdict[] = [];

  constructor(readonly session: Bytes) {}

  tickUs(nowMs: number): bigint {
    return BigInt(Math.round(nowMs * 1000)) + 1_000_000n;
  }

  lease(nowMs: number, token: bigint): void {
    this.token = token;
    this.newest = 0n;
    this.newestEngagement = 0n;
    this.interrupt(nowMs);
  }

  interrupt(nowMs: number): void {
    this.running = undefined;
    this.releaseDue = true;
    this.interruptedAtUs = this.tickUs(nowMs);
  }

  stop(): void {
    this.stopped = true;
    this.running = undefined;
  }

  clear(nowMs: number): void {
    this.stopped = false;
    this.interrupt(nowMs);
  }

  take(nowMs: number, command: Command): void {
    if (command.token !== this.token || command.sequence <= this.newest) return;
    this.newest = command.sequence;
    if (!command.deadMan) {
      this.running = undefined;
      if (command.kitTickEchoUs >= this.interruptedAtUs) this.releaseDue = false;
    } else if (command.clutch) {
      this.running = undefined;
    }
    const rejection = command.deadMan && !command.clutch ? this.judge(nowMs, command) : undefined;
    if (rejection === undefined) this.applied += 1n;
    else [this.rejected, this.refused] = [this.rejected + 1n, rejection];
    this.verdicts = [...this.verdicts.slice(-7), { sequence: command.sequence, rejection }];
  }

  private judge(nowMs: number, command: Command): Rejection | undefined {
    if (this.stopped) return { code: 10, seen: 1, limit: 0 };
    if (!this.armed) return { code: 8, seen: 0, limit: 2 };
    this.commandAgeMs = Number(this.tickUs(nowMs) - command.kitTickEchoUs) / 1000;
    if (this.commandAgeMs > 300) return { code: 1, seen: this.commandAgeMs, limit: 300 };
    if (this.pictureAgeMs > this.pictureAgeMsMax) return { code: 3, seen: this.pictureAgeMs, limit: this.pictureAgeMsMax };
    if (this.releaseDue) return { code: 17, seen: 0, limit: 1 };
    const why = this.admit(command);
    if (why !== undefined) return why;
    const lagMm = distanceMm(command.target, this.setpoint);
    if (lagMm > 10 && !this.consentWithdrawn) {
      this.running = undefined;
      return { code: 15, seen: lagMm, limit: 10 };
    }
    this.target = { pose: command.target, jawRad: command.jawRad };
    this.lastAppliedMs = nowMs;
    this.refused = undefined;
    return undefined;
  }

  private admit(command: Command): Rejection | undefined {
    const mismatch = { code: 12, seen: Number(command.engagement), limit: Number(this.newestEngagement) };
    if (this.running !== undefined) {
      if (this.running.id !== command.engagement) {
        this.running = undefined;
        return mismatch;
      }
      return this.running.hold === command.hold ? undefined : { code: 13, seen: Number(command.hold), limit: Number(this.hold) };
    }
    if (command.engagement <= this.newestEngagement) return mismatch;
    if (this.moved) return { code: 14, seen: 1, limit: 0 };
    if (command.hold !== this.hold) return { code: 13, seen: Number(command.hold), limit: Number(this.hold) };
    this.newestEngagement = command.engagement;
    this.running = { id: command.engagement, hold: command.hold };
    return undefined;
  }

  /** One tick of so many ms: the arm follows, or stands. */
  tick(nowMs: number, ms: number): void {
    const silentMs = nowMs - this.lastAppliedMs;
    if (this.running !== undefined && silentMs > 500) this.interrupt(nowMs);
    if (this.running !== undefined && this.target !== undefined && silentMs <= 50 && !this.stopped) {
      this.moved = true;
      const [x, y, z] = this.setpoint.positionM;
      const out: Pose = { ...this.setpoint, positionM: [x, y, z + (WITHDRAWAL_MM_S * ms) / 1e6] };
      this.setpoint = this.consentWithdrawn ? out : towards(this.setpoint, this.target.pose, (SPEED_MM_S * ms) / 1000);
      this.jawRad = this.target.jawRad;
    } else if (this.moved && this.running === undefined) {
      this.moved = false;
      this.hold += 1n;
    }
  }

  mode(nowMs: number): Mode {
    if (this.stopped) return Mode.Stopped;
    if (this.consentWithdrawn) return Mode.SafeStop;
    if (!this.armed || this.token === 0n || this.releaseDue) return Mode.Paused;
    if (this.running === undefined || nowMs - this.lastAppliedMs > 50) return Mode.Holding;
    return Mode.Free;
  }

  flags(): number {
    return (
      (this.homed ? StateFlag.Homed : 0) |
      (this.armed ? StateFlag.Armed : 0) |
      (this.running ? StateFlag.Engaged : 0) |
      (this.moved ? 0 : StateFlag.AtRest) |
      (this.stopped ? StateFlag.EStop : 0) |
      (this.token > 0n ? StateFlag.Leased : 0)
    );
  }

  reason(nowMs: number): Rejection | undefined {
    if (this.stopped) return { code: 10, seen: 1, limit: 0 };
    if (!this.armed) return { code: 8, seen: 0, limit: 2 };
    if (this.token === 0n) return { code: 7, seen: Number.POSITIVE_INFINITY, limit: 10000 };
    if (this.releaseDue) return { code: 17, seen: 0, limit: 1 };
    return this.running === undefined || nowMs - this.lastAppliedMs > 50 ? this.refused : undefined;
  }

  state(nowMs: number): KitState {
    const verdicts = this.verdicts;
    this.verdicts = [];
    return {
      session: this.session,
      token: this.token,
      tickUs: this.tickUs(nowMs),
      mode: this.mode(nowMs),
      operatingState: this.stopped ? OperatingState.Fault : this.armed ? OperatingState.Enabled : OperatingState.Disabled,
      flags: this.flags(),
      engagement: this.newestEngagement,
      hold: this.hold,
      newest: this.newest,
      applied: this.applied,
      rejected: this.rejected,
      unauthentic: 0n,
      newestFrame: 0n,
      setpoint: this.setpoint,
      measured: this.setpoint,
      jawRad: this.jawRad,
      speedLimitMmS: SPEED_MM_S,
      commandAgeMs: this.commandAgeMs,
      pictureAgeMs: this.pictureAgeMs,
      lagMm: 0,
      reason: this.reason(nowMs),
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
