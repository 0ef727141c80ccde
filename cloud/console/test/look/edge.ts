/**
 * An edge box and a kit in a browser tab, so that the pages can be looked at over real WebRTC. Believes everybody, decides with
 * the small kit of `test/mock`: no authority on anything.
 */
import { heard, message, readWord } from "../../src/link/words";
import { pictureContent } from "../../src/video/nal";
import { type Bytes, equal, fromBase64Url, fromHex, random, toBase64Url, toHex } from "../../src/wire/bytes";
import { Fields, fromCbor } from "../../src/wire/cbor";
import { Ephemeral, type Signer, signerFromSeed } from "../../src/wire/ed25519";
import { Kind } from "../../src/wire/kind";
import { type LeaseKeys, leaseKeys, sha256 } from "../../src/wire/mac";
import { inWords } from "../../src/wire/rejection";
import { OperatingState } from "../../src/wire/state";
import { type Camera } from "../../src/wire/video";
import { Domain, open } from "../../src/wire/signed";
import { type LeaseTranscript, type Said, openStatement, signStatement, transcriptHash } from "../../src/wire/statement";
import { Kit, THREE_ARMS } from "../mock/kit";
import { clockPong, openCommand, sealKitState, watermark, writeCamera, writeFrameRecord } from "../mock/wire";
import { Picture, tap } from "./picture";

interface Setting {
  readonly session: string;
  readonly edgeSeed: string;
  readonly kitSeed: string;
  /** Two instruments and an endoscope, which carries the camera; else one instrument under a camera that stands. */
  readonly threeArms: boolean;
  /** The camera has two eyes. */
  readonly stereo: boolean;
}

declare global {
  interface Window {
    toConsole(id: string, text: string): void;
    edge: Edge;
    beginEdge(setting: Setting): Promise<void>;
  }
}

const hex = (text: string) => fromHex(text, text.length / 2) as Bytes;
const CLOCK_AHEAD_US = 5_000_000n;
const FOV_Y_RAD = 0.75;
/** An eye above the first arm's tool that looks down at it, and one that looks along its own arm's tip. */
const STANDING: Camera = { arm: undefined, parentFromCamera: { positionM: [0, -0.02, -0.05], orientationWxyz: [0, 1, 0, 0] }, fovYRad: FOV_Y_RAD, stereo: false };
const CARRIED: Camera = { arm: 2, parentFromCamera: { positionM: [0, 0, 0], orientationWxyz: [1, 0, 0, 0] }, fovYRad: FOV_Y_RAD, stereo: false };

/** One path of a console. */
class Console {
  readonly lanes = new Map<string, RTCDataChannel>();
  pc: RTCPeerConnection | undefined;
  nonce: Bytes = new Uint8Array(32);
  readonly ours = random(32);
  welcomed = false;

  constructor(readonly both: { said: bigint; taken: bigint }) {}

  send(lane: string, bytes: Bytes): void {
    if (lane !== "statements") this.write(lane, bytes);
    else if (this.welcomed) this.write(lane, message(this.both.said, bytes));
  }

  write(lane: string, bytes: Bytes): void {
    const channel = this.lanes.get(lane);
    if (channel?.readyState === "open") channel.send(bytes);
  }

  /** The statement in a word, if it is the next. */
  statement(bytes: Bytes): Bytes | undefined {
    if (bytes[0] === 0) this.welcome(bytes.at(-1) === 1);
    const word = readWord(bytes);
    if (word?.is !== "message") return undefined;
    const isNext = word.number === this.both.taken + 1n;
    if (isNext) this.both.taken = word.number;
    this.write("statements", heard(this.both.taken));
    return isNext ? word.content : undefined;
  }

  welcome(begins: boolean): void {
    if (begins) [this.both.said, this.both.taken] = [0n, 0n];
    this.write("statements", Uint8Array.of(1));
    this.welcomed = true;
  }
}

class Edge {
  /** By id and path. */
  readonly consoles = new Map<string, Console>();
  /** How many statements each said and took, by id. */
  readonly both = new Map<string, { said: bigint; taken: bigint }>();
  secondPath = true;
  readonly kit: Kit;
  readonly picture: Picture;
  readonly boot = random(16);
  challenge: Bytes = random(32);
  /** Roster key of each session key. */
  readonly people = new Map<string, Bytes>();
  readonly signed: Bytes[] = [];
  readonly presses: Bytes[] = [];
  holder: Bytes | undefined;
  granted: { transcript: LeaseTranscript; keys: LeaseKeys } | undefined;
  keys: LeaseKeys | undefined;
  closed = false;
  silent = false;
  recording = true;
  durable = 0n;
  segments = 0n;
  newestSegment: Bytes = new Uint8Array(32);
  /** Newest sequence that a list names, by token. */
  readonly listed = new Map<bigint, bigint>();
  chainFaults = 0;
  /** Commands that came and that no list named when the operation was closed. */
  unlisted: number | undefined;
  reports = 0;
  frame = 0n;
  /** Chromium adds a random offset to RTP timestamps after its encoded transform has seen them: known once a frame came back. */
  rtpOffset: number | undefined;
  readonly sent = new Map<string, number>();

  constructor(
    readonly session: Bytes,
    readonly key: Signer,
    readonly kitKey: Signer,
    readonly threeArms: boolean,
    readonly stereo: boolean,
  ) {
    this.kit = threeArms ? new Kit(session, THREE_ARMS) : new Kit(session);
    this.picture = new Picture(() => this.nowUs(), stereo);
    setInterval(() => this.kit.tick(performance.now(), 2), 2);
    setInterval(() => this.state(), 10);
    setInterval(() => void this.notice(), 100);
    setInterval(() => this.watermark(), 100);
  }

  nowUs(): bigint {
    return BigInt(Math.round(performance.now() * 1000)) + CLOCK_AHEAD_US;
  }

  async heard(id: string, text: string): Promise<void> {
    const frame = JSON.parse(text) as Record<string, string> & { readonly path?: number };
    const path = frame.path ?? 0;
    const at = `${id} ${path}`;
    if (path === 1 && !this.secondPath) return;
    if (frame["type"] === "hello") {
      this.consoles.get(at)?.pc?.close();
      const both = this.both.get(id) ?? { said: 0n, taken: 0n };
      const one = new Console(both);
      one.nonce = fromBase64Url(frame["nonce"] ?? "") as Bytes;
      this.consoles.set(at, one);
      this.both.set(id, both);
      window.toConsole(id, JSON.stringify({ type: "hello", path, paths: 2, nonce: toBase64Url(one.ours) }));
    } else if (frame["type"] === "offer") {
      await this.answer(id, path, this.consoles.get(at)!, frame["sdp"] ?? "");
    }
  }

  /** Ends every second path; none comes again until it may. */
  cutSecond(isCut: boolean): void {
    this.secondPath = !isCut;
    for (const [at, one] of isCut ? this.consoles : []) if (at.endsWith(" 1")) one.pc?.close();
  }

  async answer(id: string, path: number, one: Console, sdp: string): Promise<void> {
    const pc = (one.pc = new RTCPeerConnection());
    pc.ondatachannel = ({ channel }) => this.lane(one, channel);
    await pc.setRemoteDescription({ type: "offer", sdp });
    const video = pc.getTransceivers().find(({ receiver }) => receiver.track.kind === "video");
    if (video !== undefined && path === 0) {
      video.direction = "sendonly";
      tap(video.sender, ({ rtpTimestamp, unit, key }) => {
        const content = new Uint8Array(unit);
        const pictureHash = sha256(pictureContent(content));
        this.sent.set(toHex(pictureHash), rtpTimestamp);
        const onTheWire = (rtpTimestamp + (this.rtpOffset ?? 0)) >>> 0;
        one.send("frames", writeFrameRecord({ frame: ++this.frame, rtpTimestamp: onTheWire, capturedUs: this.nowUs(), keyFrame: key, auHash: sha256(content), pictureHash }));
      });
      // Chromium taps nothing that had its track first.
      await video.sender.replaceTrack(this.picture.track);
    }
    await pc.setLocalDescription();
    await new Promise<void>((resolve) => {
      pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && resolve();
      if (pc.iceGatheringState === "complete") resolve();
    });
    const local = pc.localDescription!.sdp;
    const print = /^a=fingerprint:sha-256 (\S+)/m.exec(local)![1]!;
    const said: Said = { is: "fingerprint", dtlsSha256: hex(print.replaceAll(":", "").toLowerCase()), nonce: one.nonce };
    const fingerprint = toBase64Url(await signStatement({ session: this.session, said }, this.key));
    window.toConsole(id, JSON.stringify({ type: "answer", path, sdp: local, fingerprint }));
  }

  /** A console received a picture of that hash under that timestamp. */
  align(rtpTimestamp: number, hash: string): boolean {
    const before = this.sent.get(hash);
    if (before !== undefined) this.rtpOffset = (rtpTimestamp - before) >>> 0;
    return before !== undefined;
  }

  lane(one: Console, channel: RTCDataChannel): void {
    channel.binaryType = "arraybuffer";
    one.lanes.set(channel.label, channel);
    channel.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      const bytes = channel.label === "statements" ? one.statement(new Uint8Array(data)) : new Uint8Array(data);
      if (bytes !== undefined) this.message(one, bytes);
    };
  }

  message(one: Console, bytes: Bytes): void {
    if (bytes[0] === Kind.ClockPing) one.send("control", clockPong(new DataView(bytes.buffer).getBigUint64(2, true), this.nowUs()));
    else if (bytes[0] === Kind.Command && this.keys) this.kit.take(performance.now(), openCommand(bytes, this.keys.consoleToKit));
    else if (bytes[0] === Kind.SurgeonSegment) void this.segment(bytes.slice(2));
    else if (bytes[0] === Kind.DisplayReport) this.reports += 1;
    else if (bytes[0] === Kind.Signed) void this.statement(bytes);
  }

  /** As the edge box's record takes them: what came before is dropped, what does not follow is a fault. */
  async segment(envelope: Bytes): Promise<void> {
    const { body } = await open(Domain.surgeonSegment, envelope);
    const f = new Fields("segment", fromCbor("segment", body, 16_384), 3);
    const link = f.record("link", 3);
    link.bytes(16);
    const [number, previous] = [link.u64(), link.bytes(32)];
    if (number <= this.segments) return;
    const token = f.u64();
    const sequences = f.list("sent", 256, (item) => item.record("sent", 2).u64());
    const expected = (this.listed.get(token) ?? 0n) + 1n;
    if (number !== this.segments + 1n || !equal(previous, this.newestSegment) || sequences[0] !== expected) this.chainFaults += 1;
    this.listed.set(token, sequences.at(-1) ?? 0n);
    [this.segments, this.newestSegment] = [number, sha256(envelope)];
  }

  async statement(bytes: Bytes): Promise<void> {
    const { author, said } = await openStatement(bytes);
    if (said.is === "endorse") {
      this.people.set(toHex(said.sessionKey), author);
      this.tell(writeCamera({ ...(this.threeArms ? CARRIED : STANDING), stereo: this.stereo }));
    }
    const person = this.people.get(toHex(author));
    if (person === undefined) return;
    const now = performance.now();
    if (said.is === "e-stop" && !this.presses.some((press) => equal(press, said.press))) {
      this.presses.push(said.press);
      this.kit.stop();
      this.signed.length = 0;
    } else if (said.is === "arm" || said.is === "clear-e-stop") {
      if (!this.signed.some((one) => equal(one, person))) this.signed.push(person);
      if (this.signed.length < 2) return;
      this.signed.length = 0;
      if (said.is === "arm") this.kit.armed = true;
      this.kit.clear(now);
    } else if (said.is === "disarm" || said.is === "close") {
      this.kit.armed = false;
      if (said.is === "close") [this.closed, this.unlisted] = [true, Number(this.kit.newest - (this.listed.get(this.kit.token) ?? 0n))];
    } else if (said.is === "lease-request") {
      await this.grant(author, said.x25519);
    } else if (said.is === "lease-confirm" && this.granted) {
      this.holder = author;
      this.keys = this.granted.keys;
      this.kit.lease(now, this.granted.transcript.token);
    }
  }

  async grant(holder: Bytes, holderX25519: Bytes): Promise<void> {
    const own = await Ephemeral.generate();
    const { session, boot } = this;
    const transcript = { session, token: this.kit.token + 1n, boot, holder, kit: this.kitKey.publicKey, holderX25519, kitX25519: own.publicKey };
    const secret = await own.agree(holderX25519);
    this.granted = { transcript, keys: leaseKeys(transcriptHash(transcript), secret as Bytes) };
    await this.say({ is: "lease-grant", transcript });
  }

  async say(said: Said): Promise<void> {
    this.tell(await signStatement({ session: this.session, said }, this.kitKey));
  }

  /** Everybody, in order. */
  tell(bytes: Bytes): void {
    for (const both of this.both.values()) both.said += 1n;
    for (const one of this.consoles.values()) one.send("statements", bytes);
  }

  state(): void {
    if (this.silent || this.keys === undefined) return;
    for (const state of this.kit.states(performance.now())) {
      const bytes = sealKitState(state, this.keys.kitToConsole);
      for (const one of this.consoles.values()) one.send("control", bytes);
    }
  }

  async notice(): Promise<void> {
    if (this.silent) return;
    const now = performance.now();
    const { boot, challenge, closed, kit } = this;
    const reason = kit.reason(now);
    const operatingState = kit.stopped ? OperatingState.Fault : kit.armed ? OperatingState.Enabled : OperatingState.Disabled;
    const notice = {
      ...{ boot, challenge, closed, operatingState, tickUs: kit.tickUs(now), mode: kit.mode(now), flags: kit.flags(), arms: kit.notices, token: kit.token },
      ...{ holder: this.holder ?? null, signedBy: [...this.signed], presses: [...this.presses], reason: reason ? inWords(reason) : "" },
    };
    await this.say({ is: "notice", notice });
  }

  watermark(): void {
    if (this.recording) this.durable = this.kit.newest;
    for (const one of this.consoles.values()) one.send("control", watermark(this.kit.token, this.durable, this.segments));
  }
}

window.beginEdge = async ({ session, edgeSeed, kitSeed, threeArms, stereo }) => {
  window.edge = new Edge(hex(session), await signerFromSeed(hex(edgeSeed)), await signerFromSeed(hex(kitSeed)), threeArms, stereo);
};
