/** A ledger in one hand, written from `docs/evidence-format.md`: for tests that want it other than it should be. */
import { EMPTY_ROOT, leafHash, nodeHash } from "../src/trust/merkle";
import { TrustRoot, parseTrustRoot } from "../src/trust/root";
import { type Bytes, ascii, compare, concat } from "../src/wire/bytes";
import { type Cbor, toCbor } from "../src/wire/cbor";
import { type Signer, signerFromSeed } from "../src/wire/ed25519";
import { sha256 } from "../src/wire/mac";
import { Domain, seal } from "../src/wire/signed";

/** Who keeps an epoch. */
export interface Keepers {
  readonly ledger: Bytes;
  readonly number: number;
  readonly chain: number;
  /** In ascending order of their public keys. */
  readonly validators: readonly Signer[];
  /** In the same order. */
  readonly powers: readonly number[];
  readonly hospital: Signer;
}

/** What an end says, for whoever wants it otherwise. */
export interface End {
  readonly previous: Bytes;
  readonly next: Bytes;
  readonly endorsers: readonly Signer[];
  readonly domain: Uint8Array;
  /** What they endorse. */
  readonly body: Cbor;
}

const GENESIS: Bytes = new Uint8Array(8 + 8 + 32 + 1 + 4);
const AT = [1_760_000_000_000_000, 2000] as const;

export function signer(name: string): Promise<Signer> {
  return signerFromSeed(sha256(ascii(name)));
}

export async function validators(...names: readonly (string | number)[]): Promise<Signer[]> {
  const all = await Promise.all(names.map((name) => signer(`validator ${name}`)));
  return all.sort((a, b) => compare(a.publicKey, b.publicKey));
}

/** The bytes of an epoch. */
export function epochBytes({ ledger, number, chain, validators: all, powers, hospital }: Keepers): Bytes {
  return toCbor(["farhand trust root v1", ledger, chain, all.map(({ publicKey }, i) => [publicKey, powers[i] ?? 1]), [hospital.publicKey], number]);
}

export class Ledger {
  /** The file so far. */
  file: Bytes;
  #height = 0;
  #view = 0;
  /** Certifies the newest block. */
  #certificate: Bytes = GENESIS;

  private constructor(public newest: Keepers) {
    this.file = epochBytes(newest);
  }

  /** Of validators 1 to 5. */
  static async begin(more: Partial<Keepers> = {}): Promise<Ledger> {
    const ledger = new Ledger({
      ledger: sha256(ascii("a ledger")).slice(0, 16),
      number: 0,
      chain: 7,
      validators: await validators(1, 2, 3, 4, 5),
      powers: [1, 1, 1, 1, 1],
      hospital: await signer("hospital 0"),
      ...more,
    });
    await ledger.#block(EMPTY_ROOT);
    return ledger;
  }

  /** As it is now, to go on in two ways. */
  copy(): Ledger {
    const copy = Object.assign(new Ledger(this.newest), { file: this.file });
    [copy.#height, copy.#view, copy.#certificate] = [this.#height, this.#view, this.#certificate];
    return copy;
  }

  trust(): Promise<TrustRoot> {
    return parseTrustRoot(this.file);
  }

  async sign(author: Signer, kind: number, body: Cbor): Promise<Bytes> {
    return seal(Domain.transaction, author, toCbor([this.newest.ledger, AT, [kind, body]]));
  }

  /** Commits a transaction: the bytes of its proof. `chains`: those of the last three certificates, if not the epoch's. */
  async commit(transaction: Bytes, chains: readonly number[] = []): Promise<Bytes> {
    const head = [this.newest.ledger, AT, 1] as const;
    const leaves = [leafHash(toCbor(head)), leafHash(transaction)] as const;
    const headers: Bytes[] = [];
    for (const [i, root] of [nodeHash(...leaves), EMPTY_ROOT, EMPTY_ROOT].entries()) headers.push(await this.#block(root, chains[i]));
    return toCbor([head, [leaves[1]], 0, transaction, [leaves[0]], [headers, this.#certificate]]);
  }

  /** The next epoch: by default another hospital's, on a chain of its own, with validator 6 in place of 1. */
  async next(more: Partial<Keepers> = {}): Promise<Keepers> {
    const { ledger, number, chain, powers } = this.newest;
    const [all, hospital] = [await validators(2, 3, 4, 5, 6), await signer(`hospital ${number + 1}`)];
    return { ledger, number: number + 1, chain: chain + 1, validators: all, powers, hospital, ...more };
  }

  /** The proof of an end, by default as it should be, endorsed by four of the old five. */
  async end(next: Keepers, more: Partial<End> = {}): Promise<Bytes> {
    const [previous, bytes] = [sha256(epochBytes(this.newest)), epochBytes(next)];
    const said = { previous, next: bytes, endorsers: this.newest.validators.slice(0, 4), domain: Domain.epochEnd, body: [previous, sha256(bytes)], ...more };
    const endorsements = await Promise.all(said.endorsers.map((one) => seal(said.domain, one, toCbor(said.body))));
    return this.commit(await this.sign(await signer("anybody"), 10, [said.previous, said.next, endorsements]));
  }

  /** Goes on in the next epoch, whose beginning that proves. */
  async follow(next: Keepers, end: Bytes): Promise<void> {
    this.file = concat(this.file, toCbor(end));
    [this.newest, this.#height, this.#view, this.#certificate] = [next, 0, 0, GENESIS];
    await this.#block(EMPTY_ROOT);
  }

  /** Appends a block and certifies it, by all validators but one. */
  async #block(root: Bytes, chain = this.newest.chain): Promise<Bytes> {
    const header = concat(little(this.#height), this.#certificate, root);
    this.#height += 1;
    this.#view += 1;
    const vote = concat(little(chain), little(this.#view), sha256(header), Uint8Array.of(0));
    const missing = this.#view % this.newest.validators.length;
    const slot = async (one: Signer, i: number) => (i === missing ? Uint8Array.of(0) : concat(Uint8Array.of(1), await one.sign(vote)));
    const slots = await Promise.all(this.newest.validators.map(slot));
    this.#certificate = concat(vote, little(slots.length).subarray(0, 4), ...slots);
    return header;
  }
}

function little(value: number): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
