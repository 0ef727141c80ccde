/**
 * Several connections to the edge box, which are one console: any may die unnoticed. Pure.
 *
 * **A bond begins on one path, which the edge box welcomes before another joins, and is over with its last path**, or when the
 * edge box does not know it. Then numbers begin anew under a new name, so that they never count from two beginnings.
 */
import { type Bytes } from "../wire/bytes";
import { Inbox, Outbox } from "./order";
import { type BondName, heard, hello, message, readWord } from "./words";

/** As many as the edge box lets wait. */
const MESSAGES_WAITING_MAX = 256;

/** `waiting`: for the path that begins. `greeting`: said hello. `standing`: welcomed. */
type Stage = "waiting" | "greeting" | "standing";

interface Path {
  stage: Stage;
  begins: boolean;
  /** How far its channel has come. */
  message: bigint;
  acknowledged: bigint;
}

/** What a word, or an end, brought. */
export type Event =
  | { readonly is: "nothing" }
  | { readonly is: "message"; readonly content: Bytes }
  /** The first path stands: the bond begins. */
  | { readonly is: "began" }
  /** One more path stands. */
  | { readonly is: "joined" }
  /** Every path is to be closed; what was not delivered is lost. */
  | { readonly is: "over" }
  /** This path is to be closed: the other end breaks the rule. */
  | { readonly is: "broken" };

const NOTHING: Event = { is: "nothing" };
const BROKEN: Event = { is: "broken" };

export class Bond {
  readonly #paths = new Map<number, Path>();
  #name: BondName;
  #outbox = new Outbox(MESSAGES_WAITING_MAX);
  #inbox = new Inbox();
  #together = false;

  /** `run`: 16 random bytes, new for every load of the page. */
  constructor(run: Bytes) {
    this.#name = { run, number: 1n };
  }

  get isTogether(): boolean {
    return this.#together;
  }

  /** Paths that stand, in order. */
  get standing(): number[] {
    return [...this.#paths].filter(([, { stage }]) => stage === "standing").map(([path]) => path).sort();
  }

  /** All channels of that path are open. */
  opened(path: number): void {
    this.#paths.set(path, { stage: "waiting", begins: false, message: 0n, acknowledged: 0n });
  }

  closed(path: number): Event {
    const was = this.#paths.get(path);
    this.#paths.delete(path);
    if (was?.stage === "greeting" && was.begins) this.#anew(); // the edge box may have begun
    if (!this.#together || this.standing.length > 0) return NOTHING;
    return this.#over();
  }

  /** Queues a message for the edge box. False: there is no bond, or too much waits. */
  say(content: Bytes): boolean {
    return this.#together && this.#outbox.push(content);
  }

  /** What goes out next on that path. */
  next(path: number): Bytes | undefined {
    const at = this.#paths.get(path);
    if (at === undefined) return undefined;
    if (at.stage === "waiting") return this.#greet(path, at);
    return at.stage === "standing" ? this.#write(at) : undefined;
  }

  /** Takes what came over that path. */
  take(path: number, bytes: Bytes): Event {
    const at = this.#paths.get(path);
    const word = readWord(bytes);
    if (at === undefined) return NOTHING;
    if (at.stage === "greeting") {
      if (word?.is === "apart") return this.#over();
      return word?.is === "welcome" ? this.#welcomed(at) : BROKEN;
    }
    if (at.stage !== "standing") return BROKEN;
    if (word?.is === "message") return this.#arrived(word.number, word.content);
    return word?.is === "heard" && this.#outbox.acknowledge(word.count) ? NOTHING : BROKEN;
  }

  #greet(path: number, at: Path): Bytes | undefined {
    const beginning = [...this.#paths.values()].some(({ stage, begins }) => stage === "greeting" && begins);
    if (!this.#together && beginning) return undefined;
    at.stage = "greeting";
    at.begins = !this.#together;
    return hello(this.#name, path, at.begins);
  }

  #welcomed(at: Path): Event {
    at.stage = "standing";
    if (!at.begins) return { is: "joined" };
    this.#together = true;
    return { is: "began" };
  }

  #arrived(number: bigint, content: Bytes): Event {
    const arrived = this.#inbox.take(number);
    if (arrived === "next") return { is: "message", content };
    return arrived === "again" ? NOTHING : BROKEN;
  }

  #write(at: Path): Bytes | undefined {
    const count = this.#inbox.taken;
    if (at.acknowledged < count) {
      at.acknowledged = count;
      return heard(count);
    }
    const next = this.#outbox.after(at.message);
    if (next === undefined) return undefined;
    at.message = next.number;
    return message(next.number, next.content);
  }

  #over(): Event {
    this.#anew();
    this.#together = false;
    this.#paths.clear();
    return { is: "over" };
  }

  #anew(): void {
    this.#name = { run: this.#name.run, number: this.#name.number + 1n };
    this.#outbox = new Outbox(MESSAGES_WAITING_MAX);
    this.#inbox = new Inbox();
  }
}
