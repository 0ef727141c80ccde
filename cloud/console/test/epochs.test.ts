/** A ledger whose keepers change: whoever holds its genesis follows it, and nobody but the old keepers says what follows. */
import { beforeAll, describe, expect, it } from "vitest";
import { verifyOpening } from "../src/trust/opening";
import { isAfter, proveBytes } from "../src/trust/proof";
import { TRUST_BYTES_MAX, TrustRoot, fingerprintOf, furtherOf, parseTrustRoot, readTrustRoot } from "../src/trust/root";
import { type Bytes, ascii, concat, toHex } from "../src/wire/bytes";
import { type Cbor, fromCbor, toCbor } from "../src/wire/cbor";
import { type Signer } from "../src/wire/ed25519";
import { sha256 } from "../src/wire/mac";
import { Domain } from "../src/wire/signed";
import { flipped } from "./hex";
import { type End, type Keepers, Ledger, epochBytes, signer, validators } from "./ledger";

const CHECKPOINT = 5;

/** A ledger of so many epochs. */
async function grown(epochs: number): Promise<Ledger> {
  const ledger = await Ledger.begin();
  while (ledger.newest.number < epochs - 1) {
    const next = await ledger.next();
    await ledger.follow(next, await ledger.end(next));
  }
  return ledger;
}

const something = async (ledger: Ledger) => ledger.sign(await signer("anybody"), CHECKPOINT, []);

describe("a trust root", () => {
  it("follows the ledger through its epochs, under one fingerprint", async () => {
    const [first, whole] = [await grown(1), await grown(3)];
    const trust = await readTrustRoot(whole.file, sha256(first.file));
    expect(trust.epochs.map(({ number, chain }) => [number, chain])).toEqual([[0n, 7n], [1n, 8n], [2n, 9n]]);
    expect([trust.fingerprint, fingerprintOf(whole.file)].map(toHex)).toEqual(Array(2).fill(toHex(sha256(first.file))));
    await expect(readTrustRoot(whole.file, sha256(whole.file))).rejects.toThrow(/your link names/);
  });

  it("is made by proving alone", async () => {
    const { epochs } = await (await grown(1)).trust();
    expect(() => new TrustRoot(Symbol() as never, epochs, [])).toThrow(/parseTrustRoot/);
  });

  // Goal: a file of several epochs has one reading; with any bit turned it is another ledger's, or none.
  it("with a turned bit leads nowhere", async () => {
    const { file } = await grown(2);
    const first = await (await grown(1)).trust();
    for (let byte = 0; byte < file.length; byte += 29) {
      const read = await parseTrustRoot(flipped(file, byte * 8 + (byte % 8))).catch(() => undefined);
      expect(read !== undefined && first.leadsTo(read), `byte ${byte}`).toBe(false);
    }
  });

  it.each<[string, (whole: Bytes, first: number) => Bytes, RegExp]>([
    ["cut off", (whole) => whole.slice(0, -1), /known shape/],
    ["with a byte behind it", (whole) => concat(whole, Uint8Array.of(0)), /known shape/],
    ["whose proof has a longer head than it needs", (whole, first) => concat(whole.slice(0, first), Uint8Array.of(0x5a, 0, 0), whole.slice(first + 1)), /known shape/],
    ["that is too long", (whole) => concat(whole, new Uint8Array(TRUST_BYTES_MAX + 1 - whole.length)), /1048577 bytes, at most 1048576/],
    ["that ends an epoch twice", (whole, first) => concat(whole, whole.slice(first)), /ends the epoch/],
    ["of nothing", () => new Uint8Array(), /known shape/],
  ])("%s is none", async (_, change, why) => {
    const { file } = await grown(2);
    const first = epochBytes((await grown(1)).newest).length;
    await expect(parseTrustRoot(change(file, first))).rejects.toThrow(why);
  });

  it("begins with epoch 0", async () => {
    await expect(parseTrustRoot(epochBytes((await grown(2)).newest))).rejects.toThrow("it begins with epoch 1, expected 0");
  });

  // Goal: whoever knows more is believed as far as both agree; where neither leads to the other they are different ledgers.
  it("goes on with the bundle's own where that leads further", async () => {
    const ledger = await grown(1);
    const [first, whole, more] = await Promise.all([ledger, await grown(2), await grown(3)].map((one) => one.trust()));
    const next = await ledger.next({ validators: await validators(3, 4, 5, 6, 7) });
    await ledger.follow(next, await ledger.end(next));
    const elsewhere = await ledger.trust();
    const stranger = await (await Ledger.begin({ chain: 9 })).trust();
    expect(furtherOf(first!, more!)).toBe(more);
    expect(furtherOf(more!, whole!)).toBe(more);
    expect(furtherOf(first!, elsewhere)).toBe(elsewhere);
    for (const other of [elsewhere, stranger]) expect([furtherOf(whole!, other), furtherOf(other, whole!)]).toEqual([undefined, undefined]);
  });
});

describe("an end", () => {
  const refused = async (more: Partial<End>, keepers: Partial<Keepers> = {}, epochs = 1) => {
    const ledger = await grown(epochs);
    return (await ledger.trust()).ended(await ledger.end(await ledger.next(keepers), more));
  };
  const four = async (...names: number[]) => ({ endorsers: await validators(...names) });
  const zero = new Uint8Array(32);

  it("that a quorum endorsed is the next epoch's beginning", async () => {
    expect((await refused({})).newest).toMatchObject({ number: 1n, chain: 8n });
  });

  it.each<[string, () => Promise<TrustRoot>, RegExp]>([
    ["too few", async () => refused(await four(1, 2, 3)), /endorsements of power 3, a quorum of the epoch that ends needs 4/],
    ["a newcomer", async () => refused(await four(2, 3, 4, 6)), /no validator of the epoch that ends/],
    ["the new set", async () => refused(await four(2, 3, 4, 5, 6)), /no validator/],
    ["one twice", async () => refused({ endorsers: (await validators(1, 2, 3, 3)) }), /ascending order/],
    ["four out of order", async () => refused({ endorsers: (await validators(1, 2, 3, 4)).reverse() }), /ascending order/],
    ["nobody", async () => refused({ endorsers: [] }), /power 0/],
  ])("that %s endorsed is none", async (_, made, why) => {
    await expect(made()).rejects.toThrow(why);
  });

  it.each<[string, () => Promise<TrustRoot>, RegExp]>([
    ["is endorsed as something else than an end", async () => refused({ domain: Domain.transaction }), /signature is not by the author/],
    ["ends another epoch than they endorsed", async () => refused({ body: [zero, sha256(epochBytes(await (await grown(1)).next()))] }), /endorsed something else/],
    ["begins another than they endorsed", async () => refused({ body: [sha256((await grown(1)).file), zero] }), /endorsed something else/],
    ["ends another epoch", async () => refused({ previous: zero }), /ends the epoch 0000/],
    ["goes on with another ledger", async () => refused({}, { ledger: new Uint8Array(16) }), /of another ledger/],
    ["leaves an epoch out", async () => refused({}, { number: 2 }), /epoch 2 follows, expected 1/],
    ["goes on on its chain", async () => refused({}, { chain: 7 }), /chain 7 was another epoch's/],
    ["goes on on the chain of an epoch long before", async () => refused({}, { chain: 7 }, 2), /chain 7 was another epoch's/],
    ["goes on with four validators", async () => refused({}, { validators: await validators(1, 2, 3, 4) }), /4 validators/],
    ["goes on with what is no epoch", async () => refused({ next: Uint8Array.of(0x80) }), /known shape/],
  ])("that %s is none", async (_, made, why) => {
    await expect(made()).rejects.toThrow(why);
  });

  // Goal: powers are counted, not heads.
  it("needs a quorum of the power", async () => {
    const ledger = await Ledger.begin({ powers: [3, 3, 3, 3, 1] });
    const [next, trust, all] = [await ledger.next(), await ledger.trust(), ledger.newest.validators];
    expect((await trust.ended(await ledger.copy().end(next, { endorsers: all.slice(0, 3) }))).epochs).toHaveLength(2);
    await expect(trust.ended(await ledger.copy().end(next, { endorsers: all.slice(2) }))).rejects.toThrow("power 7, a quorum of the epoch that ends needs 9");
  });

  // Goal: an end counts on the chain that it ends, whoever else commits it: here the epoch before, at the place of its own end.
  it("is committed on the chain that it ends", async () => {
    const [before, ledger] = [await grown(1), await grown(2)];
    const [, , , end] = fromCbor("proof", await ledger.copy().end(await ledger.next()), 1 << 19) as Cbor[];
    const trust = await ledger.trust();
    await expect(trust.ended(await before.commit(end as Bytes))).rejects.toThrow("the end of epoch 1 stands on the chain of epoch 0");
  });

  it("is committed by the epoch that ends, and is an end", async () => {
    const [ledger, next] = [await grown(1), await (await grown(1)).next()];
    const trust = await ledger.trust();
    const strangers = await Ledger.begin({ validators: await validators(11, 12, 13, 14, 15) });
    const [, , , end] = fromCbor("proof", await ledger.copy().end(next), 1 << 19) as Cbor[];
    await expect(trust.ended(await strangers.commit(end as Bytes))).rejects.toThrow(/not by that validator/);
    await expect(trust.ended(await ledger.commit(await something(ledger)))).rejects.toThrow(/kind 5, expected the end of an epoch/);
  });
});

describe("a transaction", () => {
  let [old, now] = [] as unknown as [Ledger, Ledger];
  let [first, whole] = [] as unknown as [TrustRoot, TrustRoot];
  let [before, end] = [] as unknown as [Bytes, Bytes];
  beforeAll(async () => {
    old = await grown(1);
    first = await old.trust();
    before = await old.commit(await something(old));
    now = old.copy();
    const next = await now.next();
    end = await old.end(next);
    await now.follow(next, end);
    whole = await now.trust();
  });

  // Goal: whoever gets the keys of an epoch that has ended commits nothing more with them.
  it("holds up to the end of its epoch, and not behind it", async () => {
    for (const proof of [before, end]) expect((await proveBytes(proof, whole)).position.epoch).toBe(0n);
    const late = await old.copy().commit(await something(old));
    await expect(proveBytes(late, first), "whoever does not know of the end believes it").resolves.toBeDefined();
    await expect(proveBytes(late, whole)).rejects.toThrow(/stands at epoch 0, height \d+, index 0 on the ledger, but the epoch ended at epoch 0/);
  });

  it("is checked under the epoch of its chain", async () => {
    const proof = await now.copy().commit(await something(now));
    expect((await proveBytes(proof, whole)).position).toEqual({ epoch: 1n, height: 1n, index: 0n });
    await expect(proveBytes(proof, first)).rejects.toThrow("certificate is of chain 8, expected 7");
    const posed = await old.copy().commit(await something(old), [8, 8, 8]);
    await expect(proveBytes(posed, whole)).rejects.toThrow(/not by that validator/);
  });

  // Goal: three quorums' words on two chains are no commit, even where the same validators keep both.
  it("has certificates of one chain", async () => {
    const ledger = await grown(1);
    const next = await ledger.next({ validators: ledger.newest.validators });
    await ledger.follow(next, await ledger.end(next));
    const trust = await ledger.trust();
    for (const chains of [[7, 8, 8], [8, 7, 8], [8, 8, 7]]) {
      await expect(proveBytes(await ledger.copy().commit(await something(ledger), chains), trust)).rejects.toThrow(/of chain/);
    }
  });

  it("stands by epoch first, then by height, then by index", () => {
    const at = (epoch: bigint, height: bigint, index: bigint) => ({ epoch, height, index });
    const order = [at(0n, 1n, 0n), at(0n, 1n, 1n), at(0n, 9n, 0n), at(1n, 0n, 5n), at(1n, 1n, 0n)];
    for (const [i, one] of order.entries()) for (const [j, other] of order.entries()) expect(isAfter(one, other), `${i} ${j}`).toBe(i > j);
  });
});

describe("a hospital", () => {
  /** Opens a session whose consent is committed before the epoch ends, or behind it, and whose opening always is behind it. */
  async function opened(by: { consent: Signer; opening: Signer; consentLate?: boolean }): Promise<unknown> {
    const ledger = await grown(1);
    const people = await Promise.all(["surgeon", "bedside", "edge", "kit", "field"].map(signer));
    const [surgeon, bedside, edge, kit, field] = people as [Signer, Signer, Signer, Signer, Signer];
    const [session, digest] = [new Uint8Array(16), sha256(ascii("limits"))];
    const turn = async () => {
      const next = await ledger.next();
      await ledger.follow(next, await ledger.end(next));
    };
    if (by.consentLate) await turn();
    const consent = await ledger.sign(by.consent, 3, [session, digest, true]);
    const consented = await ledger.commit(consent);
    if (!by.consentLate) await turn();
    const custody: Bytes[] = [];
    let previous: Bytes = new Uint8Array(32);
    for (let step = 0; step <= 6; step++) {
      const signed = await ledger.sign(step < 5 ? field : kit, 4, [kit.publicKey, step + 1, step < 6 ? [step] : [step, edge.publicKey], previous]);
      custody.push(await ledger.commit(signed));
      previous = sha256(signed);
    }
    const roster = [[surgeon.publicKey, 0, "surgeon"], [bedside.publicKey, 1, "bedside"]];
    const opening = await ledger.sign(by.opening, 1, [session, roster, edge.publicKey, kit.publicKey, digest, digest, sha256(consent), previous]);
    const proofs = [await ledger.commit(opening), consented, custody] as const;
    const read = (proof: Bytes) => fromCbor("proof", proof, 1 << 19);
    const evidence = toCbor([read(proofs[0]), read(proofs[1]), proofs[2].map(read)]);
    return verifyOpening(evidence, await ledger.trust());
  }

  // Goal: who was a hospital in one epoch says nothing in the next, and the other way round.
  it("is one in its epoch", async () => {
    const [old, next] = [await signer("hospital 0"), await signer("hospital 1")];
    await expect(opened({ consent: old, opening: next })).resolves.toMatchObject({ position: { epoch: 1n } });
    await expect(opened({ consent: next, opening: next, consentLate: true })).resolves.toBeDefined();
    await expect(opened({ consent: old, opening: old })).rejects.toThrow(/the opening is by .* no hospital of epoch 1/);
    await expect(opened({ consent: next, opening: next })).rejects.toThrow(/the consent is by .* no hospital of epoch 0/);
    await expect(opened({ consent: old, opening: next, consentLate: true })).rejects.toThrow(/the consent is by .* no hospital of epoch 1/);
  });
});
