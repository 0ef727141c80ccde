/**
 * Messages over several paths: whole, once, in order, none lost as long as one path stands. Pure; `shared/link` has the same.
 *
 * **The one rule:** on each path the numbers only rise, and a number is sent there only if the one before it was sent there too,
 * or has been acknowledged. So whatever the next path brings is at most one above what has been taken.
 */
import { type Bytes } from "../wire/bytes";

/** Messages that the other end has not acknowledged yet, with their numbers, from 1. */
export class Outbox {
  #acknowledged = 0n;
  #waiting: Bytes[] = [];

  constructor(private readonly max: number) {}

  /** Queues a message, unless as many as may be wait. */
  push(content: Bytes): boolean {
    const room = this.#waiting.length < this.max;
    if (room) this.#waiting.push(content);
    return room;
  }

  /** The next message on a path whose last was `sent`. */
  after(sent: bigint): { readonly number: bigint; readonly content: Bytes } | undefined {
    const skipped = sent > this.#acknowledged ? sent - this.#acknowledged : 0n;
    const content = this.#waiting[Number(skipped)];
    return content && { number: this.#acknowledged + skipped + 1n, content };
  }

  /** The other end has so many; false: more than there were. */
  acknowledge(count: bigint): boolean {
    const newly = count > this.#acknowledged ? count - this.#acknowledged : 0n;
    if (newly > BigInt(this.#waiting.length)) return false;
    this.#waiting.splice(0, Number(newly));
    this.#acknowledged += newly;
    return true;
  }
}

export class Inbox {
  #taken = 0n;

  get taken(): bigint {
    return this.#taken;
  }

  /** What the message under that number is; too early: the other end broke the rule. */
  take(number: bigint): "next" | "again" | "too-early" {
    if (number <= this.#taken) return "again";
    if (number - this.#taken > 1n) return "too-early";
    this.#taken = number;
    return "next";
  }
}
