/** Drives the control machine: ticks, keys and channels. It decides nothing. */
import { signal } from "@preact/signals";
import { type Bytes, equal, random } from "../wire/bytes";
import { sealCommand } from "../wire/command";
import { Kind, kindOf } from "../wire/kind";
import { type LeaseKeys } from "../wire/mac";
import { type Shown } from "../wire/segment";
import { type KitState, StateFlag, openKitState, upToDate } from "../wire/state";
import { ArmKind, type ArmNotice, type KitNotice, type LeaseTranscript, type Region, remoteCentreOf } from "../wire/statement";
import { type Pose } from "../wire/pose";
import { type Overlay, SeenClass, readNoSight, readOverlay } from "../wire/overlay";
import { type Camera, type Watermark, readCamera, readClockPong, readFrameRecord, readWatermark, sightWanted } from "../wire/video";
import { Displayed } from "../evidence/displayed";
import { lastWords } from "../evidence/lastwords";
import { Scribe } from "../evidence/scribe";
import { type Proven } from "../link/boot";
import { chainStore } from "../link/keystore";
import { LeaseTaker } from "../link/lease";
import { type LineTest } from "../link/linetest";
import { type Lane } from "../link/peer";
import { type Heard, Station } from "../link/station";
import { ClockFilter } from "../video/clock";
import { FrameMatcher, type ShownFrame, glassToGlassMs, stampMs } from "../video/frames";
import { Sight, type Wanted, shows } from "../video/sight";
import { type Eyes, type Presented, aspectOfEye } from "../video/viewer";
import { TipWatch, apart } from "../video/tips";
import { VesselWatch, nearestVessel } from "../video/vessels";
import { Worst } from "../video/history";
import { type Eye, axesOf, eyeOf, spotOf } from "./camera";
import { type Segment, Trail, jawsEnd, plainness, skeleton } from "./ghost";
import { Control, type ControlView, type Input, type Output } from "./machine";
import { type Mark, regionOf } from "./regions";

const TICK_MS = 4;
const LEASE_ANSWER_MS_MAX = 3000;
/** A kit that has not closed by then did not hear it: the hand counts again. */
const CLOSE_ANSWER_MS_MAX = 3000;
const SENT_MAX = 1024;
const SAMPLES_MAX = 4096;

/** By the arm's number. */
type States = readonly (Heard<KitState> | undefined)[];

/** One frame's age when it was shown, by the frame record and by the stamp in its pixels. */
export interface AgeSample {
  readonly frame: number;
  readonly rtpTimestamp: number;
  /** On this page's clock. */
  readonly shownMs: number;
  readonly glassToGlassMs: number;
  readonly stampMs: number | undefined;
  readonly uncertaintyMs: number;
}

/** Lines in the kit's frame, as they are to be seen over the newest shown picture. */
export interface Ghost {
  readonly lines: readonly Segment[];
  /** Where that picture was taken from. */
  readonly eye: Eye;
  /** From 0, not at all, to 1. */
  readonly plainness: number;
}

export class Surgeon {
  readonly station: Station;
  readonly control: Control;
  readonly view = signal<ControlView>(new Control(new Uint8Array(16)).view(0));
  /** Of each path over which pictures may come. */
  readonly streams = signal<readonly (readonly [number, MediaStream])[]>([]);
  readonly asking = signal(false);
  /** How the endoscope looks, if the edge box knows. */
  readonly camera = signal<Camera | undefined>(undefined);
  /** What the surgeon wants to see of a picture of two eyes. */
  readonly eyes = signal<Eyes>("left");
  /** Whether the surgeon wants to see where the tool will be. */
  readonly ghost = signal(true);
  /** What the net sees, and what of it the surgeon wants to see. */
  readonly sight = new Sight();
  readonly wanted = signal<Wanted>("all");
  /** Why nothing looks at the pictures; empty: something may. */
  readonly noSight = signal("");
  /** Where arms say that their tools are, against what the net sees. */
  readonly tips = new TipWatch();
  /** Where the net sees vessels near their jaws. */
  readonly vessels = new VesselWatch();
  /** A forbidden region is being marked in the picture. */
  readonly marking = signal(false);
  /** One that was marked, and not confirmed. */
  readonly proposed = signal<ReturnType<typeof regionOf>>(undefined);
  readonly clock = new ClockFilter();
  readonly frames = new FrameMatcher();
  readonly loopWorst = new Worst();
  readonly glassWorst = new Worst();
  readonly samples: AgeSample[] = [];
  readonly displayed = new Displayed();
  readonly scribe: Scribe;
  /** What the edge box has on record. */
  readonly durable = signal<Heard<Watermark> | undefined>(undefined);
  /** Kit states whose code was not good, since the lease began. */
  unauthentic = 0;
  /** A test of the line that is going on. */
  probe: LineTest | undefined;
  loopMs: number | undefined;
  newestSample: AgeSample | undefined;
  readonly #lease: LeaseTaker;
  #states: States = [];
  /** Changes with what the page says in words of the states. */
  readonly #words = signal(0);
  #keys: LeaseKeys | undefined;
  #token = 0n;
  #taken: LeaseTranscript | undefined;
  readonly #sentAtMs = new Map<bigint, number>();
  /** By the arm's number. */
  readonly #trails: Trail[] = [];
  /** Of the whole picture. */
  #aspect: number | undefined;
  #askedMs = 0;
  #silentUntilMs = 0;

  constructor(proven: Proven) {
    const { session, signer, link } = proven.identity;
    this.control = new Control(session);
    this.#lease = new LeaseTaker({ session, holder: signer.publicKey, kit: proven.opening.kit });
    this.station = new Station(proven, true, {
      connected: () => this.#connected(),
      disconnected: () => this.#disconnected(),
      notice: (notice) => this.#notice(notice),
      granted: (transcript) => void this.#granted(transcript),
      message: (lane, bytes) => this.#message(lane, bytes),
      video: (path, stream) => this.#video(path, stream),
      pictureHashed: (rtpTimestamp, hash) => this.#report(this.displayed.hashed(rtpTimestamp, hash)),
    });
    this.scribe = new Scribe({
      session,
      signer,
      commands: chainStore(link, "commands"),
      display: chainStore(link, "display"),
      lastWords: lastWords(localStorage, link),
      send: (bytes) => this.station.connector.send("statements", bytes),
      now: () => performance.now(),
    });
  }

  start(): void {
    this.station.start();
    setInterval(() => this.#tick(), TICK_MS);
    window.addEventListener("pagehide", () => this.scribe.leave());
  }

  /** One input to the machine; what follows from it is on its way when this returns. */
  give(input: Input): void {
    if (input.is === "dead-man" && input.down) this.mark(false);
    this.#obey(this.control.step(performance.now(), input));
    this.#look();
  }

  stop(): void {
    this.give({ is: "e-stop", press: random(16) });
  }

  async takeControl(): Promise<void> {
    const notice = this.station.notice.value?.said;
    if (notice === undefined) return;
    this.asking.value = true;
    this.#askedMs = performance.now();
    await this.station.say(await this.#lease.request(notice.challenge));
  }

  /** Gives control to another surgeon's session key: the tool holds until that one takes it. */
  async handOver(to: Bytes): Promise<void> {
    this.give({ is: "let-go", why: "control" });
    await this.scribe.flush();
    await this.station.say({ is: "hand-over", token: this.#token, to });
  }

  /**
   * The operation is over: nothing more is sent, all that was sent is signed, then the kit is told to disarm for good. So the
   * record that is sealed next holds no command that no list names.
   */
  async close(): Promise<void> {
    this.#silentUntilMs = performance.now() + CLOSE_ANSWER_MS_MAX;
    await this.scribe.flush();
    await this.station.say({ is: "close" });
  }

  /** How far the record lags: the age of the oldest command of ours that is not durable. 0: all are. */
  recordLagMs(nowMs: number): number | undefined {
    const newest = this.durable.value?.said;
    if (newest === undefined || newest.token > this.#token) return undefined;
    const durable = newest.token === this.#token ? newest.newest : 0n;
    for (const [sequence, sentMs] of this.#sentAtMs) if (sequence > durable) return nowMs - sentMs;
    return 0;
  }

  /** Whether it is newer than what was shown before, over whichever path. */
  presented(frame: Presented): boolean {
    const before = this.frames.newest;
    this.#aspect = frame.aspect;
    this.#shown(this.frames.shown(frame));
    return this.frames.newest !== before;
  }

  /** What is shown of a picture of two eyes; undefined: it is one eye's. */
  get eyesShown(): Eyes | undefined {
    return this.camera.value?.stereo === true ? this.eyes.value : undefined;
  }

  /** The left eye's picture, or both, where there are two. */
  turnEyes(): void {
    const shown = this.eyesShown;
    if (shown !== undefined) this.eyes.value = shown === "left" ? "both" : "left";
  }

  /** How old the newest shown picture is now. */
  pictureAgeMs(nowMs: number): number | undefined {
    const [newest, clock] = [this.frames.newest, this.clock.at(nowMs)];
    return newest && clock && glassToGlassMs({ ...newest, shownMs: nowMs }, clock);
  }

  /** The kit's arms, in the order of their numbers, as far as it has told. */
  get arms(): readonly ArmNotice[] {
    return this.station.notice.value?.said.arms ?? [];
  }

  /** More or less of what the net sees. Where nobody wants any, the edge box does not look for it. */
  want(wanted: Wanted): void {
    this.wanted.value = wanted;
    if (!shows(wanted, SeenClass.Vessel)) this.vessels.reset();
    this.station.connector.send("statements", sightWanted(wanted !== "off"));
  }

  /** Arms near whose jaws the net sees a vessel, as long as what it sees belongs over the shown picture. */
  get vesselsNear(): readonly string[] {
    return this.sight.over(this.frames.newest) === undefined ? [] : this.vessels.raised;
  }

  /** Begins to mark a forbidden region, while no arm moves; or gives it up. */
  mark(on: boolean): void {
    this.marking.value = on && this.view.peek().holdsControl && !this.view.peek().deadMan;
    this.proposed.value = undefined;
  }

  /** What was drawn in the picture, as deep as the instrument in hand. */
  propose(mark: Mark): void {
    const now = performance.now();
    const [eye, tip] = [this.eyeAt(now), this.#shownAt(now, this.#instrument)];
    this.marking.value = false;
    this.proposed.value = eye && tip && regionOf(mark, eye, jawsEnd(tip));
  }

  /** These and no others are forbidden from now on, once the kit says so. */
  async forbid(regions: readonly Region[]): Promise<void> {
    const notice = this.station.notice.value?.said;
    if (notice === undefined) return;
    this.proposed.value = undefined;
    await this.station.say({ is: "forbid", challenge: notice.challenge, version: (notice.regions ?? 0n) + 1n, regions });
  }

  /** The newest state of each arm, by its number. Tells of a change of words; a figure's reader looks again when it likes. */
  get states(): States {
    void this.#words.value;
    return this.#states;
  }

  /** The arm where the hand is, and the kit, as the newest word of either has it; the age is that of the kit's newest word. */
  get state(): Heard<KitState> | undefined {
    return inHand(this.states, this.view.value.arm);
  }

  /** Of the instrument that the hand drives: an endoscope is in no picture of its own. */
  ghostAt(nowMs: number): Ghost | undefined {
    const [aim, camera] = [this.control.aim, this.camera.peek()];
    const notice = aim && this.arms[aim.arm];
    if (aim === undefined || camera === undefined || notice?.kind !== ArmKind.Instrument) return undefined;
    const [shown, eye] = [this.#shownAt(nowMs, aim.arm), this.eyeAt(nowMs)];
    if (shown === undefined || eye === undefined) return undefined;
    return { lines: skeleton(aim.pose, aim.jawRad, remoteCentreOf(notice)), eye, plainness: plainness(aim.pose, shown) };
  }

  /** Where the newest shown picture was taken from. */
  eyeAt(nowMs: number): Eye | undefined {
    const ageMs = this.pictureAgeMs(nowMs);
    return this.#eyeAtCapture(ageMs === undefined ? undefined : nowMs - ageMs);
  }

  #eyeAtCapture(takenMs: number | undefined): Eye | undefined {
    const camera = this.camera.peek();
    return camera && eyeOf(camera, (arm) => (takenMs === undefined ? undefined : this.#atCapture(takenMs, arm)));
  }

  /** The instrument in hand, else the first. */
  get #instrument(): number {
    const { arm } = this.view.peek();
    const isInstrument = (notice: ArmNotice | undefined) => notice?.kind === ArmKind.Instrument;
    return isInstrument(this.arms[arm]) ? arm : this.arms.findIndex(isInstrument);
  }

  /** Where an arm's tip was when the newest shown picture was taken, as far as its states tell. */
  #shownAt(nowMs: number, arm: number): Pose | undefined {
    const ageMs = this.pictureAgeMs(nowMs);
    return ageMs === undefined ? undefined : this.#atCapture(nowMs - ageMs, arm);
  }

  /** At a time on this page's clock; the arm's word of it was heard half a round trip later. */
  #atCapture(takenMs: number, arm: number): Pose | undefined {
    return this.#trails[arm]?.at(takenMs + (this.clock.roundTripMs ?? 0) / 2);
  }

  // ---- out

  #obey(outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (output.is === "press") void this.station.sendPress(output.press);
      else if (this.#keys !== undefined) {
        const { command } = output;
        const frame = sealCommand(command, this.#keys.consoleToKit);
        this.scribe.sent(command.token, command.sequence, frame);
        if (performance.now() >= this.#silentUntilMs) this.station.connector.send("control", frame);
        this.#remember(command.sequence);
      }
    }
  }

  #remember(sequence: bigint): void {
    if (this.#sentAtMs.size >= SENT_MAX) this.#sentAtMs.delete(this.#sentAtMs.keys().next().value as bigint);
    this.#sentAtMs.set(sequence, performance.now());
  }

  #tick(): void {
    const now = performance.now();
    this.give({ is: "tick" });
    this.scribe.tick();
    if (this.asking.value && now - this.#askedMs > LEASE_ANSWER_MS_MAX) this.#stopAsking();
  }

  /** Tells the page, where something changed. */
  #look(): void {
    const [before, after] = [this.view.peek(), this.control.view(performance.now())];
    const changed = (Object.keys(after) as (keyof ControlView)[]).some(
      (field) => field !== "sent" && field !== "unacknowledgedStopMs" && before[field] !== after[field],
    );
    const waits = (before.unacknowledgedStopMs === undefined) !== (after.unacknowledgedStopMs === undefined);
    if (changed || waits) this.view.value = after;
  }

  // ---- in

  #connected(): void {
    this.clock.reset();
    this.frames.reset();
    this.sight.reset();
    this.tips.reset();
    this.vessels.reset();
    this.noSight.value = "";
    if (this.wanted.peek() === "off") this.want("off");
    this.displayed.reset();
    this.#trails.length = 0;
    this.scribe.connected();
    this.give({ is: "connected" });
  }

  #disconnected(): void {
    this.give({ is: "disconnected" });
    this.scribe.disconnected(this.station.heardMs);
  }

  #video(path: number, stream: MediaStream): void {
    const others = this.streams.value.filter(([other]) => other !== path);
    this.streams.value = [...others, [path, stream] as const].sort(([a], [b]) => a - b);
  }

  #message(lane: Lane, bytes: Bytes): void {
    try {
      const kind = kindOf(bytes);
      if (lane === "control" && kind === Kind.KitState) this.#kitState(bytes);
      else if (lane === "control" && kind === Kind.ClockPong) this.#pong(bytes);
      else if (lane === "control" && kind === Kind.Watermark) this.#watermark(readWatermark(bytes));
      else if (lane === "control" && kind === Kind.Overlay) this.#seen(readOverlay(bytes));
      else if (lane === "statements" && kind === Kind.NoSight) this.noSight.value = readNoSight(bytes);
      else if (lane === "statements" && kind === Kind.Camera) this.#camera(readCamera(bytes));
      else if (lane === "frames" && kind === Kind.FrameRecord) this.#shown(this.frames.record(readFrameRecord(bytes)));
    } catch {
      this.unauthentic += 1;
    }
  }

  #seen(overlay: Overlay): void {
    this.sight.take(overlay);
    const clock = this.clock.at(performance.now());
    if (clock === undefined || this.#aspect === undefined) return this.vessels.reset();
    const takenMs = Number(overlay.capturedUs) / 1000 - clock.offsetMs;
    const eye = this.#eyeAtCapture(takenMs);
    const aspect = aspectOfEye(this.#aspect, this.camera.peek()?.stereo ?? false);
    for (const [arm, { name, kind }] of this.arms.entries()) {
      const tip = kind === ArmKind.Instrument && eye && overlay.doubt === undefined ? this.#atCapture(takenMs, arm) : undefined;
      const [turn, end] = tip && eye ? [spotOf(eye, tip.positionM), spotOf(eye, jawsEnd(tip))] : [];
      // Where the jaws turn: jaws that point away from the lens are hardly seen.
      this.tips.judge(name, turn && apart(turn.at, overlay.contours, aspect));
      const engaged = ((this.#states[arm]?.said.flags ?? 0) & StateFlag.Engaged) !== 0;
      const told = engaged && shows(this.wanted.peek(), SeenClass.Vessel);
      this.vessels.judge(name, told ? nearestVessel([turn, end], overlay.contours, aspect) : undefined);
    }
  }

  #kitState(bytes: Bytes): void {
    if (this.#keys === undefined) return;
    const state = openKitState(bytes, this.#keys.kitToConsole);
    if (state.token !== this.#token || !equal(state.session, this.station.proven.opening.session)) return;
    const [states, now] = [this.#states, performance.now()];
    const [before, newest] = [states[state.arm]?.said, newestOf(states)?.said];
    if (before !== undefined && state.tickUs <= before.tickUs) return;
    // Until the kit adopts the lease its states are under another key.
    if (newest === undefined) this.unauthentic = 0;
    const sent = this.#sentAtMs.get(state.newest);
    if (sent !== undefined && (newest === undefined || state.newest > newest.newest)) {
      this.loopMs = now - sent;
      this.loopWorst.take(this.loopMs);
    }
    (this.#trails[state.arm] ??= new Trail()).heard(state.measured, now);
    const heard = [...states];
    heard[state.arm] = { said: state, atMs: now };
    this.#states = heard;
    if (before === undefined || saysOther(before, state)) this.#words.value += 1;
    if (state.arm === this.camera.peek()?.arm) this.#lookAnew();
    this.give({ is: "kit-state", state });
  }

  #forgetStates(): void {
    this.#states = [];
    this.#words.value += 1;
  }

  #camera(camera: Camera): void {
    this.camera.value = camera;
    this.#lookAnew();
  }

  /** How the endoscope looks now, by the newest word of the arm that carries it. */
  #lookAnew(): void {
    const camera = this.camera.peek();
    const eye = camera && eyeOf(camera, (arm) => this.#states[arm]?.said.measured);
    if (eye !== undefined) this.give({ is: "view", axes: axesOf(eye) });
  }

  #pong(bytes: Bytes): void {
    const { sentUs, edgeUs } = readClockPong(bytes);
    this.clock.pong(sentUs, microseconds(performance.now()), edgeUs);
    this.probe?.answered(sentUs, performance.now());
  }

  #watermark(watermark: Watermark): void {
    const before = this.durable.peek()?.said;
    const older = before !== undefined && (watermark.token < before.token || (watermark.token === before.token && watermark.newest < before.newest));
    this.scribe.watermark(watermark);
    if (!older) this.durable.value = { said: watermark, atMs: performance.now() };
  }

  #report(shown: Shown | undefined): void {
    if (shown !== undefined) this.scribe.shown(shown);
  }

  #shown(frame: ShownFrame | undefined): void {
    if (frame === undefined) return;
    const clock = this.clock.at(performance.now());
    if (clock !== undefined) this.#sample(frame, glassToGlassMs(frame, clock), stampMs(frame, clock), clock.uncertaintyMs);
    if (frame !== this.frames.newest) return;
    const capturedMs = clock && Number(frame.capturedUs) / 1000 - clock.offsetMs;
    this.give({ is: "frame-shown", frame: frame.frame, capturedMs });
  }

  #sample(frame: ShownFrame, age: number, stamp: number | undefined, uncertaintyMs: number): void {
    this.#report(this.displayed.shown(frame, age));
    const { rtpTimestamp, shownMs } = frame;
    this.newestSample = { frame: Number(frame.frame), rtpTimestamp, shownMs, glassToGlassMs: age, stampMs: stamp, uncertaintyMs };
    this.glassWorst.take(age);
    this.probe?.shown(age, performance.now());
    if (this.samples.length >= SAMPLES_MAX) this.samples.splice(0, SAMPLES_MAX / 4);
    this.samples.push(this.newestSample);
  }

  // ---- the lease

  #notice(notice: KitNotice): void {
    this.give({ is: "arms", arms: notice.arms });
    if (notice.presses.length > 0) this.give({ is: "acknowledged", presses: notice.presses });
    const holds = this.#taken;
    if (holds === undefined) return;
    // A notice with an older token was on its way when control was granted.
    const given = notice.token > holds.token || (notice.token === holds.token && !this.station.isOurs(notice.holder));
    const gone = given || notice.closed;
    if (!gone && equal(notice.boot, holds.boot)) return;
    this.#taken = undefined;
    this.#keys = undefined;
    this.#forgetStates();
    this.give({ is: "lease-lost" });
    void this.scribe.flush();
  }

  async #granted(transcript: LeaseTranscript): Promise<void> {
    const boot = this.station.notice.value?.said.boot;
    if (boot === undefined || !this.#lease.isAsking || !this.station.isOurs(transcript.holder)) return;
    try {
      const { token, keys, confirm } = await this.#lease.granted(transcript, boot);
      this.#taken = transcript;
      this.#token = token;
      this.#keys = keys;
      this.unauthentic = 0;
      this.#sentAtMs.clear();
      this.#forgetStates();
      this.give({ is: "leased", token });
      await this.station.say(confirm);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.station.refusal.value = { said: why, atMs: performance.now() };
    }
    this.#stopAsking();
  }

  #stopAsking(): void {
    this.asking.value = false;
    this.#lease.giveUp();
  }
}

function newestOf(states: States): Heard<KitState> | undefined {
  return states.reduce((newest, one) => (one && (!newest || one.said.tickUs > newest.said.tickUs) ? one : newest), undefined);
}

/** One arm, and the kit as the newest word of any arm has it; the age is that of the kit's newest word. */
function inHand(states: States, number: number): Heard<KitState> | undefined {
  const [newest, arm] = [newestOf(states), states[number]?.said];
  return newest && arm && { said: upToDate(arm, newest.said), atMs: newest.atMs };
}

/** Whether the page has other words for it, not just other figures: what it draws is in the way of the hand's next command. */
function saysOther(before: KitState, after: KitState): boolean {
  return before.token !== after.token || before.mode !== after.mode || before.flags !== after.flags || before.reason !== after.reason;
}

function microseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1000));
}

