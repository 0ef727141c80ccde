/** Who may say what in a session: the roster, the session keys that its people endorsed, and who was granted control. */
import { type Member, ROSTER_MAX, type Role, type VerifiedOpening, byHospital, readMember } from "../trust/opening";
import { type Proven, isAfter } from "../trust/proof";
import { type TrustRoot } from "../trust/root";
import { require } from "../trust/untrusted";
import { type Bytes, equal, toHex } from "../wire/bytes";
import { Fields } from "../wire/cbor";
import { type Said, type Statement } from "../wire/statement";
import { type Fault } from "./findings";

export const EVENT_ADDITION = 2;
const REMEMBERED_MAX = 4096;

export class People {
  readonly #members: Member[];
  /** By session key in hex: the role of whoever endorsed it. */
  readonly #endorsed = new Map<string, Role>();
  /** By token: the key that the kit granted it to, in hex. */
  readonly #holders = new Map<bigint, string>();

  constructor(readonly opening: VerifiedOpening) {
    this.#members = [...opening.roster];
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  /** Whoever endorsed each session key. */
  get sessionKeys(): ReadonlyMap<string, Role> {
    return this.#endorsed;
  }

  holder(token: bigint): string | undefined {
    return this.#holders.get(token);
  }

  isKit(key: Uint8Array): boolean {
    return equal(key, this.opening.kit);
  }

  isSurgeon(sessionKey: Uint8Array): boolean {
    return this.#endorsed.get(toHex(sessionKey)) === "surgeon";
  }

  /** A committed addition to the roster. */
  add(proven: Proven, trust: TrustRoot): void {
    const { event, position } = proven;
    const f = new Fields("roster addition", event.body, 2);
    const session = f.bytes(16);
    const member = readMember(new Fields("member", [f.any()], 1));
    byHospital("a roster addition", proven, trust);
    require(equal(session, this.opening.session), "a roster addition is of another session");
    require(isAfter(position, this.opening.position), "a roster addition stands before the opening");
    require(member.role !== "edge" && member.role !== "kit", "a machine is added to the people");
    require(this.#members.length < ROSTER_MAX, `a roster has ${ROSTER_MAX} people at most`);
    const keys = [...this.#members.map(({ key }) => key), this.opening.edge, this.opening.kit];
    require(!keys.some((key) => equal(key, member.key)), "a key stands twice among people and machines");
    this.#members.push(member);
  }

  /** Why the author may not make that statement. */
  mayNot(author: Bytes, { said }: Statement): string | undefined {
    const member = this.#members.some(({ key }) => equal(key, author));
    const by = `by ${toHex(author).slice(0, 16)}…, who may not say so`;
    switch (said.is) {
      case "endorse":
        return member ? undefined : `endorsement ${by}`;
      case "lease-grant":
      case "notice":
      case "refused":
        return this.isKit(author) ? undefined : `the kit's ${said.is} ${by}`;
      default: {
        const known = member || this.isKit(author) || equal(author, this.opening.edge) || this.#endorsed.has(toHex(author));
        return known ? undefined : `statement ${by}`;
      }
    }
  }

  /** Takes a statement that its author may make; says what is wrong with it. */
  learn(author: Bytes, said: Said): Fault | undefined {
    if (this.#endorsed.size >= REMEMBERED_MAX || this.#holders.size >= REMEMBERED_MAX) return ["too-many", "more endorsements or leases than any session has"];
    if (said.is === "endorse") {
      const member = this.#members.find(({ key }) => equal(key, author));
      if (member) this.#endorsed.set(toHex(said.sessionKey), member.role);
    }
    if (said.is !== "lease-grant") return undefined;
    const { token, holder } = said.transcript;
    const [seen, expected] = [toHex(holder), this.#holders.get(token)];
    if (expected !== undefined && expected !== seen) return ["two-holders", `token ${token} was granted to ${seen.slice(0, 16)}… and to ${expected.slice(0, 16)}…`];
    this.#holders.set(token, seen);
    return undefined;
  }
}
