/** A recorded film, picture by picture: H.264 access units, decoded from the last key frame (WebCodecs). */

/** Pictures by number, from 0. */
export interface Reel {
  readonly count: number;
  isKey(picture: number): boolean;
  /** Annex B, or `undefined` where the picture was left out. */
  unit(picture: number): Promise<Uint8Array | undefined>;
}

export class Film {
  #decoder: VideoDecoder | undefined;
  /** The last picture that went in. */
  #fed = -1;
  #newest: VideoFrame | undefined;
  /** Why the decoder gave up; what is asked of it afterwards fails, too. */
  #broke: Error | undefined;
  #wanted = -1;
  #busy = false;

  /** `show` gets each picture that was asked for; `trouble`: why there is none. */
  constructor(
    private readonly reel: Reel,
    private readonly show: (frame: VideoFrame, picture: number) => void,
    private readonly trouble: (why: string) => void,
  ) {}

  /** Shows that picture soon; what was asked for before it was shown is not shown any more. */
  ask(picture: number): void {
    this.#wanted = picture;
    if (!this.#busy) void this.#work();
  }

  close(): void {
    this.#wanted = -1;
    this.#stop();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (let done = -2; this.#wanted !== done && this.#wanted >= 0; ) {
      const wanted = this.#wanted;
      // Whatever a decoder stumbled over, a fresh one gets the same once more.
      await this.#decodeTo(wanted).catch(() => {
        this.#stop();
        return this.#decodeTo(wanted).catch((error: unknown) => {
          this.#stop();
          this.trouble((this.#broke ?? (error as Error)).message);
        });
      });
      done = wanted;
    }
    this.#busy = false;
  }

  async #decodeTo(wanted: number): Promise<void> {
    let key = wanted;
    while (key > 0 && !this.reel.isKey(key)) key -= 1;
    const goesOn = this.#decoder?.state === "configured" && this.#fed >= key && this.#fed < wanted;
    if (!goesOn) this.#fed = key - 1;
    for (let picture = this.#fed + 1; picture <= wanted; picture++) {
      const unit = await this.reel.unit(picture);
      if (unit === undefined) throw new Error("this picture was taken out of the bundle");
      if (picture === key) this.#begin(unit);
      const type = this.reel.isKey(picture) ? "key" : "delta";
      this.#decoder?.decode(new EncodedVideoChunk({ type, timestamp: picture, data: unit }));
      this.#fed = picture;
    }
    await this.#shown(wanted);
  }

  #begin(unit: Uint8Array): void {
    this.#stop();
    this.#broke = undefined;
    this.#decoder = new VideoDecoder({
      output: (frame) => {
        this.#newest?.close();
        this.#newest = frame;
      },
      error: (error) => (this.#broke = error),
    });
    this.#decoder.configure({ codec: codecOf(unit), optimizeForLatency: true });
  }

  /** A decoder without delay gives each picture at once; another one must be emptied, and begins anew at the next key frame. */
  async #shown(wanted: number): Promise<void> {
    const until = performance.now() + 250;
    while (this.#newest?.timestamp !== wanted && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 2));
    if (this.#newest?.timestamp !== wanted) {
      await this.#decoder?.flush();
      this.#fed = -1;
    }
    if (this.#newest?.timestamp !== wanted) throw new Error("this picture could not be decoded");
    this.show(this.#newest, wanted);
  }

  #stop(): void {
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
    this.#decoder = undefined;
    this.#newest?.close();
    this.#newest = undefined;
    this.#fed = -1;
  }
}

/** Profile, constraints and level as the sequence parameter set has them (RFC 6381). */
function codecOf(unit: Uint8Array): string {
  for (let at = 0; at + 7 < unit.length; at++) {
    if (unit[at] !== 0 || unit[at + 1] !== 0 || unit[at + 2] !== 1 || ((unit[at + 3] ?? 0) & 0x1f) !== 7) continue;
    return `avc1.${[...unit.subarray(at + 4, at + 7)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }
  return "avc1.42e01f";
}
