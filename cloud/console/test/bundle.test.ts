// The browser's own verifier, on bundles that the Rust code wrote. `cargo build -p farhand-bundle --examples` makes the program
// that writes them; ./check has built it by now.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Findings, NAMES } from "../src/bundle/findings";
import { Frames } from "../src/bundle/frames";
import { crc32 } from "../src/bundle/crc";
import { trustFor } from "../src/bundle/manifest";
import { Blocks, blobSource, type Source } from "../src/bundle/source";
import { type Report, verifyBundle } from "../src/bundle/verify";
import { readHead } from "../src/pages/audit/head";
import { parseTrustRoot } from "../src/trust/root";
import { ascii } from "../src/wire/bytes";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const BIN = join(process.env["CARGO_TARGET_DIR"] ?? join(ROOT, "target"), "debug");
const SMALL_BUNDLE = join(BIN, "examples/small_bundle");

const folder = mkdtempSync(join(tmpdir(), "farhand-bundles-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Made {
  readonly bundle: Uint8Array;
  readonly trust: Uint8Array;
}

function made(seed: number): Made {
  const [bundle, trust] = [join(folder, `${seed}.mcap`), join(folder, `${seed}.trust`)];
  execFileSync(SMALL_BUNDLE, [bundle, trust, String(seed)]);
  return { bundle: readFileSync(bundle), trust: readFileSync(trust) };
}

const check = (bundle: Uint8Array, trust?: Uint8Array): Promise<Report> => verifyBundle(blobSource(new Blob([bundle as Uint8Array<ArrayBuffer>])), trust);

/** Mulberry32: small, and the same everywhere. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function splice(bytes: Uint8Array, from: number, to: number, between: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, from), between, bytes.subarray(to)]);
}

/** The file with one change at `at`, and the change's name. */
function mutate(good: Uint8Array, at: number, below: (below: number) => number): [string, Uint8Array] {
  const end = Math.min(at + 1 + below(200), good.length);
  const piece = Uint8Array.from(good.subarray(at, end));
  switch (below(6)) {
    case 0:
      return ["bytes removed", splice(good, at, end, new Uint8Array())];
    case 1:
      return ["bytes repeated", splice(good, end, end, piece)];
    case 2:
      return ["cut off", good.subarray(0, at)];
    case 3:
      return ["inverted", splice(good, at, end, piece.map((byte) => ~byte))];
    case 4:
      return ["noise", splice(good, at, end, piece.map((byte) => byte ^ (1 + below(255))))];
    default:
      return ["a bit flipped", splice(good, at, at + 1, Uint8Array.of((good[at] ?? 0) ^ (1 << below(8))))];
  }
}

/** The same bytes with every CRC of the container right again, as whoever alters a bundle would leave it. */
function repaired(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 9 < bytes.length - 8; ) {
    const [opcode, body, length] = [bytes[at], at + 9, Number(view.getBigUint64(at + 1, true))];
    const end = body + length;
    if (end > bytes.length) break;
    if (opcode === 6) view.setUint32(body + 24, crc32(bytes.subarray(body + 40, end)), true);
    if (opcode === 9) view.setUint32(end - 4, crc32(bytes.subarray(body, end - 4)), true);
    if (opcode === 15) view.setUint32(body, crc32(bytes.subarray(0, at)), true);
    at = end;
  }
  return bytes;
}

const VECTORS = join(ROOT, "tests/verifier/vectors");
interface Vector {
  readonly file: string;
  readonly trust: string | null;
  readonly exit: number;
  readonly findings: readonly string[];
}

// Goal: what every verifier must say of the document's own bundles, this one says.
describe.skipIf(!existsSync(join(VECTORS, "index.json")))("the document's vectors (tests/verifier/vectors; skipped where there are none)", () => {
  const file = (name: string) => readFileSync(join(VECTORS, name));
  const vectors = existsSync(join(VECTORS, "index.json")) ? (JSON.parse(file("index.json").toString()) as Vector[]) : [];
  it.each(vectors)("$file under $trust ends with $exit: $findings", async ({ file: name, trust, exit, findings }) => {
    const report = await check(file(name), trust === null ? undefined : file(trust));
    const found = new Set<string>(report.findings.map((one) => one.name));
    // Of what does not hold, the index names the least that is to be found.
    const compared = exit === 0 || exit === 3 ? [...found] : findings.filter((one) => found.has(one));
    expect([report.exit, compared.sort()], JSON.stringify(report.findings.slice(0, 5))).toEqual([exit, [...findings].sort()]);
  });

  // Goal: parts of a bundle are proven under the trust root that its whole was verified under: whichever leads further.
  it("are looked into under the trust root that leads further", async () => {
    const epochs = async (name: string, trust: string | undefined) => {
      const given = trust === undefined ? undefined : await parseTrustRoot(file(trust));
      return (await trustFor(blobSource(new Blob([file(name)])), given)).epochs.length;
    };
    expect(await epochs("epoch-end.mcap", undefined)).toBe(2);
    expect(await epochs("epoch-end.mcap", "ledger.trust")).toBe(2);
    expect(await epochs("good.mcap", "epochs.trust")).toBe(2);
    expect(await epochs("three-epochs.mcap", "other-ledger.trust")).toBe(1);
    expect(await epochs("end-too-few.mcap", "ledger.trust")).toBe(1);
    const head = readHead(blobSource(new Blob([file("three-epochs.mcap")])), await parseTrustRoot(file("ledger.trust")));
    expect((await head).people.map(({ role }) => role)).toEqual(["surgeon", "bedside"]);
  });

  // Goal: each name is what the document's table says it is, and there are no others.
  it("are of findings that the document names", () => {
    const table = readFileSync(join(ROOT, "docs/evidence-format.md")).toString().split("### 12.1")[1]?.split("###")[0] ?? "";
    const rows = [...table.matchAll(/^\| (`.*`) \| (\w+) \|/gm)];
    const named = rows.flatMap(([, names, kind]) => [...(names ?? "").matchAll(/[a-z-]+/g)].map(([name]) => `${kind}: ${name}`));
    expect(Object.entries(NAMES).flatMap(([kind, names]) => names.map((name) => `${kind}: ${name}`)).sort()).toEqual(named.sort());
  });
});

describe("blocks", () => {
  it("are read once each, and none beyond the end", async () => {
    const bytes = new Uint8Array(2_500_000).map((_, at) => at % 251);
    const asked: [number, number][] = [];
    const blocks = new Blocks({
      size: bytes.length,
      read: async (from, to) => {
        asked.push([from, to]);
        return bytes.slice(from, to);
      },
    });
    for (let at = 0; at + 1000 <= bytes.length; at += 50_000) expect(await blocks.read(at, at + 1000)).toEqual(bytes.slice(at, at + 1000));
    expect(await blocks.read(bytes.length - 10, bytes.length)).toEqual(bytes.slice(-10));
    expect(asked).toEqual([[0, 1_048_576], [1_048_576, 2_097_152], [2_097_152, 2_500_000]]);
  });
});

describe("CRC-32", () => {
  // Goal: the check value of the CRC catalogue, also in pieces.
  it("is zlib's", () => {
    const bytes = ascii("123456789");
    expect(crc32(bytes)).toBe(0xcbf4_3926);
    expect(crc32(bytes.subarray(3), crc32(bytes.subarray(0, 3)))).toBe(0xcbf4_3926);
  });
});

describe("frames", () => {
  const frame = (number: bigint, capturedUs: bigint) => ({ frame: number, capturedUs, pictureHash: new Uint8Array(32) }) as Parameters<Frames["take"]>[1];

  // Goal: what is declared lost is not missed, and no age is told by the clock of another run of the edge box's program.
  it("go on behind a gap, and their ages behind a restart", () => {
    const findings = new Findings();
    const frames = new Frames(findings, () => false);
    frames.take({}, frame(1n, 100n));
    frames.lose(2n, 4n);
    frames.take({}, frame(5n, 200n));
    expect([frames.newest, frames.otherAgeUs(5n, 900n, 5_000_000n), frames.otherAgeUs(5n, 900n, 800n)]).toEqual([5n, 700n, undefined]);
    frames.restart();
    expect(frames.otherAgeUs(5n, 900n, 5_000_000n)).toBeUndefined();
    frames.take({}, frame(7n, 10n));
    expect(findings.list.map(({ name }) => name)).toEqual(["frame-number"]);
  });
});

describe("a bundle", () => {
  let good: Made;
  beforeAll(() => {
    good = made(8);
  });

  // Goal: what the Rust code wrote holds, under the trust root that goes with it, and is counted as it was made.
  it("holds", async () => {
    const report = await check(good.bundle, good.trust);
    const lost = [5, 10, 15, 20].map((one) => `commands ${one} to ${one} under token 3 were sent and are not in the log`);
    expect(report.findings).toEqual(lost.map((what) => ({ severity: "note", name: "lost-to-edge", what })));
    expect(report).toMatchObject({ exit: 0, unreadable: undefined, bytes: good.bundle.length, findingsLeftOut: 0 });
    expect(report.counts).toMatchObject({ frames: 12, pictures: 12, confirmed: 12, sent: 20, commands: 16, taken_in: 16, lost_to_edge: 4, checkpoints: 5 });
    expect(report.session?.people.map(({ role }) => role)).toEqual(["surgeon", "bedside"]);
  });

  // Goal: a bundle proves nothing by the trust root that it brings itself.
  it("without a trust root is self-consistent, not trusted", async () => {
    expect(await check(good.bundle)).toMatchObject({ exit: 3, trust: undefined });
  });

  // Goal: five fresh keys forge a whole ledger; whoever holds the real trust root is not taken in.
  it("of a forged ledger does not hold", async () => {
    const forged = made(9);
    expect(await check(forged.bundle, forged.trust)).toMatchObject({ exit: 0 });
    const report = await check(forged.bundle, good.trust);
    expect(report.exit).toBe(1);
    expect(report.findings.map(({ name }) => name)).toEqual(expect.arrayContaining(["other-ledger", "opening"]));
  });

  // Goal: whatever is changed, removed, repeated or cut off, wherever, the answer is no, and it is an answer.
  it("that was changed anywhere is found out", async () => {
    const below = random(20_260_713);
    const MUTATIONS = 200;
    for (let i = 0; i < MUTATIONS; i++) {
      // Every stretch of the file has its turn.
      const from = Math.floor((i * good.bundle.length) / MUTATIONS);
      const at = from + below(Math.floor(good.bundle.length / MUTATIONS));
      const [what, bytes] = mutate(good.bundle, at, below);
      const { exit, unreadable, findings } = await check(bytes, good.trust);
      expect([1, 2], `${what} at ${at}: ${unreadable}`).toContain(exit);
      expect(unreadable ?? findings.find(({ severity }) => severity !== "note")?.what, `${what} at ${at}`).toBeDefined();
    }
  });

  // Goal: CRCs are no evidence. With all of them right, what finds a change is hashes and signatures alone.
  it("that was changed and put right again is found out", async () => {
    const below = random(7);
    expect(Buffer.from(repaired(Uint8Array.from(good.bundle))).equals(good.bundle)).toBe(true);
    const found = new Set<string>();
    for (let i = 0; i < 150; i++) {
      const bytes = Uint8Array.from(good.bundle);
      const at = 100 + below(bytes.length - 1200); // the summary is no content
      bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
      const { exit, unreadable, findings } = await check(repaired(bytes), good.trust);
      expect([1, 2], `byte ${at}: ${unreadable}`).toContain(exit);
      findings.forEach(({ name }) => found.add(name));
    }
    // Each check had its part: roots, pictures, lists, checkpoints.
    expect([...found]).toEqual(expect.arrayContaining(["checkpoint-root", "picture", "checkpoint-proof", "envelope"]));
  });

  // Goal: anybody may redact; what is left holds, what is missing may be among what was taken out, and it is all listed.
  it("with leaves and pictures taken out holds, and lists them", async () => {
    const [whole, less] = [join(folder, "8.mcap"), join(folder, "less.mcap")];
    execFileSync(join(BIN, "farhand-audit"), ["redact", whole, "--leaves", "5-9,20", "--out", less]);
    const report = await check(readFileSync(less), good.trust);
    expect(report).toMatchObject({ exit: 0, counts: { redacted: 6, pictures: 9, pictures_left_out: 0 } });
    expect(report.findings.filter(({ name }) => name === "redacted").map(({ leaf }) => leaf)).toEqual([5, 6, 7, 8, 9, 20]);
    expect(report.findings.every(({ severity }) => severity === "note")).toBe(true);
  });

  // Goal: a finding says where: the byte that was flipped, and the leaf or picture that it is in.
  it("with a flipped byte says where", async () => {
    const at = Buffer.from(good.bundle).indexOf("endoscope") + 20; // in the first picture
    const bytes = Uint8Array.from(good.bundle);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const { exit, findings } = await check(bytes, good.trust);
    expect(exit).toBe(1);
    const near = findings.filter(({ byte }) => byte !== undefined && Math.abs(byte - at) < 2000);
    expect(near.length, JSON.stringify(findings)).toBeGreaterThan(0);
  });

  // Goal: an hour's bundle is gigabytes. However long, what is asked for at once is bounded.
  it("is read piece by piece", async () => {
    const whole = blobSource(new Blob([good.bundle as Uint8Array<ArrayBuffer>]));
    let most = 0;
    const source: Source = { size: whole.size, read: (from, to) => ((most = Math.max(most, to - from)), whole.read(from, to)) };
    expect((await verifyBundle(source, good.trust)).exit).toBe(0);
    expect(most).toBeLessThanOrEqual(1024 * 1024);
  });

  it("that is none is unreadable", async () => {
    for (const bytes of [new Uint8Array(), ascii("nothing"), new Uint8Array(5000)]) {
      expect(await check(bytes, good.trust)).toMatchObject({ exit: 2, session: undefined });
    }
  });
});
