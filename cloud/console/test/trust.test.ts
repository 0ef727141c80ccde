/** Nothing is trusted that was not checked: the opening's evidence, against a ledger that an independent script made. */
import { describe, expect, it } from "vitest";
import { fromCbor, toCbor, type Cbor } from "../src/wire/cbor";
import { toHex } from "../src/wire/bytes";
import { verifyLimits } from "../src/trust/limits";
import { VerifiedOpening, verifyOpening } from "../src/trust/opening";
import { parseTrustRoot, readTrustRoot } from "../src/trust/root";
import { sha256 } from "../src/wire/mac";
import { bytes, flipped, vectors } from "./hex";
import { Ledger } from "./ledger";

const made = vectors("opening");
const evidence = bytes(made, "opening");
const trust = () => readTrustRoot(bytes(made, "trust_root"), bytes(made, "fingerprint"));

describe("trust root", () => {
  it("is read if it is the one the link names", async () => {
    const { newest, epochs } = await trust();
    expect(newest).toMatchObject({ number: 0n, chain: 1n, quorum: 4n });
    expect([newest.validators.length, epochs.length]).toEqual([5, 1]);
  });

  it("another one is refused, with both fingerprints", async () => {
    await expect(readTrustRoot(bytes(made, "trust_root"), new Uint8Array(32))).rejects.toThrow(/your link names 0000/);
    await expect(readTrustRoot(flipped(bytes(made, "trust_root"), 400), bytes(made, "fingerprint"))).rejects.toThrow(/trust root is/);
  });

  // Goal: a root that any single failure could stop, or that is out of order, is none, even if the link names it.
  it.each([
    ["four validators", (v: Cbor[]) => v.slice(0, 4), /4 validators/],
    ["validators out of order", (v: Cbor[]) => [...v].reverse(), /ascending/],
    ["a validator that everything hangs on", (v: Cbor[]) => v.map((one, i) => [(one as Cbor[])[0], i ? 1 : 9] as Cbor), /without one/],
  ])("%s is refused", async (_, change, why) => {
    const root = fromCbor("root", bytes(made, "trust_root"), 20_000) as Cbor[];
    const changed = toCbor(root.map((field, i) => (i === 3 ? change(field as Cbor[]) : field)));
    await expect(readTrustRoot(changed, sha256(changed))).rejects.toThrow(why);
  });
});

describe("opening", () => {
  it("that holds says who takes part", async () => {
    const opening = await verifyOpening(evidence, await trust());
    expect(toHex(opening.edge)).toBe(made["edge"]);
    expect(toHex(opening.kit)).toBe(made["kit"]);
    expect(toHex(opening.session)).toBe(made["session"]);
    expect(opening.member(bytes(made, "surgeon"))).toMatchObject({ role: "surgeon", pseudonym: "surgeon-1" });
    expect(opening.member(new Uint8Array(32))).toBeUndefined();
    expect(opening.custodySteps).toBe(7);
  });

  it("is made by checking alone", () => {
    expect(() => new VerifiedOpening(Symbol() as never, {} as never, {} as never, {} as never, 7)).toThrow(/verifyOpening/);
  });

  // Goal: no byte of the evidence can change unnoticed. Every 47th byte, each time another bit: all kinds of fields.
  it("any flipped bit is noticed", async () => {
    const root = await trust();
    for (let byte = 0; byte < evidence.length; byte += 47) {
      await expect(verifyOpening(flipped(evidence, byte * 8 + (byte % 8)), root), `byte ${byte}`).rejects.toThrow();
    }
  });

  const tree = () => fromCbor("evidence", evidence, 1 << 20) as [Cbor[], Cbor[], Cbor[][]];
  const verify = async ([opening, consent, custody]: [Cbor[], Cbor[], Cbor[][]]) =>
    verifyOpening(toCbor([opening, consent, custody]), await trust());

  it("with a custody step left out is refused", async () => {
    for (let step = 0; step < 7; step++) {
      const [opening, consent, custody] = tree();
      await expect(verify([opening, consent, custody.filter((_, i) => i !== step)])).rejects.toThrow(/custody/);
    }
  });

  it("with custody steps exchanged is refused", async () => {
    const [opening, consent, [sealed, loaded, ...rest]] = tree();
    await expect(verify([opening, consent, [loaded!, sealed!, ...rest]])).rejects.toThrow(/custody begins with "loaded"/);
  });

  it("with another good transaction in a place is refused", async () => {
    const [opening, consent, custody] = tree();
    await expect(verify([consent, opening, custody])).rejects.toThrow(/expected an opening/);
    await expect(verify([opening, opening, custody])).rejects.toThrow(/expected a consent/);
    await expect(verify([opening, consent, [consent, ...custody]])).rejects.toThrow(/expected a custody step/);
  });

  // Goal: one signature fewer than a quorum proves nothing. Cuts one validator's signature out of the last certificate.
  it("with one signature fewer than a quorum is refused", async () => {
    const [opening, consent, custody] = tree();
    const commit = opening[5] as [Cbor[], Uint8Array];
    const certificate = commit[1];
    const at = 53 + (certificate[53] === 1 ? 0 : 1);
    const fewer = new Uint8Array([...certificate.slice(0, at), 0, ...certificate.slice(at + 65)]);
    const changed = [...opening.slice(0, 5), [commit[0], fewer]];
    await expect(verify([changed, consent, custody])).rejects.toThrow("signatures of power 3, a quorum needs 4");
  });

  it("with headers left out is refused", async () => {
    const [opening, consent, custody] = tree();
    const [headers, certificate] = opening[5] as [Cbor[], Uint8Array];
    const commit = (kept: Cbor[]) => [...opening.slice(0, 5), [kept, certificate]] as Cbor[];
    await expect(verify([commit(headers.slice(1)), consent, custody])).rejects.toThrow(/2 headers/);
    const unlinked = [headers[0]!, headers[2]!, headers[2]!];
    await expect(verify([commit(unlinked), consent, custody])).rejects.toThrow(/does not certify/);
  });

  it("of another ledger is refused", async () => {
    const others = async (field: number, value: Cbor) => {
      const root = fromCbor("root", bytes(made, "trust_root"), 20_000) as Cbor[];
      return parseTrustRoot(toCbor(root.map((one, i) => (i === field ? value : one))));
    };
    const strangers = (await Ledger.begin()).newest;
    const validators = strangers.validators.map(({ publicKey }) => [publicKey, 1]);
    await expect(verifyOpening(evidence, await others(3, validators))).rejects.toThrow(/not by that validator/);
    await expect(verifyOpening(evidence, await others(4, [strangers.hospital.publicKey]))).rejects.toThrow(/no hospital/);
    await expect(verifyOpening(evidence, await others(2, 2))).rejects.toThrow(/chain 1, expected 2/);
  });
});

describe("limits", () => {
  it("are believed if the opening names them", async () => {
    const opening = await verifyOpening(evidence, await trust());
    const text = bytes(made, "limits");
    expect(verifyLimits(text, opening)?.get("picture_age_ms_max")).toBe(400);
    expect(verifyLimits(flipped(text, 8), opening)).toBeUndefined();
  });
});
