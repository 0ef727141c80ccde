/**
 * Keeps this page connected to the edge box: signals through the cloud, makes a {@link Peer}, and makes a new one when it
 * breaks. **Once connected, the cloud may go: the operation goes on**, and the page says so.
 */
import { type Bytes } from "../wire/bytes";
import { Untrusted } from "../trust/untrusted";
import { Malformed } from "../wire/malformed";
import { type VerifiedOpening } from "../trust/opening";
import { claimAgain } from "./api";
import { Backoff } from "./backoff";
import { Peer, type Lane } from "./peer";
import { type Identity } from "./rolelink";
import { type Signal, helloFrame, offerFrame, readSignal } from "./signalling";

/** From the first word to open channels. */
const ATTEMPT_MS_MAX = 10_000;

export type LinkState =
  | { readonly is: "cloud-unreachable" }
  | { readonly is: "edge-offline" }
  | { readonly is: "connecting" }
  | { readonly is: "refused"; readonly why: string }
  /** Somebody who is not the edge box of this session answered. Not tried again by itself. */
  | { readonly is: "untrusted"; readonly why: string }
  | { readonly is: "connected"; readonly cloud: boolean };

export interface ConnectorEvents {
  readonly state: (state: LinkState) => void;
  readonly connected: () => void;
  readonly disconnected: (why: string) => void;
  readonly message: (lane: Lane, bytes: Bytes) => void;
  readonly video: (stream: MediaStream) => void;
  readonly pictureHashed: (rtpTimestamp: number, hash: Bytes) => void;
}

export class Connector {
  #socket: WebSocket | undefined;
  #peer: Peer | undefined;
  #open = false;
  #attempt: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #over = false;
  readonly #socketBackoff = new Backoff();
  readonly #peerBackoff = new Backoff();

  constructor(
    private readonly identity: Identity,
    private readonly opening: VerifiedOpening,
    private readonly withVideo: boolean,
    private readonly events: ConnectorEvents,
  ) {}

  start(): void {
    this.#signal();
  }

  send(lane: Lane, bytes: Bytes): boolean {
    return this.#peer?.send(lane, bytes) ?? false;
  }

  stats(): Promise<RTCStatsReport> | undefined {
    return this.#open ? this.#peer?.pc.getStats() : undefined;
  }

  /** Drops the connection and makes a new one: it says nothing any more. */
  restart(why: string): void {
    this.#peer?.close(why);
  }

  // ---- signalling

  #signal(): void {
    if (this.#over) return;
    const url = new URL(`/api/signal?link=${this.identity.link}`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#socketBackoff.reset();
      if (this.#open) this.events.state({ is: "connected", cloud: true });
      else this.#hello();
    };
    socket.onmessage = ({ data }: MessageEvent<unknown>) => this.#heard(typeof data === "string" ? readSignal(data) : undefined);
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.events.state(this.#open ? { is: "connected", cloud: false } : { is: "cloud-unreachable" });
      setTimeout(() => void this.#again(), this.#socketBackoff.nextMs(Math.random()));
    };
  }

  async #again(): Promise<void> {
    await claimAgain(this.identity);
    this.#signal();
  }

  #hello(): void {
    if (this.#over || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#drop();
    this.events.state({ is: "connecting" });
    const peer: Peer = new Peer(this.identity, this.opening, this.withVideo, {
      opened: () => this.#opened(peer),
      closed: (why) => this.#closed(peer, why),
      message: (lane, bytes) => this.#peer === peer && this.events.message(lane, bytes),
      video: (stream) => this.#peer === peer && this.events.video(stream),
      pictureHashed: (rtpTimestamp, hash) => this.#peer === peer && this.events.pictureHashed(rtpTimestamp, hash),
    });
    this.#peer = peer;
    this.#attempt = setTimeout(() => peer.close("the edge box did not answer in time"), ATTEMPT_MS_MAX);
    this.#socket.send(helloFrame(peer.nonce, this.identity.endorsement));
  }

  #heard(signal: Signal | undefined): void {
    switch (signal?.type) {
      case "hello":
        return this.#tried(this.#offer(signal.nonce));
      case "answer":
        return this.#tried(this.#answer(signal.sdp, signal.fingerprint));
      case "error":
        this.events.state({ is: "refused", why: signal.message });
        return this.#later();
      case "edge-offline":
        if (this.#open) return;
        this.#drop();
        return this.events.state({ is: "edge-offline" });
      case "edge-online":
        return this.#open ? undefined : this.#hello();
      case "bye":
        return this.#peer?.close("the edge box ended the connection");
      case undefined:
        return;
    }
  }

  async #offer(edgeNonce: Bytes): Promise<void> {
    const peer = this.#peer;
    if (peer === undefined || this.#open) return;
    const { sdp, fingerprint } = await peer.offer(edgeNonce);
    if (this.#peer === peer && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(offerFrame(sdp, fingerprint));
  }

  async #answer(sdp: string, fingerprint: Bytes): Promise<void> {
    if (!this.#open) await this.#peer?.answer(sdp, fingerprint);
  }

  #tried(trial: Promise<void>): void {
    trial.catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      if (error instanceof Untrusted || error instanceof Malformed) {
        this.#over = true;
        this.#drop();
        this.#socket?.close();
        this.events.state({ is: "untrusted", why });
      } else {
        this.#peer?.close(why);
      }
    });
  }

  // ---- the peer

  #opened(peer: Peer): void {
    if (this.#peer !== peer || this.#open) return;
    clearTimeout(this.#attempt);
    this.#open = true;
    this.#peerBackoff.reset();
    this.events.state({ is: "connected", cloud: this.#socket?.readyState === WebSocket.OPEN });
    this.events.connected();
  }

  #closed(peer: Peer, why: string): void {
    if (this.#peer !== peer) return;
    clearTimeout(this.#attempt);
    this.#peer = undefined;
    const was = this.#open;
    this.#open = false;
    if (was) this.events.disconnected(why);
    this.events.state({ is: "connecting" });
    this.#later();
  }

  #later(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open || this.#hello(), this.#peerBackoff.nextMs(Math.random()));
  }

  /** Lets go of a peer that never opened. */
  #drop(): void {
    const peer = this.#peer;
    clearTimeout(this.#attempt);
    this.#peer = undefined;
    this.#open = false;
    peer?.close("replaced");
  }
}
