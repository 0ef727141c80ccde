/** What the engineer's page knows, and asks for. It speaks to `farhand up` on this machine, which it shows as it is. */
import { signal } from "@preact/signals";
import { ApiError, call, isRecord, post, whyFailed } from "../../link/api";

export interface Dials {
  readonly delay_ms: number;
  readonly jitter_ms: number;
  readonly loss_percent: number;
  readonly stalled: boolean;
}

export const STILL: Dials = { delay_ms: 0, jitter_ms: 0, loss_percent: 0, stalled: false };

export interface Part {
  readonly name: string;
  readonly pid: number | null;
}

export interface Soak {
  readonly running: boolean;
  readonly seed: number;
  readonly sessions: number;
  readonly done: number;
  readonly broken: string | null;
  readonly failed: string | null;
  readonly report: SoakReport | null;
}

export interface SoakReport {
  readonly seconds: number;
  readonly simulated_seconds: number;
  readonly commands: number;
  readonly applied: number;
  readonly tasks_done: number;
  readonly violations: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly preconditions: Readonly<Record<string, number>>;
}

export interface View {
  readonly session: string;
  readonly seed: number;
  readonly line: { readonly profile: string; readonly from: string; readonly dials: Dials } | null;
  /** What is so in the simulated world, as it says it; shown as it came. */
  readonly truth: Readonly<Record<string, unknown>> | null;
  readonly parts: readonly Part[];
  readonly soak: Soak;
}

const LOOK_MS = 500;
/** Turning sends no more often. */
const TURN_MS = 60;

export class Simulator {
  readonly view = signal<View | undefined>(undefined);
  readonly trouble = signal<string | undefined>(undefined);
  /** As they are being turned: ahead of what the line has been told. */
  readonly dials = signal<Dials>(STILL);
  #turning: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly token: string) {}

  start(): () => void {
    void this.#look();
    const timer = setInterval(() => void this.#look(), LOOK_MS);
    return () => clearInterval(timer);
  }

  turn(change: Partial<Dials>): void {
    this.dials.value = { ...this.dials.peek(), ...change };
    this.#turning ??= setTimeout(() => {
      this.#turning = undefined;
      void this.#ask("line", this.dials.peek());
    }, TURN_MS);
  }

  kill(part: string): Promise<void> {
    return this.#ask("kill", { part });
  }

  soak(seed: number, sessions: number): Promise<void> {
    return this.#ask("soak", { seed, sessions });
  }

  async #look(): Promise<void> {
    try {
      const view = (await call("/api/simulator", { headers: this.#headers() })) as unknown as View;
      if (!isRecord(view.soak) || !Array.isArray(view.parts)) throw new ApiError("malformed", "This is no simulator.");
      if (this.view.peek() === undefined && view.line !== null) this.dials.value = view.line.dials;
      this.view.value = view;
      this.trouble.value = undefined;
    } catch (error) {
      this.trouble.value = error instanceof ApiError ? error.message : "farhand up does not answer: it has ended, or this machine is busy. Trying again.";
    }
  }

  async #ask(what: string, body: unknown): Promise<void> {
    try {
      await post(`/api/simulator/${what}`, new TextEncoder().encode(JSON.stringify(body)), { ...this.#headers(), "Content-Type": "application/json" });
      this.trouble.value = undefined;
    } catch (error) {
      this.trouble.value = whyFailed(error);
    }
    await this.#look();
  }

  #headers(): Record<string, string> {
    return { Authorization: `Bearer ${this.token}` };
  }
}
