/**
 * A whole bundle, verified: leaves and proofs by the ledger's rules, pictures by the hashes in their leaves, every other byte by making
 * the file again. Written from `docs/evidence-format.md`; **nothing in it asks a server what to believe**.
 */
import { type Role } from "../trust/opening";
import { type TrustRoot, parseTrustRoot } from "../trust/root";
import { toHex } from "../wire/bytes";
import { Again } from "./again";
import { contents, proofsOf, readParts } from "./container";
import { type Exit, type Finding, whyNot } from "./findings";
import { type Prepared, Session, prepare } from "./session";
import { Blocks, type Source, Unreadable } from "./source";

/** Leaves that are prepared at once. */
const AHEAD = 64;

export interface Person {
  readonly role: Role;
  readonly pseudonym: string;
  readonly key: string;
}

/** What came out; plain data, for another thread. */
export interface Report {
  readonly exit: Exit;
  /** Why the file could not be read at all; then nothing else is known. */
  readonly unreadable: string | undefined;
  readonly bytes: number;
  /** Fingerprint of the trust root that was given; `undefined`: none was, or none that can be read. */
  readonly trust: string | undefined;
  readonly session: SessionFacts | undefined;
  readonly root: string;
  /** SHA-256 of the file; empty unless every byte is what its content makes it. */
  readonly digest: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
  readonly findingsLeftOut: number;
}

export interface SessionFacts {
  readonly id: string;
  readonly people: readonly Person[];
  readonly edge: string;
  readonly kit: string;
  readonly openedUs: bigint;
  readonly closed: string;
  readonly binding: string;
  readonly software: readonly { readonly name: string; readonly digest: string }[];
}

/** One leaf, as it is passed: for whoever draws it. */
export interface Passed extends Prepared {
  readonly number: number;
  readonly utcUs: bigint;
}

export interface Watcher {
  /** Bytes passed, of how many. */
  progress?(at: number, of: number): void;
  see?(passed: Passed): void;
  /** All was read: the session, for whoever keeps something of it. */
  done?(session: Session): void;
}

/** `trust`: the trust root's file, from elsewhere. Whatever is in the bundle, there is an answer. */
export async function verifyBundle(source: Source, trust: Uint8Array | undefined, watcher: Watcher = {}): Promise<Report> {
  let given: TrustRoot | undefined;
  try {
    given = trust && (await parseTrustRoot(trust));
    return await pass(new Blocks(source), given, watcher);
  } catch (error) {
    const why = error instanceof Unreadable ? error.message : `it can't be read: ${whyNot(error)}`;
    return {
      exit: 2, unreadable: why, bytes: source.size, trust: given && toHex(given.fingerprint), session: undefined, root: "", digest: "", counts: {},
      findings: [], findingsLeftOut: 0,
    }; // prettier-ignore
  }
}

async function pass(source: Source, given: TrustRoot | undefined, watcher: Watcher): Promise<Report> {
  const parts = await readParts(source);
  const manifest = await source.read(parts.manifest.from, parts.manifest.to);
  const proofs = proofsOf(source, parts);
  const seal = await proofs.next();
  if (seal.done === true) throw new Unreadable("it is an MCAP file, but no bundle: it has no proof of its seal");
  const session = await Session.begin({ manifest, manifestAt: parts.manifest.from, seal: seal.value, checkpoints: proofs }, given);
  const again = new Again(source);
  let [pictures, picturesLeftOut] = [0, 0];
  for await (const leaf of ahead(contents(source, parts), (content) => prepare(content, session.trust))) {
    const number = Number(session.tree.size);
    await session.take(leaf);
    await again.leaf(number, leaf.data, leaf.entry, leaf.unit?.bytes);
    if (leaf.entry?.what.is === "frame") leaf.unit ? (pictures += 1) : (picturesLeftOut += 1);
    watcher.see?.({ ...leaf, number, utcUs: again.clock.newestUs });
    watcher.progress?.(leaf.at, source.size);
  }
  const exit = await session.finish();
  await again.finish(parts);
  watcher.done?.(session);
  return report(exit, session, again, given, { bytes: source.size, pictures, picturesLeftOut });
}

interface Numbers {
  readonly bytes: number;
  readonly pictures: number;
  readonly picturesLeftOut: number;
}

function report(exit: Exit, session: Session, again: Again, given: TrustRoot | undefined, numbers: Numbers): Report {
  const { difference } = again;
  const { findings, commands, frames, counts, tree, anchors, redacted } = session;
  const hex = (byte: number | undefined) => (byte === undefined ? "nothing" : `0x${byte.toString(16).padStart(2, "0")}`);
  const container: Finding[] = difference
    ? [{ severity: "violation", name: "container", byte: difference.at, what: `byte ${difference.at} of the file is ${hex(difference.seen)}, its content makes it ${hex(difference.expected)}` }]
    : [];
  return {
    exit: difference ? 1 : exit,
    unreadable: undefined,
    bytes: numbers.bytes,
    trust: given && toHex(given.fingerprint),
    session: facts(session),
    root: toHex(tree.root()),
    digest: difference ? "" : toHex(again.digest()),
    counts: {
      leaves: Number(tree.size), redacted, checkpoints: anchors?.held ?? 0,
      commands: counts[0], frames: counts[1], surgeon_segments: counts[2], kit_segments: counts[3], display_reports: counts[4], statements: counts[5],
      sent: commands.counts.sent, taken_in: commands.counts.takenIn, refused: commands.counts.refused, lost_to_edge: commands.counts.lostToEdge,
      lost_to_kit: commands.counts.lostToKit, unauthentic: Number(commands.counts.unauthentic), blind: commands.counts.blind,
      confirmed: frames.confirmed, unchecked: frames.unchecked, pictures: numbers.pictures, pictures_left_out: numbers.picturesLeftOut,
    },
    findings: [...container, ...findings.list.map((finding) => (redacted > 0 ? excused(finding) : finding))],
    findingsLeftOut: findings.leftOut,
  }; // prettier-ignore
}

/** What is missing while leaves are redacted may be one of those (`docs/evidence-format.md`, 12). */
function excused(finding: Finding): Finding {
  if (finding.severity !== "missing") return finding;
  return { ...finding, severity: "note", what: `${finding.what}: what is missing may be among the redacted leaves` };
}

function facts({ people, manifest, closed }: Session): SessionFacts | undefined {
  if (people === undefined) return undefined;
  const { opening } = people;
  return {
    id: toHex(opening.session),
    people: people.members.map(({ role, pseudonym, key }) => ({ role, pseudonym, key: toHex(key) })),
    edge: toHex(opening.edge),
    kit: toHex(opening.kit),
    openedUs: opening.committed.us,
    closed: closed ?? "",
    binding: manifest?.binding ?? "",
    software: (manifest?.software ?? []).map(({ name, digest }) => ({ name, digest: toHex(digest) })),
  };
}

/** Maps in order, several at a time. */
async function* ahead<A, B>(items: AsyncIterable<A>, map: (item: A) => Promise<B>): AsyncGenerator<B> {
  const waiting: Promise<B>[] = [];
  for await (const item of items) {
    waiting.push(map(item));
    if (waiting.length >= AHEAD) yield (await waiting.shift()) as B;
  }
  for (const one of waiting) yield await one;
}
