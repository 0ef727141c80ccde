/** The proof of one leaf, made and checked on this device: from its bytes to the checkpoint, the block and who signed it. */
import { leafHash, nodeHash, rootOfInclusion } from "../trust/merkle";
import { type TrustRoot } from "../trust/root";
import { PROOF_BYTES_MAX, type Position, type Utc, checkProof, readProof } from "../trust/proof";
import { type Bytes, equal, toHex } from "../wire/bytes";
import { Fields, fromCbor } from "../wire/cbor";
import { readCheckpoint } from "./anchors";
import { messageAt, proofAt } from "./container";
import { type Index } from "./index";
import { type Entry, readLeaf } from "./leaf";
import { type Source } from "./source";

export interface LeafProof {
  readonly bytes: Bytes;
  readonly entry: Entry | undefined;
  readonly redacted: boolean;
  readonly hash: Bytes;
  readonly path: readonly Bytes[];
  readonly treeSize: number;
  /** The root that hash and path lead to, and the one that is committed. */
  readonly reached: Bytes | undefined;
  readonly root: Bytes;
  /** By the edge box, as the opening names it: that is checked with the whole bundle. */
  readonly author: Bytes;
  readonly position: Position;
  readonly committed: Utc;
  /** Validators whose signatures make the last certificate, of how many. */
  readonly signers: readonly Bytes[];
  readonly validators: number;
  /** Each step, and whether it holds. */
  readonly steps: readonly { readonly what: string; readonly holds: boolean }[];
}

/** `undefined`: no checkpoint covers the leaf. Throws if the checkpoint's proof does not hold under the trust root. */
export async function proveLeaf(source: Source, index: Index, leaf: number, trust: TrustRoot): Promise<LeafProof | undefined> {
  const anchor = index.checkpoints.find(({ treeSize }) => treeSize > leaf);
  if (anchor === undefined) return undefined;
  const bytes = await messageAt(source, index.at[leaf] ?? 0);
  const redacted = bytes.length === 34 && bytes[0] === 0x58 && bytes[1] === 0x20;
  const hash = redacted ? bytes.slice(2) : leafHash(bytes);
  const { proof } = await proofAt(source, anchor.at, index.proofs[1]);
  const parsed = readProof(new Fields("proof", [fromCbor("proof", proof, PROOF_BYTES_MAX)], 1));
  const proven = await checkProof(parsed, trust);
  const checkpoint = readCheckpoint(proven);
  const path = auditPath(index.hashes, leaf, anchor.treeSize);
  const reached = rootOfInclusion(hash, BigInt(leaf), checkpoint.treeSize, path);
  const leads = reached !== undefined && equal(reached, checkpoint.root);
  const validators = trust.epochOf(parsed.certificate.chain)?.validators ?? [];
  const signers = validators.flatMap(({ key }, slot) => (parsed.certificate.signatures[slot] ? [key] : []));
  return {
    bytes, redacted, hash, path, reached, root: checkpoint.root, treeSize: anchor.treeSize, signers,
    entry: redacted ? undefined : readLeaf(bytes), author: proven.author, position: proven.position, committed: proven.committed,
    validators: validators.length,
    steps: [
      { what: `its hash and ${path.length} hashes of the audit path lead to the root of the checkpoint of ${anchor.treeSize.toLocaleString("en-GB")} leaves`, holds: leads },
      { what: "the edge box signed that checkpoint, and its transaction is in the block's batch", holds: index.names.get(toHex(proven.author)) === "edge box" },
      { what: `block ${proven.position.height} of epoch ${proven.position.epoch} is committed: three certificates in consecutive views, each signed by a quorum`, holds: true },
    ],
  }; // prettier-ignore
}

/** RFC 9162, 2.1.3.1: the hashes beside the way from a leaf to the root, the nearest first. */
export function auditPath(hashes: Uint8Array, leaf: number, size: number): Bytes[] {
  const path: Bytes[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + half(to - from);
    if (leaf < middle) {
      path.unshift(rootOf(hashes, middle, to));
      to = middle;
    } else {
      path.unshift(rootOf(hashes, from, middle));
      from = middle;
    }
  }
  return path;
}

function rootOf(hashes: Uint8Array, from: number, to: number): Bytes {
  if (to - from === 1) return hashes.slice(from * 32, to * 32) as Bytes;
  const middle = from + half(to - from);
  return nodeHash(rootOf(hashes, from, middle), rootOf(hashes, middle, to));
}

/** The largest power of two below. */
function half(count: number): number {
  return 2 ** Math.floor(Math.log2(count - 1));
}
