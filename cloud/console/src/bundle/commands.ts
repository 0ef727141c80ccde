/**
 * Commands from three sides: the edge box's log, the surgeon's signed lists, the kit's signed verdicts. They arrive out of step,
 * so each command has a slot until all three are expected to have spoken; **the oldest slots are settled first**.
 */
import { toHex } from "../wire/bytes";
import { readCommand } from "../wire/command";
import { sha256 } from "../wire/mac";
import { type SurgeonSegment } from "../wire/segment";
import { type Bytes, equal } from "../wire/bytes";
import { type Fault, type Findings, type Place } from "./findings";
import { type Frames } from "./frames";
import { type People } from "./people";
import { type KitSegment, type Outcome } from "./segment";

/** Commands in flight between the three: a minute at 250 a second. */
const SLOTS_MAX = 16_384;
/** So many more before the oldest are settled: a map is slow to find its first entry behind many that are gone. */
const SLOTS_MORE = 1024;

interface Slot {
  readonly token: bigint;
  readonly sequence: bigint;
  logged?: { readonly place: Place; readonly hash: Bytes };
  listed?: Bytes;
  judged?: boolean;
  /** The newest kit tick that the console knew when it sent it; and when the kit took it in. */
  echoUs?: bigint;
  takenInUs?: bigint;
}

/** Commands that no list has, and whose list the edge box said is missing. */
interface Hole {
  readonly token: bigint;
  readonly first: bigint;
  readonly last: bigint;
}

/** What one side has and another has not, unless a gap says so: that may be declared as late as at the end. */
interface Doubt {
  readonly place: Place;
  readonly slot: Slot;
  readonly fault: Fault;
}

/** Holes and doubts that are remembered. */
const LISTS_MAX = 4096;

type Key = readonly [bigint, bigint];

/** Commands in a row that got lost on the same way. */
class Lost {
  #run: { readonly token: bigint; readonly first: bigint; last: bigint } | undefined;

  constructor(private readonly say: (commands: string) => void) {}

  take({ token, sequence }: Slot): void {
    if (this.#run?.token === token && this.#run.last + 1n === sequence) this.#run.last = sequence;
    else {
      this.finish();
      this.#run = { token, first: sequence, last: sequence };
    }
  }

  finish(): void {
    if (this.#run) this.say(`commands ${this.#run.first} to ${this.#run.last} under token ${this.#run.token}`);
    this.#run = undefined;
  }
}

export class Commands {
  /** In the order that they came up, which is that of their numbers but for what was late by a little. */
  readonly #slots = new Map<string, Slot>();
  readonly #listEnds = new Map<string, bigint>();
  readonly #holes: Hole[] = [];
  readonly #doubts: Doubt[] = [];
  readonly #leaseless = new Set<bigint>();
  readonly #lostToEdge = new Lost((commands) => this.findings.add("lost-to-edge", {}, `${commands} were sent and are not in the log`));
  readonly #lostToKit = new Lost((commands) => this.findings.add("lost-to-kit", {}, `${commands} are in the log and in no list of the kit's`));
  #kit: { readonly boot: string; readonly toUs: bigint } | undefined;
  #takenIn: Key = [0n, 0n];
  readonly counts = { sent: 0, lostToEdge: 0, lostToKit: 0, takenIn: 0, refused: 0, unauthentic: 0n, blind: 0 };

  constructor(
    private readonly findings: Findings,
    /** Whether the edge box said that these commands are missing. */
    private readonly declared: (token: bigint, first: bigint, last: bigint) => boolean,
  ) {}

  logged(place: Place, recordedUs: bigint, bytes: Bytes, frames: Frames, people: People): void {
    const { session, token, sequence, frameSeen, frameAgeUs, kitTickEchoUs } = readCommand(bytes);
    const name = `command ${sequence} under token ${token}`;
    if (!equal(session, people.opening.session)) this.findings.add("session", place, `${name} is of another session`);
    if (bytes.subarray(-16).every((byte) => byte === 0)) this.findings.add("command-code", place, `${name} carries no code`);
    if (frameSeen > frames.newest) this.findings.add("unseen-frame", place, `${name} names frame ${frameSeen}, the newest is ${frames.newest}`);
    const ageUs = frameAgeUs === undefined ? undefined : frames.otherAgeUs(frameSeen, recordedUs, BigInt(frameAgeUs));
    if (ageUs !== undefined) this.findings.add("frame-age", place, `${name} says that frame ${frameSeen} was ${frameAgeUs} µs old, the edge box's clock ${ageUs} µs`);
    if (frameSeen === 0n) this.counts.blind += 1;
    this.#expectLease(place, token, people);
    const slot = this.#slot(token, sequence);
    if (slot.logged) this.findings.add("command-twice", place, `${name} is logged twice`);
    slot.logged = { place, hash: sha256(bytes) };
    slot.echoUs ??= kitTickEchoUs;
    this.#compare(slot);
    this.#compareTime(place, slot);
  }

  /** `declared`: the edge box said that the segments right before this one are missing. */
  listed(place: Place, author: Bytes, { token, sent }: SurgeonSegment, people: People, declared: boolean): void {
    const [seen, holder] = [toHex(author), people.holder(token)];
    if (holder !== undefined && holder !== seen) this.findings.add("not-holder", place, `commands under token ${token} are listed by another than its holder`);
    this.#expectLease(place, token, people);
    const list = `${seen} ${token}`;
    for (const { sequence, hash } of sent) {
      const expected = (this.#listEnds.get(list) ?? 0n) + 1n;
      if (sequence !== expected) {
        const gap = sequence > expected && (declared || this.declared(token, expected, sequence - 1n));
        this.findings.add("list-hole", place, `the surgeon's list goes on at ${sequence} under token ${token}, expected ${expected}`, gap);
        if (gap && this.#holes.length < LISTS_MAX) this.#holes.push({ token, first: expected, last: sequence - 1n });
      }
      this.#listEnds.set(list, sequence);
      const slot = this.#slot(token, sequence);
      slot.listed = hash;
      this.#compare(slot);
      this.counts.sent += 1;
    }
  }

  judged(place: Place, segment: KitSegment, declared: boolean): void {
    const boot = toHex(segment.boot);
    const expected = this.#kit?.boot === boot ? this.#kit.toUs : segment.fromUs;
    if (segment.fromUs !== expected || segment.toUs < segment.fromUs) {
      const gap = declared && expected <= segment.fromUs && segment.fromUs <= segment.toUs;
      this.findings.add("kit-time", place, `the kit's time goes from ${segment.fromUs} to ${segment.toUs} µs, expected from ${expected}`, gap);
    }
    this.#kit = { boot, toUs: segment.toUs };
    this.counts.unauthentic += segment.unauthentic;
    for (const outcome of segment.verdicts) this.#judge(place, segment, outcome);
  }

  #judge(place: Place, { token, fromUs, toUs }: KitSegment, { sequence, tickUs, refused }: Outcome): void {
    const name = `command ${sequence} under token ${token}`;
    if (tickUs < fromUs || tickUs >= toUs) this.findings.add("verdict-time", place, `the verdict on ${name} at ${tickUs} µs lies outside its segment`);
    const slot = this.#slot(token, sequence);
    // What came over two paths is judged twice: taken in once, then refused as old.
    if (slot.judged && refused === undefined) this.findings.add("judged-twice", place, `the kit judged ${name} twice`);
    slot.judged = true;
    if (refused !== undefined) {
      this.counts.refused += 1;
      return;
    }
    this.counts.takenIn += 1;
    slot.takenInUs = tickUs;
    this.#compareTime(place, slot);
    const [newestToken, newest] = this.#takenIn;
    if (token < newestToken || (token === newestToken && sequence <= newest)) this.findings.add("taken-in-late", place, `the kit took in ${name} late`);
    else this.#takenIn = [token, sequence];
  }

  /** Settles the oldest slots beyond the bound. */
  settle(): void {
    if (this.#slots.size > SLOTS_MAX + SLOTS_MORE) this.#settleDownTo(SLOTS_MAX);
  }

  #settleDownTo(max: number): void {
    for (const [key, slot] of this.#slots) {
      if (this.#slots.size <= max) return;
      this.#slots.delete(key);
      this.#settle(slot);
    }
  }

  /** The session is over: every gap has been declared. */
  finish(): void {
    this.#settleDownTo(0);
    this.#lostToEdge.finish();
    this.#lostToKit.finish();
    for (const { slot, fault: [name, what], place } of this.#doubts) {
      if (!this.declared(slot.token, slot.sequence, slot.sequence) && !(slot.logged && this.#isInHole(slot))) this.findings.add(name, place, what);
    }
  }

  #settle(slot: Slot): void {
    const { token, sequence, logged, listed, judged } = slot;
    const name = `command ${sequence} under token ${token}`;
    if (logged && listed === undefined) this.#doubt(logged.place, slot, ["unlisted-command", `${name} is in no list of the surgeon's`]);
    if (logged && !judged) {
      this.counts.lostToKit += 1;
      this.#lostToKit.take(slot);
    } else if (!logged && judged) this.#doubt({}, slot, ["unlogged-command", `the kit judged ${name}, which is not logged`]);
    else if (!logged) {
      this.counts.lostToEdge += 1;
      this.#lostToEdge.take(slot);
    }
  }

  #doubt(place: Place, slot: Slot, fault: Fault): void {
    if (this.#doubts.length < LISTS_MAX) this.#doubts.push({ place, slot, fault });
    else this.findings.add(fault[0], place, fault[1]);
  }

  /** A list is missing, by declaration, that may have had this command. */
  #isInHole({ token, sequence }: Slot): boolean {
    return this.#holes.some((hole) => hole.token === token && hole.first <= sequence && sequence <= hole.last);
  }

  #slot(token: bigint, sequence: bigint): Slot {
    const key = `${token} ${sequence}`;
    const slot = this.#slots.get(key) ?? { token, sequence };
    this.#slots.set(key, slot);
    return slot;
  }

  /** What is logged is what the surgeon sent. */
  #compare({ token, sequence, logged, listed }: Slot): void {
    if (logged === undefined || listed === undefined || equal(logged.hash, listed)) return;
    this.findings.add("other-command", logged.place, `command ${sequence} under token ${token} is another than the surgeon sent`);
  }

  /** None is taken in before it can have been sent. */
  #compareTime(place: Place, { token, sequence, echoUs, takenInUs }: Slot): void {
    if (echoUs === undefined || takenInUs === undefined || takenInUs >= echoUs) return;
    this.findings.add("judged-early", place, `the kit took in command ${sequence} under token ${token} at ${takenInUs} µs, before ${echoUs} µs, which it echoes`);
  }

  #expectLease(place: Place, token: bigint, people: People): void {
    if (people.holder(token) !== undefined || this.#leaseless.has(token) || this.#leaseless.size > 4096) return;
    this.#leaseless.add(token);
    this.findings.add("no-lease", place, `nobody was granted token ${token}`);
  }
}
