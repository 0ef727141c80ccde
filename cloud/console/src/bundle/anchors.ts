/** Committed checkpoints beside the growing tree, and the seal at its end (`docs/evidence-format.md`, 11). */
import { type Tree, EMPTY_ROOT } from "../trust/merkle";
import { type Position, type Proven, inWords, isAfter, proveBytes } from "../trust/proof";
import { type TrustRoot } from "../trust/root";
import { require } from "../trust/untrusted";
import { type Bytes, equal, toHex } from "../wire/bytes";
import { Fields } from "../wire/cbor";
import { type ProofAt } from "./container";
import { type Fault, type Findings, type Name, type Place, whyNot } from "./findings";
import { type People } from "./people";

/** What an honest validator's clock may differ from an honest edge box's, beyond what both admit. */
const CLOCKS_DIFFER_US_MAX = 5_000_000n;
const CHECKPOINT = 5;
const SEAL = 8;
/** Proofs that are checked at once, ahead of the tree. */
const AHEAD = 16;

export interface Checkpoint {
  readonly session: Bytes;
  readonly treeSize: bigint;
  readonly root: Bytes;
  readonly previousRoot: Bytes;
  readonly first: bigint;
  readonly last: bigint;
}

export interface Sealing {
  readonly session: Bytes;
  readonly treeSize: bigint;
  readonly root: Bytes;
  readonly manifest: Bytes;
  readonly commands: bigint;
  readonly frames: bigint;
}

interface Anchor {
  readonly checkpoint: Checkpoint;
  readonly position: Position;
  readonly at: number;
}

type Checked = { readonly at: number; readonly proven: Proven; readonly checkpoint: Checkpoint } | { readonly at: number; readonly why: string };

export function readCheckpoint({ event }: Proven): Checkpoint {
  require(event.kind === CHECKPOINT, `transaction is of kind ${event.kind}, expected a checkpoint`);
  const f = new Fields("checkpoint", event.body, 6);
  const checkpoint = { session: f.bytes(16), treeSize: f.u64(), root: f.bytes(32), previousRoot: f.bytes(32), first: f.u64(), last: f.u64() };
  require(checkpoint.treeSize > 0n, "a checkpoint of no leaves");
  return checkpoint;
}

export function readSealing({ event }: Proven): Sealing {
  require(event.kind === SEAL, `transaction is of kind ${event.kind}, expected a seal`);
  const f = new Fields("seal", event.body, 6);
  return { session: f.bytes(16), treeSize: f.u64(), root: f.bytes(32), manifest: f.bytes(32), commands: f.u64(), frames: f.u64() };
}

export class Anchors {
  /** Checkpoints whose root is the tree's. */
  held = 0;
  /** Of each checkpoint that was read: leaves, and where its proof stands in the file. */
  readonly places: { readonly treeSize: number; readonly at: number }[] = [];
  readonly #ahead: Promise<Checked>[] = [];
  #ended = false;
  #next: Anchor | undefined;
  #newest: Anchor | undefined;

  constructor(
    private readonly proofs: AsyncIterator<ProofAt>,
    private readonly trust: TrustRoot,
    private readonly findings: Findings,
  ) {}

  /** Leaves under the newest checkpoint. */
  get reach(): bigint {
    return this.#newest?.checkpoint.treeSize ?? 0n;
  }

  /** The tree has just grown by a leaf: compares it with the checkpoint of its size, if there is one. */
  async compare(tree: Tree, people: People): Promise<void> {
    this.#next ??= await this.#advance(people);
    while (this.#next !== undefined && this.#next.checkpoint.treeSize <= tree.size) {
      const { checkpoint, at } = this.#next;
      const place: Place = { leaf: Number(tree.size) - 1, byte: at };
      if (checkpoint.treeSize === tree.size && equal(checkpoint.root, tree.root())) this.held += 1;
      else this.findings.add("checkpoint-root", place, `with ${tree.size} leaves the log has root ${toHex(tree.root())}, the committed checkpoint of ${checkpoint.treeSize} has ${toHex(checkpoint.root)}`);
      this.#next = await this.#advance(people);
    }
  }

  /** What is left at the end is of leaves that are not there. */
  async finish(tree: Tree, people: People): Promise<void> {
    for (let left = this.#next; (left ??= await this.#advance(people)) !== undefined; left = undefined) {
      this.findings.add("checkpoint-beyond", { byte: left.at }, `a checkpoint of ${left.checkpoint.treeSize} leaves is committed, the log has ${tree.size}`);
    }
  }

  /** The next proof that is of a checkpoint. */
  async #advance(people: People): Promise<Anchor | undefined> {
    for (;;) {
      const checked = await this.#checked();
      if (checked === undefined) return undefined;
      const { at } = checked;
      if ("why" in checked) {
        this.findings.add("checkpoint-proof", { byte: at }, `the proof of a checkpoint: ${checked.why}`);
        continue;
      }
      const { proven, checkpoint } = checked;
      const place = { leaf: Number(checkpoint.last), byte: at };
      for (const [name, what] of this.#doubts(proven, checkpoint, people)) this.findings.add(name, place, what);
      // The next one is compared with this one even if this one is bad, so that one fault is reported once.
      this.#newest = { checkpoint, position: proven.position, at };
      this.places.push({ treeSize: Number(checkpoint.treeSize), at });
      return this.#newest;
    }
  }

  async #checked(): Promise<Checked | undefined> {
    while (!this.#ended && this.#ahead.length < AHEAD) {
      const next = await this.proofs.next();
      if (next.done === true) this.#ended = true;
      else this.#ahead.push(this.#check(next.value));
    }
    return this.#ahead.shift();
  }

  async #check({ proof, at }: ProofAt): Promise<Checked> {
    try {
      const proven = await proveBytes(proof, this.trust);
      return { at, proven, checkpoint: readCheckpoint(proven) };
    } catch (error) {
      return { at, why: whyNot(error) };
    }
  }

  *#doubts(proven: Proven, checkpoint: Checkpoint, { opening }: People): Generator<Fault> {
    const before = this.#newest?.checkpoint;
    const size = before?.treeSize ?? 0n;
    if (!equal(proven.author, opening.edge)) yield ["checkpoint-author", "a checkpoint is not by the session's edge box"];
    if (!equal(checkpoint.session, opening.session)) yield ["checkpoint-chain", "a checkpoint is of another session"];
    if (checkpoint.treeSize <= size) yield ["checkpoint-chain", `a checkpoint of ${checkpoint.treeSize} leaves follows one of ${size}`];
    if (!equal(checkpoint.previousRoot, before?.root ?? EMPTY_ROOT)) yield ["checkpoint-chain", `a checkpoint of ${checkpoint.treeSize} leaves does not name the root of the one before`];
    if (checkpoint.first !== size || checkpoint.last !== checkpoint.treeSize - 1n) yield ["checkpoint-chain", `a checkpoint covers leaves ${checkpoint.first} to ${checkpoint.last}, expected ${size} to ${checkpoint.treeSize - 1n}`];
    if (this.#newest && !isAfter(proven.position, this.#newest.position)) yield ["checkpoint-chain", `a checkpoint stands at ${inWords(proven.position)} on the ledger, expected after ${inWords(this.#newest.position)}`];
    const latest = proven.committed.us + proven.committed.uncertaintyUs + CLOCKS_DIFFER_US_MAX;
    if (proven.at.us - proven.at.uncertaintyUs > latest) yield ["checkpoint-time", `a checkpoint says ${proven.at.us} µs, the validators committed it at ${proven.committed.us} µs, before`];
  }
}

/** What the bundle has, to be compared with what the seal says. */
export interface Whole {
  readonly tree: Tree;
  readonly manifestHash: Bytes;
  readonly commands: bigint;
  readonly frames: bigint;
  readonly redacted: number;
  /** Leaves under the newest checkpoint. */
  readonly reach: bigint;
}

export async function checkSeal({ proof, at }: ProofAt, whole: Whole, { opening }: People, trust: TrustRoot, findings: Findings): Promise<void> {
  const say = (what: string, name: Name = "seal") => findings.add(name, { byte: at }, what);
  try {
    const proven = await proveBytes(proof, trust);
    const seal = readSealing(proven);
    if (!equal(proven.author, opening.edge)) say("the seal is not by the session's edge box");
    if (!equal(seal.session, opening.session)) say("the seal is of another session");
    if (seal.treeSize !== whole.tree.size) say(`the seal says ${seal.treeSize} leaves, the bundle has ${whole.tree.size}`);
    if (!equal(seal.root, whole.tree.root())) say(`the seal says root ${toHex(seal.root)}, the bundle has ${toHex(whole.tree.root())}`);
    if (!equal(seal.manifest, whole.manifestHash)) say(`the seal says manifest ${toHex(seal.manifest)}, the bundle has ${toHex(whole.manifestHash)}`);
    for (const [what, seen, expected] of [["commands", whole.commands, seal.commands], ["frames", whole.frames, seal.frames]] as const) {
      if (seen > expected || expected - seen > BigInt(whole.redacted)) say(`the seal says ${expected} ${what}, the bundle has ${seen}`);
    }
    if (whole.reach !== seal.treeSize) say(`the checkpoints end at ${whole.reach} leaves, the seal stands on one of ${seal.treeSize}`, "checkpoints-end");
  } catch (error) {
    say(`the seal: ${whyNot(error)}`, "seal-proof");
  }
}
