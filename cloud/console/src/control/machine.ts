/**
 * The surgeon's control: what the hands do in, commands out. Pure: time is an argument, and so are random ids.
 *
 * Invariants.
 * - **A target moves only within an engagement that the kit has confirmed**, by hand increments alone. An engagement starts
 *   only from the newest authentic state of its arm, at rest, at its hold and its setpoint; scale changes never move a target.
 * - **Losing focus, tab, pointer, gamepad or connection is letting go**, and then the dead-man counts again only after it
 *   was seen up: a held pedal never resumes motion.
 * - **A still hand is not silence**: while the dead-man is held something is sent at least every 16 ms.
 * - While the dead-man is held without an engagement, the clutch bit says so: that ends an engagement and is no release.
 * - **The hand is at one arm**, and no other is commanded to move. Going to another arm ends the engagement by the clutch: the arm
 *   that was left is told so until a state of its own says that it knows. It needs no release, and makes up for none that is due.
 * - There is one dead-man: a command with it up releases every arm, whichever it names.
 */
import { type Bytes } from "../wire/bytes";
import { type Command } from "../wire/command";
import { type Pose, type Vec3 } from "../wire/pose";
import { type KitState, Mode } from "../wire/state";
import { ArmKind, type ArmNotice, remoteCentreOf } from "../wire/statement";
import { Arm } from "./arm";
import { SIMULATOR_VIEW, type ViewAxes } from "./camera";
import { Presses } from "./estop";
import { type HandMove, SCALES, SCALE_START, SPEEDS_MM_S, SPEED_START, SpeedGate, carried, moved, rolled, swung, translationMm, turned } from "./hand";
import { length, times } from "./rotation";

/**
 * Between commands in the mean: 250 a second. One that follows at once a command that was itself late is not held back, or it
 * would wait for the hand's next movement: browsers wake timers every 8 ms or so.
 */
const SEND_MS_MIN = 4;
/** While the dead-man is held, no farther apart than 16 ms; the driver's ticks come every 4. */
const SEND_MS_MAX = 12;
/** While it is not, no farther apart than 50. */
const IDLE_MS_MAX = 40;
const RELEASE_BURST = 5;
const JAW_RAD_S = 1.2;
/** The jaw's range, from `shared/motion/arms`. */
const JAW_RAD = { min: -0.698132, max: 1.39626 } as const;

/** A number that was overtaken is none of them: the next command says the same again. */
const RETRY = new Set([12, 13, 14]);
const OVER = new Set([11, 15, 16, 17]);

/** Why the dead-man counts as released though a finger may still be on it. */
export type LetGo = "focus" | "hidden" | "pointer" | "gamepad" | "connection" | "stop" | "control";
/** Keyboard or gamepad. */
export type Source = "key" | "trigger";

export type Input =
  | { readonly is: "tick" }
  | { readonly is: "connected" }
  | { readonly is: "disconnected" }
  /** Keys were agreed for this lease. */
  | { readonly is: "leased"; readonly token: bigint }
  | { readonly is: "lease-lost" }
  /** Authentic under the lease's key. */
  | { readonly is: "kit-state"; readonly state: KitState }
  /** Presses that a notice of the kit lists. */
  | { readonly is: "acknowledged"; readonly presses: readonly Bytes[] }
  /** The kit's arms, in the order of their numbers. */
  | { readonly is: "arms"; readonly arms: readonly ArmNotice[] }
  /** How the endoscope looks at the arms now: the hand moves in its picture. */
  | { readonly is: "view"; readonly axes: ViewAxes }
  /** A frame was shown; its capture on this page's clock, if the clocks have met. */
  | { readonly is: "frame-shown"; readonly frame: bigint; readonly capturedMs: number | undefined }
  | { readonly is: "dead-man"; readonly source: Source; readonly down: boolean }
  /** The hand goes to that arm. */
  | { readonly is: "arm"; readonly arm: number }
  /** Down: the hand is at the endoscope's arm, if there is one; up: it is back at the chosen one. */
  | { readonly is: "camera"; readonly source: Source; readonly down: boolean }
  | { readonly is: "let-go"; readonly why: LetGo }
  | { readonly is: "clutch"; readonly down: boolean }
  | { readonly is: "hand"; readonly move: HandMove }
  | { readonly is: "jaw"; readonly direction: -1 | 0 | 1 }
  | { readonly is: "scale"; readonly step: -1 | 1 }
  | { readonly is: "speed"; readonly step: -1 | 1 }
  | { readonly is: "e-stop"; readonly press: Bytes };

export type Output =
  | { readonly is: "command"; readonly command: Command }
  /** To be signed, and sent on both channels. */
  | { readonly is: "press"; readonly press: Bytes };

export type Phase =
  /** The dead-man is up. */
  | { readonly is: "up" }
  /** Held; the kit is not ready for an engagement yet, or the clutch is pressed. */
  | { readonly is: "waiting" }
  /** Sent, and not yet confirmed by the kit: the target stays where it started. */
  | { readonly is: "engaging"; readonly first: bigint; readonly confirmed: false }
  | { readonly is: "engaged"; readonly first: bigint; readonly confirmed: true }
  /** The kit ended it: release and press again. */
  | { readonly is: "spent" };

/** What the page shows of it. */
export interface ControlView {
  readonly phase: Phase["is"];
  readonly holdsControl: boolean;
  /** Where the hand is. */
  readonly arm: number;
  readonly deadMan: boolean;
  readonly clutch: boolean;
  readonly letGo: LetGo | undefined;
  readonly engagement: bigint;
  readonly scale: number;
  readonly speedMmS: number;
  readonly jawRad: number | undefined;
  readonly sent: bigint;
  readonly unacknowledgedStopMs: number | undefined;
}

export class Control {
  #connected = false;
  #token: bigint | undefined;
  #arms: Arm[] = [new Arm()];
  #notices: readonly ArmNotice[] = [];
  /** Where the hand is, and where it is without the camera's pedal. */
  #number = 0;
  #chosen = 0;
  readonly #looking = new Set<Source>();
  /** The newest tick of any arm's. */
  #echoUs = 0n;
  #sequence = 0n;
  #target: Pose | undefined;
  #jawRad = 0;
  #phase: Phase = { is: "up" };
  readonly #down = new Set<Source>();
  /** Set: the dead-man must be seen up before it counts. */
  #letGo: LetGo | undefined;
  #clutch = false;
  #jawDirection: -1 | 0 | 1 = 0;
  #jawAtMs = 0;
  #scale = SCALE_START;
  #speed = SPEED_START;
  readonly #gate = new SpeedGate();
  readonly #presses = new Presses();
  #frame: { readonly seen: bigint; readonly capturedMs: number | undefined } = { seen: 0n, capturedMs: undefined };
  #sentMs = Number.NEGATIVE_INFINITY;
  /** What is urgent goes out from then on. */
  #mayMs = Number.NEGATIVE_INFINITY;
  #changed = false;
  #burst = 0;
  /** When an arm that was left was last told so. */
  #toldMs = Number.NEGATIVE_INFINITY;
  #view: ViewAxes = SIMULATOR_VIEW;
  /** As the engagement began: a hand that moves the endoscope would otherwise turn its own way. */
  #viewAtFirst: ViewAxes = SIMULATOR_VIEW;

  constructor(private readonly session: Bytes) {}

  /** Takes one thing that came, and says what is to be sent. */
  step(nowMs: number, input: Input): Output[] {
    this.#take(nowMs, input);
    this.#advance(nowMs);
    const presses = this.#presses.due(nowMs).map((press): Output => ({ is: "press", press }));
    return [...presses, ...this.#send(nowMs)];
  }

  view(nowMs: number): ControlView {
    return {
      phase: this.#phase.is,
      holdsControl: this.#token !== undefined,
      arm: this.#number,
      deadMan: this.#held,
      clutch: this.#clutch,
      letGo: this.#letGo,
      engagement: this.#arm.engagement,
      scale: SCALES[this.#scale] ?? 0,
      speedMmS: SPEEDS_MM_S[this.#speed] ?? 0,
      jawRad: this.#arm.state?.jawRad,
      sent: this.#sequence,
      unacknowledgedStopMs: this.#presses.waitingMs(nowMs),
    };
  }

  /** Where the arm's tip is to be, by what was last commanded, while the kit says that it follows. */
  get aim(): { readonly arm: number; readonly pose: Pose; readonly jawRad: number } | undefined {
    const follows = this.#following();
    return follows && { arm: this.#number, pose: follows.target, jawRad: this.#jawRad };
  }

  get #arm(): Arm {
    return this.#arms[this.#number] as Arm; // #hasArms alone changes their number, and it never falls
  }

  /** The dead-man is held, and counts. */
  get #held(): boolean {
    return this.#down.size > 0 && this.#letGo === undefined;
  }

  #take(nowMs: number, input: Input): void {
    switch (input.is) {
      case "tick":
        return this.#moveJaw(nowMs);
      case "connected":
        this.#connected = true;
        return;
      case "disconnected":
        this.#connected = false;
        return this.#release("connection");
      case "leased":
        return this.#leased(input.token);
      case "lease-lost":
        this.#token = undefined;
        return this.#release("control");
      case "kit-state":
        return this.#takeState(nowMs, input.state);
      case "arms":
        this.#notices = input.arms;
        return this.#hasArms(input.arms.length);
      case "acknowledged":
        return this.#presses.acknowledge(input.presses);
      case "view":
        this.#view = input.axes;
        return;
      case "frame-shown":
        this.#frame = { seen: input.frame, capturedMs: input.capturedMs };
        return;
      case "dead-man":
        return this.#deadMan(input.source, input.down);
      case "let-go":
        return this.#release(input.why);
      case "arm":
        if (input.arm < this.#arms.length) this.#chosen = input.arm;
        return this.#go();
      case "camera":
        if (input.down) this.#looking.add(input.source);
        else this.#looking.delete(input.source);
        return this.#go();
      case "clutch":
        return this.#setClutch(input.down);
      case "hand":
        return this.#hand(nowMs, input.move);
      case "jaw":
        this.#moveJaw(nowMs);
        this.#jawDirection = input.direction;
        return;
      case "scale":
        this.#scale = within(this.#scale + input.step, SCALES.length);
        return;
      case "speed":
        this.#speed = within(this.#speed + input.step, SPEEDS_MM_S.length);
        return;
      case "e-stop":
        this.#presses.press(nowMs, input.press);
        return this.#release("stop");
    }
  }

  // ---- the dead-man

  #deadMan(source: Source, down: boolean): void {
    if (!down) {
      this.#down.delete(source);
      if (this.#down.size > 0) return;
      this.#letGo = undefined;
      if (this.#phase.is !== "up") this.#goUp();
    } else if (!this.#down.has(source)) {
      this.#down.add(source);
      if (this.#held && this.#phase.is === "up") {
        this.#phase = { is: "waiting" };
        this.#changed = true;
      }
    }
  }

  /** Counts as released, whatever the fingers do, until it was seen up. */
  #release(why: LetGo): void {
    if (this.#down.size > 0) this.#letGo ??= why;
    this.#jawDirection = 0;
    if (this.#phase.is !== "up") this.#goUp();
  }

  #goUp(): void {
    this.#end();
    this.#phase = { is: "up" };
    this.#burst = RELEASE_BURST;
  }

  #setClutch(down: boolean): void {
    this.#clutch = down;
    this.#changed = true;
    if (down && this.#isRunning) this.#backToWaiting();
  }

  get #isRunning(): boolean {
    return this.#phase.is === "engaging" || this.#phase.is === "engaged";
  }

  #backToWaiting(): void {
    this.#end();
    this.#phase = { is: "waiting" };
    this.#changed = true;
  }

  /** The next command ends the engagement; only states from after it count. */
  #end(): void {
    this.#arm.end(this.#sequence + 1n);
    this.#target = undefined;
  }

  // ---- where the hand is

  #hasArms(count: number): void {
    while (this.#arms.length < count) this.#arms.push(new Arm());
  }

  /** To the arm where it should be now. What it leaves it leaves by the clutch. */
  #go(): void {
    const endoscope = this.#looking.size > 0 ? this.#notices.findIndex(({ kind }) => kind === ArmKind.Endoscope) : -1;
    const number = endoscope >= 0 ? endoscope : this.#chosen;
    if (number === this.#number) return;
    if (this.#isRunning) this.#backToWaiting();
    this.#number = number;
    this.#changed = true;
    this.#toldMs = Number.NEGATIVE_INFINITY;
  }

  /** Remote centre of the arm where the hand is, if that holds an endoscope. */
  get #endoscopeM(): Vec3 | undefined {
    const notice = this.#notices[this.#number];
    return notice?.kind === ArmKind.Endoscope ? remoteCentreOf(notice) : undefined;
  }

  // ---- what the kit says

  #leased(token: bigint): void {
    if (token === this.#token) return;
    this.#release("control");
    this.#token = token;
    this.#arms = this.#arms.map(() => new Arm());
    [this.#sequence, this.#echoUs] = [0n, 0n];
    this.#phase = { is: "up" };
    this.#burst = RELEASE_BURST;
  }

  #takeState(nowMs: number, state: KitState): void {
    if (state.token !== this.#token) return;
    this.#hasArms(state.arms);
    if (this.#arms[state.arm]?.hears(nowMs, state) !== true) return;
    if (state.tickUs > this.#echoUs) this.#echoUs = state.tickUs;
    const [phase, ours] = [this.#phase, state.arm === this.#number];
    if (phase.is === "engaging") this.#confirm(nowMs, phase.first, state, ours);
    else if (phase.is === "engaged" && ours) this.#goOn(phase.first, state);
  }

  /** The first command of an engagement was sent: did the kit begin it? Verdicts ride on any arm's state. */
  #confirm(nowMs: number, first: bigint, state: KitState, ours: boolean): void {
    if (ours && this.#arm.isEngagedIn(state)) {
      this.#phase = { is: "engaged", first, confirmed: true };
      this.#gate.restart(nowMs);
      this.#jawAtMs = nowMs;
      return;
    }
    const refused = state.verdicts.filter(({ sequence }) => sequence >= first).map(({ rejection }) => rejection?.code ?? 0);
    if (refused.some((code) => OVER.has(code))) this.#spend();
    else if (refused.some((code) => RETRY.has(code))) this.#backToWaiting();
  }

  #goOn(first: bigint, state: KitState): void {
    if (state.newest < first) return;
    if (!this.#arm.isEngagedIn(state) || holdsFast(state)) this.#spend();
    // What the tool did not follow is forgotten: when it may move again there is nothing to catch up with. And what is drawn
    // out follows no hand.
    else if (state.mode >= Mode.Holding) this.#target = state.setpoint;
  }

  #spend(): void {
    this.#end();
    this.#phase = { is: "spent" };
    this.#changed = true;
  }

  // ---- the hand

  #hand(nowMs: number, move: HandMove): void {
    const follows = this.#following();
    if (follows === undefined) return;
    const { target, setpoint } = follows;
    const endoscopeM = this.#endoscopeM;
    if (move.turning && endoscopeM) {
      this.#target = rolled(target, move, endoscopeM, setpoint);
      // To the right of the picture stays to the right, however the picture was rolled.
      this.#viewAtFirst = carried(this.#viewAtFirst, target.orientationWxyz, this.#target.orientationWxyz);
    } else if (move.turning) {
      this.#target = turned(target, move, this.#view, setpoint);
    } else {
      const wantedMm = translationMm(move, SCALES[this.#scale] ?? 0, endoscopeM ? this.#viewAtFirst : this.#view);
      const share = this.#gate.share(nowMs, length(wantedMm), SPEEDS_MM_S[this.#speed] ?? 0);
      const mm = times(wantedMm, share);
      this.#target = endoscopeM ? swung(target, mm, endoscopeM, setpoint) : moved(target, mm, setpoint);
    }
    this.#changed = true;
  }

  #moveJaw(nowMs: number): void {
    const sinceMs = Math.min(Math.max(0, nowMs - this.#jawAtMs), 2 * SEND_MS_MAX);
    this.#jawAtMs = nowMs;
    if (this.#jawDirection === 0 || this.#endoscopeM || this.#following() === undefined) return;
    const wanted = this.#jawRad + (this.#jawDirection * JAW_RAD_S * sinceMs) / 1000;
    this.#jawRad = Math.min(JAW_RAD.max, Math.max(JAW_RAD.min, wanted));
  }

  /** Target and setpoint, while the kit says that the tool follows. */
  #following(): { readonly target: Pose; readonly setpoint: Pose } | undefined {
    const seen = this.#arm.state;
    if (this.#phase.is !== "engaged" || this.#target === undefined || seen === undefined) return undefined;
    return seen.mode <= Mode.Limited ? { target: this.#target, setpoint: seen.setpoint } : undefined;
  }

  // ---- what follows from it

  #advance(nowMs: number): void {
    if (this.#phase.is !== "waiting" || this.#clutch || !this.#connected) return;
    const state = this.#arm.ready(nowMs);
    if (state === undefined) return;
    this.#arm.begin(state.hold);
    this.#target = state.setpoint;
    this.#jawRad = state.jawRad;
    this.#viewAtFirst = this.#view;
    this.#phase = { is: "engaging", first: this.#sequence + 1n, confirmed: false };
    this.#changed = true;
  }

  #send(nowMs: number): Output[] {
    // Before the first word of the arm where the hand is another one is named: held with the clutch, or up, that moves nothing.
    const arm = [this.#arm, ...this.#arms].find(({ state }) => state !== undefined);
    if (!this.#connected || this.#token === undefined || arm?.state === undefined) return [];
    if (this.#burst === RELEASE_BURST) {
      // A release is told at once, and twice.
      this.#burst -= 2;
      return [this.#command(nowMs, arm, arm.state), this.#command(nowMs, arm, arm.state)];
    }
    const urgent = this.#changed || this.#burst > 0;
    const due = nowMs - this.#sentMs >= (this.#held ? SEND_MS_MAX : IDLE_MS_MAX) || (urgent && nowMs >= this.#mayMs);
    if (!due) return [];
    this.#burst = Math.max(0, this.#burst - 1);
    return [...this.#farewells(nowMs), this.#command(nowMs, arm, arm.state)];
  }

  /** To arms that the hand has left, until they know. While the dead-man is up every command says as much. */
  #farewells(nowMs: number): Output[] {
    if (!this.#held || nowMs - this.#toldMs < SEND_MS_MAX) return [];
    this.#toldMs = nowMs;
    const left = this.#arms.filter((arm) => arm !== this.#arm && arm.mayBeEngaged);
    return left.flatMap((arm) => (arm.state === undefined ? [] : [this.#command(nowMs, arm, arm.state)]));
  }

  #command(nowMs: number, arm: Arm, state: KitState): Output {
    this.#sequence += 1n;
    this.#sentMs = nowMs;
    this.#mayMs = Math.max(this.#mayMs, nowMs - SEND_MS_MIN) + SEND_MS_MIN;
    this.#changed = false;
    const { seen, capturedMs } = this.#frame;
    const running = arm === this.#arm && this.#isRunning && this.#held;
    const command: Command = {
      session: this.session,
      token: this.#token ?? 0n,
      sequence: this.#sequence,
      kitTickEchoUs: this.#echoUs,
      arm: state.arm,
      deadMan: this.#held,
      clutch: this.#held && !running,
      engagement: arm.engagement,
      hold: arm.hold,
      target: running && this.#target !== undefined ? this.#target : state.setpoint,
      jawRad: running ? this.#jawRad : state.jawRad,
      frameSeen: seen,
      frameAgeUs: capturedMs === undefined ? undefined : ageUs(nowMs - capturedMs),
    };
    return { is: "command", command };
  }
}

/** Nothing moves until release and press. In a safe stop the dead-man still draws the tool out. */
function holdsFast(state: KitState): boolean {
  return state.mode >= Mode.Paused && state.mode !== Mode.SafeStop;
}

function within(wanted: number, count: number): number {
  return Math.min(count - 1, Math.max(0, wanted));
}

/** Fits the command's field; what lies in the future or is too old to say is unknown. */
function ageUs(ms: number): number | undefined {
  const us = Math.round(ms * 1000);
  return us >= 0 && us < 0xffff_ffff ? us : undefined;
}
