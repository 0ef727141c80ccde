/** The console's bytes are those of `shared/wire` and `shared/ledger`, which made the vectors. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fromBase64Url, toBase64Url, toHex } from "../src/wire/bytes";
import { fromCbor, toCbor } from "../src/wire/cbor";
import { sealCommand } from "../src/wire/command";
import { SessionSigner, Ephemeral, signerFromSeed, verify } from "../src/wire/ed25519";
import { Kind, wrap } from "../src/wire/kind";
import { MacKey, leaseKeys, sha256 } from "../src/wire/mac";
import { inWords, rejectionName } from "../src/wire/rejection";
import { StateFlag, openKitState } from "../src/wire/state";
import { type Statement, openStatement, remoteCentreOf, signStatement, transcriptHash } from "../src/wire/statement";
import { pictureContent, userData } from "../src/video/nal";
import { displayReport, surgeonSegment } from "../src/wire/segment";
import { clockPing, readCamera, readClockPong, readFrameRecord, readWatermark } from "../src/wire/video";
import { bytes, flipped, vectors } from "./hex";
import { openCommand, readCommand, sealKitState, writeCamera, writeFrameRecord } from "./mock/wire";

const wire = vectors("wire");
const key = new MacKey(bytes(wire, "mac_key"));
const copyOf = (whole: Uint8Array, length: number) => Uint8Array.from({ length }, (_, i) => whole[i] ?? 0);

describe("commands", () => {
  // Goal: what `shared/wire` wrote is read, and written again byte for byte.
  it.each(["command", "command_unknown_age"])("%s is read and sealed again byte for byte", (name) => {
    const whole = bytes(wire, name);
    expect(toHex(sealCommand(openCommand(whole, key), key))).toBe(toHex(whole));
  });

  it("fields stand where the layout says", () => {
    const command = readCommand(bytes(wire, "command"));
    expect(command).toMatchObject({ token: 7n, sequence: 1234n, kitTickEchoUs: 98_765_432_109n, engagement: 3n });
    expect(command).toMatchObject({ arm: 1, deadMan: true, clutch: true, hold: 11n, frameSeen: 456n, frameAgeUs: 48_200 });
    expect(command.target).toEqual({ positionM: [0.01, -0.02, -0.15], orientationWxyz: [0.5, 0.5, -0.5, 0.5] });
    expect(readCommand(bytes(wire, "command_unknown_age")).frameAgeUs).toBeUndefined();
  });

  // Goal: no bit of a command can change unnoticed.
  it("any flipped bit is noticed", () => {
    const whole = bytes(wire, "command");
    for (let bit = 0; bit < whole.length * 8; bit++) expect(() => openCommand(flipped(whole, bit), key)).toThrow();
  });

  it.each([0, 1, 2, 151, 153, 428])("%i bytes are no command", (length) => {
    expect(() => readCommand(copyOf(bytes(wire, "command"), length))).toThrow(/bytes|version/);
  });

  it("another key does not open it", () => {
    expect(() => openCommand(bytes(wire, "command"), new MacKey(new Uint8Array(32)))).toThrow(/code/);
  });
});

describe("kit states", () => {
  it("fields stand where the layout says", () => {
    const state = openKitState(bytes(wire, "kit_state"), key);
    expect(state).toMatchObject({ arm: 1, arms: 3, mode: 2, operatingState: 1, token: 7n, tickUs: 98_765_440_000n, newest: 1234n });
    expect(state.flags).toBe(StateFlag.Homed | StateFlag.Armed | StateFlag.Leased);
    expect(state).toMatchObject({ engagement: 3n, hold: 11n, applied: 900n, rejected: 12n, unauthentic: 4n });
    expect(state).toMatchObject({ newestFrame: 457n, jawRad: 0.3, speedLimitMmS: 200, pictureAgeMs: 61.25 });
    expect(state.measured.positionM).toEqual([0.011, -0.021, -0.149]);
    expect(state.reason && inWords(state.reason)).toBe("picture is 420 ms old, limit 400");
    expect(state.verdicts.map((verdict) => [verdict.sequence, verdict.rejection?.code])).toEqual([
      [1230n, undefined],
      [1231n, 3],
      [1232n, 17],
    ]);
  });

  it("any flipped bit is noticed", () => {
    const whole = bytes(wire, "kit_state");
    for (let bit = 0; bit < whole.length * 8; bit++) expect(() => openKitState(flipped(whole, bit), key)).toThrow();
  });

  it.each([0, 2, 427, 429])("%i bytes are no kit state", (length) => {
    expect(() => openKitState(copyOf(bytes(wire, "kit_state"), length), key)).toThrow(/bytes/);
  });

  it("is written again byte for byte by the kit that the pages are looked at with", () => {
    const whole = bytes(wire, "kit_state");
    expect(toHex(sealKitState(openKitState(whole, key), key))).toBe(toHex(whole));
  });

  it.each([
    [0, 0],
    [1, 1],
    [4, 4],
    [0, 5],
  ])("arm %i of %i arms is refused", (arm, arms) => {
    const state = bytes(wire, "kit_state");
    state.set([arm, arms], 6);
    key.seal(state);
    expect(() => openKitState(state, key)).toThrow(`arm ${arm} of ${arms} arms`);
  });

  // Goal: a good code over nonsense is still refused: parsing and authenticity are two questions.
  it("an authentic state with a pose that is no pose is refused", () => {
    const state = bytes(wire, "kit_state");
    new DataView(state.buffer).setFloat64(96, Number.NaN, true);
    key.seal(state);
    expect(() => openKitState(state, key)).toThrow(/position_m is NaN/);
  });
});

describe("pictures and clocks", () => {
  it("a frame record is read and written again byte for byte", () => {
    const record = readFrameRecord(bytes(wire, "frame_record"));
    expect(record).toMatchObject({ frame: 457n, rtpTimestamp: 4_294_967_000, capturedUs: 1_234_567_890n, keyFrame: true });
    expect(toHex(writeFrameRecord(record))).toBe(toHex(bytes(wire, "frame_record")));
  });

  it("a frame record with a reserved bit, or another length, is refused", () => {
    const whole = bytes(wire, "frame_record");
    expect(() => readFrameRecord(flipped(whole, 3 * 8))).toThrow(/reserved/);
    expect(() => readFrameRecord(whole.subarray(1))).toThrow();
    expect(() => readFrameRecord(whole.subarray(0, 87))).toThrow(/87 bytes/);
  });

  it("pings and pongs are those of the wire", () => {
    expect(toHex(clockPing(123_456_789_012n))).toBe(toHex(bytes(wire, "clock_ping")));
    expect(readClockPong(bytes(wire, "clock_pong"))).toEqual({ sentUs: 123_456_789_012n, edgeUs: 42_000_000n });
  });

  it("a camera stands, or an arm carries it; it has one eye, or two", () => {
    const parentFromCamera = { positionM: [0.01, -0.02, -0.15], orientationWxyz: [0.5, 0.5, -0.5, 0.5] };
    for (const [name, arm, stereo] of [["camera", undefined, false], ["camera_carried", 2, false], ["camera_stereo", undefined, true]] as const) {
      const camera = readCamera(bytes(wire, name));
      expect(camera).toEqual({ arm, parentFromCamera, fovYRad: 0.75, stereo });
      expect(toHex(writeCamera(camera))).toBe(toHex(bytes(wire, name)));
    }
    const whole = bytes(wire, "camera");
    expect(() => readCamera(whole.subarray(0, 67))).toThrow(/67 bytes/);
    for (const arm of [4, 254]) expect(() => readCamera(Uint8Array.from(whole, (byte, i) => (i === 2 ? arm : byte)))).toThrow(/camera/);
    for (const eyes of [2, 3, 255]) expect(() => readCamera(Uint8Array.from(whole, (byte, i) => (i === 67 ? eyes : byte)))).toThrow(/camera flags/);
  });

  it("a watermark is that of the wire, and no other length is one", () => {
    const whole = bytes(wire, "watermark");
    expect(readWatermark(whole)).toEqual({ token: 7n, newest: 1n << 40n, segments: 12n });
    expect(() => readWatermark(whole.subarray(0, 25))).toThrow(/25 bytes/);
  });

  // Goal: what stands beside a picture is read as the edge box writes it (edge/video/src/userdata.rs), under its own name alone.
  it("reads what a picture's unit carries", () => {
    const name = new Uint8Array(16).fill(0x11);
    const unit = Uint8Array.of(0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 6, 5, 23, ...name, 0, 0, 3, 1, 0, 0, 3, 0, 2, 0x80, 0, 0, 0, 1, 0x65, 9);
    expect(userData(unit, name)).toEqual(Uint8Array.of(0, 0, 1, 0, 0, 0, 2));
    expect(userData(unit, name.map((byte) => byte + 1))).toBeUndefined();
    expect(userData(unit.subarray(0, 30), name), "cut").toBeUndefined();
    expect(userData(Uint8Array.of(0, 0, 1, 6, 5, 0xff), name), "without end").toBeUndefined();
  });

  // Goal: the browser reckons the picture's hash as the edge box does: slices alone, whatever lies between them.
  it("a picture's hash is the edge box's", () => {
    const unit = bytes(wire, "access_unit");
    expect(toHex(sha256(pictureContent(unit)))).toBe(toHex(bytes(wire, "picture_hash")));
    expect(toHex(sha256(pictureContent(flipped(unit, 8 * 5))))).toBe(toHex(bytes(wire, "picture_hash")));
    const slice = unit.length - 1;
    expect(toHex(sha256(pictureContent(flipped(unit, 8 * slice))))).not.toBe(toHex(bytes(wire, "picture_hash")));
    expect(pictureContent(new Uint8Array(3))).toHaveLength(0);
    expect(pictureContent(Uint8Array.of(0, 0, 1, 0x65, 4, 0, 0, 0, 5)), "zero bytes within").toHaveLength(4 + 6);
  });
});

describe("statements", () => {
  const names = Object.keys(wire["statements"] as object);

  // Goal: Ed25519 is deterministic, so the same statement under the same key is the same bytes from either writer.
  it.each(names)("%s is opened, and signed again byte for byte", async (name) => {
    const whole = bytes(wire, "statements", name);
    const { author, ...statement } = await openStatement(whole);
    expect(toHex(author)).toBe(toHex(bytes(wire, "author")));
    const signer = await signerFromSeed(bytes(wire, "seed"));
    expect(toHex(await signStatement(statement as Statement, signer))).toBe(toHex(whole));
  });

  it("a notice says what the arms are and where they stand", async () => {
    const { said } = await openStatement(bytes(wire, "statements", "notice"));
    if (said.is !== "notice") throw new Error("not a notice");
    expect(said.notice.arms.map(({ name, kind }) => [name, kind])).toEqual([["PSM1", 0], ["PSM2", 0], ["ECM", 1]]);
    expect(said.notice.arms.map(remoteCentreOf)).toEqual([[0, -0.03, 0.02], [0.11, -0.03, 0.02], [-0.055, -0.03, 0.02]]);
    expect(said.notice).toMatchObject({ token: 7n, regions: 3n, closed: false });
  });

  it("any flipped bit is noticed", async () => {
    const whole = bytes(wire, "statements", "e-stop");
    for (let bit = 0; bit < whole.length * 8; bit++) {
      await expect(openStatement(flipped(whole, bit))).rejects.toThrow();
    }
  });

  it("a statement that is cut off, too long, or signed as something else is refused", async () => {
    const whole = bytes(wire, "statements", "arm");
    await expect(openStatement(whole.subarray(0, 97))).rejects.toThrow(/97 bytes/);
    await expect(openStatement(copyOf(whole, 20_000))).rejects.toThrow(/20000 bytes/);
    const other = bytes(vectors("opening"), "trust_root");
    await expect(openStatement(other)).rejects.toThrow();
  });

  // Goal: a key of small order would let anybody sign.
  it("a key of small order signs nothing", async () => {
    const point = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0));
    const signature = new Uint8Array(64);
    signature.set(point);
    expect(await verify(point, new Uint8Array(3), signature)).toBe(false);
  });

  it("a session key signs what its public half verifies", async () => {
    const signer = await SessionSigner.generate();
    const message = Uint8Array.of(1, 2, 3);
    expect(await verify(signer.publicKey, message, await signer.sign(message))).toBe(true);
    expect(signer.pair.privateKey.extractable).toBe(false);
  });
});

describe("segments", () => {
  const session = Uint8Array.from({ length: 16 }, (_, i) => i);
  const named = (name: string) => sha256(new TextEncoder().encode(name));
  const sent = (sequence: bigint) => ({ sequence, hash: named(`command ${sequence}`) });

  // Goal: what the surgeon's console signs is byte for byte what the ledger's own writer signs.
  it("are the ledger's, chained", async () => {
    const signer = await signerFromSeed(bytes(wire, "seed"));
    const link = { session, number: 1n, previous: new Uint8Array(32) };
    const first = await surgeonSegment({ link, token: 7n, sent: [sent(1n), sent(2n), sent(3n)] }, signer);
    expect(toHex(wrap(Kind.SurgeonSegment, first))).toBe(toHex(bytes(wire, "segments", "surgeon_first")));
    const next = { session, number: 2n, previous: sha256(first) };
    const second = await surgeonSegment({ link: next, token: 8n, sent: [sent(1n << 33n)] }, signer);
    expect(toHex(wrap(Kind.SurgeonSegment, second))).toBe(toHex(bytes(wire, "segments", "surgeon_second")));
  });

  it("display reports are the ledger's", async () => {
    const signer = await signerFromSeed(bytes(wire, "seed"));
    const shown = { frame: 457n, pictureHash: named("picture"), shownUs: 5_000_000n, glassToGlassUs: 61_250n };
    const link = { session, number: 1n, previous: new Uint8Array(32) };
    const report = await displayReport({ link, shown: [shown, { ...shown, frame: 458n }] }, signer);
    expect(toHex(wrap(Kind.DisplayReport, report))).toBe(toHex(bytes(wire, "segments", "display")));
  });
});

describe("CBOR", () => {
  it.each([
    ["a long form of a small number", "1817"],
    ["an indefinite array", "9f01ff"],
    ["a float", "fb3ff0000000000000"],
    ["undefined", "f7"],
    ["a tag", "c001"],
    ["a map", "a10102"],
    ["bytes after the end", "0101"],
    ["nothing", ""],
  ])("%s is refused", (_, hex) => {
    const whole = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    expect(() => fromCbor("it", whole, 100)).toThrow(/not deterministic/);
  });

  it("numbers are as short as they can be, up to 2^64", () => {
    for (const [value, hex] of [
      [23, "17"],
      [24, "1818"],
      [256, "190100"],
      [2 ** 32, "1b0000000100000000"],
      [2n ** 64n - 1n, "1bffffffffffffffff"],
    ] as const) {
      expect(toHex(toCbor(value))).toBe(hex);
    }
  });
});

describe("lease keys", () => {
  it("are those of the transcript", async () => {
    const { said } = await openStatement(bytes(wire, "statements", "lease-grant"));
    if (said.is !== "lease-grant") throw new Error("not a grant");
    expect(toHex(transcriptHash(said.transcript))).toBe(toHex(bytes(wire, "lease", "transcript_hash")));
    const keys = leaseKeys(transcriptHash(said.transcript), bytes(wire, "lease", "secret"));
    const probe = Uint8Array.of(1);
    expect(toHex(keys.consoleToKit.code(probe))).toBe(toHex(bytes(wire, "lease", "console_to_kit_code")));
    expect(toHex(keys.kitToConsole.code(probe))).toBe(toHex(bytes(wire, "lease", "kit_to_console_code")));
  });

  it("two sides agree, and a point of low order is refused", async () => {
    const [a, b] = [await Ephemeral.generate(), await Ephemeral.generate()];
    expect(await a.agree(b.publicKey)).toEqual(await b.agree(a.publicKey));
    expect(await a.agree(new Uint8Array(32))).toBeUndefined();
  });
});

describe("words", () => {
  // Goal: the page says what the guard, the log and the report say, to the letter.
  it("are the guard's own", () => {
    const source = readFileSync(new URL("../../../shared/wire/src/rejection.rs", import.meta.url), "utf8");
    const rows = [...source.matchAll(/^ {4}(\d+) (\w+) \{ (\w+), (\w+) \}, "(.*)";$/gm)];
    expect(rows.length).toBeGreaterThan(15);
    for (const [, code, name, seen, limit, words] of rows) {
      const rejection = { code: Number(code), seen: 1234.5678, limit: 8.7654 };
      const expected = (words as string)
        .replace(new RegExp(`\\{${seen}:\\.(\\d)\\}`), (_, digits: string) => rejection.seen.toFixed(Number(digits)))
        .replace(new RegExp(`\\{${limit}:\\.(\\d)\\}`), (_, digits: string) => rejection.limit.toFixed(Number(digits)));
      expect(expected).not.toContain("{");
      expect([rejectionName(rejection), inWords(rejection)]).toEqual([name, expected]);
    }
  });
});

describe("base64url", () => {
  it("has one spelling", () => {
    expect(toBase64Url(Uint8Array.of(251, 255))).toBe("-_8");
    expect(fromBase64Url("-_8")).toEqual(Uint8Array.of(251, 255));
    for (const bad of ["-_9", "-_8=", "+/8", "a", "a b"]) expect(fromBase64Url(bad)).toBeUndefined();
  });
});
