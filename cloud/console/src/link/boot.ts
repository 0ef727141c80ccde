/**
 * From a role link to a session that is proven: the session key, the claim, the trust root, the opening. **What the page
 * gets out of here was checked; until then it shows nothing but how far it is.**
 */
import { signal } from "@preact/signals";
import { equal } from "../wire/bytes";
import { type Limits, verifyLimits } from "../trust/limits";
import { type Role, type VerifiedOpening, verifyOpening } from "../trust/opening";
import { readTrustRoot } from "../trust/root";
import { Untrusted } from "../trust/untrusted";
import { Malformed } from "../wire/malformed";
import { ApiError, type Claimed, claim, session, sessionOfLink } from "./api";
import { Backoff } from "./backoff";
import { keep, kept } from "./keystore";
import { claimTab } from "./onetab";
import { type Identity, type Place, endorse, readSecret } from "./rolelink";

export interface Proven {
  readonly identity: Identity;
  readonly claimed: Claimed;
  readonly opening: VerifiedOpening;
  /** Undefined: the server did not send those that the opening names. */
  readonly limits: Limits | undefined;
}

export type BootState =
  | { readonly is: "starting" }
  | { readonly is: "no-link" }
  | { readonly is: "claiming"; readonly trouble: string | undefined }
  | { readonly is: "failed"; readonly code: string; readonly message: string }
  | { readonly is: "untrusted"; readonly why: string }
  /** The field team is not there yet: the session opens when the kit is paired. */
  | { readonly is: "not-open"; readonly claimed: Claimed; readonly trouble: string | undefined }
  | { readonly is: "ready"; readonly proven: Proven };

const POLL_MS = 2000;

/** What a page needs: somebody on the edge box's roster waits for the opening, others only for the claim. */
export class Boot {
  readonly state = signal<BootState>({ is: "starting" });
  identity: Identity | undefined;
  readonly #backoff = new Backoff();

  /** `role`: whom the page is for; undefined where no proven session is needed. */
  constructor(
    private readonly place: Place,
    private readonly role: Role | undefined,
  ) {}

  async run(): Promise<void> {
    try {
      this.identity = await identityFor(this.place);
      if (this.identity === undefined) {
        this.state.value = { is: "no-link" };
        return;
      }
      if (this.role !== undefined && !(await claimTab(this.place.link))) {
        this.state.value = { is: "failed", code: "other-tab", message: "" };
        return;
      }
      const claimed = await this.#claim(this.identity);
      await this.#open(this.identity, claimed);
    } catch (error) {
      this.state.value = failure(error);
    }
  }

  async #claim(identity: Identity): Promise<Claimed> {
    this.state.value = { is: "claiming", trouble: undefined };
    for (;;) {
      try {
        return await claim(identity);
      } catch (error) {
        if (error instanceof ApiError && error.isFinal) throw error;
        this.state.value = { is: "claiming", trouble: message(error) };
        await pause(this.#backoff.nextMs(Math.random()));
      }
    }
  }

  async #open(identity: Identity, claimed: Claimed): Promise<void> {
    this.state.value = { is: "not-open", claimed, trouble: undefined };
    while (this.role !== undefined) {
      const proven = await this.#ask(identity, claimed, this.role);
      if (proven !== undefined) {
        this.state.value = { is: "ready", proven };
        return;
      }
      await pause(POLL_MS);
    }
  }

  async #ask(identity: Identity, claimed: Claimed, role: Role): Promise<Proven | undefined> {
    try {
      const answer = await session(identity);
      const trust = await readTrustRoot(answer.trustRoot, identity.trust);
      if (answer.opening === null) return undefined;
      const opening = await verifyOpening(answer.opening, trust);
      checkPlace(identity, opening, role);
      const limits = answer.limits === null ? undefined : verifyLimits(answer.limits, opening);
      return { identity, claimed, opening, limits };
    } catch (error) {
      if (error instanceof Untrusted || error instanceof Malformed) throw error;
      this.state.value = { is: "not-open", claimed, trouble: message(error) };
      return undefined;
    }
  }
}

/** The session is the link's, and the link's key stands on its roster in this page's role. */
function checkPlace(identity: Identity, opening: VerifiedOpening, role: Role): void {
  if (!equal(opening.session, identity.session)) throw new Untrusted("the opening is of another session than your link");
  const member = opening.member(identity.linkKey);
  if (member === undefined) throw new Untrusted("your link's key is not on the session's roster");
  if (member.role !== role) throw new Untrusted(`your link is for the role "${member.role}", this page is for "${role}"`);
}

/** The identity that this browser has for the link, or a new one from the link's fragment, which is then forgotten. */
async function identityFor(place: Place): Promise<Identity | undefined> {
  const secret = readSecret(location.hash);
  const known = await kept(place.link);
  const identity = known ?? (secret && (await endorse(place.link, secret, secret.session ?? (await sessionOfLink(place.link)))));
  if (identity !== undefined && known === undefined) await keep(identity);
  if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
  return identity;
}

function failure(error: unknown): BootState {
  if (error instanceof ApiError) return { is: "failed", code: error.code, message: error.message };
  if (error instanceof Untrusted || error instanceof Malformed) return { is: "untrusted", why: error.message };
  return { is: "failed", code: "browser", message: message(error) };
}

function message(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  if (error instanceof TypeError) return "The server can't be reached.";
  return error instanceof Error ? error.message : String(error);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
