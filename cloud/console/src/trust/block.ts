/**
 * Blocks and certificates, byte for byte as HotStuff's replicas hash and sign them (`docs/evidence-format.md`, 5), and
 * the rule by which a block is committed.
 */
import { type Bytes, concat, equal, toHex } from "../wire/bytes";
import { verify } from "../wire/ed25519";
import { sha256 } from "../wire/mac";
import { type Epoch, VALIDATORS_MAX } from "./epoch";
import { type TrustRoot } from "./root";
import { Untrusted, require } from "./untrusted";

const VOTE_BYTES = 49;
const GENERIC = 0;
export const HEADERS_MAX = 64;

export interface Certificate {
  readonly chain: bigint;
  readonly view: bigint;
  /** The block that is certified. */
  readonly block: Bytes;
  readonly phase: number;
  /** What each validator signs. */
  readonly vote: Bytes;
  /** One for each validator, in ascending order of their keys. */
  readonly signatures: readonly (Bytes | undefined)[];
}

export interface Header {
  readonly height: bigint;
  /** Certifies the parent. */
  readonly justify: Certificate;
  /** Root of the block's batch. */
  readonly dataHash: Bytes;
  readonly hash: Bytes;
}

export function readCertificate(bytes: Uint8Array): Certificate {
  const reader = new Reader("certificate", bytes);
  const certificate = reader.certificate();
  reader.end();
  return certificate;
}

export function readHeader(bytes: Uint8Array): Header {
  const reader = new Reader("block header", bytes);
  const height = reader.u64();
  const justify = reader.certificate();
  const dataHash = reader.take(32);
  reader.end();
  return { height, justify, dataHash, hash: sha256(bytes) };
}

/** A block that a quorum has committed. */
export interface Committed {
  readonly epoch: bigint;
  readonly header: Header;
}

/** The block that these headers, its own first, and the last certificate show to be committed. */
export async function checkCommit(headers: readonly Header[], last: Certificate, trust: TrustRoot): Promise<Committed> {
  require(
    headers.length >= 3 && headers.length <= HEADERS_MAX,
    `commit proof has ${headers.length} headers, allowed are 3 to ${HEADERS_MAX}`,
  );
  checkLinks(headers, last);
  const [b1, b2] = headers.slice(-2) as [Header, Header];
  const three = [b1.justify, b2.justify, last];
  const first = three[0]?.view ?? 0n;
  three.forEach(({ view }, i) => {
    require(
      view === first + BigInt(i),
      `certificate of view ${view} follows, expected view ${first + BigInt(i)}: the three are not consecutive`,
    );
  });
  const epoch = trust.epochOf(last.chain);
  require(epoch !== undefined, `certificate is of chain ${last.chain}, expected ${trust.epochs.map(({ chain }) => chain).join(" or ")}`);
  await Promise.all(three.map((certificate) => checkQuorum(certificate, epoch)));
  return { epoch: epoch.number, header: headers[0] as Header };
}

/** Each header is the parent of the next, and the last one the block that the last certificate certifies. */
function checkLinks(headers: readonly Header[], last: Certificate): void {
  headers.forEach((header, i) => {
    const next = headers[i + 1];
    const justify = next?.justify ?? last;
    require(equal(justify.block, header.hash), `the block after ${header.height} does not certify it`);
    require(
      isGenesis(header.justify) === (header.height === 0n),
      `block ${header.height} has a genesis certificate, or block 0 has none`,
    );
    require(
      next === undefined || next.height === header.height + 1n,
      `block at height ${next?.height} follows, expected ${header.height + 1n}`,
    );
  });
}

function isGenesis(c: Certificate): boolean {
  return c.signatures.length === 0 && c.vote.every((byte) => byte === 0);
}

/** Proofs of blocks that follow each other share certificates: each is checked once. */
const KNOWN_MAX = 256;
const known = new WeakMap<Epoch, Map<string, Promise<void>>>();

function checkQuorum(certificate: Certificate, epoch: Epoch): Promise<void> {
  const checks = known.get(epoch) ?? new Map<string, Promise<void>>();
  known.set(epoch, checks);
  const slots = certificate.signatures.map((one) => (one ? concat(Uint8Array.of(1), one) : Uint8Array.of(0)));
  const name = toHex(sha256(certificate.vote, ...slots));
  const before = checks.get(name);
  if (before !== undefined) return before;
  if (checks.size >= KNOWN_MAX) checks.clear();
  const check = checkSignatures(certificate, epoch);
  checks.set(name, check);
  return check;
}

/** A quorum's word: every signature that is there must be good. */
async function checkSignatures(certificate: Certificate, epoch: Epoch): Promise<void> {
  const { chain, phase, signatures, vote } = certificate;
  require(chain === epoch.chain, `certificate is of chain ${chain}, expected ${epoch.chain}`);
  require(phase === GENERIC, `certificate is of phase ${phase}, expected ${GENERIC}`);
  const [seen, expected] = [signatures.length, epoch.validators.length];
  require(seen === expected, `certificate has room for ${seen} signatures, there are ${expected} validators`);
  const powers = await Promise.all(
    epoch.validators.map(async ({ key, power }, slot) => {
      const signature = signatures[slot];
      if (signature === undefined) return 0n;
      require(await verify(key, vote, signature), `the signature in slot ${slot} is not by that validator`);
      return power;
    }),
  );
  const power = powers.reduce((sum, one) => sum + one, 0n);
  require(power >= epoch.quorum, `signatures of power ${power}, a quorum needs ${epoch.quorum}`);
}

/** Takes fixed pieces off the front of bytes. */
class Reader {
  #at = 0;

  constructor(
    readonly what: string,
    readonly bytes: Uint8Array,
  ) {}

  take(length: number): Bytes {
    const piece = this.bytes.slice(this.#at, this.#at + length) as Bytes;
    this.#at += length;
    if (piece.length !== length) {
      throw new Untrusted(`${this.what} has ${this.bytes.length} bytes, expected at least ${this.#at}`);
    }
    return piece;
  }

  u64(): bigint {
    return new DataView(this.take(8).buffer).getBigUint64(0, true);
  }

  certificate(): Certificate {
    const vote = this.take(VOTE_BYTES);
    const view = new DataView(vote.buffer);
    const slots = new DataView(this.take(4).buffer).getUint32(0, true);
    require(slots <= VALIDATORS_MAX, `certificate has room for ${slots} signatures, at most ${VALIDATORS_MAX}`);
    return {
      chain: view.getBigUint64(0, true),
      view: view.getBigUint64(8, true),
      block: vote.slice(16, 48),
      phase: view.getUint8(48),
      vote: concat(vote),
      signatures: Array.from({ length: slots }, () => this.signature()),
    };
  }

  end(): void {
    require(
      this.#at === this.bytes.length,
      `${this.what} has ${this.bytes.length} bytes, expected ${this.#at}`,
    );
  }

  private signature(): Bytes | undefined {
    const [there] = this.take(1);
    if (there === 0) return undefined;
    require(there === 1, `unknown signature kind ${there} in a certificate`);
    return this.take(64);
  }
}
