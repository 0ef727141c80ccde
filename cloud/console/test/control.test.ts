/** The surgeon's control in virtual time, against a small kit that keeps the guard's rules of engagement. */
import { beforeEach, describe, expect, it } from "vitest";
import { type Command } from "../src/wire/command";
import { type Vec3 } from "../src/wire/pose";
import { SIMULATOR_VIEW } from "../src/control/camera";
import { SpeedGate } from "../src/control/hand";
import { degreesBetween, dot, length, multiply, rotated, subtract, times } from "../src/control/rotation";
import { Control, type Input, type Output } from "../src/control/machine";
import { type KitState, StateFlag } from "../src/wire/state";
import { type ArmNotice, remoteCentreOf } from "../src/wire/statement";
import { Kit, type KitArm, THREE_ARMS, distanceMm } from "./mock/kit";

const SESSION = new Uint8Array(16);
const LATENCY_MS = 20;

/** Control and kit, each a one-way latency apart, a millisecond a step; ticks and states come as they do live. */
class Bench {
  now = 0;
  readonly control = new Control(SESSION);
  readonly kit: Kit;
  sent: { atMs: number; command: Command }[] = [];
  presses: { atMs: number; press: Uint8Array }[] = [];
  loseCommands = false;
  loseStates = false;
  loses = (_: Command): boolean => this.loseCommands;
  private toKit: { at: number; command: Command }[] = [];
  private toConsole: { at: number; input: Input }[] = [];

  constructor(arms?: readonly ArmNotice[]) {
    this.kit = new Kit(SESSION, arms);
  }

  /** The first one. */
  get arm(): KitArm {
    return this.kit.arm(0);
  }

  begin(): this {
    this.kit.armed = true;
    this.kit.lease(0, 1n);
    this.give({ is: "arms", arms: this.kit.notices });
    this.give({ is: "connected" });
    this.give({ is: "leased", token: 1n });
    return this.run(200);
  }

  give(input: Input): this {
    this.take(this.control.step(this.now, input));
    return this;
  }

  private take(outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (output.is === "press") this.presses.push({ atMs: this.now, press: output.press });
      else {
        this.sent.push({ atMs: this.now, command: output.command });
        if (!this.loses(output.command)) this.toKit.push({ at: this.now + LATENCY_MS, command: output.command });
      }
    }
  }

  run(ms: number): this {
    for (const end = this.now + ms; this.now < end; this.now++) {
      for (const { command } of this.toKit.filter(({ at }) => at === this.now)) this.kit.take(this.now, command);
      this.toKit = this.toKit.filter(({ at }) => at > this.now);
      this.kit.tick(this.now, 1);
      if (this.now % 10 === 0 && !this.loseStates) {
        for (const state of this.kit.states(this.now)) this.toConsole.push({ at: this.now + LATENCY_MS, input: { is: "kit-state", state } });
      }
      for (const { input } of this.toConsole.filter(({ at }) => at === this.now)) this.give(input);
      this.toConsole = this.toConsole.filter(({ at }) => at > this.now);
      if (this.now % 4 === 0) this.give({ is: "tick" });
    }
    return this;
  }

  press(): this {
    return this.give({ is: "dead-man", source: "key", down: true });
  }

  release(): this {
    return this.give({ is: "dead-man", source: "key", down: false });
  }

  engage(): this {
    return this.press().run(100);
  }

  drag(rightPx: number, downPx = 0, intoPx = 0, turning = false): this {
    for (let i = 0; i < 10; i++) {
      this.give({ is: "hand", move: { rightPx: rightPx / 10, downPx: downPx / 10, intoPx: intoPx / 10, turning } }).run(16);
    }
    return this;
  }

  get phase(): string {
    return this.control.view(this.now).phase;
  }

  get last(): Command {
    const last = this.sent.at(-1);
    if (last === undefined) throw new Error("nothing was sent");
    return last.command;
  }

  since(atMs: number): Command[] {
    return this.sent.filter((sent) => sent.atMs >= atMs).map(({ command }) => command);
  }
}

const unit = (a: Vec3): Vec3 => times(a, 1 / length(a));

let bench: Bench;
beforeEach(() => {
  bench = new Bench().begin();
});

describe("engagement", () => {
  it("starts at rest, from the kit's hold and setpoint, and only after the kit confirms does the hand count", () => {
    bench.press();
    expect(bench.phase).toBe("engaging");
    expect(bench.last).toMatchObject({ deadMan: true, clutch: false, engagement: 1n, hold: bench.arm.hold });
    expect(bench.last.target).toEqual(bench.arm.setpoint);
    bench.give({ is: "hand", move: { rightPx: 50, downPx: 0, intoPx: 0, turning: false } });
    expect(bench.last.target).toEqual(bench.arm.setpoint);
    bench.run(60);
    expect(bench.phase).toBe("engaged");
    bench.drag(100);
    expect(distanceMm(bench.last.target, bench.arm.setpoint)).toBeLessThan(2);
    expect(distanceMm(bench.last.target, { positionM: [0, 0, -0.13], orientationWxyz: [1, 0, 0, 0] })).toBeGreaterThan(3);
  });

  // Goal: 100 px at 96 to the inch and scale 0.2 are 5.29 mm, along the picture's right.
  it("adds up scaled hand increments in the camera's view", () => {
    const from = bench.arm.setpoint;
    bench.engage().drag(100).run(100);
    const went = bench.last.target.positionM.map((value, i) => 1000 * (value - (from.positionM[i] ?? 0)));
    const right = SIMULATOR_VIEW.right.map((axis) => (axis * 100 * 0.2 * 25.4) / 96);
    went.forEach((value, i) => expect(value).toBeCloseTo(right[i] ?? 0, 6));
    expect(distanceMm(bench.arm.setpoint, bench.last.target)).toBeCloseTo(0, 6);
  });

  it("a change of scale moves nothing", () => {
    bench.engage().drag(60);
    const before = bench.last.target;
    bench.give({ is: "scale", step: 1 }).give({ is: "scale", step: -1 }).give({ is: "scale", step: -1 }).run(50);
    expect(bench.last.target).toEqual(before);
  });

  it("moves the jaw while its key is held, and never out of its range", () => {
    bench.engage().give({ is: "jaw", direction: 1 }).run(500).give({ is: "jaw", direction: 0 }).run(50);
    expect(bench.arm.jawRad).toBeGreaterThan(0.5);
    expect(bench.arm.jawRad).toBeLessThan(0.7);
    bench.give({ is: "jaw", direction: -1 }).run(5000);
    expect(bench.last.jawRad).toBe(-0.698132);
  });

  it("Shift turns the wrist and leaves the tip where it is", () => {
    bench.engage();
    const before = bench.last.target;
    bench.drag(40, 0, 0, true);
    expect(bench.last.target.positionM).toEqual(before.positionM);
    expect(bench.last.target.orientationWxyz).not.toEqual(before.orientationWxyz);
    expect(Math.hypot(...bench.last.target.orientationWxyz)).toBeCloseTo(1, 12);
  });

  it("a fast hand does not run away from the arm, and what it did too much is not caught up", () => {
    bench.engage();
    const from = bench.arm.setpoint;
    bench.give({ is: "hand", move: { rightPx: 5000, downPx: 0, intoPx: 0, turning: false } });
    expect(distanceMm(bench.last.target, from)).toBeLessThanOrEqual(2.001);
    bench.run(500);
    expect(distanceMm(bench.arm.setpoint, from)).toBeLessThanOrEqual(2.001);
    expect(bench.phase).toBe("engaged");
  });

  it("numbers rise with every engagement and begin anew with a lease", () => {
    bench.engage().release().run(200).engage();
    expect(bench.last.engagement).toBe(2n);
    expect(bench.last.hold).toBe(2n);
    bench.kit.lease(bench.now, 2n);
    bench.give({ is: "leased", token: 2n });
    expect(bench.phase).toBe("up");
    bench.run(100).release().run(200).press().run(1);
    expect(bench.last).toMatchObject({ token: 2n, engagement: 1n });
    expect(Number(bench.last.sequence)).toBeLessThan(30);
  });

  // Goal: a state from before the release says "at rest" too; an engagement from it would name a hold that is gone.
  it("does not start from a state that knows nothing of the last release", () => {
    bench.engage().drag(40);
    const holdBefore = bench.last.hold;
    bench.release().press();
    bench.run(5);
    expect(bench.phase).toBe("waiting");
    expect(bench.last).toMatchObject({ deadMan: true, clutch: true });
    bench.run(150);
    expect(bench.phase).toBe("engaged");
    expect(bench.last.hold).toBe(holdBefore + 1n);
    expect(bench.kit.rejected).toBe(0n);
  });

  it("does not start from a state that knows nothing of an engagement that was over at once", () => {
    bench.press().run(5).release().run(5).press().run(5);
    expect(bench.phase).toBe("waiting");
    bench.run(150);
    expect(bench.phase).toBe("engaged");
    expect(bench.kit.rejected).toBe(0n);
  });

  it("starts from nothing that is old, forged in time, or of another lease", () => {
    bench.loseStates = true;
    bench.run(400).press().run(100);
    expect(bench.phase).toBe("waiting");
    const state = bench.kit.state(bench.now);
    bench.give({ is: "kit-state", state: { ...state, token: 9n } });
    expect(bench.phase).toBe("waiting");
    bench.give({ is: "kit-state", state: { ...state, tickUs: 5n } });
    expect(bench.phase).toBe("waiting");
    bench.give({ is: "kit-state", state });
    expect(bench.phase).toBe("engaging");
  });

  it.each([
    ["not armed", (kit: Kit) => (kit.armed = false)],
    ["not homed", (kit: Kit) => (kit.arm(0).homed = false)],
    ["stopped", (kit: Kit) => kit.stop()],
    ["waiting for a release", (kit: Kit) => kit.interrupt(1e6)],
  ])("does not start while the kit is %s", (_, make) => {
    make(bench.kit);
    bench.run(100).engage();
    expect(bench.phase).toBe("waiting");
    expect(bench.since(0).some((command) => command.engagement > 0n)).toBe(false);
  });
});

describe("rhythm", () => {
  it("a still hand is not silence: at least every 16 ms while the dead-man is held", () => {
    bench.engage();
    const from = bench.now;
    bench.run(1000);
    const times = bench.sent.filter(({ atMs }) => atMs >= from).map(({ atMs }) => atMs);
    const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(16);
  });

  it("a fast mouse makes no more than 250 commands a second", () => {
    bench.engage();
    const from = bench.now;
    for (let i = 0; i < 1000; i++) bench.give({ is: "hand", move: { rightPx: 0.1, downPx: 0, intoPx: 0, turning: false } }).run(1);
    expect(bench.since(from).length).toBeLessThanOrEqual(251);
  });

  it("an input is sent at once, and so is one that comes close behind it", () => {
    bench.engage().run(20);
    const given = () => {
      const before = bench.sent.length;
      bench.give({ is: "hand", move: { rightPx: 0.1, downPx: 0, intoPx: 0, turning: false } });
      return bench.sent.length - before;
    };
    expect([given(), given(), given()]).toEqual([1, 1, 0]);
    bench.run(4);
    expect(bench.sent.at(-1)?.atMs).toBeGreaterThan(bench.now - 8);
  });

  it("a release is told at once, twice, a few times more, and then at least every 50 ms", () => {
    bench.engage();
    const from = bench.now;
    bench.release();
    expect(bench.since(from).filter((command) => !command.deadMan)).toHaveLength(2);
    bench.run(20);
    expect(bench.since(from).filter((command) => !command.deadMan).length).toBeGreaterThanOrEqual(5);
    bench.run(1000);
    const times = bench.sent.filter(({ atMs }) => atMs >= from).map(({ atMs }) => atMs);
    expect(Math.max(...times.slice(1).map((at, i) => at - (times[i] ?? 0)))).toBeLessThanOrEqual(50);
    expect(bench.since(from).every((command) => !command.deadMan)).toBe(true);
  });

  it("sequences rise by one and echoes never fall", () => {
    bench.engage().drag(100).release().run(200).engage();
    bench.sent.forEach(({ command }, i) => expect(command.sequence).toBe(BigInt(i + 1)));
    const echoes = bench.sent.map(({ command }) => command.kitTickEchoUs);
    expect(echoes).toEqual([...echoes].sort((a, b) => Number(a - b)));
  });

  it("every command names the frame last shown, and its age", () => {
    bench.give({ is: "frame-shown", frame: 77n, capturedMs: bench.now - 30 }).run(50);
    expect(bench.last.frameSeen).toBe(77n);
    expect(bench.last.frameAgeUs).toBeGreaterThanOrEqual(30_000);
    bench.give({ is: "frame-shown", frame: 78n, capturedMs: undefined }).run(50);
    expect(bench.last).toMatchObject({ frameSeen: 78n, frameAgeUs: undefined });
  });
});

describe("letting go", () => {
  it.each(["focus", "hidden", "pointer", "gamepad"] as const)("%s lost is a release, and a held key does not resume", (why) => {
    bench.engage();
    const from = bench.now;
    bench.give({ is: "let-go", why });
    expect(bench.phase).toBe("up");
    expect(bench.since(from).every((command) => !command.deadMan)).toBe(true);
    bench.press().run(200);
    expect(bench.phase).toBe("up");
    expect(bench.control.view(bench.now).letGo).toBe(why);
    bench.release().run(100).press().run(100);
    expect(bench.phase).toBe("engaged");
  });

  it("the connection lost is a release, and nothing is sent into nowhere", () => {
    bench.engage().give({ is: "disconnected" });
    const from = bench.now;
    bench.run(100);
    expect(bench.since(from + 1)).toHaveLength(0);
    bench.give({ is: "connected" }).run(100);
    expect(bench.since(from + 1).length).toBeGreaterThan(5);
    expect(bench.since(from + 1).every((command) => !command.deadMan)).toBe(true);
  });

  it("letting go of one of two holds nothing up; both must be up", () => {
    bench.engage().give({ is: "dead-man", source: "trigger", down: true }).release().run(50);
    expect(bench.phase).toBe("engaged");
    bench.give({ is: "dead-man", source: "trigger", down: false }).run(10);
    expect(bench.phase).toBe("up");
  });
});

describe("clutch", () => {
  it("frees the hand, is no release, and a new engagement starts where the tool stands", () => {
    bench.engage().drag(80).run(100);
    const stands = bench.arm.setpoint;
    const from = bench.now;
    bench.give({ is: "clutch", down: true }).run(100).drag(-300).run(20);
    expect(bench.since(from).every((command) => command.deadMan && command.clutch)).toBe(true);
    expect(distanceMm(bench.arm.setpoint, stands)).toBeLessThan(1e-9);
    bench.give({ is: "clutch", down: false }).run(150);
    expect(bench.phase).toBe("engaged");
    expect(distanceMm(bench.last.target, stands)).toBeLessThan(1e-9);
    expect(bench.last.engagement).toBe(2n);
  });
});

describe("what the kit ends", () => {
  // Goal: P3. Silence pauses, and a held dead-man does not resume by itself.
  it("after silence a release and a new press are needed", () => {
    bench.engage().drag(50);
    bench.loseCommands = true;
    bench.run(700);
    bench.loseCommands = false;
    const stands = bench.arm.setpoint;
    const from = bench.now;
    bench.drag(100).run(300);
    expect(bench.phase).toBe("spent");
    expect(bench.since(from + 1).every((command) => command.deadMan && command.clutch)).toBe(true);
    expect(distanceMm(bench.arm.setpoint, stands)).toBeLessThan(1e-9);
    bench.release().run(100).press().run(100);
    expect(bench.phase).toBe("engaged");
  });

  // Goal: P2. While the tool does not follow, the hand builds up no debt.
  it("motion made while the kit holds is forgotten", () => {
    bench.engage().drag(40).run(100);
    bench.kit.pictureAgeMs = 420;
    // The first of it is made before this console can know.
    bench.drag(120).run(100);
    const stands = bench.arm.setpoint;
    expect(bench.phase).toBe("engaged");
    bench.kit.pictureAgeMs = 45;
    bench.run(150);
    expect(distanceMm(bench.arm.setpoint, stands)).toBeLessThan(1e-6);
    bench.drag(40).run(50);
    expect(distanceMm(bench.arm.setpoint, stands)).toBeGreaterThan(1);
  });

  it("a lost lease ends it all", () => {
    bench.engage().give({ is: "lease-lost" });
    const from = bench.now;
    bench.run(100);
    expect(bench.since(from + 1)).toHaveLength(0);
    expect(bench.control.view(bench.now)).toMatchObject({ phase: "up", holdsControl: false });
  });
});

describe("e-stop", () => {
  const id = (byte: number) => new Uint8Array(16).fill(byte);

  it("is repeated every 50 ms until a notice lists it, with or without a lease", () => {
    const bare = new Bench();
    bare.give({ is: "e-stop", press: id(1) });
    expect(bare.presses).toHaveLength(1);
    bare.run(500);
    expect(bare.presses.length).toBeGreaterThanOrEqual(9);
    bare.give({ is: "acknowledged", presses: [id(9)] }).run(100);
    expect(bare.presses.length).toBeGreaterThanOrEqual(11);
    bare.give({ is: "acknowledged", presses: [id(9), id(1)] });
    const count = bare.presses.length;
    bare.run(500);
    expect(bare.presses).toHaveLength(count);
    expect(bare.control.view(bare.now).unacknowledgedStopMs).toBeUndefined();
  });

  it("is a release, and after clearing only a new press resumes", () => {
    bench.engage().give({ is: "e-stop", press: id(2) });
    bench.kit.stop();
    expect(bench.phase).toBe("up");
    bench.run(200);
    bench.kit.clear(bench.now);
    bench.run(200);
    expect(bench.phase).toBe("up");
    bench.release().run(100).press().run(100);
    expect(bench.phase).toBe("engaged");
  });

  it("each press is one of its own, and their number is bounded", () => {
    const bare = new Bench();
    for (let n = 0; n < 100; n++) bare.give({ is: "e-stop", press: id(n) });
    bare.presses = [];
    bare.run(60);
    expect(new Set(bare.presses.map(({ press }) => press[0])).size).toBe(16);
  });
});

describe("a safe stop", () => {
  it("ends the engagement, and then the dead-man draws the tool out for as long as it is held", () => {
    bench.engage();
    bench.kit.consentWithdrawn = true;
    bench.kit.interrupt(bench.now);
    bench.run(100);
    expect(bench.phase).toBe("spent");
    const held = bench.arm.setpoint.positionM[2];
    bench.run(500);
    expect(bench.arm.setpoint.positionM[2]).toBe(held);
    bench.release().run(100).press().run(1000);
    expect(bench.phase).toBe("engaged");
    expect(bench.arm.setpoint.positionM[2] - held).toBeGreaterThan(0.02);
    bench.release().run(100);
    const out = bench.arm.setpoint.positionM[2];
    bench.run(500);
    expect(bench.arm.setpoint.positionM[2]).toBe(out);
  });
});

describe("several arms", () => {
  const [LEFT, RIGHT, CAMERA] = [0, 1, 2];
  let several: Bench;
  beforeEach(() => {
    several = new Bench(THREE_ARMS).begin();
  });
  const to = (arm: number) => several.give({ is: "arm", arm });
  const camera = (down: boolean) => several.give({ is: "camera", source: "key", down });
  const commandsFor = (arm: number, from: number) => several.since(from).filter((command) => command.arm === arm);

  // Goal: the way from one hand's arm to the other: left by the clutch, no release, the other from its own hold.
  it("going to another arm ends the one by the clutch and begins the other from its own hold", () => {
    several.engage().drag(60).run(50);
    several.kit.arm(RIGHT).hold = 7n;
    several.run(150);
    const [from, stood] = [several.now, several.arm.setpoint];
    to(RIGHT);
    expect(several.since(from).map(({ arm, deadMan, clutch }) => [arm, deadMan, clutch])).toEqual([
      [LEFT, true, true],
      [RIGHT, true, false],
    ]);
    expect(several.last).toMatchObject({ engagement: 1n, hold: 7n, target: several.kit.arm(RIGHT).setpoint });
    several.run(100);
    expect([several.phase, several.control.view(several.now).arm]).toEqual(["engaged", RIGHT]);
    expect([several.arm.running, several.kit.arm(RIGHT).running]).toEqual([undefined, { id: 1n, hold: 7n }]);
    several.drag(60).run(50);
    expect(several.arm.setpoint).toEqual(stood);
    expect(distanceMm(several.kit.arm(RIGHT).setpoint, several.last.target)).toBeCloseTo(0, 6);
    expect(several.since(from).every(({ deadMan }) => deadMan)).toBe(true);
    to(LEFT).run(100);
    expect([several.phase, several.last.arm, several.last.engagement]).toEqual(["engaged", LEFT, 2n]);
    expect(several.kit.rejected).toBe(0n);
  });

  // Goal: a clutch that is lost would leave an arm engaged that nobody commands; it is told until its own state says that it knows.
  it("the arm that was left is told so until it knows, and then no more", () => {
    several.engage().run(50);
    several.loses = ({ arm }) => arm === LEFT;
    to(RIGHT).run(200);
    expect(several.arm.running).toBeDefined();
    expect(several.phase).toBe("engaged");
    const gaps = several.sent.filter(({ command }) => command.arm === LEFT && command.clutch).map(({ atMs }) => atMs);
    expect(gaps.length).toBeGreaterThan(9);
    expect(several.kit.arm(RIGHT).running).toBeDefined();
    several.loses = () => false;
    several.run(100);
    expect(several.arm.running).toBeUndefined();
    const from = several.now;
    several.run(300);
    expect(commandsFor(LEFT, from)).toEqual([]);
    expect(several.phase).toBe("engaged");
  });

  it("one pedal releases all: a release names one arm and ends whatever runs", () => {
    several.engage().run(50);
    several.loses = ({ arm }) => arm === LEFT;
    to(RIGHT).run(100);
    expect(several.kit.arms.filter(({ running }) => running)).toHaveLength(2);
    const from = several.now;
    several.release().run(100);
    expect(several.kit.arms.filter(({ running }) => running)).toHaveLength(0);
    expect(several.since(from).every(({ arm, deadMan }) => arm === RIGHT && !deadMan)).toBe(true);
  });

  // Goal: what one arm's mishap asks of the pedal is not got round by choosing another arm.
  it("makes up for no release that is due", () => {
    several.engage().run(50);
    several.arm.running = undefined;
    several.run(50);
    expect(several.phase).toBe("spent");
    to(RIGHT).run(300);
    expect(several.phase).toBe("spent");
    expect(several.kit.arm(RIGHT).newestEngagement).toBe(0n);
    several.release().run(150).press().run(100);
    expect([several.phase, several.last.arm]).toEqual(["engaged", RIGHT]);
  });

  // Goal: an old word of one arm is not taken for its newest, though another arm was heard since; the echo is the newest of any.
  it("keeps the newest state of each arm, and echoes the newest of all", () => {
    several.loseStates = true;
    several.run(100);
    const state = (arm: number, tickUs: bigint, change: Partial<KitState> = {}): Input => ({ is: "kit-state", state: { ...several.kit.state(several.now, arm), tickUs, ...change } });
    several.give(state(RIGHT, 9_000_000n)).give(state(LEFT, 8_000_000n, { jawRad: 0.5 }));
    expect(several.control.view(several.now).jawRad).toBe(0.5);
    several.give(state(LEFT, 7_000_000n, { jawRad: 0.1 }));
    expect(several.control.view(several.now).jawRad).toBe(0.5);
    several.run(50);
    expect(several.last.kitTickEchoUs).toBe(9_000_000n);
  });

  it("does not take another arm's engagement of the same number for its own", () => {
    several.loseStates = several.loseCommands = true;
    several.press().run(30);
    const other = several.kit.state(several.now, RIGHT);
    several.give({ is: "kit-state", state: { ...other, tickUs: several.kit.tickUs(several.now), engagement: several.last.engagement, flags: other.flags | StateFlag.Engaged } });
    expect(several.phase).toBe("engaging");
  });

  it("hears a refusal of its first command on another arm's state", () => {
    const state = several.kit.state(several.now, LEFT);
    several.loseStates = several.loseCommands = true;
    several.press();
    const { sequence, engagement } = several.last;
    several.run(30);
    expect(several.phase).toBe("engaging");
    const verdict = (code: number): Input => {
      const tickUs = several.kit.tickUs(several.now);
      return { is: "kit-state", state: { ...several.kit.state(several.now, RIGHT), tickUs, verdicts: [{ sequence, rejection: { code, seen: 1, limit: 0 } }] } };
    };
    // Overtaken by a later one: nothing is lost by it.
    several.give(verdict(5)).run(1);
    expect([several.phase, several.last.engagement]).toEqual(["engaging", engagement]);
    several.give(verdict(13)).run(10);
    expect(several.phase).toBe("waiting");
    several.give({ is: "kit-state", state: { ...state, tickUs: several.kit.tickUs(several.now), newest: several.last.sequence } });
    expect([several.phase, several.last.engagement]).toEqual(["engaging", engagement + 1n]);
  });

  it("goes to no arm that the kit has not", () => {
    to(3);
    expect(several.control.view(several.now).arm).toBe(LEFT);
    const one = new Bench().begin().give({ is: "arm", arm: 1 }).give({ is: "camera", source: "key", down: true });
    expect(one.control.view(one.now).arm).toBe(LEFT);
  });

  describe("the endoscope's", () => {
    it("is where the hand is while the camera's pedal is down, and then it is back", () => {
      to(RIGHT).engage().run(50);
      camera(true).run(100);
      expect([several.phase, several.last.arm]).toEqual(["engaged", CAMERA]);
      several.give({ is: "camera", source: "trigger", down: true });
      camera(false).run(50);
      expect(several.last.arm).toBe(CAMERA);
      several.give({ is: "camera", source: "trigger", down: false }).run(100);
      expect([several.phase, several.last.arm, several.last.engagement]).toEqual(["engaged", RIGHT, 2n]);
      expect(several.kit.rejected).toBe(0n);
    });

    // Goal: a hand that goes straight goes straight, though the view that it moves in turns meanwhile.
    it("moves in the view as the engagement began, along with its shaft, and does not roll", () => {
      camera(true).engage();
      const notice = several.kit.notices[CAMERA] as ArmNotice;
      const [centre, before] = [remoteCentreOf(notice), several.last.target];
      several.drag(120);
      several.give({ is: "view", axes: { right: [0, 1, 0], down: [1, 0, 0], into: [0, 0, -1] } });
      several.drag(120).run(50);
      const { positionM, orientationWxyz } = several.last.target;
      const went = positionM.map((value, i) => value - (before.positionM[i] ?? 0));
      const far = Math.hypot(...went);
      expect(far).toBeGreaterThan(0.01);
      SIMULATOR_VIEW.right.forEach((axis, i) => expect((went[i] ?? 0) / far).toBeCloseTo(axis, 6));
      // It points along the shaft still, from the remote centre to the tip; and has not turned about it.
      const shaft = unit(subtract(positionM, centre));
      rotated(orientationWxyz, [0, 0, 1]).forEach((axis, i) => expect(axis).toBeCloseTo(shaft[i] ?? 0, 9));
      const [w, x, y, z] = before.orientationWxyz;
      const [, ...turned] = multiply(orientationWxyz, [w, -x, -y, -z]);
      expect(length(turned)).toBeGreaterThan(0.03);
      expect(dot(turned, unit(subtract(before.positionM, centre)))).toBeCloseTo(0, 9);
    });

    it("rolls about its shaft, and has no jaw", () => {
      camera(true).engage();
      const before = several.last.target;
      several.give({ is: "jaw", direction: 1 }).drag(80, 55, 0, true).run(50);
      const { positionM, orientationWxyz } = several.last.target;
      expect(positionM).toEqual(before.positionM);
      rotated(orientationWxyz, [0, 0, 1]).forEach((axis, i) => expect(axis).toBeCloseTo(rotated(before.orientationWxyz, [0, 0, 1])[i] ?? 0, 9));
      // 0.2° a px, of the way to the right alone.
      expect(degreesBetween(orientationWxyz, before.orientationWxyz)).toBeCloseTo(16, 6);
      expect(several.last.jawRad).toBe(0);
    });

    // Goal: when the picture was rolled, a hand that goes to the right moves to the right of the picture as it now is.
    it("moves in the picture as it was rolled", () => {
      camera(true).engage();
      const [w, x, y, z] = several.last.target.orientationWxyz;
      for (let i = 0; i < 9; i++) several.drag(50, 0, 0, true).run(200);
      const before = several.last.target;
      const rolled = multiply(before.orientationWxyz, [w, -x, -y, -z]);
      expect(degreesBetween(rolled, [1, 0, 0, 0])).toBeGreaterThan(60);
      several.drag(120).run(50);
      const went = unit(subtract(several.last.target.positionM, before.positionM));
      expect(dot(went, SIMULATOR_VIEW.right)).toBeLessThan(0.5);
      expect(dot(went, rotated(rolled, SIMULATOR_VIEW.right))).toBeGreaterThan(0.95);
    });
  });
});

describe("view", () => {
  it("axes are the simulator camera's, right-handed and of unit length", () => {
    const { right, down, into } = SIMULATOR_VIEW;
    expect([dot(right, right), dot(down, down), dot(into, into)].map((n) => n.toFixed(9))).toEqual(Array(3).fill("1.000000000"));
    expect(Math.abs(dot(right, down)) + Math.abs(dot(right, into)) + Math.abs(dot(down, into))).toBeLessThan(1e-12);
    expect(down[1]).toBeLessThan(0);
    expect(into[2]).toBeLessThan(0);
  });

  it("the speed gate lets no more through than its speed, however it is asked", () => {
    const gate = new SpeedGate();
    gate.restart(0);
    let mm = 0;
    for (let ms = 1; ms <= 1000; ms++) mm += 5 * gate.share(ms, 5, 40);
    expect(mm).toBeLessThanOrEqual(40.001);
    expect(mm).toBeGreaterThan(39);
  });
});
