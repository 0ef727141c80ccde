/** The field page: what the server tells is read, and nothing is signed that does not mean what the person was told. */
import { describe, expect, it } from "vitest";
import { CALLS, partOf, readEvent, readField } from "../src/pages/field/model";
import { type Expected, STEPS, checkAsked, newestCustody, readAsked } from "../src/trust/custody";
import { verifyOpening } from "../src/trust/opening";
import { readTrustRoot } from "../src/trust/root";
import { toBase64Url, toHex } from "../src/wire/bytes";
import { signerFromSeed } from "../src/wire/ed25519";
import { Domain, open, seal } from "../src/wire/signed";
import { type Tree, bytes, vectors } from "./hex";
import { Ledger } from "./ledger";

const made = vectors("ledger");
const trust = await readTrustRoot(bytes(made, "trust_root"), bytes(made, "fingerprint"));
const kit = bytes(made, "kit");
const proofs = (made["custody"] as unknown as string[]).map((hex) => bytes({ hex } as Tree, "hex"));
const nowMs = 1_700_000_000_000;

const step = (name: string, state: string, more = {}) => ({ step: name, state, detail: "", progress: null, ...more });
const told = {
  kit: toHex(kit),
  steps: STEPS.map((name, i) => step(name, i < 1 ? "done" : "waiting")),
  next: { call: "dispatch", transaction: toBase64Url(bytes(made, "transactions", "loaded", "body")) },
};

describe("the opening that shared/ledger makes", () => {
  it("holds here too", async () => {
    const opening = await verifyOpening(bytes(made, "opening"), trust);
    expect([toHex(opening.kit), toHex(opening.edge), opening.custodySteps]).toEqual([made["kit"], made["edge"], 7]);
  });
});

describe("what there is to sign", () => {
  const loaded = bytes(made, "transactions", "loaded", "body");
  const unsealed = bytes(made, "transactions", "unsealed", "body");
  const expected = async (upTo: number, more: Partial<Expected> = {}): Promise<Expected> => ({
    trust,
    kit,
    step: "loaded",
    nowMs,
    newest: await newestCustody(proofs.slice(0, upTo), trust),
    ...more,
  });

  it("is taken apart", () => {
    expect(readAsked(loaded)).toMatchObject({ sequence: 2n, step: 1, atMs: nowMs, edge: undefined });
    expect(readAsked(unsealed)).toMatchObject({ sequence: 5n, step: 4 });
  });

  it("is signed if it follows the newest step on the ledger", async () => {
    expect(() => checkAsked(readAsked(loaded), { ...({} as Expected), trust, kit, step: "loaded", nowMs, newest: undefined })).not.toThrow();
    expect(checkAsked(readAsked(loaded), await expected(1))).toBeUndefined();
    expect(checkAsked(readAsked(unsealed), await expected(4, { step: "unsealed" }))).toBeUndefined();
  });

  // Goal: the envelope is byte for byte what `shared/ledger` would have signed.
  it("becomes the ledger's own transaction", async () => {
    const signer = await signerFromSeed(bytes(made, "field_session_seed"));
    const signed = await seal(Domain.transaction, signer, loaded);
    expect(toHex(signed)).toBe(toHex(bytes(made, "transactions", "loaded", "signed")));
    await expect(open(Domain.statement, signed)).rejects.toThrow(/signature/);
  });

  it.each<[string, () => Promise<Expected>, RegExp]>([
    ["another ledger", () => expected(1, { trust: { ...trust, ledger: new Uint8Array(16) } as never, newest: undefined }), /another ledger/],
    ["another kit", () => expected(1, { kit: new Uint8Array(32) }), /this page is about 00000000/],
    ["another step", () => expected(1, { step: "unsealed" }), /asked to sign "loaded", expected "unsealed"/],
    ["another time", () => expected(1, { nowMs: nowMs + 3_600_000 }), /60 minutes off/],
    ["a step that was signed already", () => expected(2), /step 2 of the kit's custody, expected 3/],
  ])("is not signed for %s", async (_, given, why) => {
    const what = await given();
    expect(() => checkAsked(readAsked(loaded), what)).toThrow(why);
  });

  it("is not signed on another past", async () => {
    const other = await newestCustody(proofs.slice(0, 1), trust);
    const forged = { ...other!, hash: new Uint8Array(32) };
    const what = await expected(1, { newest: forged });
    expect(() => checkAsked(readAsked(loaded), what)).toThrow(/does not follow/);
  });

  it("is no other kind of transaction", () => {
    expect(() => readAsked(bytes(made, "transactions", "consent", "body"))).toThrow(/kind 3, expected a custody step/);
    expect(() => readAsked(loaded.subarray(1))).toThrow();
  });

  // Goal: a proof has 512 KiB at most (`docs/evidence.cddl`), to the byte.
  it("has no past that is longer than any proof", async () => {
    const past = (length: number) => newestCustody([new Uint8Array(length)], trust);
    await expect(past(524_289)).rejects.toThrow("524289 bytes, at most 524288");
    await expect(past(524_288)).rejects.toThrow("known shape");
  });

  it("has no past that the trust root does not prove", async () => {
    const others = await (await Ledger.begin({ ledger: trust.ledger, chain: 1 })).trust();
    await expect(newestCustody(proofs.slice(0, 1), others)).rejects.toThrow(/not by that validator/);
  });
});

describe("the server's object", () => {
  it("is read, and its event as well", () => {
    const field = readField(told)!;
    expect(toHex(field.kit!)).toBe(made["kit"]);
    expect(field.next).toMatchObject({ call: "dispatch" });
    expect(readEvent(JSON.stringify(told))).toEqual(field);
    expect(readField({ ...told, kit: toBase64Url(kit) })?.kit).toEqual(kit);
  });

  it("amounts to three parts", () => {
    const states = (steps: readonly object[]) => CALLS.map((call) => partOf(readField({ ...told, steps })!, call).state);
    const upTo = (count: number, last: string) => STEPS.map((name, i) => step(name, i < count ? "done" : i === count ? last : "waiting"));
    expect(states(upTo(1, "waiting"))).toEqual(["waiting", "waiting", "waiting"]);
    expect(states(upTo(2, "now"))).toEqual(["now", "waiting", "waiting"]);
    expect(states(upTo(4, "failed"))).toEqual(["done", "failed", "waiting"]);
    expect(states(upTo(7, "done"))).toEqual(["done", "done", "done"]);
    expect(states(upTo(7, "done").slice(0, 3))).toEqual(["waiting", "waiting", "waiting"]);
  });

  it("is none where it is nonsense, and its parts are left out where they are", () => {
    for (const bad of [null, 7, [], {}, { steps: 1 }]) expect(readField(bad)).toBeUndefined();
    expect(readEvent("{")).toBeUndefined();
    const field = readField({ kit: "?", steps: [{ step: 1, state: "done" }, step("landed", "flying"), step("landed", "now", { progress: 7 })], next: { call: "explode" }, flight: { phase: "cruise" } })!;
    expect(field).toEqual({ kit: undefined, steps: [{ step: "landed", state: "now", detail: "", progress: undefined }], next: undefined, flight: undefined });
  });

  it("tells times as people read them", () => {
    const steps = [step("sealed", "done", { detail: "signed by ab12cd34, block 7, 1700000000 s UTC" })];
    expect(readField({ ...told, steps })?.steps[0]?.detail).toBe("signed by ab12cd34, block 7, 22:13:20 UTC");
  });

  it("tells where the aircraft is", () => {
    const flight = { phase: "cruise", lat_deg: 47.4, lon_deg: 8.5, alt_m: 80.2, progress: 0.4 };
    expect(readField({ ...told, flight })?.flight).toEqual({ phase: "cruise", latDeg: 47.4, lonDeg: 8.5, altM: 80.2, progress: 0.4 });
  });
});
