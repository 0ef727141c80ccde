/**
 * A session's leaves by the ledger's rules (`docs/evidence-format.md`, 12). Each leaf is read once, in order: first by itself
 * ({@link prepare}, many at a time), then beside all before it ({@link Session.take}). **Memory does not grow with the session**, but for
 * a few words that are bounded.
 */
import { Tree, leafHash } from "../trust/merkle";
import { type VerifiedOpening, verifyOpening } from "../trust/opening";
import { type Proven, proveBytes } from "../trust/proof";
import { type TrustRoot, furtherOf, parseTrustRoot } from "../trust/root";
import { type Bytes, equal, toHex } from "../wire/bytes";
import { sha256 } from "../wire/mac";
import { type DisplayReport, type Link, type SurgeonSegment } from "../wire/segment";
import { readKitState } from "../wire/state";
import { type Statement, openStatement } from "../wire/statement";
import { isOneForm, pictureContent, unitContent } from "../video/nal";
import { Anchors, checkSeal } from "./anchors";
import { Commands } from "./commands";
import { type Content, type ProofAt } from "./container";
import { type Exit, type Fault, Findings, type Place, whyNot } from "./findings";
import { Frames } from "./frames";
import { type Counts, type Entry, type Gap, NUMBERED, readLeaf } from "./leaf";
import { type Manifest, readManifest } from "./manifest";
import { EVENT_ADDITION, People } from "./people";
import { type KitSegment, type Signed, openDisplayReport, openKitSegment, openSurgeonSegment } from "./segment";

const REMEMBERED_MAX = 4096;
const ZERO = "00".repeat(32);

/** What a leaf is by itself: opened, its signature and its picture checked. */
export type Opened =
  | { readonly is: "opening"; readonly opening: VerifiedOpening }
  | { readonly is: "proof"; readonly proven: Proven }
  | { readonly is: "statement"; readonly statement: Statement & { readonly author: Bytes } }
  | { readonly is: "surgeon segment"; readonly signed: Signed<SurgeonSegment> }
  | { readonly is: "kit segment"; readonly signed: Signed<KitSegment> }
  | { readonly is: "display report"; readonly signed: Signed<DisplayReport> }
  | { readonly is: "other" }
  | { readonly is: "bad"; readonly why: string };

export interface Prepared extends Content {
  readonly hash: Bytes;
  readonly redacted: boolean;
  /** Or why it can't be read. */
  readonly entry: Entry | undefined;
  readonly unreadable: string;
  readonly opened: Opened;
  /** What is wrong with the picture. */
  readonly pictureFaults: readonly Fault[];
}

export async function prepare(content: Content, trust: TrustRoot | undefined): Promise<Prepared> {
  const { data, unit } = content;
  const redacted = data.length === 34 && data[0] === 0x58 && data[1] === 0x20;
  if (redacted) return { ...content, hash: data.slice(2), redacted, entry: undefined, unreadable: "", opened: OTHER, pictureFaults: [] };
  const hash = leafHash(data);
  try {
    const entry = readLeaf(data);
    const [opened, pictureFaults] = await Promise.all([openEntry(entry, trust), unit ? checkPicture(entry, unit.bytes) : []]);
    return { ...content, hash, redacted, entry, unreadable: "", opened, pictureFaults };
  } catch (error) {
    return { ...content, hash, redacted, entry: undefined, unreadable: whyNot(error), opened: OTHER, pictureFaults: [] };
  }
}

const OTHER: Opened = { is: "other" };

async function openEntry({ what }: Entry, trust: TrustRoot | undefined): Promise<Opened> {
  try {
    switch (what.is) {
      case "opening":
        return trust ? { is: "opening", opening: await verifyOpening(what.evidence, trust) } : OTHER;
      case "proof":
        return trust ? { is: "proof", proven: await proveBytes(what.proof, trust) } : OTHER;
      case "statement":
        return { is: "statement", statement: await openStatement(what.signed) };
      case "surgeon segment":
        return { is: "surgeon segment", signed: await openSurgeonSegment(what.signed) };
      case "kit segment":
        return { is: "kit segment", signed: await openKitSegment(what.signed) };
      case "display report":
        return { is: "display report", signed: await openDisplayReport(what.signed) };
      default:
        return OTHER;
    }
  } catch (error) {
    return { is: "bad", why: whyNot(error) };
  }
}

const STRAY: Fault = ["stray-picture", "a picture stands behind a leaf that is no frame"];

async function checkPicture({ what }: Entry, unit: Bytes): Promise<Fault[]> {
  if (what.is !== "frame") return [STRAY];
  const { frame, auHash, pictureHash } = what.frame;
  const digest = async (content: Bytes): Promise<Bytes> => new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const [au, picture] = await Promise.all([digest(unitContent(unit)), digest(pictureContent(unit))]);
  const faults: Fault[] = [];
  if (!isOneForm(unit)) faults.push(["picture-form", `the access unit of frame ${frame} holds bytes that were not sent`]);
  if (!equal(au, auHash)) faults.push(["picture", `the access unit of frame ${frame} has hash ${toHex(au)}, its leaf says ${toHex(auHash)}`]);
  if (!equal(picture, pictureHash)) faults.push(["picture", `the picture of frame ${frame} has hash ${toHex(picture)}, its leaf says ${toHex(pictureHash)}`]);
  return faults;
}

function differ(given: TrustRoot, own: TrustRoot): string {
  const [seen, expected] = [own, given].map(({ fingerprint }) => toHex(fingerprint));
  if (seen === expected) return `the bundle's ledger began as the one of the trust root given, ${expected}, and its epochs ended otherwise`;
  return `the bundle is of the ledger with fingerprint ${seen}, the trust root given has ${expected}`;
}

/** All of a bundle but its leaves. */
export interface Frame {
  readonly manifest: Bytes;
  readonly manifestAt: number;
  readonly seal: ProofAt;
  readonly checkpoints: AsyncIterator<ProofAt>;
}

export class Session {
  readonly tree = new Tree();
  people: People | undefined;
  redacted = 0;
  closed: string | undefined;
  readonly counts: [number, number, number, number, number, number] = [0, 0, 0, 0, 0, 0];
  readonly anchors: Anchors | undefined;
  readonly commands: Commands;
  readonly frames: Frames;
  #recordedUs = 0n;
  readonly #chains = new Map<string, { number: bigint; previous: string }>();
  readonly #gaps: Gap[] = [];

  private constructor(
    private readonly frame: Frame,
    readonly manifest: Manifest | undefined,
    readonly trust: TrustRoot | undefined,
    /** Whether the trust root came from somewhere else than the bundle. */
    private readonly trusted: boolean,
    readonly findings: Findings,
  ) {
    this.anchors = this.trust && new Anchors(frame.checkpoints, this.trust, this.findings);
    this.commands = new Commands(this.findings, (token, first, last) => this.#declared(0, token, first, last));
    this.frames = new Frames(this.findings, (first, last) => this.#declared(1, 0n, first, last));
  }

  /** Before its first leaf. Without a trust root the bundle's own is used, and the best that comes out is "self-consistent". */
  static async begin(frame: Frame, given: TrustRoot | undefined): Promise<Session> {
    const [place, findings] = [{ byte: frame.manifestAt }, new Findings()];
    let [manifest, own]: [Manifest?, TrustRoot?] = [];
    try {
      manifest = readManifest(frame.manifest);
    } catch (error) {
      findings.add("unreadable", place, `manifest: ${whyNot(error)}`);
    }
    try {
      own = manifest && (await parseTrustRoot(manifest.trust));
    } catch (error) {
      findings.add("bundle-trust-root", place, `the trust root that the bundle brings: ${whyNot(error)}`);
    }
    const further = given && own ? furtherOf(given, own) : (given ?? own);
    if (given && own && further === undefined) findings.add("other-ledger", place, differ(given, own));
    return new Session(frame, manifest, further ?? given, given !== undefined, findings);
  }

  /** The next leaf. */
  async take(leaf: Prepared): Promise<void> {
    const number = Number(this.tree.size);
    const place = { leaf: number, byte: leaf.at };
    this.tree.append(leaf.hash);
    if (leaf.redacted) {
      this.redacted += 1;
      this.findings.add("redacted", place, "leaf is redacted");
    } else if (leaf.entry === undefined) {
      this.findings.add("unreadable", place, leaf.unreadable);
    }
    if (leaf.entry === undefined && leaf.unit) this.findings.add(STRAY[0], place, STRAY[1]);
    if (leaf.entry) this.#take(place, number, leaf.entry, leaf.opened);
    else if (number === 0) this.findings.add("not-opened", place, "the session does not begin with its opening");
    for (const [name, what] of leaf.pictureFaults) this.findings.add(name, { leaf: number, byte: leaf.unit?.at }, what);
    if (this.people) await this.anchors?.compare(this.tree, this.people);
  }

  async finish(): Promise<Exit> {
    if (this.closed === undefined) this.findings.add("not-closed", {}, "the session is not closed");
    this.commands.finish();
    if (this.people && this.trust && this.anchors) {
      await this.anchors.finish(this.tree, this.people);
      const [commands, frames] = [BigInt(this.counts[0]), BigInt(this.counts[1])];
      const { tree, redacted } = this;
      const whole = { tree, manifestHash: sha256(this.frame.manifest), commands, frames, redacted, reach: this.anchors.reach };
      await checkSeal(this.frame.seal, whole, this.people, this.trust, this.findings);
    }
    return this.findings.exit(this.redacted > 0, this.trusted);
  }

  #take(place: Place, leaf: number, entry: Entry, opened: Opened): void {
    const { what, recordedUs } = entry;
    if (entry.number !== BigInt(leaf)) this.findings.add("leaf-number", place, `leaf says number ${entry.number}, it stands at ${leaf}`);
    if (leaf === 0 && what.is !== "opening") this.findings.add("not-opened", place, "the session does not begin with its opening");
    if (this.closed !== undefined || (what.is === "opening" && leaf > 0)) this.findings.add("misplaced", place, "a session is opened, or closed, in its middle");
    if (what.is === "restarted") {
      this.findings.add("restarted", place, `the edge box's program started again: ${what.why}`);
      this.frames.restart();
    } else if (recordedUs < this.#recordedUs) {
      this.findings.add("recorded", place, `recorded at ${recordedUs} µs, before ${this.#recordedUs} µs`);
    }
    this.#recordedUs = recordedUs;
    this.#count(what.is);
    if (opened.is === "bad") this.#bad(place, what.is, opened.why);
    else this.#says(place, leaf, entry, opened);
    this.commands.settle();
  }

  #count(is: string): void {
    const at = ["command", "frame", "surgeon segment", "kit segment", "display report", "statement"].indexOf(is);
    if (at >= 0) this.counts[at] = (this.counts[at] ?? 0) + 1;
  }

  #bad(place: Place, is: string, why: string): void {
    if ((is === "statement" || is === "proof") && !this.people) return;
    if (is === "opening") this.findings.add("opening", place, `the opening: ${why}`);
    else if (is === "proof") this.findings.add("transaction", place, `a committed transaction: ${why}`);
    else this.findings.add("envelope", place, `${is}: ${why}`);
  }

  #says(place: Place, leaf: number, { what, recordedUs }: Entry, opened: Opened): void {
    switch (what.is) {
      case "opening":
        if (opened.is === "opening" && leaf === 0) this.#open(place, opened.opening);
        return;
      case "command":
        return this.#wire(place, "command", () => this.people && this.commands.logged(place, recordedUs, what.bytes, this.frames, this.people));
      case "kit state":
        return this.#wire(place, "kit state", () => this.#expectSession(place, "kit state", readKitState(what.bytes).session));
      case "frame":
        return this.frames.take(place, what.frame);
      case "gap": {
        const { of, first, last, why } = what.gap;
        this.findings.add("gap", place, `the edge box says that ${NUMBERED[of]} ${first} to ${last} are missing: ${why}`);
        if (this.#gaps.length < REMEMBERED_MAX) this.#gaps.push(what.gap);
        if (NUMBERED[of] === "frames") this.frames.lose(first, last);
        return;
      }
      case "closed":
        return this.#close(place, what.counts, what.why);
      case "surgeon segment":
        if (opened.is === "surgeon segment") this.#surgeonSegment(place, opened.signed, what.signed);
        return;
      case "kit segment":
        if (opened.is === "kit segment") this.#kitSegment(place, opened.signed, what.signed);
        return;
      case "display report":
        if (opened.is === "display report") this.#displayReport(place, recordedUs, opened.signed, what.signed);
        return;
      case "statement":
        if (opened.is === "statement") this.#statement(place, opened.statement);
        return;
      case "proof":
        if (opened.is === "proof") this.#proof(place, opened.proven);
        return;
      default:
        return;
    }
  }

  #open(place: Place, opening: VerifiedOpening): void {
    this.people = new People(opening);
    if (this.manifest && !equal(this.manifest.session, opening.session)) {
      this.findings.add("manifest-session", place, `manifest is of session ${toHex(this.manifest.session)}, the opening of ${toHex(opening.session)}`);
    }
  }

  #wire(place: Place, what: string, read: () => void): void {
    try {
      read();
    } catch (error) {
      this.findings.add("wire", place, `${what} is no message of ours: ${whyNot(error)}`);
    }
  }

  #statement(place: Place, { author, ...statement }: Statement & { readonly author: Bytes }): void {
    if (!this.people) return;
    if (!equal(statement.session, this.people.opening.session)) return this.findings.add("session", place, "a statement of another session");
    const mayNot = this.people.mayNot(author, statement);
    if (mayNot !== undefined) return this.findings.add("author", place, mayNot);
    const wrong = this.people.learn(author, statement.said);
    if (wrong !== undefined) this.findings.add(wrong[0], place, wrong[1]);
  }

  #proof(place: Place, proven: Proven): void {
    if (!this.people || !this.trust || proven.event.kind !== EVENT_ADDITION) return;
    try {
      this.people.add(proven, this.trust);
    } catch (error) {
      this.findings.add("transaction", place, `a committed transaction: ${whyNot(error)}`);
    }
  }

  #surgeonSegment(place: Place, { author, segment }: Signed<SurgeonSegment>, signed: Bytes): void {
    this.#expectSession(place, "surgeon segment", segment.link.session);
    const declared = this.#chain(place, 2, toHex(author), segment.link, signed);
    if (!this.people) return;
    if (!this.people.isSurgeon(author)) this.findings.add("author", place, "a surgeon's list is by a key that is no surgeon's");
    this.commands.listed(place, author, segment, this.people, declared);
  }

  #kitSegment(place: Place, { author, segment }: Signed<KitSegment>, signed: Bytes): void {
    this.#expectSession(place, "kit segment", segment.link.session);
    const declared = this.#chain(place, 3, `${toHex(author)} ${toHex(segment.boot)}`, segment.link, signed);
    if (this.people && !this.people.isKit(author)) return this.findings.add("author", place, "a kit's list is by a key that is not the kit's");
    this.commands.judged(place, segment, declared);
  }

  #displayReport(place: Place, recordedUs: bigint, { author, segment }: Signed<DisplayReport>, signed: Bytes): void {
    this.#expectSession(place, "display report", segment.link.session);
    this.#chain(place, 4, toHex(author), segment.link, signed);
    if (this.people && !this.people.isSurgeon(author)) this.findings.add("author", place, "a display report is by a key that is no surgeon's");
    for (const shown of segment.shown) this.frames.shown(place, recordedUs, shown);
  }

  /** Each author's segments name the one before. Whether the edge box said that those right before are missing. */
  #chain(place: Place, of: number, author: string, { number, previous }: Link, signed: Bytes): boolean {
    const key = `${of} ${author}`;
    const before = this.#chains.get(key) ?? { number: 0n, previous: ZERO };
    const follows = number === before.number + 1n && toHex(previous) === before.previous;
    const declared = number > before.number + 1n && this.#declared(of, 0n, before.number + 1n, number - 1n);
    if (!follows && !declared) this.findings.add("segment-chain", place, `segment ${number} does not continue segment ${before.number} of the same author's ${NUMBERED[of]}`);
    const oldest = this.#chains.keys().next().value;
    if (this.#chains.size >= REMEMBERED_MAX && oldest !== undefined && !this.#chains.has(key)) this.#chains.delete(oldest);
    this.#chains.set(key, { number, previous: toHex(sha256(signed)) });
    return declared;
  }

  #expectSession(place: Place, what: string, session: Uint8Array): void {
    if (this.people && !equal(session, this.people.opening.session)) this.findings.add("session", place, `${what} is of another session`);
  }

  #declared(of: number, token: bigint, first: bigint, last: bigint): boolean {
    return this.#gaps.some((gap) => gap.of === of && gap.token === token && gap.first <= first && last <= gap.last);
  }

  #close(place: Place, claimed: Counts, why: string): void {
    this.closed = why;
    const lacks = claimed.map((count, i) => count - BigInt(this.counts[i] ?? 0));
    const fits = lacks.every((lack) => lack >= 0n) && lacks.reduce((sum, lack) => sum + lack, 0n) <= BigInt(this.redacted);
    if (!fits) this.findings.add("closing-counts", place, `closing counts ${claimed.join(", ")}, the log has ${this.counts.join(", ")}, ${this.redacted} leaves are redacted`);
  }
}
