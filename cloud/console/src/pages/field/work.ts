/** The field team's work: hears from the server how it goes, signs what is checked, begins what the person pressed. */
import { signal } from "@preact/signals";
import { claimAgain, json, post, session, whyFailed } from "../../link/api";
import { type Identity } from "../../link/rolelink";
import { checkAsked, newestCustody, readAsked } from "../../trust/custody";
import { readTrustRoot } from "../../trust/root";
import { Untrusted } from "../../trust/untrusted";
import { type Bytes } from "../../wire/bytes";
import { Malformed } from "../../wire/malformed";
import { Domain, seal } from "../../wire/signed";
import { type Call, type Field, type Flight, type Next, SIGNED_BY, readEvent, readField } from "./model";

const RETRY_MS = 3000;
const TRACK_MAX = 2000;

/** What the server said last is kept, so that the page knows where it was when it is opened without a network. */
export class FieldWork {
  readonly field = signal<Field | undefined>(undefined);
  /** Where the aircraft was, oldest first. */
  readonly track = signal<readonly Flight[]>([]);
  readonly online = signal(false);
  readonly busy = signal<Call | undefined>(undefined);
  /** Why the server does not tell how things stand. */
  readonly refusal = signal<string | undefined>(undefined);
  readonly trouble = signal<string | undefined>(undefined);

  constructor(private readonly identity: Identity) {
    const kept = localStorage.getItem(this.#key);
    if (kept !== null) this.#take(kept);
  }

  start(): void {
    const events = new EventSource(`/api/field/events?link=${this.identity.link}`);
    events.onopen = () => {
      this.online.value = true;
      this.refusal.value = undefined;
    };
    events.onerror = () => {
      this.online.value = false;
      // A refused stream is not tried again by the browser.
      if (events.readyState !== EventSource.CLOSED) return;
      void this.#whyNot();
      setTimeout(() => void claimAgain(this.identity).then(() => this.start()), RETRY_MS);
    };
    events.onmessage = ({ data }: MessageEvent<string>) => this.#take(data);
  }

  async begin(next: Next): Promise<void> {
    if (this.busy.value !== undefined) return;
    this.busy.value = next.call;
    this.trouble.value = undefined;
    try {
      await post(`/api/field/${next.call}?link=${this.identity.link}`, await this.#signed(next.call));
    } catch (error) {
      this.trouble.value = trouble(error);
    }
    this.busy.value = undefined;
  }

  /** The envelope of what the person signs with this button, checked first. */
  async #signed(call: Call): Promise<Bytes | undefined> {
    const step = SIGNED_BY[call];
    if (step === undefined) return undefined;
    const kit = this.field.value?.kit;
    // Asked for anew: it carries the time at which it is signed.
    const next = readField(await json(`/api/field?link=${this.identity.link}`))?.next;
    const transaction = next?.call === call ? next.transaction : undefined;
    if (transaction === undefined || kit === undefined) throw new Untrusted("the server did not send what there is to sign");
    const answer = await session(this.identity);
    const trust = await readTrustRoot(answer.trustRoot, this.identity.trust);
    const newest = await newestCustody(answer.custody, trust);
    checkAsked(readAsked(transaction), { trust, kit, step, nowMs: Date.now(), newest });
    return seal(Domain.transaction, this.identity.signer, transaction);
  }

  /** An event stream that is refused does not say why; the same call as plain JSON does. */
  async #whyNot(): Promise<void> {
    this.refusal.value = await json(`/api/field?link=${this.identity.link}`).then(
      () => undefined,
      (error: unknown) => whyFailed(error),
    );
  }

  get #key(): string {
    return `field ${this.identity.link}`;
  }

  #take(text: string): void {
    const field = readEvent(text);
    if (field === undefined) return;
    this.field.value = field;
    localStorage.setItem(this.#key, text);
    if (field.flight !== undefined) this.track.value = [...this.track.value.slice(1 - TRACK_MAX), field.flight];
  }
}

function trouble(error: unknown): string {
  if (error instanceof Untrusted || error instanceof Malformed) return `Not signed, nothing was begun: ${error.message}. Tell whoever runs this site.`;
  return `${whyFailed(error)} Nothing was begun.`;
}
