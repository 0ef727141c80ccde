/** One WebRTC connection to the edge box: made, checked, and watched. Nothing is sent before the answer was checked. */
import { type Bytes, random } from "../wire/bytes";
import { signStatement } from "../wire/statement";
import { type VerifiedOpening } from "../trust/opening";
import { type Identity } from "./rolelink";
import { hashPictures } from "../video/hasher";
import { checkAnswer, dtlsFingerprint } from "./sdp";

const GATHER_MS_MAX = 3000;
/** What waits in the reliable channel: more is written as this is sent. */
const STATEMENTS_BYTES_MAX = 256 * 1024;

export type Lane = "control" | "frames" | "statements";

export interface PeerEvents {
  /** All channels are open. */
  readonly opened: () => void;
  readonly closed: (why: string) => void;
  readonly message: (lane: Lane, bytes: Bytes) => void;
  readonly video: (stream: MediaStream) => void;
  /** SHA-256 of a picture that was received. */
  readonly pictureHashed: (rtpTimestamp: number, hash: Bytes) => void;
  /** The reliable channel takes more again. */
  readonly writable: () => void;
}

export class Peer {
  readonly nonce = random(32);
  readonly pc: RTCPeerConnection;
  readonly #lanes = new Map<Lane, RTCDataChannel>();
  #closed = false;
  #stopHashing: (() => void) | undefined;

  constructor(
    private readonly identity: Identity,
    private readonly opening: VerifiedOpening,
    withVideo: boolean,
    private readonly events: PeerEvents,
  ) {
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.pc.onconnectionstatechange = () => this.#watch();
    this.#lane("control", { ordered: false, maxRetransmits: 0 });
    if (withVideo) this.#lane("frames", { ordered: false });
    this.#lane("statements", {});
    if (withVideo) this.#video();
  }

  /** Our description, with everything gathered, and our signature of its fingerprint for the edge box's nonce. */
  async offer(edgeNonce: Bytes): Promise<{ readonly sdp: string; readonly fingerprint: Bytes }> {
    await this.pc.setLocalDescription();
    await this.#gathered();
    const sdp = this.pc.localDescription?.sdp ?? "";
    const said = { is: "fingerprint", dtlsSha256: dtlsFingerprint(sdp), nonce: edgeNonce } as const;
    const statement = { session: this.identity.session, said };
    return { sdp, fingerprint: await signStatement(statement, this.identity.signer) };
  }

  /** Throws, and connects to nobody, unless the session's edge box signed this answer. */
  async answer(sdp: string, fingerprint: Bytes): Promise<void> {
    await checkAnswer(sdp, fingerprint, this.opening, this.nonce);
    await this.pc.setRemoteDescription({ type: "answer", sdp });
  }

  /** Whether it could be handed on: a channel that is closed or full takes nothing. */
  send(lane: Lane, bytes: Bytes): boolean {
    const channel = this.#lanes.get(lane);
    if (channel?.readyState !== "open") return false;
    // On the unreliable channel old news is worse than none.
    if (lane === "control" && channel.bufferedAmount > 16 * 1024) return false;
    if (lane === "statements" && channel.bufferedAmount > STATEMENTS_BYTES_MAX) return false;
    channel.send(bytes);
    return true;
  }

  /** Whether `statements` takes a message now. */
  get isWritable(): boolean {
    const channel = this.#lanes.get("statements");
    return channel?.readyState === "open" && channel.bufferedAmount <= STATEMENTS_BYTES_MAX;
  }

  close(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.pc.onconnectionstatechange = null;
    this.pc.close();
    this.#stopHashing?.();
    this.events.closed(why);
  }

  #lane(label: Lane, options: RTCDataChannelInit): void {
    const channel = this.pc.createDataChannel(label, options);
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) this.events.message(label, new Uint8Array(data));
    };
    channel.onopen = () => {
      if ([...this.#lanes.values()].every((one) => one.readyState === "open")) this.events.opened();
    };
    if (label === "statements") {
      channel.bufferedAmountLowThreshold = STATEMENTS_BYTES_MAX / 2;
      channel.onbufferedamountlow = () => this.events.writable();
    }
    channel.onclose = () => this.close("the edge box closed the connection");
    this.#lanes.set(label, channel);
  }

  #video(): void {
    const transceiver = this.pc.addTransceiver("video", { direction: "recvonly" });
    const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
    const wanted = codecs.filter(({ mimeType }) => /^video\/(h264|rtx|red|ulpfec|flexfec-03)$/i.test(mimeType));
    transceiver.setCodecPreferences(wanted);
    const { receiver } = transceiver;
    // Shown when it comes: the age of the picture is the guard's business, not a buffer's.
    receiver.jitterBufferTarget = 0;
    if ("playoutDelayHint" in receiver) receiver.playoutDelayHint = 0;
    // The channel brings each record as well, in its own time: after an outage, late.
    this.#stopHashing = hashPictures(receiver, { hashed: this.events.pictureHashed, record: (bytes) => this.events.message("frames", bytes) });
    this.pc.ontrack = ({ track }) => this.events.video(new MediaStream([track]));
  }

  #gathered(): Promise<void> {
    if (this.pc.iceGatheringState === "complete") return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, GATHER_MS_MAX);
      this.pc.onicegatheringstatechange = () => {
        if (this.pc.iceGatheringState !== "complete") return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #watch(): void {
    const state = this.pc.connectionState;
    if (state === "failed" || state === "closed") this.close("the connection to the edge box broke");
  }
}
