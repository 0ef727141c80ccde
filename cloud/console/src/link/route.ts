/** One path to the edge box: the connection that is there or being made, and when the next one is tried. */
import { Backoff } from "./backoff";
import { type Peer } from "./peer";
import { PathGauge } from "./quality";

export class Route {
  peer: Peer | undefined;
  /** Of the connection that stands. */
  gauge = new PathGauge(0);
  /** Its connection is one of the bond's. */
  stands = false;
  /** It stood before. */
  stood = false;
  readonly backoff = new Backoff();
  #attempt: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly path: number) {}

  /** A connection is being made, and given up after that time. */
  begin(peer: Peer, msMax: number, giveUp: () => void): void {
    this.peer = peer;
    this.stands = false;
    clearTimeout(this.#retry);
    this.#attempt = setTimeout(giveUp, msMax);
  }

  stand(nowMs: number): void {
    clearTimeout(this.#attempt);
    this.backoff.reset();
    this.gauge = new PathGauge(nowMs);
    this.stands = true;
    this.stood = true;
  }

  /** Lets go of the connection, which is not closed by this. */
  drop(): Peer | undefined {
    const { peer } = this;
    clearTimeout(this.#attempt);
    this.peer = undefined;
    this.stands = false;
    return peer;
  }

  later(again: () => void): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(again, this.backoff.nextMs(Math.random()));
  }
}
