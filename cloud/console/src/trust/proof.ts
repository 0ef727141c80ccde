/** That a transaction is in a committed block (`docs/evidence-format.md`, 6). */
import { type Bytes, equal, toHex } from "../wire/bytes";
import { type Cbor, Fields, fromCbor, toCbor, uint } from "../wire/cbor";
import { sha256 } from "../wire/mac";
import { Domain, open } from "../wire/signed";
import { type Certificate, HEADERS_MAX, type Header, checkCommit, readCertificate, readHeader } from "./block";
import { PATH_MAX, leafHash, rootOfInclusion } from "./merkle";
import { type TrustRoot } from "./root";
import { require } from "./untrusted";

/** The end of the year 2100, and a day. */
const UTC_US_MAX = 4_133_980_799_999_999;
const UNCERTAINTY_US_MAX = 86_400_000_000;
const TRANSACTIONS_MAX = 4096;
/** The highest kind of event that there is. */
export const EVENT_EPOCH_END = 10;
const TRANSACTION_BYTES_MAX = 16 * 1024;

/** No transaction proof is longer. */
export const PROOF_BYTES_MAX = 512 * 1024;

/** µs since 1970, and how far it may be off. */
export interface Utc {
  readonly us: bigint;
  readonly uncertaintyUs: bigint;
}

export interface TransactionProof {
  readonly batch: { readonly ledger: Bytes; readonly at: Utc; readonly transactions: bigint };
  readonly batchPath: readonly Bytes[];
  readonly index: bigint;
  /** The signed transaction. */
  readonly transaction: Bytes;
  readonly path: readonly Bytes[];
  readonly headers: readonly Header[];
  readonly certificate: Certificate;
}

/** Where a transaction stands on its ledger. Later ones are greater, field by field. */
export interface Position {
  readonly epoch: bigint;
  /** Of the block, on the epoch's chain. */
  readonly height: bigint;
  /** In the block's batch, from 0. */
  readonly index: bigint;
}

export function isAfter(later: Position, earlier: Position): boolean {
  if (later.epoch !== earlier.epoch) return later.epoch > earlier.epoch;
  if (later.height !== earlier.height) return later.height > earlier.height;
  return later.index > earlier.index;
}

export function inWords({ epoch, height, index }: Position): string {
  return `epoch ${epoch}, height ${height}, index ${index}`;
}

/** A transaction that a quorum has committed. */
export interface Proven {
  readonly author: Bytes;
  readonly event: { readonly kind: number; readonly body: Cbor };
  /** By the author's clock. */
  readonly at: Utc;
  /** SHA-256 of the signed bytes: how others refer to it. */
  readonly hash: Bytes;
  readonly position: Position;
  /** By the validators' clocks. */
  readonly committed: Utc;
}

export function readProof(item: Fields): TransactionProof {
  const f = item.record("transaction proof", 6);
  const head = f.record("batch header", 3);
  const batch = { ledger: head.bytes(16), at: readUtc(head), transactions: BigInt(head.number(TRANSACTIONS_MAX)) };
  const hash = (hashes: Fields) => hashes.bytes(32);
  const batchPath = f.list("hashes in a path", PATH_MAX, hash);
  const index = f.u64();
  const transaction = f.bytes();
  const path = f.list("hashes in a path", PATH_MAX, hash);
  const commit = f.record("commit proof", 2);
  const headers = commit.list("headers", HEADERS_MAX, (header) => readHeader(header.bytes()));
  const certificate = readCertificate(commit.bytes());
  return { batch, batchPath, index, transaction, path, headers, certificate };
}

/** The transaction that these bytes prove, under the trust root. */
export async function proveBytes(proof: Uint8Array, trust: TrustRoot): Promise<Proven> {
  return checkProof(readProof(new Fields("proof", [fromCbor("proof", proof, PROOF_BYTES_MAX)], 1)), trust);
}

export async function checkProof(proof: TransactionProof, trust: TrustRoot): Promise<Proven> {
  const { epoch, header } = await checkCommit(proof.headers, proof.certificate, trust);
  checkPaths(proof, header.dataHash);
  require(equal(proof.batch.ledger, trust.ledger), "the batch is of another ledger");
  const { author, body } = await open(Domain.transaction, proof.transaction);
  const f = new Fields("transaction", fromCbor("transaction", body, TRANSACTION_BYTES_MAX), 3);
  require(equal(f.bytes(16), trust.ledger), "the transaction is of another ledger");
  const at = readUtc(f);
  const event = f.record("event", 2);
  const position = { epoch, height: header.height, index: proof.index };
  const end = trust.endOf(epoch);
  require(end === undefined || !isAfter(position, end), `it stands at ${inWords(position)} on the ledger, but the epoch ended at ${end && inWords(end)}`);
  return {
    author,
    event: { kind: event.number(EVENT_EPOCH_END), body: event.any() },
    at,
    hash: sha256(proof.transaction),
    position,
    committed: proof.batch.at,
  };
}

function checkPaths({ batch, batchPath, index, transaction, path }: TransactionProof, dataHash: Bytes): void {
  require(index < batch.transactions, `transaction ${index} of ${batch.transactions} cannot be`);
  const leaves = batch.transactions + 1n;
  const head = toCbor([batch.ledger, [uint(batch.at.us), uint(batch.at.uncertaintyUs)], uint(batch.transactions)]);
  const roots = [
    ["batch header", rootOfInclusion(leafHash(head), 0n, leaves, batchPath)],
    ["transaction", rootOfInclusion(leafHash(transaction), index + 1n, leaves, path)],
  ] as const;
  for (const [what, root] of roots) {
    require(
      root !== undefined && equal(root, dataHash),
      `the path of the ${what} leads to ${root ? toHex(root) : "nowhere"}, the block commits to ${toHex(dataHash)}`,
    );
  }
}

/** µs since 1970 and uncertainty, as a record of two. */
export function readUtc(fields: Fields): Utc {
  const f = fields.record("UTC", 2);
  return { us: BigInt(f.number(UTC_US_MAX)), uncertaintyUs: BigInt(f.number(UNCERTAINTY_US_MAX)) };
}
