/**
 * Keeps this page connected to the edge box over every path that there is: signals through the cloud, makes a {@link Peer} for
 * each, and a new one when it breaks. **What is sent goes over all of them, what comes counts once, and whoever listens is told
 * of nothing but the first path and the last**: any may die unnoticed. Once connected, the cloud may go: the operation goes on,
 * and the page says so.
 */
import { type Bytes, random } from "../wire/bytes";
import { Untrusted } from "../trust/untrusted";
import { Kind } from "../wire/kind";
import { Malformed } from "../wire/malformed";
import { type VerifiedOpening } from "../trust/opening";
import { clockPing, picturesVia, readClockPong } from "../wire/video";
import { claimAgain } from "./api";
import { Backoff } from "./backoff";
import { Bond } from "./bond";
import { Peer, type Lane } from "./peer";
import { type PathFigures, Race } from "./quality";
import { type Identity } from "./rolelink";
import { Route } from "./route";
import { type Signal, helloFrame, offerFrame, readSignal } from "./signalling";

/** From the first word to a path that stands. */
const ATTEMPT_MS_MAX = 10_000;
const PING_MS = 200;
/** A path over which nothing comes for so long, while another speaks, is made anew. */
const PATH_SILENCE_MS_MAX = 2000;
const SPEAKS_MS_MAX = 500;
/** The path of the pictures brought nothing while another brought so much, which is a kit's state every 10 ms: it takes over. */
const PICTURES_BEHIND_MAX = 8;
/** A change of path costs a key frame. */
const PICTURES_PAUSE_MS = 1000;

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
  /** The first path stands. */
  readonly connected: () => void;
  /** The last path is gone. */
  readonly disconnected: (why: string) => void;
  readonly message: (lane: Lane, bytes: Bytes) => void;
  /** Over that path pictures may come. */
  readonly video: (path: number, stream: MediaStream) => void;
  readonly pictureHashed: (rtpTimestamp: number, hash: Bytes) => void;
}

/** A path, as it is now. */
export interface PathView extends PathFigures {
  /** From 0. */
  readonly path: number;
  readonly stands: boolean;
  /** It stood before. */
  readonly stood: boolean;
  /** Pictures come over it. */
  readonly pictures: boolean;
}

export class Connector {
  #socket: WebSocket | undefined;
  /** One at first; as many as the edge box says it has. */
  readonly #routes: Route[] = [new Route(0)];
  readonly #bond = new Bond(random(16));
  readonly #race = new Race();
  #pictures = 0;
  #picturesMs = Number.NEGATIVE_INFINITY;
  #untrustedWhy: string | undefined;
  readonly #socketBackoff = new Backoff();

  constructor(
    private readonly identity: Identity,
    private readonly opening: VerifiedOpening,
    private readonly withVideo: boolean,
    private readonly events: ConnectorEvents,
  ) {}

  start(): void {
    this.#signal();
    setInterval(() => this.#watch(), PING_MS);
  }

  /** Over every path that stands. Whether any took it; what is reliable is then delivered as long as one path lives. */
  send(lane: Lane, bytes: Bytes): boolean {
    if (lane === "statements") {
      const queued = this.#bond.say(bytes);
      if (queued) this.#pump();
      return queued;
    }
    return this.#standing().map(({ peer }) => peer?.send(lane, bytes) ?? false).includes(true);
  }

  /** Of the path that pictures come over. */
  stats(): Promise<RTCStatsReport> | undefined {
    const route = this.#routes[this.#pictures];
    return route?.stands ? route.peer?.pc.getStats() : undefined;
  }

  paths(nowMs: number): PathView[] {
    return this.#routes.map(({ path, stands, stood, gauge }) => ({ path, stands, stood, pictures: stands && path === this.#pictures, ...gauge.figures(nowMs) }));
  }

  /** Drops every connection and makes new ones: they say nothing any more. */
  restart(why: string): void {
    for (const { peer } of this.#standing()) peer?.close(why);
  }

  // ---- signalling

  #signal(): void {
    if (this.#untrustedWhy !== undefined) return;
    const url = new URL(`/api/signal?link=${this.identity.link}`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#socketBackoff.reset();
      if (this.#bond.isTogether) this.events.state({ is: "connected", cloud: true });
      this.#helloAll();
    };
    socket.onmessage = ({ data }: MessageEvent<unknown>) => this.#heard(typeof data === "string" ? readSignal(data) : undefined);
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.events.state(this.#bond.isTogether ? { is: "connected", cloud: false } : { is: "cloud-unreachable" });
      setTimeout(() => void this.#again(), this.#socketBackoff.nextMs(Math.random()));
    };
  }

  async #again(): Promise<void> {
    await claimAgain(this.identity);
    this.#signal();
  }

  #helloAll(): void {
    for (const route of this.#routes) if (!route.stands) this.#hello(route);
  }

  #hello(route: Route): void {
    if (this.#untrustedWhy !== undefined || route.stands || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#drop(route);
    this.#unlessTogether({ is: "connecting" });
    const { path } = route;
    const isIt = () => route.peer === peer;
    const peer: Peer = new Peer(this.identity, this.opening, this.withVideo, {
      opened: () => isIt() && this.#opened(path),
      closed: (why) => isIt() && this.#closed(route, why),
      message: (lane, bytes) => isIt() && this.#message(route, lane, bytes),
      video: (stream) => isIt() && this.events.video(path, stream),
      pictureHashed: (rtpTimestamp, hash) => isIt() && this.events.pictureHashed(rtpTimestamp, hash),
      writable: () => isIt() && this.#pump(),
    });
    route.begin(peer, ATTEMPT_MS_MAX, () => peer.close("the edge box did not answer in time"));
    this.#socket.send(helloFrame(path, peer.nonce, this.identity.endorsement));
  }

  #heard(signal: Signal | undefined): void {
    switch (signal?.type) {
      case "hello":
        this.#expect(signal.paths);
        return this.#tried(signal.path, (route) => this.#offer(route, signal.nonce));
      case "answer":
        return this.#tried(signal.path, (route) => this.#answer(route, signal.sdp, signal.fingerprint));
      case "error":
        return this.#refused(signal.path, signal.message);
      case "edge-offline":
        for (const route of this.#routes) if (!route.stands) this.#drop(route);
        return this.#unlessTogether({ is: "edge-offline" });
      case "edge-online":
        return this.#helloAll();
      case "bye":
        return this.restart("the edge box ended the connection");
      case undefined:
        return;
    }
  }

  /** The edge box has so many paths. By the cloud's word: what it can do with it is to leave one out. */
  #expect(paths: number): void {
    while (this.#routes.length < paths) {
      const route = new Route(this.#routes.length);
      this.#routes.push(route);
      this.#hello(route);
    }
  }

  async #offer(route: Route, edgeNonce: Bytes): Promise<void> {
    const { peer, path } = route;
    if (peer === undefined || route.stands) return;
    const { sdp, fingerprint } = await peer.offer(edgeNonce);
    if (route.peer === peer && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(offerFrame(path, sdp, fingerprint));
  }

  async #answer(route: Route, sdp: string, fingerprint: Bytes): Promise<void> {
    if (!route.stands) await route.peer?.answer(sdp, fingerprint);
  }

  #tried(path: number, attempt: (route: Route) => Promise<void>): void {
    const route = this.#routes[path];
    if (route === undefined) return;
    attempt(route).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      if (error instanceof Untrusted || error instanceof Malformed) this.#untrusted(why);
      else route.peer?.close(why);
    });
  }

  /** Nothing more is tried. What stands was checked, and goes on. */
  #untrusted(why: string): void {
    this.#untrustedWhy = why;
    for (const route of this.#routes) if (!route.stands) this.#drop(route);
    this.#socket?.close();
    this.#unlessTogether({ is: "untrusted", why });
  }

  #refused(path: number, why: string): void {
    const route = this.#routes[path];
    if (route === undefined || route.stands) return;
    this.#unlessTogether({ is: "refused", why });
    this.#later(route);
  }

  #unlessTogether(state: LinkState): void {
    if (!this.#bond.isTogether) this.events.state(state);
  }

  // ---- the paths

  #opened(path: number): void {
    this.#bond.opened(path);
    this.#pump();
  }

  #message(route: Route, lane: Lane, bytes: Bytes): void {
    route.gauge.heard(performance.now());
    if (lane === "statements") return this.#word(route, bytes);
    if (lane === "control") this.#raced(route, bytes);
    this.events.message(lane, bytes);
  }

  #raced(route: Route, bytes: Bytes): void {
    this.#race.heard(route.path);
    const ahead = this.#race.ahead(this.#pictures);
    const paused = performance.now() - this.#picturesMs < PICTURES_PAUSE_MS;
    if (ahead !== undefined && ahead.by >= PICTURES_BEHIND_MAX && !paused) this.#see(ahead.path);
    if (bytes[0] !== Kind.ClockPong) return;
    try {
      route.gauge.ponged(readClockPong(bytes).sentUs, performance.now());
    } catch {
      return; // whoever takes messages counts it
    }
  }

  #word(route: Route, bytes: Bytes): void {
    const event = this.#bond.take(route.path, bytes);
    if (event.is === "message") this.events.message("statements", event.content);
    else if (event.is === "began" || event.is === "joined") this.#stands(route, event.is === "began");
    else if (event.is === "over") this.#allOver("the edge box began anew");
    else if (event.is === "broken") route.peer?.close("the edge box broke the rule of numbers");
    this.#pump();
  }

  #stands(route: Route, first: boolean): void {
    route.stand(performance.now());
    this.#race.begin(route.path);
    if (!first) return;
    this.#pictures = route.path;
    this.events.state({ is: "connected", cloud: this.#socket?.readyState === WebSocket.OPEN });
    this.events.connected();
  }

  #closed(route: Route, why: string): void {
    route.drop();
    this.#race.end(route.path);
    const event = this.#bond.closed(route.path);
    if (event.is === "over") this.#allOver(why);
    else this.#later(route);
    const [other] = this.#bond.standing;
    if (route.path === this.#pictures && other !== undefined) this.#see(other);
    this.#unlessTogether({ is: "connecting" });
    this.#pump();
  }

  #allOver(why: string): void {
    this.events.disconnected(why);
    this.events.state(this.#untrustedWhy === undefined ? { is: "connecting" } : { is: "untrusted", why: this.#untrustedWhy });
    for (const route of this.#routes) {
      this.#race.end(route.path);
      if (route.peer !== undefined) this.#drop(route);
      this.#later(route);
    }
  }

  /** Pictures are to come over that path. */
  #see(path: number): void {
    if (!this.withVideo) return;
    this.#pictures = path;
    this.#picturesMs = performance.now();
    this.send("statements", picturesVia(path));
  }

  #later(route: Route): void {
    route.later(() => this.#hello(route));
  }

  /** Lets go of what never stood, or does no more. */
  #drop(route: Route): void {
    const peer = route.drop();
    this.#bond.closed(route.path);
    peer?.close("replaced");
  }

  /** Hands on to each path what it takes. */
  #pump(): void {
    for (const { peer, path } of this.#routes) {
      while (peer?.isWritable) {
        const bytes = this.#bond.next(path);
        if (bytes === undefined || !peer.send("statements", bytes)) break;
      }
    }
  }

  #standing(): Route[] {
    return this.#routes.filter(({ stands }) => stands);
  }

  /** Called often: pings, and what silence means. */
  #watch(): void {
    const now = performance.now();
    const sentUs = BigInt(Math.round(now * 1000));
    for (const { peer, gauge } of this.#standing()) {
      if (peer?.send("control", clockPing(sentUs))) gauge.pinged(sentUs, now);
    }
    const speaks = this.#standing().some(({ gauge }) => gauge.figures(now).silentMs < SPEAKS_MS_MAX);
    for (const { peer, gauge } of speaks ? this.#standing() : []) {
      if (gauge.figures(now).silentMs > PATH_SILENCE_MS_MAX) peer?.close("nothing came over it");
    }
  }
}
